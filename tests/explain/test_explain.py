"""`explain`: the verdict and its reasons, from the state file and the configuration alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from syncd.core.digest import NO_MEMBERS
from syncd.core.drift import Drift, DriftClass, Reaction, Reactions
from syncd.core.foreign import ForeignMember
from syncd.core.mapping import UserMapping, compile_assignment
from syncd.core.model import Entry, Evidence, Flat, Kind, Known, KnownGroup, State
from syncd.core.plan import Action, Change, Held, Outcome, Plan, Result, Trouble
from syncd.errors import SyncdError
from syncd.explain import explain
from syncd.report.explanation import Explanation
from syncd.report.text import render
from syncd.scim.dialect import Dialect
from syncd.scim.profiles import PROFILES
from syncd.settings.build import Setup, Target, read
from syncd.store import Correction, StateFile, Stop

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "id"
active = 'status == "active"'
[mapping.user]
userName = "{mail|lower}"
displayName = "{first} {last}"
title = "{title}"
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager" = "{boss}"
[[target]]
name = "lucid"
base_url = "https://scim.example.com/v2"
token = { env = "NEVER_READ" }
verified_domains = ["x.org"]
scope = 'department != "Contractors"'
groups = ["Design*"]
"""


class Case:
    """A state file in which things are put, and the configuration it is explained by."""

    def __init__(self, folder: Path, state: StateFile, setup: Setup) -> None:
        self.folder = folder
        self.state = state
        self.setup = setup
        self.target: Target = setup.targets[0]
        self.snapshot = state.snapshot("lucid")

    def entry(self, key: str, at: datetime = NOON, **values: str) -> None:
        """Keep an entry of an active person with an address at x.org, but for what is given."""
        given = {"mail": f"U{key}@x.org", "first": "Ada", "last": "Lovelace", "status": "active"} | values
        attributes = {name: [value] for name, value in given.items() if value}
        self.snapshot.begin_staging()
        self.snapshot.stage_entries([Entry(key, attributes, f"people.csv:{key}")])
        with self.state.atomic():
            self.snapshot.keep_staged(at)

    def account(self, key: str, state: State = State.ACTIVE, **changes: object) -> Known:
        """Put an account that is as `entry` would have it, but for what is given."""
        attributes: Flat = {
            "userName": f"u{key}@x.org",
            "displayName": "Ada Lovelace",
            "externalId": key,
            "active": state is State.ACTIVE,
        }
        known = Known(
            key, f"id-{key}", f"u{key}@x.org", state, attributes, b"", accepted=state is not State.PENDING, since=NOON
        )
        known = replace(known, **changes)  # type: ignore[arg-type]  # the test names them
        with self.state.atomic():
            self.snapshot.put_user(known)
        return known

    def group(self, key: str, name: str, members: Sequence[str] = (), **changes: object) -> None:
        known = KnownGroup(key, f"gid-{key}", name, {"displayName": name, "externalId": key}, NO_MEMBERS)
        with self.state.atomic():
            self.snapshot.put_group(replace(known, **changes))  # type: ignore[arg-type]  # the test names them
            self.snapshot.change_members(key, Kind.USER, added=members)

    def run(self, plan: Plan, *outcomes: Outcome, at: datetime = NOON) -> int:
        """Write down a run that carried out a plan."""
        journal = self.state.journal("lucid")
        with self.state.atomic():
            number = journal.begin(plan, at)
            for outcome in outcomes:
                journal.record(number, outcome, at)
            journal.end(number, at, 1, 0.1, "")
            if plan.kind != "user":
                self.state.holds("lucid").refresh(plan, at)
        return number

    def explain(self, who: str) -> Explanation:
        return explain(self.setup, self.state, self.target, who, NOON + HOUR)

    def verdict(self, who: str) -> str:
        return self.explain(who).verdict

    def sentences(self, who: str, part: str) -> list[str]:
        """Return what one part says, nothing where there is no such part."""
        return [sentence for each in self.explain(who).parts if each.name == part for sentence in each.sentences]


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    file = tmp_path / "syncd.toml"
    file.write_text(CONFIGURATION, encoding="utf-8")
    with StateFile(tmp_path / "syncd.db") as state:
        yield Case(tmp_path, state, read(file))


def plan(*, kind: str = "sync", **parts: object) -> Plan:
    empty = Plan("lucid", kind, NOON, 1, (), evidence=Evidence("people.csv", 1, 0, 0, 0, 0.1))
    return replace(empty, **parts)  # type: ignore[arg-type]  # the test names them


LEAVE = Change(
    Action.DEACTIVATE_USER,
    "1",
    "u1@x.org",
    {"active": True},
    {"active": False},
    "disabled in the source",
    State.DEACTIVATED,
)
LIMIT = "41 of 100 people would be deactivated; the limit is 10 %"
OVER = "41 of 100 people is over the limit of 10 % for deactivations"
CREATE = Change(
    Action.CREATE_USER, "1", "u1@x.org", {}, {"userName": "u1@x.org"}, "new in the source", State.ACTIVE, "00"
)
EVIDENCE = Evidence("people.csv", 1, 0, 0, 0, 0.1)
LEFT = 'the source says `status` is "left" (rule: status == "active")'


