"""SSO removed at LucidLink and set up again: `relink` and what follows it, in every order, against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from syncd.core.drift import DriftClass
from syncd.core.plan import Action, Plan, Run
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.relinking import relink
from syncd.cycle.sync import carry_out, make_plans
from syncd.operations import decisions, status
from syncd.scim.transport import Patience
from syncd.settings.build import read
from syncd.store import StateFile
from tests.faults.world import TOKEN, World
from tests.sandbox.process import Sandbox

Json = Any
VERIFIED = ("example.com",)


class Workspace(World):
    """A company at a LucidLink workspace of its own."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        super().__init__(folder, sandbox, "x", "lucidlink")
        self.sandbox = sandbox

    # -- the workspace -----------------------------------------------------------------------------

    def remove_sso(self, *, set_up: bool = True) -> None:
        self.sandbox.admin("DELETE", "/sso")
        if set_up:
            self.sandbox.admin("PUT", "/sso")

    def account(self, name: str) -> Json:
        """Return a user as the workspace's people see it, {} for nobody."""
        found = [user for user in self.sandbox.admin("GET", "/users") if user["userName"] == self.mail(name)]
        return found[0] if found else {}

    def states(self) -> dict[str, tuple[str, bool]]:
        """Return state and whether SCIM manages them, by the company's names."""
        accounts = {name: self.account(name) for name in self.company.people}
        return {name: (each["state"], each["managed"]) for name, each in accounts.items() if each}

    def members(self) -> dict[str, set[str]]:
        """Return the members of each pushed group."""
        groups = self.sandbox.admin("GET", "/groups")
        return {each["name"]: {m["name"] for m in each["members"]} for each in groups if each["managed"]}

    def let_in(self, name: str) -> None:
        """An administrator invites somebody, who accepts."""
        self.sandbox.admin("POST", f"/users/{self.account(name)['id']}/invite")
        self.sandbox.admin("POST", f"/users/{self.account(name)['id']}/accept")

    def writes(self) -> list[Json]:
        """Return the requests that wrote, since the last call."""
        found = [each for each in self.sandbox.requests() if each["method"] != "GET"]
        self.sandbox.clear_requests()
        return found

    # -- syncd ---------------------------------------------------------------------------------------

    def relink(self) -> Planned:
        self.write()
        with StateFile(self.setup.state) as state:
            (planned,) = relink(self.setup, state, self.setup.targets, Progress())
        return planned

    def carry_out(self, plan: Planned) -> Run:
        with StateFile(self.setup.state) as state:
            return carry_out(plan, state, Progress())

    def planned(self) -> Planned:
        self.write()
        with StateFile(self.setup.state) as state:
            (planned,) = make_plans(self.setup, state, self.setup.targets, Progress())
        return planned

    def status(self) -> Json:
        with StateFile(self.setup.state) as state:
            (row,) = status.status(self.setup, state, None)
        return row

    def explained(self, name: str) -> str:
        with StateFile(self.setup.state) as state:
            (found,) = status.explain(self.setup, state, None, self.key(name))
        return str(found["verdict"])

    def accept(self, *names: str) -> None:
        with StateFile(self.setup.state) as state:
            decisions.accept(self.setup, state, None, [self.key(each) for each in names])

    def known(self, name: str) -> Any:
        with StateFile(self.setup.state) as state:
            return state.snapshot("target").user(self.key(name))

    def push_groups(self, keys: str) -> None:
        """Let the workspace get these groups alone."""
        names = ", ".join(f'"{self.group(key)}"' for key in keys)
        self.configure("[target.limits]\n", f"groups = [{names}]\n[target.limits]\n")

    def configure(self, former: str, text: str) -> None:
        """Put a text in the place of another one in the configuration."""
        file = self.setup.state.parent / "syncd.toml"
        file.write_text(file.read_text().replace(former, text))
        self.setup = read(file)

    def mails(self, *names: str) -> set[str]:
        return {self.mail(each) for each in names}


