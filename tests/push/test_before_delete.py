"""`before_delete`: nobody is deleted before what must come first has succeeded, for this very deletion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from syncd.core.plan import Plan
from syncd.errors import StateError
from syncd.push.users import Users
from syncd.store import StateFile
from syncd.store.preparations import Preparations
from tests.endpoints import Reply, error
from tests.push.deleting import ADA, BOB, CY, SECRET, Company, HookServer, company, outcome

DELETED = ("applied", "")


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with HookServer() as server:
        yield server


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: HookServer) -> Iterator[Company]:
    with company(tmp_path, monkeypatch, hook.address) as made:
        yield made


# -- success ------------------------------------------------------------------------------------------


def test_the_account_is_deleted_after_the_webhook_has_taken_the_facts(ours: Company, hook: HookServer) -> None:
    ours.leave()
    there: list[bool] = []
    hook.answer = lambda request: (there.append("u1" in ours.scim.users), Reply(202))[1]  # type: ignore[method-assign]
    assert outcome(ours.sync()) == DELETED
    assert there == [True], "the account is there while it is called"
    assert "u1" not in ours.scim.users
    (facts,) = hook.facts
    bob = {
        "key": "2",
        "userName": "bob@example.com",
        "name": "Bob",
        "id": "u2",
        "email": "bob@example.com",
        "emails": ["bob@example.com"],
    }
    (change,) = [each for each in facts.items() if each[0] == "changeId"]
    assert facts == {
        "event": "before_delete",
        "target": "target",
        "key": "1",
        "userName": "ada@example.com",
        "name": "Ada",
        "id": "u1",
        "email": "ada@example.com",
        "emails": ["ada@example.com"],
        "manager": bob,
        "reason": "switched off since 2026-11-22, and delete_after is over",
        "missingSince": None,
        "deactivatedSince": "2026-11-22T12:00:00Z",
        "deleteAfterSeconds": 1800,
        "changeId": change[1],
        "idempotencyKey": hook.keys[0],
        "attempt": 1,
    }


def test_who_is_gone_from_the_source_is_said_to_be(ours: Company, hook: HookServer) -> None:
    ours.more = 'missing_grace = "0s"'
    ours.people(ADA.format("active"), BOB, CY.format("active"))
    ours.sync()
    ours.people(BOB, CY.format("active"))
    ours.sync()
    ours.later(hours=1)
    assert outcome(ours.sync()) == DELETED
    assert hook.facts[0]["missingSince"] == "2026-11-22T12:00:00Z"
    assert hook.facts[0]["reason"].startswith("gone from the source since 2026-11-22T12:00:00Z; switched off since")


def test_whose_manager_has_no_account_is_deleted_with_the_managers_key(ours: Company, hook: HookServer) -> None:
    ours.leave()
    with ours.state() as state, state.atomic():
        snapshot = state.snapshot("target")
        bob = snapshot.user("2")
        assert bob is not None
        snapshot.put_user(replace(bob, lost=True))
    ours.people(ADA.format("left"), CY.format("active"))
    ours.sync()
    assert hook.facts[0]["manager"] == {
        "key": "2",
        "userName": None,
        "name": None,
        "id": None,
        "email": None,
        "emails": [],
    }


# -- failure ------------------------------------------------------------------------------------------


def test_who_is_refused_for_good_waits_held_and_ever_longer(ours: Company, hook: HookServer) -> None:
    ours.leave()
    hook.answers = [Reply(409, {"detail": "Ada has no manager"})] * 2
    said = "the webhook: it answers 409: Ada has no manager; next try at 2026-11-22 13:15 UTC"
    assert outcome(ours.sync()) == ("failed", f"before_delete: {said}")
    assert ours.pauses == []
    (hold,) = ours.holds()
    assert (hold.limit, hold.reason, hold.change.key) == ("before_delete", said, "1")
    ours.later(minutes=14)
    run = ours.sync()
    assert [(held.limit, held.reason) for held in run.plan.held] == [("before_delete", said)]
    assert len(hook.requests) == 1
    ours.later(minutes=2)
    _, detail = outcome(ours.sync())
    assert detail.endswith("; failed 2 times since 2026-11-22 13:00 UTC; next try at 2026-11-22 13:46 UTC")
    assert [each.id for each in ours.holds()] == [hold.id], "it stays held while it is tried again"
    ours.later(minutes=31)
    assert outcome(ours.sync()) == DELETED
    assert ours.holds() == []
    assert [facts["attempt"] for facts in hook.facts] == [1, 2, 3]
    assert len(set(hook.keys)) == 1


@pytest.mark.parametrize("status", [0, 408, 425, 429, 500, 503])
def test_what_may_pass_is_tried_a_few_times_and_then_by_the_next_run(
    ours: Company, hook: HookServer, status: int
) -> None:
    ours.leave()
    hook.answers = [Reply(status)] * 3
    result, detail = outcome(ours.sync())
    assert (result, detail.endswith("; the next run tries again")) == ("failed", True)
    assert ours.pauses == [1.0, 5.0]
    assert ours.deleted == []
    assert [hold.limit for hold in ours.holds()] == ["before_delete"]
    assert outcome(ours.sync()) == DELETED
    assert [facts["attempt"] for facts in hook.facts] == [1, 2, 3, 4]
    assert len(set(hook.keys)) == 1


def test_a_receiver_that_asks_for_a_pause_gets_it(ours: Company, hook: HookServer) -> None:
    ours.leave()
    hook.answers = [Reply(429, headers={"Retry-After": "7"}), Reply(503, headers={"Retry-After": "2"})]
    assert outcome(ours.sync()) == DELETED
    assert ours.pauses == [7.0, 5.0]


def test_a_receiver_that_asks_for_a_long_pause_is_left_to_a_later_run(ours: Company, hook: HookServer) -> None:
    ours.leave()
    hook.answers = [Reply(503, headers={"Retry-After": "600"})]
    assert outcome(ours.sync())[1].endswith("next try at 2026-11-22 13:10 UTC")
    assert ours.pauses == []
    ours.later(minutes=9)
    assert [held.limit for held in ours.sync().plan.held] == ["before_delete"]
    ours.later(minutes=2)
    assert outcome(ours.sync()) == DELETED


def test_one_persons_failure_keeps_nobody_else(ours: Company, hook: HookServer) -> None:
    ours.leave(cy=True)
    hook.answer = lambda request: Reply(404 if request.body["key"] == "1" else 200)  # type: ignore[method-assign]
    run = ours.sync()
    assert {each.change.key: each.result.value for each in run.outcomes} == {"1": "failed", "3": "applied"}
    assert ours.deleted == ["u3"]


def test_a_receiver_that_is_down_is_not_asked_for_everybody(ours: Company, hook: HookServer) -> None:
    people = [f"{number},p{number}@example.com" for number in range(1, 31)]
    ours.people(*(f"{each},active,,P" for each in people))
    ours.sync()
    ours.more = "limits.deactivate = { count = 100 }\n            limits.delete = { count = 100 }"
    ours.people(*(f"{each},left,," for each in people[:25]), *(f"{each},active,," for each in people[25:]))
    ours.sync()
    ours.later(hours=1)
    hook.answer = lambda request: Reply(503)  # type: ignore[method-assign]
    ours.concurrency = 8
    run = ours.sync()
    results = [each.result.value for each in run.outcomes]
    # Four at a time: those under way when the third failed end as they end.
    assert 3 <= results.count("failed") <= 6
    assert results.count("failed") + results.count("skipped") == 25
    assert len({facts["key"] for facts in hook.facts}) == results.count("failed")
    assert any("before_delete failed for" in each.detail for each in run.outcomes)
    assert run.error == "", "it says nothing of the endpoint"


def test_refusals_of_many_are_not_the_tokens_fault(ours: Company, hook: HookServer) -> None:
    people = [f"{number},p{number}@example.com" for number in range(1, 31)]
    ours.people(*(f"{each},active,,P" for each in people))
    ours.sync()
    ours.more = "limits.deactivate = { count = 100 }\n            limits.delete = { count = 100 }"
    ours.people(*(f"{each},left,," for each in people[:25]), *(f"{each},active,," for each in people[25:]))
    ours.sync()
    ours.later(hours=1)
    hook.answer = lambda request: Reply(403)  # type: ignore[method-assign]
    run = ours.sync()
    assert [each.result.value for each in run.outcomes] == ["failed"] * 25
    assert run.error == ""


def test_one_person_by_name_is_tried_at_once(ours: Company, hook: HookServer) -> None:
    ours.leave()
    hook.answers = [Reply(404)]
    ours.sync()
    assert outcome(ours.sync("ada@example.com")) == DELETED


# -- once for each deletion ---------------------------------------------------------------------------


def test_a_success_is_remembered_while_the_deletion_itself_fails(ours: Company, hook: HookServer) -> None:
    ours.leave()
    ours.scim.instead("DELETE", "/Users/u1", error(503, "later"), error(503, "later"), *[error(500, "no")] * 4)
    assert outcome(ours.sync())[0] == "failed"
    ours.scim.relent()
    assert outcome(ours.sync()) == DELETED
    assert len(hook.requests) == 1


def test_who_came_back_and_left_again_is_another_deletion(ours: Company, hook: HookServer) -> None:
    ours.leave()
    ours.scim.instead("DELETE", "/Users/u1", *[error(500, "no")] * 9)
    ours.sync()
    assert len(hook.requests) == 1
    ours.scim.relent()
    ours.people(ADA.format("active"), BOB, CY.format("active"))
    ours.sync()
    ours.people(ADA.format("left"), BOB, CY.format("active"))
    ours.sync()
    ours.later(hours=1)
    assert outcome(ours.sync()) == DELETED
    assert len(set(hook.keys)) == 2


def test_who_came_back_by_name_and_left_again_is_another_deletion(ours: Company, hook: HookServer) -> None:
    """A run of one person forgets nothing; the account's own dates tell the two deletions apart."""
    ours.leave()
    ours.scim.instead("DELETE", "/Users/u1", *[error(500, "no")] * 9)
    ours.sync()
    ours.scim.relent()
    ours.people(ADA.format("active"), BOB, CY.format("active"))
    ours.later(minutes=1)
    ours.sync("1")
    ours.people(ADA.format("left"), BOB, CY.format("active"))
    ours.later(minutes=1)
    ours.sync("1")
    ours.later(hours=1)
    assert outcome(ours.sync("1")) == DELETED
    assert len(set(hook.keys)) == 2