# -- the verdict -------------------------------------------------------------------------------------


def test_somebody_in_line_is_as_the_source_has_them(case: Case) -> None:
    case.entry("1")
    case.account("1")
    assert case.verdict("1") == "Ada Lovelace (1) is active at lucid, as the source has it."


def test_somebody_invited_is_pending_since_the_invitation(case: Case) -> None:
    case.entry("1", mail="ada@y.org")
    attributes = {"userName": "ada@y.org", "displayName": "Ada Lovelace", "externalId": "1", "active": False}
    case.account("1", State.PENDING, name="ada@y.org", attributes=attributes)
    assert case.verdict("1") == "Ada Lovelace (1) is pending at lucid: invited on 2026-11-22, has not accepted."


def test_somebody_switched_off_is_so_because_of_the_rule(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1", State.DEACTIVATED)
    assert case.verdict("1") == f"Ada Lovelace (1) is switched off at lucid since 2026-11-22 because {LEFT}."


def test_somebody_out_of_scope_is_so_because_of_the_scope(case: Case) -> None:
    case.entry("1", department="Contractors")
    assert case.verdict("1") == (
        "Ada Lovelace (1) is not linked to an account at lucid: they are out of scope: the source says `department` is"
        ' "Contractors" (rule: department != "Contractors"), and a person who is off gets no account;'
        " syncd has not looked whether there is one."
    )


def test_only_a_full_resync_has_looked_whether_there_is_an_account(case: Case) -> None:
    case.entry("1", status="left")
    unlinked = "Ada Lovelace (1) is not linked to an account at lucid: "
    off = "and a person who is off gets no account"
    assert case.verdict("1") == f"{unlinked}{LEFT}, {off}; syncd has not looked whether there is one."
    case.run(replace(plan(), kind="resync", evidence=EVIDENCE))
    assert case.verdict("1") == f"{unlinked}{LEFT}, {off}."
    case.run(replace(plan(), kind="resync", evidence=None))
    assert case.verdict("1").endswith("syncd has not looked whether there is one."), "the target could not be read"
    case.run(replace(plan(), evidence=EVIDENCE))
    assert case.verdict("1").endswith("syncd has not looked whether there is one."), "that run read the source alone"


def test_an_attribute_that_the_entry_lacks_is_said_to_be_missing(case: Case) -> None:
    case.entry("1", status="")
    assert "the source says there is no `status` (rule: status" in case.verdict("1")


def test_an_entry_that_cannot_be_mapped_is_the_reason(case: Case) -> None:
    case.entry("1", mail="")
    assert case.verdict("1") == (
        "1 is not linked to an account at lucid: the entry has no value for userName; syncd has not looked whether"
        " there is one."
    )


def test_an_account_whose_entry_cannot_be_mapped_any_more_is_left_as_it_is(case: Case) -> None:
    case.entry("1", mail="")
    case.account("1")
    expected = "Ada Lovelace (1) is active at lucid, and left as it is: the entry has no value for userName."
    assert case.verdict("1") == expected


def test_an_address_without_a_domain_is_a_fault_of_the_entry(case: Case) -> None:
    case.entry("1", mail="ada")
    assert "the entry can't be used ('ada' has no domain" in case.verdict("1")


def test_a_leaver_who_is_held_stays_active_and_the_hold_says_why(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1")
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT),)))
    assert case.verdict("1") == (
        f"Ada Lovelace (1) is active at lucid, although {LEFT}: switching it off is held ({OVER})."
    )


def test_a_leaver_whom_nothing_holds_is_for_the_next_run(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1")
    assert case.verdict("1").endswith(f"although {LEFT}: switching it off is for the next run to do.")


def test_a_vanished_one_is_active_until_the_grace_is_over(case: Case) -> None:
    case.entry("1")
    case.account("1", missing_since=NOON)
    reason = "missing from the source since 2026-11-22 12:00 UTC; waits until 2026-11-23 12:00 UTC"
    case.run(plan(held=(Held(LEAVE, "missing_grace", reason),)))
    assert case.verdict("1") == (
        "Ada Lovelace (1) is active at lucid, although the source has not had them since 2026-11-22 12:00 UTC:"
        f" switching it off is held ({reason})."
    )


def test_what_differs_is_named(case: Case) -> None:
    case.entry("1", title="Engineer")
    case.account("1")
    case.run(plan(), Outcome(replace(CREATE, action=Action.UPDATE_USER), Result.FAILED, 503, "try later"))
    assert case.verdict("1") == (
        "Ada Lovelace (1) is active at lucid, but not quite as the source has it (title differs): the change failed"
        " in run 1 with 503: try later; the next run tries again."
    )
    assert 'title differs: nothing, should be "Engineer"' in case.sentences("1", "account")


def test_a_lost_account_is_gone_and_to_be_made_again(case: Case) -> None:
    case.entry("1")
    case.account("1", lost=True)
    assert case.verdict("1") == (
        "Ada Lovelace (1) is gone from lucid: the account was deleted there; creating the account is for the next"
        " run to do."
    )
    assert "account id-1 is gone" in case.sentences("1", "account")[0]
    assert case.sentences("1", "lock") == []


def test_somebody_back_in_the_source_is_switched_on_by_the_next_run(case: Case) -> None:
    case.entry("1")
    case.account("1", State.DEACTIVATED)
    assert case.verdict("1") == (
        "Ada Lovelace (1) is switched off at lucid since 2026-11-22, although the source has them active: switching"
        " it on again is for the next run to do."
    )


def test_an_accepted_invitation_is_seen_through_by_the_next_run(case: Case) -> None:
    case.entry("1", mail="ada@y.org")
    attributes = {"userName": "ada@y.org", "displayName": "Ada Lovelace", "externalId": "1", "active": False}
    case.account("1", State.PENDING, name="ada@y.org", attributes=attributes, accepted=True)
    assert case.verdict("1") == (
        "Ada Lovelace (1) is pending at lucid, but accepted the invitation: the change is for the next run to do."
    )


def test_a_stopped_target_is_the_gravest_reason(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1")
    with case.state.atomic():
        case.snapshot.set_stop(Stop("gone", "none of 40 managed users is there any more", NOON))
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT),)))
    assert "waits for the stopped target (none of 40 managed users is there any more)" in case.verdict("1")
    assert "nothing is sent until `syncd relink`" in case.sentences("1", "stopped")[0]


