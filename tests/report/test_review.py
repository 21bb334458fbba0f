"""The review behind every format: unusual changes with reasons, their order and counts. Worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from syncd.core.context import Context, GroupSize, Person
from syncd.core.model import Evidence, State
from syncd.core.plan import Action, Change, Held, Outcome, Plan, Result, Run
from syncd.core.schema import MANAGER
from syncd.report.items import Row
from syncd.report.review import review, withheld
from syncd.report.words import visible
from tests.report import plans, samples
from tests.report.samples import DEPARTMENT


def sections(subject: Plan | Run) -> dict[str, list[str]]:
    return {section.code: [item.key for item in items] for section, items in review(subject).sections()}


def plan(*changes: Change, context: Context | None = None, managed: int = 100) -> Plan:
    return Plan("lucid", "sync", plans.NOON, 1, changes, managed=managed, context=context or Context())


def update(key: str, before: object, after: object, path: str = "title", state: State = State.ACTIVE) -> Change:
    return Change(Action.UPDATE_USER, key, key, {path: before}, {path: after}, "changed", state)


def remove(key: str, members: list[str]) -> Change:
    return Change.of_members(Action.REMOVE_MEMBERS, key, key, members, [])


_GROUPS = Context(groups={"g": GroupSize("g", 4)})


@pytest.mark.parametrize(
    ("change", "context", "section"),
    [
        (plans.CREATE, None, "created"),
        (plans.INVITE, None, "invited"),
        (plans.LINK_AGAIN, None, "changed"),
        (plans.TAKE_OVER, None, "adopted"),
        (plans.RENAME, None, "renamed"),
        (plans.LEAVE, None, "deactivated"),
        (plans.ADOPT_GROUP, None, "adopted"),
        (plans.JOIN, None, "members"),
        (update("1", "a", "b"), None, "changed"),
        (update("1", True, False, "active", State.DEACTIVATED), None, "deactivated"),
        (update("1", "a@x.org", "b@x.org", "emails"), None, "renamed"),
        # Who never had an address gets one: nobody signs in otherwise than before.
        (update("1", None, "b@x.org", plans.WORK_MAIL), None, "changed"),
        (update("1", "a", "b", state=State.PENDING), None, "invited"),
        (Change(Action.DELETE_USER, "1", "ada", {"userName": "ada"}, {}, "gone"), None, "deleted"),
        (Change(Action.DELETE_GROUP, "g", "g", {"displayName": "g"}, {}, "gone"), _GROUPS, "deleted"),
        (Change(Action.CREATE_GROUP, "g", "g", {}, {"displayName": "g"}, "new"), None, "groups"),
        (Change(Action.REACTIVATE_USER, "1", "ada", {"active": False}, {"active": True}, "back"), None, "reactivated"),
        # Somebody new whom the profile creates switched off isn't shut out.
        (Change(Action.CREATE_USER, "1", "a", {}, {"active": False}, "new", State.PENDING), None, "invited"),
        # More than half of four are three.
        (remove("g", ["1", "2"]), _GROUPS, "members"),
        (remove("g", ["1", "2", "3"]), _GROUPS, "emptied"),
        (remove("h", ["1", "2", "3"]), _GROUPS, "members"),
    ],
)
def test_where_a_change_belongs(change: Change, context: Context | None, section: str) -> None:
    assert sections(plan(change, context=context)) == {section: [change.key]}


def test_everything_is_in_one_place_the_unusual_first() -> None:
    assert sections(plans.PLAN) == {
        "held": ["1007", "g2", "2005"],
        "renamed": ["1006"],
        "adopted": ["1004", "g1"],
        "invited": ["1002"],
        "drift": [drift.key for drift in plans.DRIFT],
        "problems": ["1010", "", ""],
        "created": ["1001"],
        "changed": ["1003"],
        "members": ["g2"],
        "accepted": ["1011", "1012"],
        "rejected": ["1008"],
    }


@given(plans.plans)
def test_nothing_of_any_plan_is_left_out(plan: Plan) -> None:
    shown = review(plan)
    parts = plan.changes, plan.held, plan.rejected, plan.drift, plan.problems, plan.accepted
    assert len(shown.items) == sum(map(len, parts))
    assert sorted(shown.execution) == list(range(len(shown.items)))
    executed = [shown.items[index].id for index in shown.execution]
    assert executed[: len(plan.changes)] == [change.id for change in plan.changes]


def test_of_many_like_changes_the_ones_that_are_unlike_them_stand_out() -> None:
    odd = [item for item in review(samples.many(312)).items if item.section == "odd"]
    assert {item.key: item.telling for item in odd} == {
        "n2": ("no department, which 30 of 31 new people have",),
        "u7": ("the only change that empties title",),
    }


def test_among_few_changes_nothing_counts_as_unlike_the_others() -> None:
    few = [update(str(n), "a", "b", DEPARTMENT) for n in range(18)]
    assert sections(plan(*few, update("x", "a", None)))["changed"][-1] == "x"
    more = [*few, update("18", "a", "b", DEPARTMENT)]
    assert sections(plan(*more, update("x", "a", None)))["odd"] == ["x"]


def test_what_many_changes_have_in_common_is_counted_the_commonest_first() -> None:
    found = review(samples.many(312)).patterns
    # 312 less 7 leavers, 31 new people, 3 renames and 2 groups are 269; every twelfth of them has another title.
    assert [(each.label, each.verb, each.count, each.example_count, each.rare) for each in found] == [
        ("department", "changed", 245, 245, False),
        ("title", "changed", 23, 23, False),
        (plans.WORK_MAIL, "changed", 3, 1, False),
        ("userName", "changed", 3, 1, False),
        ("title", "emptied", 1, 1, True),
    ]
    assert found[0].example == Row("department", "Sales", "Revenue")


def test_a_group_that_loses_most_of_its_members_says_how_many() -> None:
    (item,) = [item for item in review(samples.many(312)).items if item.section == "emptied"]
    assert item.telling == ("9 of 14 members go",)
    assert item.went[0] == "ada.lovelace0@example.com (l0)"


def test_people_are_named_where_somebody_knows_them() -> None:
    context = Context(people={"7": Person("boss@x.org"), "1": Person("ada@x.org", "Sales", ("VPN",))})
    (item,) = review(plan(update("1", "8", "7", MANAGER), context=context)).items
    assert item.rows == (Row("manager", "8", "boss@x.org (7)"),)
    assert (item.department, item.groups) == ("Sales", ("VPN",))


def test_the_picture_counts_everybody_once() -> None:
    people, groups = review(samples.withheld(samples.many(312))).pictures
    told = {part.code: part.count for part in (*people.inside, *people.outside)}
    assert told == {"held": 7, "changed": 272, "created": 31}
    assert (people.managed, people.untouched) == (2480, 2480 - 7 - 272)
    assert {part.code: part.count for part in groups.inside} == {"changed": 2}
    assert (groups.managed, groups.untouched) == (41, 39)


def test_what_a_person_decides_stands_before_what_comes_by_itself() -> None:
    limits = ("missing_grace", "protected", "rehire", "quarantine", "deactivate")
    held = tuple(Held(replace(plans.STAY, key=limit), limit, "") for limit in limits)
    asked_first = ["rehire", "deactivate", "protected", "missing_grace", "quarantine"]
    assert [item.limit for item in review(replace(plan(), held=held)).items] == asked_first
    assert [item.limit for item in withheld(held, ())] == asked_first


def test_the_picture_of_a_run_shows_what_was_not_done() -> None:
    run = replace(plans.RUN, plan=replace(plans.PLAN, held=(), managed=100))
    people, groups = review(run).pictures
    # One is made; invited, linked, taken over: not; one is not renamed.
    assert [(part.code, part.count) for part in (*people.inside, *people.outside)] == [
        ("undone", 1),
        ("created", 1),
        ("missing", 3),
    ]
    assert [(part.code, part.count) for part in (*groups.inside, *groups.outside)] == [("undone", 1), ("missing", 1)]


def test_what_was_not_done_does_not_read_as_if_it_were() -> None:
    run = replace(plans.RUN, plan=plan(plans.LEAVE), outcomes=(Outcome(plans.LEAVE, Result.FAILED, 422, "no"),))
    (item,) = review(run).items
    assert (item.notes, item.means.partition(";")[0]) == ((), "can still get in")


def test_a_group_that_is_made_now_is_new_though_who_joins_it_is_held() -> None:
    made = Change(Action.CREATE_GROUP, "g9", "Ops", {}, {"displayName": "Ops"}, "new in the source")
    joins = Change.of_members(Action.ADD_MEMBERS, "g9", "Ops", ["1004"], [])
    first = replace(plan(made), held=(Held(joins, "adopt", ""),), managed=1, context=Context(managed_groups=1))
    people, groups = review(first).pictures
    assert people.caption == "1 managed person"
    assert groups.caption == "1 managed group"
    assert [(part.code, part.count) for part in (*groups.inside, *groups.outside)] == [("created", 1)]


@pytest.mark.parametrize(
    ("limit", "means"),
    [
        ("deactivate", "can still get in; done only when a person approves it"),
        ("missing_grace", "can still get in; done only when its time has come"),
        ("protected", "can still get in; not done while that is so, whoever approves it"),
    ],
)
def test_what_is_held_says_what_releases_it(limit: str, means: str) -> None:
    (item,) = review(replace(plan(), held=(Held(plans.LEAVE, limit, ""),))).items
    assert item.means == means


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ada\u3164", "Ada\\u3164"),  # a Hangul filler: a letter that is nothing but white
        ("A\u034fda", "A\\u034fda"),
        ("ada\ufe0f", "ada\\ufe0f"),
        ("e" + "\u0301" * 7, "e" + "\u0301" * 4 + "\\u0301" * 3),
        ("a\nb" + "\u115f", "a\\u000ab\\u115f"),
        ("\u2764\ufe0f \u0928\u093f\u0930\u094d\u092e\u0932\u093e", None),  # a heart, and Nirmala
        ("Nguye\u0302\u0303n \u05de\u05b7\u05d6\u05b8\u05bc\u05dc", None),
        ("\u845b\U000e0100\u57ce", None),  # the variant that a Japanese family writes
    ],
)
def test_what_nobody_would_see_is_an_escape_and_what_people_are_called_is_not(text: str, shown: str | None) -> None:
    assert visible(text) == (shown or text)


def test_a_plan_saved_before_doesnt_claim_to_know_how_many_groups_there_are() -> None:
    captions = [picture.caption for picture in review(plans.PLAN).pictures]
    assert captions == ["100 managed people", "groups"]


@pytest.mark.parametrize(
    ("subject", "sentence"),
    [
        (samples.NOTHING, "Nothing to do."),
        (plan(plans.CREATE), "1 person gets an account."),
        (plan(update("1", "a", "b"), update("1", "c", "d", "nickName")), "1 person is changed."),
        (
            plan(plans.CREATE, plans.INVITE, plans.LEAVE, plans.JOIN),
            "2 people get an account, 1 person loses access and 1 group gets members.",
        ),
        (
            # One who is new is told once, although the manager is written later.
            plan(plans.CREATE, replace(plans.RENAME, key=plans.CREATE.key), plans.RENAME),
            "1 person gets an account and 1 person is changed.",
        ),
        (
            replace(plan(), held=plans.HELD[:1]),
            "Nothing is done now. 1 change waits for a decision: 1 person would lose access.",
        ),
        (
            replace(
                plan(),
                held=(
                    *plans.HELD,
                    *(Held(replace(plans.STAY, key=limit), limit, "") for limit in ("missing_grace", "quarantine")),
                    Held(replace(plans.STAY, key="owner"), "protected", "the account's owner"),
                ),
            ),
            (
                "Nothing is done now. 3 changes wait for a decision: 1 account would be linked or taken over, 1 person"
                " would lose access and 1 group would lose members. 1 change is withheld and can't be approved: 1"
                " person would lose access. 2 changes wait for their time: 2 people would lose access."
            ),
        ),
        (
            plans.RUN,
            (
                "1 of 7 changes done. 1 failed, 1 refused and 4 not tried. 1 person gets an account. 3 changes"
                " wait for a decision: 1 account would be linked or taken over, 1 person would lose access and 1 group"
                " would lose members. 9 things were changed at the target and 3 problems are to be looked at."
            ),
        ),
    ],
)
def test_what_happens_is_said_in_a_sentence(subject: Plan | Run, sentence: str) -> None:
    assert review(subject).sentence == sentence


@pytest.mark.parametrize(
    ("outcome", "means"),
    [
        (Outcome(plans.LEAVE, Result.APPLIED, 200), "loses access; what the account owns stays"),
        (
            Outcome(plans.LEAVE, Result.FAILED, 409, "owner"),
            "can still get in; quarantined: tried again ever more rarely, until it or the source changes",
        ),
        (Outcome(plans.LEAVE, Result.FAILED, 503, "busy"), "can still get in; the next run tries again"),
        (
            Outcome(plans.LEAVE, Result.REFUSED, 0, "moved"),
            "nothing was done, for it is no longer as the plan expected; the next plan looks anew",
        ),
        (Outcome(plans.LEAVE, Result.SKIPPED), "can still get in; the next run tries again"),
        (Outcome(plans.INVITE, Result.APPLIED, 201), "gets an invitation; no access until it is accepted"),
    ],
)
def test_an_outcome_says_what_it_means_for_those_concerned(outcome: Outcome, means: str) -> None:
    run = Run(1, plan(outcome.change), plans.NOON, (outcome,), 1, 0.1)
    (item,) = review(run).items
    assert item.means == means
    assert item.section == ("undone" if outcome.result is not Result.APPLIED else item.section)
    assert (item.status, item.said) == (outcome.status, outcome.detail)


def test_a_planned_change_that_no_outcome_speaks_of_was_not_reached() -> None:
    run = Run(1, plan(plans.CREATE, plans.LEAVE), plans.NOON, (Outcome(plans.LEAVE, Result.APPLIED, 200),), 1, 0.1)
    assert {item.key: item.result for item in review(run).items} == {"1001": "skipped", "1007": "applied"}


def test_what_was_not_done_only_because_the_target_stopped_is_counted_apart() -> None:
    stop = "the target stopped: refuses the token"
    outcomes = Outcome(plans.LEAVE, Result.FAILED, 500, "boom"), Outcome(plans.CREATE, Result.SKIPPED, 0, stop)
    run = Run(1, plan(plans.LEAVE, plans.CREATE), plans.NOON, outcomes, 1, 0.1, "lucid: refuses the token\ndo this")
    shown = review(run)
    assert shown.unreached == 1
    assert [item.key for item in shown.items if item.by_stop] == ["1001"]
    assert shown.error == ("lucid: refuses the token", "do this")


def test_a_held_change_says_how_things_stay_meanwhile() -> None:
    means = {item.action: item.means for item in review(replace(plan(), held=plans.HELD)).items}
    assert means["deactivate_user"] == "can still get in; done only when a person approves it"
    assert means["remove_members"] == "they keep what the group gives; done only when a person approves it"


def test_what_no_run_has_stored_can_be_released_later() -> None:
    protected = Held(plans.STAY, "protected", "hal@x.org is protected: the owner", stored=False)
    items = review(replace(plan(), held=(replace(plans.HELD[0], stored=False), protected))).items
    assert {item.key: (item.command, item.can_be_approved) for item in items} == {
        "1007": ("", True),
        "1008": ("", False),
    }
    assert items[0].means == (
        "can still get in; done only when a person approves it, which is possible once the next run (`syncd sync`) has"
        " stored it"
    )
    assert "syncd sync" not in items[1].means


def test_what_can_be_released_says_how() -> None:
    protected = Held(plans.STAY, "protected", "hal@x.org is protected: the owner")
    commands = {item.key: item.command for item in review(replace(plan(), held=(*plans.HELD[:1], protected))).items}
    assert commands == {"1007": f"syncd approve {plans.LEAVE.id[:12]}", "1008": ""}


@given(plans.plans)
def test_no_text_in_a_review_can_do_anything(plan: Plan) -> None:
    for item in review(plan).items:
        texts = [item.name, item.key, item.reason, item.cluster, *item.groups, *item.came, *item.went, *item.told]
        texts += [text for row in item.rows for text in (row.label, row.before or "", row.after or "")]
        assert all(text.isprintable() for text in texts)


def test_a_first_plan_says_that_nobody_looked_for_accounts_that_are_there() -> None:
    create = Change(Action.CREATE_USER, "1", "ada@example.com", {}, {"userName": "ada@example.com"}, "new")
    first = replace(plan(create, managed=0), evidence=Evidence("people.csv", 1, 0, 0, 0, 0.0))
    hint = "nobody is managed yet, and the target was not read: --full finds accounts that are there already"
    assert review(first).doubt == hint
    for other in (replace(first, managed=1), replace(first, kind="resync"), replace(first, changes=())):
        assert review(other).doubt == ""
    assert review(Run(1, first, plans.NOON, (), 0, 0.0)).doubt == ""