def test_killed_during_the_call_it_is_made_again_with_the_same_key(
    ours: Company, hook: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.leave()
    with monkeypatch.context() as patch:
        patch.setattr(Preparations, "succeeded", _killed)
        with pytest.raises(StateError):
            ours.sync()
    assert ours.deleted == [], "nothing is sent before the success is on disk"
    assert outcome(ours.sync()) == DELETED
    assert (len(hook.requests), len(set(hook.keys))) == (2, 1)


def test_killed_after_the_success_the_next_run_deletes_and_does_not_call_again(
    ours: Company, hook: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.leave()

    async def killed(self: Users, *_: object) -> None:
        raise StateError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("syncd.push.sending.Sending.delete", killed)
        with pytest.raises(StateError):
            ours.sync()
    with ours.state() as state:
        assert len(state.journal("target").intents()) == 1
    assert outcome(ours.sync()) == DELETED
    assert len(hook.requests) == 1


def _killed(*_: object) -> None:
    raise StateError("killed")


def test_the_attempt_is_on_disk_before_the_call(ours: Company, hook: HookServer) -> None:
    ours.leave()
    seen: list[tuple[int, str]] = []

    def look(_: object) -> Reply:
        with StateFile(ours.folder / "syncd.db") as state:
            seen.extend((each.attempts, each.id) for each in state.preparations("target").all())
        return Reply(200)

    hook.answer = look  # type: ignore[method-assign]
    ours.sync()
    assert seen == [(1, hook.keys[0])]


def test_nothing_is_left_of_a_deletion_that_is_done(ours: Company) -> None:
    ours.leave()
    ours.sync()
    ours.sync()
    with ours.state() as state:
        assert state.preparations("target").all() == []


# -- decisions ----------------------------------------------------------------------------------------


def test_an_approval_of_that_hold_deletes_without_it(ours: Company, hook: HookServer) -> None:
    ours.leave()
    hook.answers = [Reply(404)]
    ours.sync()
    ours.approve("before_delete")
    (change,) = ours.plan().changes
    assert change.first == ""
    assert change.reason.endswith("approved by eve on 2026-11-22 13:00 UTC, without `before_delete`")
    assert outcome(ours.sync()) == DELETED
    assert len(hook.requests) == 1
    assert ours.holds() == []


def test_an_approval_of_the_limit_is_none_of_what_comes_first(ours: Company, hook: HookServer) -> None:
    ours.leave()
    ours.more = 'limits.delete = { hold = "always" }'
    ours.sync()
    ours.approve("delete")
    hook.answers = [Reply(404)]
    assert outcome(ours.sync())[0] == "failed"
    assert [held.limit for held in ours.sync().plan.held] == ["before_delete"]
    (hold,) = ours.holds()
    assert (hold.limit, hold.decision) == ("before_delete", None), "nobody has approved that"
    ours.sync()
    assert ours.deleted == []


def test_an_approval_outlasts_a_failure_that_passes(ours: Company, hook: HookServer) -> None:
    ours.leave()
    ours.more = 'limits.delete = { hold = "always" }'
    ours.sync()
    ours.approve("delete")
    hook.answers = [Reply(503)] * 3
    assert outcome(ours.sync())[0] == "failed"
    assert outcome(ours.sync()) == DELETED
    assert len(hook.requests) == 4


def test_an_invitation_that_nobody_accepted_is_withdrawn_at_once(ours: Company, hook: HookServer) -> None:
    ours.more = """verified_domains = ["elsewhere.example"]
            profile_overrides = { pending_by_endpoint = true, withdrawn_by_delete = true }"""
    ours.people(ADA.format("active"), BOB)
    ours.sync()
    ours.people(ADA.format("left"), BOB)
    assert outcome(ours.sync()) == DELETED
    assert hook.requests == []


# -- content that moves ------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["lucid-admin", "lucid-content"])
def test_where_content_would_move_a_person_decides(ours: Company, profile: str) -> None:
    ours.profile, ours.first = profile, ""
    ours.leave()
    assert [(held.limit, held.change.key) for held in ours.sync().plan.held] == [("moves_content", "1")]
    assert ours.deleted == []
    ours.approve("moves_content")
    assert outcome(ours.sync()) == DELETED


def test_where_content_would_move_a_transfer_settles_it(ours: Company, hook: HookServer) -> None:
    ours.profile = "lucid-content"
    ours.leave()
    assert outcome(ours.sync()) == DELETED
    assert len(hook.requests) == 1


def test_an_approval_that_content_moves_is_none_that_the_transfer_is_left_out(ours: Company, hook: HookServer) -> None:
    ours.profile, first = "lucid-content", ours.first
    ours.first = ""
    ours.leave()
    ours.sync()
    ours.approve("moves_content")
    ours.first = first
    assert outcome(ours.sync()) == DELETED
    assert len(hook.requests) == 1


def test_an_approval_of_the_limit_is_none_that_content_moves(ours: Company) -> None:
    ours.more = 'limits.delete = { hold = "always" }'
    ours.first = ""
    ours.leave()
    ours.sync()
    ours.approve("delete")
    ours.profile = "lucid-content"
    assert [held.limit for held in ours.sync().plan.held] == ["moves_content"]
    assert ours.deleted == []


# -- saved plans --------------------------------------------------------------------------------------


def saved(plan: Plan) -> Plan:
    return Plan.from_json(json.loads(orjson.dumps(plan.to_json())), "plan.json")


def test_a_plan_names_what_comes_first(ours: Company, hook: HookServer) -> None:
    ours.leave()
    (change,) = saved(ours.plan()).changes
    assert change.first == f"POST http://127.0.0.1:{hook.port}/…"
    assert change.to_json()["first"] == change.first
    assert SECRET not in orjson.dumps(ours.plan().to_json()).decode()


def test_an_older_plan_is_applied_with_what_comes_first_now(ours: Company, hook: HookServer) -> None:
    first, ours.first = ours.first, ""
    ours.leave()
    plan = saved(ours.plan())
    assert [change.first for change in plan.changes] == [""]
    ours.first = first
    hook.answers = [Reply(400)]
    assert outcome(ours.apply(plan))[0] == "failed"
    assert outcome(ours.apply(plan)) == DELETED
    assert len(hook.requests) == 2


def test_a_plan_that_names_something_first_is_refused_where_nothing_is_named_any_more(ours: Company) -> None:
    ours.leave()
    plan = saved(ours.plan())
    ours.first = ""
    result, detail = outcome(ours.apply(plan))
    assert (result, "the configuration names none now" in detail) == ("refused", True)
    assert ours.deleted == []


def test_an_older_plan_moves_no_content_unasked(ours: Company) -> None:
    ours.first = ""
    ours.leave()
    plan = saved(ours.plan())
    ours.profile = "lucid-content"
    assert outcome(ours.apply(plan))[0] == "refused"
    assert ours.deleted == []


def test_deletions_with_something_first_go_alone_also_where_bulk_is_offered(ours: Company, hook: HookServer) -> None:
    ours.more = "profile_overrides = { bulk = true }\n            limits.deactivate = { count = 500 }"
    ours.more += "\n            limits.delete = { count = 500 }"
    people = [f"{number},p{number}@example.com" for number in range(1, 111)]
    ours.people(*(f"{each},active,,P" for each in people), BOB.replace("2,", "b,"))
    ours.sync()
    ours.people(*(f"{each},left,," for each in people), BOB.replace("2,", "b,"))
    ours.sync()
    ours.later(hours=1)
    plan = ours.plan()
    ours.scim.requests.clear()
    run = ours.sync()
    assert {each.result.value for each in run.outcomes} == {"applied"}
    assert len(hook.requests) == run.writes == 110
    assert run.requests == plan.estimate.requests
    assert len(ours.deleted) == 110


# -- secrets ------------------------------------------------------------------------------------------


def test_the_address_is_nowhere(
    ours: Company, hook: HookServer, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ours.leave()
    hook.answers = [Reply(400, {"detail": f"no such path: /{SECRET}"}), Reply(400, SECRET.encode())]
    run = ours.sync()
    ours.later(hours=5)
    again = ours.sync()
    assert outcome(run)[1].startswith("before_delete: the webhook: it answers 400;")
    ours.later(hours=5)
    assert outcome(ours.sync()) == DELETED
    shown = [capsys.readouterr().out, caplog.text, str(run.to_json()), str(again.to_json())]
    assert not any(SECRET in text for text in shown)
    for file in ours.folder.glob("syncd.db*"):
        assert SECRET.encode() not in file.read_bytes()