def test_a_target_that_refused_the_token_is_not_said_to_need_relinking(case: Case) -> None:
    case.account("1")
    with case.state.atomic():
        case.snapshot.set_stop(Stop("refused", "refuses the token", NOON))
    (sentence,) = case.sentences("1", "stopped")
    assert sentence.endswith("refuses the token; nothing is sent until it takes the token again, which every run tries")


def test_whom_a_later_reading_no_longer_returned_is_gone(case: Case) -> None:
    case.entry("1", at=NOON - HOUR, status="left")
    case.run(plan())  # of a saved plan, say: nothing was read for it
    assert LEFT in case.verdict("1")
    case.entry("2", at=NOON)
    assert case.verdict("1") == (
        "Ada Lovelace (1) is not linked to an account at lucid: the source no longer had them on 2026-11-22 12:00 UTC,"
        " and a person who is off gets no account; syncd has not looked whether there is one."
    )


def test_whose_row_could_not_be_read_is_not_said_to_be_gone(case: Case) -> None:
    case.entry("1", at=NOON - HOUR, status="left")
    case.entry("2", at=NOON)
    case.run(plan(problems=(Trouble("1", "ragged row"),)))
    assert LEFT in case.verdict("1")


def test_who_has_an_account_and_does_not_differ_is_not_said_to_be_gone(case: Case) -> None:
    case.entry("1", at=NOON - HOUR)
    case.account("1")
    case.entry("2", at=NOON)
    assert case.verdict("1").endswith("is active at lucid, as the source has it.")


def test_an_account_without_a_kept_entry_is_just_active(case: Case) -> None:
    case.account("1")
    assert case.verdict("1") == "Ada Lovelace (1) is active at lucid."


def test_a_problem_of_the_last_run_leaves_an_account_alone(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1")
    problem = "u1@x.org is the address of 2 as well: neither of the two is changed"
    case.run(plan(problems=(Trouble("1", problem, "people.csv:1"), Trouble("2", "other"))))
    assert f"is left alone for a problem in the source ({problem})" in case.verdict("1")
    assert case.sentences("1", "problems") == [f"people.csv:1: {problem}"]


# -- decisions ---------------------------------------------------------------------------------------


def test_an_undecided_hold_says_how_to_release_it(case: Case) -> None:
    case.account("1")
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT),)))
    id_ = LEAVE.id[:8]
    assert case.sentences("1", "holds") == [
        (f"{id_}: deactivate u1@x.org, since 2026-11-22 12:00 UTC: is held ({OVER}); `syncd approve {id_}` releases it")
    ]


def test_what_no_approval_releases_is_not_offered(case: Case) -> None:
    case.account("1")
    case.run(plan(held=(Held(LEAVE, "protected", "u1@x.org is protected"),)))
    assert case.sentences("1", "holds")[0].endswith("; no approval releases that")


@pytest.mark.parametrize(
    ("expires", "said"),
    [
        (NOON + 2 * HOUR, "was approved by ada (until 2026-11-22 14:00 UTC): the next run does it"),
        (NOON + HOUR, f"is held ({OVER}); the approval by ada has expired"),
    ],
)
def test_an_approval_is_good_until_it_expires(case: Case, expires: datetime, said: str) -> None:
    case.entry("1", status="left")
    case.account("1")
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT),)))
    with case.state.atomic():
        case.state.holds("lucid").approve([LEAVE.id], "ada", NOON, expires)
    assert case.verdict("1").endswith(f"switching it off {said}.")


def test_a_rejected_change_says_who_and_when(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1")
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT),)))
    with case.state.atomic():
        case.state.holds("lucid").reject([LEAVE.id], "ada", NOON)
    assert case.verdict("1").endswith("switching it off was rejected by ada on 2026-11-22 12:00 UTC.")


