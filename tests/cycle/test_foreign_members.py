"""Members whom nobody manages, from the reading of a target to what is left in its groups: whole cycles, real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from syncd.core.drift import DriftClass
from syncd.core.plan import Plan, Result, Run, dump
from syncd.cycle import clock
from syncd.cycle.planned import saved_plan
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out
from syncd.operations.decisions import approve
from tests.cycle.test_returning_drift import PEOPLE, Company, company, said
from tests.endpoints import TOKEN, Reply, error

LIMIT = "[target.limits]\nremove_members = { count = 0 }\n"
REPORT = '[target.drift]\nforeign_member = "report"\n'


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNING_TOKEN", TOKEN)


def stranger(made: Company, name: str = "stranger@x.org") -> dict[str, Any]:
    """Let somebody whom nobody manages be in the group; returns the account."""
    id_ = made.scim.add_user(userName=name, active=True)
    made.design["members"].append({"value": id_})
    made.scim.requests.clear()
    return made.scim.users[id_]


def foreign(plan: Plan) -> list[str]:
    return [each.name for change in plan.changes for each in change.foreign]


def details(run: Run) -> list[tuple[str, str]]:
    return [(each.result.value, each.detail) for each in run.outcomes]


def writes(made: Company) -> list[str]:
    return [each for each in made.scim.log() if not each.startswith("GET")]


def test_a_stranger_is_taken_out_and_the_account_is_not_written(tmp_path: Path) -> None:
    with company(tmp_path) as made:
        account = stranger(made)
        before = dict(account)
        assert said(made.sync()) == []  # a sync doesn't read the target
        assert made.is_in("stranger@x.org")
        run = made.sync(full=True)
        assert said(run) == [("remove_members", "g", "applied")]
        assert [each.class_ for each in run.plan.drift] == [DriftClass.FOREIGN_MEMBER]
        assert (made.is_in("stranger@x.org"), account) == (False, before)
        assert writes(made) == [f"PATCH /Groups/{made.design['id']}"]
        assert {each["value"] for each in made.design["members"]} == {
            made.user(name)["id"] for name in ("ada@x.org", "bob@x.org")
        }
        made.scim.requests.clear()
        assert (made.resync(), writes(made)) == ([], [])


def test_one_request_takes_out_who_left_and_who_never_belonged(tmp_path: Path) -> None:
    with company(tmp_path) as made:
        stranger(made)
        made.members("group,member\ng,1\n")
        assert made.resync() == [("remove_members", "g", "applied")]
        assert len(writes(made)) == 1
        assert [each["value"] for each in made.design["members"]] == [made.user("ada@x.org")["id"]]
        assert made.sync(full=True).plan.changes == ()


def test_a_guest_stays_where_that_is_only_reported(tmp_path: Path) -> None:
    with company(tmp_path, REPORT) as made:
        stranger(made)
        for _ in range(2):
            run = made.sync(full=True)
            assert (said(run), [each.reaction.value for each in run.plan.drift]) == ([], ["report"])
        assert made.is_in("stranger@x.org")


# -- saved plans ---------------------------------------------------------------------------------------


def applied(made: Company, plan: Plan) -> Run:
    """Carry out a plan as `apply` does, from its JSON."""
    again = Plan.from_json(orjson.loads(dump(plan.to_json())), "plan.json")
    return carry_out(saved_plan(made.setup, again, "plan.json"), made.state, Progress())


def test_a_saved_plan_takes_out_whoever_is_still_a_stranger_and_still_in_the_group(tmp_path: Path) -> None:
    with company(tmp_path) as made:
        gone, _ = stranger(made), stranger(made, "other@x.org")
        plan = made.plan()
        made.design["members"] = [each for each in made.design["members"] if each["value"] != gone["id"]]
        made.scim.requests.clear()
        run = applied(made, plan)
        assert details(run) == [("applied", "stranger@x.org no longer in the group")]
        assert not made.is_in("other@x.org")
        assert run.requests <= plan.estimate.requests
        assert details(applied(made, plan)) == [("refused", "other@x.org, stranger@x.org no longer in the group")]
        assert len(writes(made)) == 1


def test_a_saved_plan_leaves_whoever_is_managed_by_now(tmp_path: Path) -> None:
    with company(tmp_path) as made:
        stranger(made, "eve@x.org")
        plan = made.plan()
        made.people(f"{PEOPLE}4,eve@x.org,Clerk,active\n")
        made.members("group,member\ng,1\ng,2\ng,4\n")
        assert made.resync() == [("adopt_user", "4", "applied")]
        assert details(applied(made, plan)) == [("refused", "eve@x.org managed by now")]
        assert made.is_in("eve@x.org")


# -- limits --------------------------------------------------------------------------------------------


def test_a_removal_over_the_limit_waits_for_a_person_and_for_a_full_resync(tmp_path: Path) -> None:
    with company(tmp_path, LIMIT) as made:
        stranger(made)
        run = made.sync(full=True)
        assert (said(run), [each.limit for each in run.plan.held]) == ([], ["remove_members"])
        (hold,) = made.state.holds("lucid").all()
        assert [each.name for each in hold.change.foreign] == ["stranger@x.org"]
        made.people(PEOPLE.replace("Chief", "Boss"))
        made.sync()
        assert [each.id for each in made.state.holds("lucid").all()] == [hold.id], "a sync knows nothing of it"
        approve(made.setup, made.state, None, [hold.id], "ada", clock.now())
        made.people(PEOPLE.replace("Chief", "Owner"))
        made.sync()
        assert made.is_in("stranger@x.org")
        assert made.resync() == [("remove_members", "g", "applied")]
        assert not made.is_in("stranger@x.org")
        assert made.state.holds("lucid").all() == []


def test_an_approved_part_is_spent_with_the_whole_removal(tmp_path: Path) -> None:
    with company(tmp_path, LIMIT) as made:
        stranger(made)
        made.members("group,member\ng,1\n")
        made.resync()
        approve(made.setup, made.state, None, ["all"], "ada", clock.now())
        assert made.resync() == [("remove_members", "g", "applied")]
        assert made.state.holds("lucid").all() == []
        assert [each["value"] for each in made.design["members"]] == [made.user("ada@x.org")["id"]]


# -- what has no effect --------------------------------------------------------------------------------


def test_a_stranger_who_comes_back_is_taken_out_again_and_never_called_done(tmp_path: Path) -> None:
    with company(tmp_path) as made:
        account = stranger(made)
        assert made.resync() == [("remove_members", "g", "applied")]
        account["userName"] = "renamed@x.org"
        made.design["members"].append({"value": account["id"]})
        (outcome,) = (run := made.sync(full=True)).outcomes
        assert outcome.result is Result.INEFFECTIVE
        assert "renamed@x.org was taken out at" in outcome.detail
        assert run.plan.drift[0].returned is not None
        assert not made.is_in("renamed@x.org")


def test_an_endpoint_that_keeps_a_stranger_is_found_out_and_asked_ever_more_rarely(tmp_path: Path) -> None:
    with company(tmp_path) as made:
        stranger(made)
        made.members("group,member\ng,1\n")
        group = f"/Groups/{made.design['id']}"
        made.scim.instead("PATCH", group, *[Reply(200, made.design)] * 9)
        made.scim.instead("PUT", group, *[Reply(200, made.design)] * 9)
        (outcome,) = made.sync(full=True).outcomes
        assert outcome.result is Result.INEFFECTIVE
        assert "2 of 2 are still in the group (2, stranger@x.org)" in outcome.detail
        run = made.sync(full=True)
        assert (said(run), {each.limit for each in run.plan.held}) == ([], {"quarantine"})
        made.scim.relent()
        assert len(made.state.quarantine("lucid").all()) == 1


def test_a_stranger_whom_the_endpoint_will_not_let_go_keeps_nobody_else(tmp_path: Path) -> None:
    with company(tmp_path) as made:
        account = stranger(made)
        made.members("group,member\ng,1\n")
        refuse(made, account["id"])
        (outcome,) = made.sync(full=True).outcomes
        assert outcome.result is Result.FAILED
        assert "stranger@x.org" in outcome.detail
        assert (made.is_in("bob@x.org"), made.is_in("stranger@x.org")) == (False, True)


def refuse(made: Company, member: str) -> None:
    """Let the endpoint refuse each request that takes a member out of the group, or leaves the member out."""
    route = made.scim._route

    def guarded(request: Any) -> Reply:
        if request.method in ("PATCH", "PUT") and "/Groups/" in request.path:
            before = [dict(each) for each in made.design["members"]]
            reply = route(request)
            if member not in [each["value"] for each in made.design.get("members", [])]:
                made.design["members"] = before
                return error(403, f"{member} is the owner of the group")
            return reply
        return route(request)

    made.scim._route = guarded  # type: ignore[method-assign]