Start = Callable[..., Workspace]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Return a function that starts a workspace in which everybody of the company is."""
    monkeypatch.setenv(TOKEN, "sandbox-token")
    running: list[Sandbox] = []

    def started(*, groups: int = 2, **settings: str) -> Workspace:
        named = {name.replace("_", "-"): answer for name, answer in settings.items()}
        sandbox = Sandbox("lucidlink", verified_domains=VERIFIED, settings=named).start()
        running.append(sandbox)
        world = Workspace(tmp_path, sandbox)
        del world.company.people["off"]
        world.push_groups("gh"[:groups])
        world.converge()
        world.writes()
        return world

    yield started
    for each in running:
        each.stop()


def named(people: Json) -> list[str]:
    return [each["name"] for each in people]


def updates(plan: Plan) -> set[str]:
    return {change.key for change in plan.changes if change.action is Action.UPDATE_USER}


# -- everything is back --------------------------------------------------------------------------------


@pytest.mark.parametrize("marks", ["dropped", "kept"])
@pytest.mark.parametrize("groups", [2, 1])
def test_everybody_is_managed_again_and_every_group_is_back(start: Start, marks: str, groups: int) -> None:
    world = start(marks_after_removal=marks, groups=groups)
    before, ids = world.members(), {name: world.account(name)["id"] for name in world.company.people}
    world.remove_sso()
    planned = world.relink()
    assert world.writes() == []
    assert updates(planned.plan) == {world.key(name) for name in ids}
    run = world.sync(full=True)
    assert {each.result.value for each in run.outcomes} == {"applied"}
    assert run.requests - run.reads <= planned.plan.estimate.requests
    assert set(world.states().values()) == {("pending", True)}
    assert {name: world.account(name)["id"] for name in ids} == ids
    assert {name: world.account(name)["externalId"] for name in ids} == {name: world.key(name) for name in ids}
    assert world.members() == before
    world.writes()
    assert (world.sync(full=True).plan.changes, world.sync().plan.changes, world.writes()) == ((), (), [])


def test_without_a_group_the_missing_marks_say_it(start: Start) -> None:
    world = start(groups=0)
    world.remove_sso()
    world.relink()
    world.sync()
    assert set(world.states().values()) == {("pending", True)}


@pytest.mark.parametrize("marks", ["dropped", "kept"])
def test_a_token_that_was_refused_says_it_where_nothing_else_does(start: Start, marks: str) -> None:
    world = start(groups=0, marks_after_removal=marks)
    world.remove_sso(set_up=False)
    world.company.people["ada"]["title"] = "Director"
    assert "token" in world.sync().error
    world.sandbox.admin("PUT", "/sso")
    world.relink()
    world.sync()
    assert set(world.states().values()) == {("pending", True)}
    assert world.status()["stopped"] is None


def test_a_sync_after_relink_does_as_a_resync(start: Start) -> None:
    world = start()
    world.remove_sso()
    world.relink()
    assert set(updates(world.sync().plan)) == {world.key(name) for name in world.company.people}
    assert set(world.states().values()) == {("pending", True)}
    assert set(world.members()) == {"x Group g", "x Group h"}


@pytest.mark.parametrize("groups", [2, 0])
def test_accounts_that_the_endpoint_hides_while_nobody_manages_them_are_given_back(start: Start, groups: int) -> None:
    world = start(natives_in_api="hidden", groups=groups)
    world.company.people["out"] = {"status": "active", "title": "", "boss": ""}
    world.converge()
    ids = {name: world.account(name)["id"] for name in world.company.people}
    world.configure("[target.limits]\n", "[target.limits]\nadopt = { count = 0 }\n")
    world.remove_sso()
    assert set(named(world.relink().to_json()["relinked"]["invite"])) == world.mails("ada", "bob", "cyd")
    world.sync(full=True)
    assert {name: world.account(name)["id"] for name in ids} == ids
    assert {world.states()[name] for name in ("ada", "bob", "cyd")} == {("pending", True)}
    assert world.status()["users"] == {"active": 0, "pending": 4, "deactivated": 0}
    assert set(named(world.status()["relinked"]["invite"])) == world.mails("ada", "bob", "cyd")


def test_accounts_that_are_really_gone_are_made_anew_and_active(start: Start) -> None:
    world = start(groups=0)
    for name in world.company.people:
        world.sandbox.admin("DELETE", f"/users/{world.account(name)['id']}", params={"force": "1"})
    world.relink()
    world.sync()
    assert set(world.states().values()) == {("active", True)}
    assert world.status()["users"] == {"active": 3, "pending": 0, "deactivated": 0}
    assert world.status()["relinked"] == {"invite": [], "gone": []}


# -- nothing was removed -------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [2, 0])
def test_relink_where_nothing_was_removed_changes_nothing(start: Start, groups: int) -> None:
    world = start(groups=groups)
    world.company.people["bob"]["status"] = "left"
    world.converge()
    assert world.relink().plan.changes == ()
    assert world.status()["users"] == {"active": 2, "pending": 0, "deactivated": 1}
    assert world.sync(full=True).plan.changes == ()


def test_a_group_and_a_mark_that_somebody_removed_are_no_removal_of_sso(start: Start) -> None:
    world = start()
    world.company.groups["i"] = "Group i"
    world.converge()
    (group,) = [each for each in world.sandbox.admin("GET", "/groups") if each["name"] == "x Group g"]
    world.sandbox.admin("DELETE", f"/groups/{group['id']}", params={"force": "1"})
    ada = world.account("ada")["id"]
    world.sandbox.admin("PATCH", f"/users/{ada}", {"externalId": ""}, params={"force": "1"})
    assert updates(world.relink().plan) == {world.key("ada")}
    assert world.status()["users"]["active"] == 3


def test_a_refused_token_alone_is_no_removal_of_sso(start: Start) -> None:
    world = start()
    world.sandbox.faults({"fault": "unauthorized"})
    world.company.people["ada"]["title"] = "Director"
    assert "token" in world.sync().error
    world.sandbox.faults()
    assert updates(world.relink().plan) == {world.key("ada")}
    assert world.status()["users"]["pending"] == 0


def test_relink_twice_in_a_row_is_as_once(start: Start) -> None:
    world = start()
    world.remove_sso()
    first = world.relink()
    world.let_in("ada")
    second = world.relink()
    assert [change.id for change in second.plan.changes] == [change.id for change in first.plan.changes]
    world.sync(full=True)
    third = world.relink()
    assert third.plan.changes == ()
    assert set(named(third.to_json()["relinked"]["invite"])) == world.mails("ada", "bob", "cyd")


def test_sso_removed_for_the_second_time_is_as_the_first(start: Start) -> None:
    world = start()
    for _ in range(2):
        world.remove_sso()
        world.relink()
        run = world.sync(full=True)
        assert not any(each.returned for each in run.plan.drift)
        assert set(world.states().values()) == {("pending", True)}
        assert world.status()["ineffective"] == []


# -- who is to be invited ------------------------------------------------------------------------------


def test_people_without_a_password_are_pending_until_the_endpoint_shows_that_they_are_in(start: Start) -> None:
    world = start(active_while_pending="false")
    world.remove_sso()
    planned = world.relink()
    assert named(planned.to_json()["relinked"]["invite"]) == sorted(world.mails("ada", "bob", "cyd"))
    world.sync(full=True)
    world.let_in("ada")
    assert world.sync(full=True).plan.accepted == (world.key("ada"),)
    assert named(world.status()["relinked"]["invite"]) == sorted(world.mails("bob", "cyd"))
    assert world.status()["users"] == {"active": 1, "pending": 2, "deactivated": 0}
    assert "invite" in world.explained("bob")
    assert "is active" in world.explained("ada")
    assert world.sync(full=True).plan.changes == ()


def test_where_the_endpoint_shows_everybody_as_active_people_say_who_is_in(start: Start) -> None:
    world = start()
    world.remove_sso()
    world.relink()
    for _ in range(3):
        world.sync(full=True)
        world.sync()
    assert world.status()["users"] == {"active": 0, "pending": 3, "deactivated": 0}
    world.let_in("ada")
    world.accept("ada", "bob")
    world.sync()
    assert named(world.status()["relinked"]["invite"]) == [world.mail("cyd")]
    assert world.status()["users"] == {"active": 2, "pending": 1, "deactivated": 0}


def test_one_who_is_switched_off_by_hand_lets_nobody_else_in(start: Start) -> None:
    world = start()
    world.remove_sso()
    world.relink()
    world.sync(full=True)
    ada = world.account("ada")["id"]
    world.sandbox.admin("PATCH", f"/users/{ada}", {"active": False}, params={"force": "1"})
    assert world.sync(full=True).plan.accepted == ()
    assert world.status()["users"]["active"] == 0


def test_outsiders_keep_what_they_had(start: Start) -> None:
    world = start()
    for name in ("out-in", "out-not"):
        world.company.people[name] = {"status": "active", "title": "", "boss": ""}
    world.converge()
    world.sandbox.admin("POST", f"/users/{world.account('out-in')['id']}/accept")
    world.accept("out-in")
    world.converge()
    world.remove_sso()
    assert named(world.relink().to_json()["relinked"]["invite"]) == sorted(world.mails("ada", "bob", "cyd"))
    world.sync(full=True)
    assert world.states()["out-in"] == ("active", True)
    assert world.states()["out-not"] == ("pending", True)
    assert (world.known("out-in").state, world.known("out-not").state) == ("active", "pending")
    assert world.account("out-not")["invitations"] == 1


def test_somebody_who_leaves_before_they_are_in_is_withdrawn_and_comes_back_pending(start: Start) -> None:
    world = start()
    world.remove_sso()
    world.relink()
    world.sync(full=True)
    world.company.people["ada"]["status"] = "left"
    world.converge()
    assert world.states()["ada"] == ("deactivated", True)
    assert world.mail("ada") not in named(world.status()["relinked"]["invite"])
    world.company.people["ada"]["status"] = "active"
    world.converge()
    assert world.states()["ada"] == ("pending", True)
    assert world.known("ada").state == "pending"
    assert world.mail("ada") in named(world.status()["relinked"]["invite"])


def test_an_account_that_somebody_made_anew_by_hand_is_taken_over_and_pending(start: Start) -> None:
    world = start()
    world.remove_sso()
    world.sandbox.admin("DELETE", f"/users/{world.account('ada')['id']}")
    made = world.sandbox.admin("POST", "/users", {"email": world.mail("ada"), "name": "Ada"})
    world.relink()
    run = world.sync(full=True)
    assert {each.result.value for each in run.outcomes} == {"applied"}, run.plan.held
    assert (world.account("ada")["id"], world.states()["ada"]) == (made["id"], ("pending", True))
    assert world.known("ada").state == "pending"


# -- who is gone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("marks", "groups"), [("dropped", 2), ("dropped", 0), ("kept", 2), ("kept", 0)])
def test_accounts_that_were_off_are_gone_and_people_who_come_back_get_new_ones(
    start: Start, marks: str, groups: int
) -> None:
    world = start(marks_after_removal=marks, groups=groups)
    world.company.people["bob"]["status"] = "left"
    world.converge()
    world.remove_sso()
    assert named(world.relink().to_json()["relinked"]["gone"]) == [world.mail("bob")]
    for _ in range(2):
        assert {each.result.value for each in world.sync(full=True).outcomes} <= {"applied"}
    assert named(world.status()["relinked"]["gone"]) == [world.mail("bob")]
    assert "with SSO" in world.explained("bob")
    assert world.writes()
    assert (world.sync().plan.changes, world.writes()) == ((), [])
    world.company.people["bob"]["status"] = "active"
    world.converge()
    assert world.states()["bob"] == ("active", True)
    assert world.known("bob").state == "active"
    assert world.status()["relinked"]["gone"] == []
    if groups:
        assert world.mail("bob") in world.members()["x Group g"]


def test_one_who_is_gone_is_forgotten_when_they_leave_the_source(start: Start) -> None:
    world = start()
    world.company.people["bob"]["status"] = "left"
    world.converge()
    world.remove_sso()
    world.relink()
    world.sync(full=True)
    del world.company.people["bob"]
    world.company.members.discard(("g", "bob"))
    world.sync()
    assert world.known("bob") is None
    assert world.status()["relinked"]["gone"] == []


# -- what fails, and what is cut off -------------------------------------------------------------------


def test_an_update_that_fails_is_sent_by_the_next_run(start: Start) -> None:
    world = start(marks_after_removal="kept")
    world.remove_sso()
    world.relink()
    world.sandbox.faults({"fault": "status", "status": 400, "method": "PATCH", "path": "/Users/*"})
    run = world.sync()
    assert {o.result.value for o in run.outcomes if o.change.action is Action.UPDATE_USER} == {"failed"}
    world.sandbox.faults()
    with StateFile(world.setup.state) as state, state.atomic():
        for each in state.quarantine("target").all():
            state.quarantine("target").succeeded(each.id)
    world.converge()
    assert set(world.states().values()) == {("pending", True)}


def test_an_update_that_is_given_up_is_sent_by_the_next_run(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """One update is given up after three attempts, while others succeed; everything else there is as it should be."""
    world = start(marks_after_removal="kept")
    world.remove_sso()
    world.relink()
    brief = Patience(attempts=3, outage=5, base=0.05, cap=0.05, longest_pause=0.05)
    monkeypatch.setattr("syncd.settings.build.targets.Patience", lambda **_: brief)
    world.setup = read(world.setup.file)
    path = f"/Users/{world.account('ada')['id']}"
    world.sandbox.faults({"fault": "status", "status": 504, "method": "PATCH", "path": path})
    world.sync()
    world.sandbox.faults()
    assert world.states()["ada"][1] is False
    world.converge()
    assert set(world.states().values()) == {("pending", True)}


def test_a_run_that_was_killed_leaves_nobody_unmanaged(start: Start) -> None:
    world = start(marks_after_removal="kept")
    world.remove_sso()
    world.relink()
    planned = world.planned()
    with StateFile(world.setup.state) as state, state.atomic():  # as the killed run left it: nothing was sent
        journal = state.journal("target")
        run = journal.begin(planned.plan, datetime.now(UTC))
        for change in planned.plan.changes:
            journal.intend(run, change, datetime.now(UTC))
    world.converge()
    assert set(world.states().values()) == {("pending", True)}


def test_sso_removed_while_a_plan_waits_to_be_carried_out(start: Start) -> None:
    world = start()
    world.company.people["ada"]["title"] = "Director"
    world.company.members.add(("h", "ada"))
    planned = world.planned()
    world.remove_sso()
    world.carry_out(planned)
    world.relink()
    world.converge()
    assert set(world.states().values()) == {("pending", True)}
    assert world.members() == {"x Group g": world.mails("ada", "bob"), "x Group h": world.mails("ada", "cyd")}


# -- policy, and what isn't ours -----------------------------------------------------------------------


def test_no_limit_and_no_drift_policy_holds_what_relink_approved(start: Start) -> None:
    world = start()
    drift = f'[target.drift]\n{DriftClass.USER_ATTRIBUTES} = "report"\n'
    world.configure("[target.limits]\n", f"{drift}[target.limits]\nadopt = {{ count = 0 }}\nrename = {{ count = 0 }}\n")
    world.remove_sso()
    world.relink()
    run = world.sync(full=True)
    assert run.plan.held == ()
    assert set(world.states().values()) == {("pending", True)}
    assert {world.account(name)["externalId"] for name in world.company.people} == {
        world.key(name) for name in world.company.people
    }


def test_natives_and_native_groups_stay_as_they_are(start: Start) -> None:
    world = start()
    native = world.sandbox.admin("POST", "/users", {"email": "native@example.com", "name": "Native"})["id"]
    group = world.sandbox.admin("POST", "/groups", {"name": "Natives"})["id"]
    for id_ in (native, world.account("ada")["id"]):
        world.sandbox.admin("PUT", f"/groups/{group}/members/{id_}")
    world.remove_sso()
    world.relink()
    world.sync(full=True)
    written = [each["path"] for each in world.writes()]
    assert written
    assert not [path for path in written if native in path or group in path]
    members = world.sandbox.admin("GET", f"/groups/{group}")["members"]
    assert {each["name"] for each in members} == {"native@example.com", world.mail("ada")}


def test_the_whole_is_sent_and_active_is_not(start: Start) -> None:
    world = start(marks_after_removal="kept")
    world.remove_sso()
    world.relink()
    world.sync(full=True)
    bodies = [each["body"] for each in world.writes() if each["path"].endswith(world.account("ada")["id"])]
    paths = {operation["path"] for operation in bodies[0]["Operations"]}
    assert {"userName", "externalId", "emails", "title"} <= paths
    assert "active" not in paths