def test_what_keeps_failing_is_quarantined(case: Case) -> None:
    case.entry("1")
    with case.state.atomic():
        case.state.quarantine("lucid").failed(CREATE, 400, "userName is reserved", NOON)
    assert case.verdict("1") == (
        "Ada Lovelace (1) is not linked to an account at lucid: creating the account is quarantined: it failed at"
        " 2026-11-22 12:00 UTC with 400: userName is reserved; next try at 2026-11-22 12:15 UTC; syncd has not looked"
        " whether there is one."
    )


def test_a_change_without_effect_is_told_as_one(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1")
    with case.state.atomic():
        case.state.quarantine("lucid").failed(LEAVE, 204, "the account is still active", NOON, Result.INEFFECTIVE)
    assert case.verdict("1").endswith(
        "switching it off is quarantined: it was sent at 2026-11-22 12:00 UTC and had no effect"
        " (204: the account is still active); next try at 2026-11-22 12:15 UTC."
    )


def test_the_attributes_that_the_endpoint_refuses_are_named_with_its_reason(case: Case) -> None:
    case.entry("1")
    case.account("1")
    after: Flat = {"title": "Chief", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "R&D"}
    refused = Change(Action.UPDATE_USER, "1", "u1@x.org", {}, after, "differs")
    with case.state.atomic():
        case.state.quarantine("lucid").failed(refused, 400, "title is reserved", NOON)
    (said,) = case.sentences("1", "quarantine")
    assert said.startswith("the change (title, department) failed at 2026-11-22 12:00 UTC with 400: title is reserved;")


def test_the_attributes_that_the_endpoint_keeps_otherwise_or_not_at_all_are_named(case: Case) -> None:
    case.account("1", kept_as={"displayName": "ADA"})
    case.group("g", "Design", kept_as={"displayName": "DESIGN"})
    dialect = Dialect(dropped={"externalId", "title", "displayName"})
    with case.state.atomic():
        case.snapshot.discover({"dialect": dialect.to_json(case.target.rules.profile)})
    said = case.sentences("1", "account")
    assert 'displayName was not taken over by the target, which shows "ADA"' in said
    assert "externalId is accepted by the endpoint and not kept, whoever it is sent for" in said
    assert [each for each in said if "title" in each] == [], "nothing of it is meant for this account"
    assert len([each for each in said if each.startswith("displayName ")]) == 1
    assert 'displayName was not taken over by the target, which shows "DESIGN"' in case.sentences("design", "group")


def test_a_value_that_the_target_keeps_otherwise_is_no_value_as_the_source_has_it(case: Case) -> None:
    case.entry("1")
    case.account("1", kept_as={"displayName": "ADA"})
    assert case.verdict("1") == (
        "Ada Lovelace (1) is active at lucid, as the source has it but for displayName, which the target keeps "
        "otherwise or not at all."
    )


def undone(case: Case, drift: Drift, change: Change, detail: str) -> None:
    """Let a full resync have found that this was undone, and have put it back."""
    with case.state.atomic():
        case.state.put_back("lucid").add(Correction(drift, change, 3, NOON, NOON, detail))


def test_what_does_not_last_is_told_of_the_person_and_of_the_group_that_it_is_about(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1", State.DEACTIVATED)
    case.account("2")
    case.group("g", "Design")
    again = "it was switched off at 2026-11-22 12:00 UTC, and was on again: the endpoint, or somebody there, undoes it"
    on: Flat = {"active": True}
    undone(case, Drift(DriftClass.USER_ACTIVATION, Kind.USER, "1", "u1@x.org", {"active": False}, on), LEAVE, again)
    joined = Change.of_members(Action.REMOVE_MEMBERS, "g", "Design", ["1"], [])
    undone(case, Drift(DriftClass.MEMBER_ADDED, Kind.GROUP, "g", "Design", {}, {"members": ["1"]}), joined, "1 was in")
    assert case.verdict("1").startswith("Ada Lovelace (1) is switched off at lucid since 2026-11-22 because ")
    assert case.verdict("1").endswith(f", but {again}.")
    assert case.sentences("1", "ineffective") == [
        "remove members from the group Design, sent again by each full resync: 1 was in",
        f"deactivate u1@x.org, sent again by each full resync: {again}",
    ]
    assert case.sentences("design", "ineffective") == [
        "remove members from the group Design, sent again by each full resync: 1 was in"
    ]
    assert case.sentences("2", "ineffective") == []


def test_whom_only_the_quarantine_knows_is_found(case: Case) -> None:
    with case.state.atomic():
        case.state.quarantine("lucid").failed(CREATE, 400, "userName is reserved", NOON)
    assert "u1@x.org (1) is not linked to an account at lucid: creating the account is quarantined" in case.verdict(
        "u1@x.org"
    )


def test_a_held_membership_is_shown_to_whom_it_concerns(case: Case) -> None:
    case.account("1")
    case.account("2")
    removal = Change.of_members(Action.REMOVE_MEMBERS, "g", "Design", ["1"], [])
    case.run(plan(held=(Held(removal, "remove_members", "too many"),)))
    assert "remove members from the group Design" in case.sentences("1", "holds")[0]
    assert case.sentences("2", "holds") == []
    assert case.verdict("1") == "Ada Lovelace (1) is active at lucid."


def test_a_hold_of_the_person_keeps_a_change_that_is_worked_out_otherwise(case: Case) -> None:
    case.entry("1", title="Chief")
    case.account("1")
    older = Change(Action.UPDATE_USER, "1", "u1@x.org", {"userName": "u@x.org"}, {"userName": "u1@x.org"}, "renamed")
    case.run(plan(held=(Held(older, "rename", "waits for a person"),)))
    assert case.verdict("1").endswith("(title differs): the change is held (waits for a person).")


def test_a_group_waits_for_itself_and_not_for_its_members(case: Case) -> None:
    joining = Change.of_members(Action.ADD_MEMBERS, "g", "Design", ["1"], [])
    create = Change(Action.CREATE_GROUP, "g", "Design", {}, {"displayName": "Design"}, "new in the source")
    case.run(plan(held=(Held(joining, "adopt", "waits for the group"), Held(create, "adopt", "is there already"))))
    assert case.verdict("g").endswith("is not linked to a group at lucid: making the group is held (is there already).")


# -- the parts ---------------------------------------------------------------------------------------


def test_the_entry_is_shown_as_it_was_read(case: Case) -> None:
    case.entry("1", title="Engineer")
    first, *attributes = case.sentences("1", "entry")
    assert first == "people.csv:1, as it was read on 2026-11-22 12:00 UTC, the last time that it differed:"
    assert 'title: "Engineer"' in attributes


def test_rules_and_domain_say_what_they_made_of_the_entry(case: Case) -> None:
    case.entry("1", mail="ada@y.org", department="Sales")
    said = case.sentences("1", "mapping")
    assert 'userName: "ada@y.org"' in said
    assert 'the rule `active` is true: the source says `status` is "active" (rule: status == "active")' in said
    assert (
        'the rule `scope` is true: the source says `department` is "Sales" (rule: department != "Contractors")' in said
    )
    assert "ada@y.org is outside the verified domains (x.org)" in said


def test_a_manager_without_an_account_is_named_and_nothing_differs_for_it(case: Case) -> None:
    case.entry("1", boss="2")
    case.account("1")
    without = "the manager 2 is not linked to an account here: the reference follows as soon as they are"
    for lost in (False, True):
        assert without in case.sentences("1", "account")
        assert case.verdict("1").endswith("as the source has it.")
        case.account("2", lost=not lost)
    case.account("2")
    assert "the manager is u2@x.org (2), account id-2" in case.sentences("1", "account")
    assert "manager differs" in case.verdict("1")


def test_groups_are_counted_and_named(case: Case) -> None:
    case.account("1")
    case.group("g2", "Sales", ["1"])
    case.group("g1", "Design", ["1", "2"])
    case.group("g3", "Ops", ["2"])
    with case.state.atomic():
        case.snapshot.change_members("g3", Kind.GROUP, added=["1"])  # a group of the same key
    assert case.sentences("1", "memberships") == ["in 2 groups: Design, Sales"]


def test_protected_by_configuration_or_by_the_target(case: Case) -> None:
    case.account("1")
    case.account("2")
    assert case.sentences("1", "protection") == []
    rules = replace(case.target.rules, protect=frozenset({"u1@x.org"}))
    case.target = replace(case.target, rules=rules)
    with case.state.atomic():
        case.snapshot.discover({"protected": {"id-2": "it is the owner of the account"}})
    assert case.sentences("1", "protection") == ["never switched off: the configuration names u1@x.org in `protect`"]
    assert case.sentences("2", "protection") == ["never switched off: it is the owner of the account"]


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("lucid-content", "syncd keeps the account off until `syncd accept` says that they accepted"),
        ("lucidlink", "the target itself keeps them out until they accept; a full resync sees when they have"),
    ],
)
def test_pending_says_who_keeps_them_out(case: Case, profile: str, said: str) -> None:
    case.account("1", State.PENDING)
    case.target = replace(case.target, rules=replace(case.target.rules, profile=PROFILES[profile]))
    assert case.sentences("1", "pending")[0] == said


def test_pending_says_whether_they_are_in_their_groups_already(case: Case) -> None:
    case.account("1", State.PENDING)
    assert len(case.sentences("1", "pending")) == 1
    waits = replace(case.target.rules.profile, pending_memberships=False)
    case.target = replace(case.target, rules=replace(case.target.rules, profile=waits))
    assert case.sentences("1", "pending")[1] == "they join their groups when they have accepted"


def test_the_lock_says_which_drift_is_only_reported(case: Case) -> None:
    case.account("1")
    reactions = Reactions(by_class={DriftClass.USER_ATTRIBUTES: Reaction.REPORT})
    case.target = replace(case.target, rules=replace(case.target.rules, drift=reactions))
    (lock,) = case.sentences("1", "lock")
    assert lock.endswith("put back by a full resync, but for user_attributes, only reported")


def test_the_drift_of_the_last_full_resync_is_shown(case: Case) -> None:
    case.account("1")
    drift = Drift(DriftClass.USER_ATTRIBUTES, Kind.USER, "1", "u1@x.org", {"title": "Chief"}, {"title": "Clerk"})
    case.run(plan(kind="resync", drift=(drift,)))
    case.run(plan())
    case.account("2")
    assert case.sentences("2", "drift") == []
    assert case.sentences("1", "drift") == ['user_attributes: title: found "Clerk", puts back "Chief"']


def test_an_address_that_is_anothers_too_is_named(case: Case) -> None:
    case.entry("1", mail="U2@x.org")
    case.account("2", State.DEACTIVATED)
    assert case.sentences("1", "addresses") == ["u2@x.org is that of 2 (deactivated) as well"]
    assert case.sentences("2", "addresses") == []


def test_the_last_five_outcomes_are_shown_the_newest_first(case: Case) -> None:
    case.account("1")
    for number in range(6):
        case.run(plan(), Outcome(CREATE, Result.FAILED, 500 + number, "no"), at=NOON + number * HOUR)
    said = case.sentences("1", "outcomes")
    assert len(said) == 5
    assert said[0] == "2026-11-22 17:00 UTC, run 6: create user failed 505: no"
    assert said[-1].startswith("2026-11-22 13:00 UTC, run 2:")


def test_a_run_for_one_person_hides_no_problem_of_another(case: Case) -> None:
    case.run(plan(problems=(Trouble("7", "ragged row"),)))
    case.run(plan(kind="user"))
    assert case.sentences("7", "problems") == ["ragged row"]


def test_a_person_and_a_group_of_one_key_are_told_apart(case: Case) -> None:
    case.account("1")
    case.group("1", "Design")
    rename = Change(Action.UPDATE_GROUP, "1", "Design", {"displayName": "Old"}, {"displayName": "Design"}, "renamed")
    case.run(
        plan(held=(Held(rename, "rename", "waits"),), problems=(Trouble("1", "ragged row", "groups.csv:1", "group"),)),
        Outcome(rename, Result.FAILED, 400, "no"),
    )
    with case.state.atomic():
        case.state.quarantine("lucid").failed(rename, 400, "no", NOON)
    told = {part.name for part in case.explain("user:1").parts}
    assert told.isdisjoint({"holds", "problems", "outcomes", "quarantine"})
    assert {part.name for part in case.explain("group:1").parts} >= {"holds", "problems", "outcomes", "quarantine"}


def test_what_happened_at_another_target_is_not_told(case: Case) -> None:
    case.account("1")
    other = case.state.journal("other")
    with case.state.atomic():
        number = other.begin(plan(target="other", problems=(Trouble("1", "ragged row"),)), NOON)
        other.record(number, Outcome(CREATE, Result.FAILED, 400, "no"), NOON)
        case.state.holds("other").refresh(plan(held=(Held(LEAVE, "deactivate", LIMIT),)), NOON)
        case.state.snapshot("other").set_stop(Stop("refused", "the token is refused", NOON))
    assert {part.name for part in case.explain("1").parts} == {"account", "lock"}
    with pytest.raises(SyncdError):
        case.explain("nobody")


def test_a_hold_of_the_very_change_goes_before_a_problem(case: Case) -> None:
    case.entry("1", status="left")
    case.account("1")
    problem = "is in 2 groups (A, B), and lucid-admin takes a user in one alone"
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT),), problems=(Trouble("1", problem),)))
    assert f"switching it off is held ({OVER})" in case.verdict("1")


def test_whoever_was_off_the_whole_time_may_be_named_by_an_address_in_another_case(case: Case) -> None:
    case.entry("1", department="Contractors", mail="ÜNAL@x.org")
    assert case.explain("ünal@X.ORG").key == "1"


# -- groups ------------------------------------------------------------------------------------------


def test_a_group_in_line_is_as_the_last_run_had_it(case: Case) -> None:
    case.account("1", State.PENDING)
    case.group("g", "Design", ["1", "2"])
    case.run(plan())
    assert case.verdict("Design") == "The group Design (g) is at lucid with 2 people, as the source had it in run 1."
    assert case.sentences("g", "members") == ["2 people and 0 groups", "1 of them pending: 1"]
    assert case.sentences("g", "selection") == ["selected (`groups`: Design*)"]


def test_a_group_that_is_no_longer_selected_says_so(case: Case) -> None:
    case.group("g", "Sales")
    removal = Change(Action.DELETE_GROUP, "g", "Sales", {}, {}, "no longer selected by `groups`")
    case.run(plan(held=(Held(removal, "delete_group", "6 of 9 groups would be deleted; the limit is 5"),)))
    assert case.verdict("g") == (
        "The group Sales (g) is at lucid with 0 people, although `groups` doesn't select it (Design*): deleting it is"
        " held (6 of 9 groups is over the limit of 5 for group deletions)."
    )


def test_a_group_with_held_members_says_how_many(case: Case) -> None:
    case.group("g", "Design", ["1", "2"])
    removal = Change.of_members(Action.REMOVE_MEMBERS, "g", "Design", ["1", "2"], [])
    case.run(plan(held=(Held(removal, "remove_members", "too many"),)))
    assert "2 people held: remove members" in case.sentences("g", "members")
    assert case.verdict("g").endswith("removing members is held (too many).")


def test_a_group_with_held_strangers_names_them(case: Case) -> None:
    case.group("g", "Design", ["1", "2"])
    removal = Change.of_foreign("g", "Design", [ForeignMember("n1", "stranger@x.org")])
    case.run(plan(held=(Held(removal, "remove_members", "too many"),)))
    assert "nobody manages stranger@x.org: held: remove members" in case.sentences("g", "members")
    assert "foreign_member" not in case.sentences("g", "lock")[0]


def test_what_waits_for_another_held_change_says_for_which(case: Case) -> None:
    case.account("1")
    removal = Change.of_members(Action.REMOVE_MEMBERS, "g", "Design", ["1"], [])
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT), Held(removal, "deactivate", f"1 of them stay: {LIMIT}"))))
    leaving, waiting = case.sentences("1", "holds")
    assert leaving.endswith(f"`syncd approve {LEAVE.id[:8]}` releases it")
    assert waiting.endswith(f"; it waits until {LEAVE.id[:8]} is approved as well")


def test_a_group_that_is_missing_says_since_when(case: Case) -> None:
    case.group("g", "Design")
    with case.state.atomic():
        case.snapshot.note_missing(Kind.GROUP, {"g": NOON}, [])
    assert case.verdict("g") == (
        "The group Design (g) is at lucid with 0 people, although the source has not had it since 2026-11-22 12:00"
        " UTC: deleting it is for the next run to do."
    )
    assert "missing from the source since 2026-11-22 12:00 UTC" in case.sentences("g", "group")


def test_a_group_whose_row_cannot_be_used_is_left_as_it_is(case: Case) -> None:
    case.group("g", "Design")
    case.run(plan(problems=(Trouble("g", "no value for displayName", "groups.csv:2", "group"),)))
    assert case.verdict("g") == (
        "The group Design (g) is at lucid with 0 people, and left as it is for a problem in the source: no value for"
        " displayName."
    )


def test_a_group_whose_last_change_failed_is_not_said_to_be_in_line(case: Case) -> None:
    case.group("g", "Design", ["1"])
    joining = Change.of_members(Action.ADD_MEMBERS, "g", "Design", ["2"], [])
    case.run(plan(), Outcome(joining, Result.FAILED, 503, "later"))
    assert (
        case.verdict("g")
        == "The group Design (g) is at lucid with 1 person: the last change failed in run 1 with 503: later."
    )


def test_a_group_that_is_not_there_nor_selected_says_so(case: Case) -> None:
    create = Change(Action.CREATE_GROUP, "g", "Sales", {}, {"displayName": "Sales"}, "new in the source")
    case.run(plan(), Outcome(create, Result.FAILED, 503, "later"))
    assert case.verdict("g") == (
        "The group Sales (g) is not linked to a group at lucid: `groups` doesn't select it (Design*); syncd has not"
        " looked whether there is one."
    )


def test_a_lost_group_is_gone(case: Case) -> None:
    case.group("g", "Design", lost=True)
    assert case.sentences("g", "lock") == []
    assert case.verdict("g") == (
        "The group Design (g) is gone from lucid, deleted there: making the group is for the next run to do."
    )


def test_a_group_that_could_not_be_made_is_found_by_its_name(case: Case) -> None:
    create = Change(Action.CREATE_GROUP, "g", "Design", {}, {"displayName": "Design"}, "new in the source")
    case.run(plan(), Outcome(create, Result.FAILED, 400, "no such type"))
    assert case.verdict("design") == (
        "The group Design (g) is not linked to a group at lucid: making the group failed in run 1 with 400: no such"
        " type; the next run tries again; syncd has not looked whether there is one."
    )


# -- who is meant ------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["1", "u1@x.org", "U1@X.ORG"])
def test_who_has_an_account_is_found_by_key_and_address(case: Case, who: str) -> None:
    case.account("1")
    case.account("2")
    assert case.explain(who).key == "1"


@pytest.mark.parametrize("who", ["1", "u1@x.org", "U1@X.org"])
def test_who_never_had_an_account_is_found_by_the_entry(case: Case, who: str) -> None:
    case.entry("1", department="Contractors")
    case.entry("2", department="Contractors")
    assert case.explain(who).key == "1"


def test_an_address_that_the_mapping_puts_together_finds_the_entry(case: Case) -> None:
    users = UserMapping([compile_assignment("userName", "{first}.{last}@x.org", Kind.USER)])
    case.setup = replace(case.setup, rules=replace(case.setup.rules, users=users))
    case.entry("1", department="Contractors", mail="")
    case.entry("2", department="Contractors", mail="", first="Grace")
    assert case.explain("ada.lovelace@x.org").key == "1"


@pytest.mark.parametrize("who", ["1", "U1@x.org", "u1@x.org"])
def test_who_is_only_held_is_found(case: Case, who: str) -> None:
    joining = Change.of_members(Action.ADD_MEMBERS, "g", "Design", ["1"], [])
    waits = Held(joining, "adopt", "1 of them are not there yet")
    case.run(plan(held=(waits, Held(CREATE, "adopt", "2 accounts have this userName"))))
    assert case.verdict(who) == (
        "u1@x.org (1) is not linked to an account at lucid: creating the account is held (2 accounts have this"
        " userName)."
    )


def test_who_is_only_held_is_found_in_any_case_of_any_script(case: Case) -> None:
    case.run(plan(held=(Held(replace(CREATE, name="ÜNAL@x.org"), "adopt", "several"),)))
    assert case.explain("ünal@X.ORG").key == "1"


@pytest.mark.parametrize("who", ["1", "U1@x.org", "u1@x.org"])
def test_whom_only_outcomes_know_is_found(case: Case, who: str) -> None:
    case.run(plan(), Outcome(CREATE, Result.FAILED, 400, "no"))
    assert case.verdict(who) == (
        "u1@x.org (1) is not linked to an account at lucid: creating the account failed in run 1 with 400: no; the next"
        " run tries again; syncd has not looked whether there is one."
    )


def test_whom_only_a_problem_names_is_found_by_key(case: Case) -> None:
    case.run(plan(problems=(Trouble("7", "the row has 3 cells instead of 4", "people.csv:8"),)))
    assert case.verdict("7") == (
        "7 is not linked to an account at lucid: creating the account is left alone for a problem in the source (the"
        " row has 3 cells instead of 4); syncd has not looked whether there is one."
    )


def test_a_new_address_that_is_held_finds_the_person_as_well(case: Case) -> None:
    case.account("1")
    rename = Change(
        Action.UPDATE_USER, "1", "new@x.org", {"userName": "u1@x.org"}, {"userName": "new@x.org"}, "renamed"
    )
    case.run(plan(held=(Held(rename, "rename", "waits for a person"),)))
    assert case.explain("new@x.org").key == "1"


def test_nobody_known_by_that_name_is_an_error_that_says_what_it_may_be(case: Case) -> None:
    with pytest.raises(SyncdError, match="nothing is known of `ada`: not managed by syncd") as caught:
        case.explain("ada")
    assert caught.value.exit_code == 1
    assert str(caught.value).splitlines()[0].endswith("or a group that `groups` doesn't select")
    with pytest.raises(SyncdError, match="so not in the source as it was last read, or the target's own\n"):
        case.explain("Designers")


def test_several_who_may_be_meant_are_listed_and_told_apart(case: Case) -> None:
    case.account("1", name="Design")
    case.group("g", "Design")
    with pytest.raises(SyncdError, match=r"`design` may mean 2: group:g \(Design\), user:1 \(Design, active\)"):
        case.explain("design")
    assert case.explain("group:design").kind is Kind.GROUP
    assert case.explain("user:Design").kind is Kind.USER


def test_a_key_goes_before_anybody_of_that_name(case: Case) -> None:
    case.account("1")
    case.account("2", name="1")
    assert case.explain("1").key == "1"


def test_texts_with_wildcards_and_quotes_mean_themselves(case: Case) -> None:
    odd = replace(CREATE, key='a"!%_\\b', name="x")
    case.run(plan(), Outcome(CREATE, Result.FAILED, 400, "no"), Outcome(odd, Result.FAILED, 400, "no"))
    assert case.explain('a"!%_\\b').key == 'a"!%_\\b'
    with pytest.raises(SyncdError):
        case.explain("%")


# -- how it is told ----------------------------------------------------------------------------------


def test_json_has_every_fact_and_every_sentence(case: Case) -> None:
    case.entry("1", title="Engineer")
    case.account("1")
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT),)), Outcome(CREATE, Result.APPLIED, 201))
    told = orjson.loads(orjson.dumps(case.explain("1").to_json()))
    assert (told["target"], told["kind"], told["key"], told["name"]) == ("lucid", "user", "1", "Ada Lovelace")
    assert told["entry"]["attributes"]["title"] == ["Engineer"]
    assert told["mapping"]["active"] == {
        "rule": 'status == "active"',
        "holds": True,
        "values": {"status": "active"},
    }
    assert told["account"]["differences"] == {"title": {"is": None, "should_be": "Engineer"}}
    assert told["account"]["id"] == "id-1"
    assert [hold["id"] for hold in told["holds"]["holds"]] == [LEAVE.id]
    assert told["outcomes"]["outcomes"][0]["status"] == 201
    assert told["holds"]["sentences"] == case.sentences("1", "holds")


def test_hostile_text_moves_no_cursor(case: Case) -> None:
    case.entry("1", title="\x1b[2J\u202eevil\n", first="[bold]\u202eAda[/bold]")
    case.account("1", name="\x1b[31m")
    case.run(plan(), Outcome(CREATE, Result.FAILED, 400, "\x1b]0;no\x07"))
    text = render(case.explain("1").lines())
    assert "\\u001b[2J\\u202eevil" in text
    assert "[bold]\\u202eAda[/bold]" in text
    assert "\\u001b]0;no\\u0007" in text
    assert all(char == "\n" or char.isprintable() for char in text)


def test_nothing_is_written(case: Case) -> None:
    case.entry("1")
    case.account("1")
    case.run(plan(held=(Held(LEAVE, "deactivate", LIMIT),)))
    before = list(case.state.db.conn.iterdump())
    case.explain("1")
    assert list(case.state.db.conn.iterdump()) == before
