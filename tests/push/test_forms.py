"""Forms: an update that is refused, or has no effect, arrives in another form; what is refused stops nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.mapping import MANAGER
from syncd.core.model import State
from syncd.core.plan import Result, Run
from syncd.report.judging import after
from syncd.scim.profiles import Profile
from tests.endpoints import Endpoint, Reply, Request, error
from tests.push.pushing import NAME, PROFILE, Pushing, pushing, said
from tests.world import WORK_MAIL, person, source_rules, target_rules

HOME_MAIL = 'emails[type eq "home"].value'
DEPARTMENT = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
MAPPING = {
    "userName": "{uid}",
    "title": "{title}",
    WORK_MAIL: "{mail}",
    HOME_MAIL: "{home}",
    DEPARTMENT: "{department}",
    MANAGER: "{boss}",
}
ADA = {"mail": "ada@example.com", "title": "Dr", "department": "Engines"}


class Habit(Endpoint):
    """An endpoint with a habit: `refuses` returns an error for a write, or None."""

    def __init__(self, refuses: Callable[[Request], Reply | None], **options: Any) -> None:
        super().__init__(**options)
        self.refuses = refuses

    def answer(self, request: Request) -> Reply:
        if request.method in ("PATCH", "PUT") and (refusal := self.refuses(request)) is not None:
            self.requests_refused.append(request)
            return refusal
        return super().answer(request)

    @property
    def requests_refused(self) -> list[Request]:
        return self.__dict__.setdefault("_refused", [])


def paths_of(request: Request) -> list[str]:
    if request.method == "PUT":
        return []
    return [operation.get("path", "") for operation in request.body["Operations"]]


def refusing(pattern: str, status: int = 400, scim_type: str = "") -> Callable[[Request], Reply | None]:
    """Refuse PATCHes with a path like this."""

    def refuses(request: Request) -> Reply | None:
        if any(re.search(pattern, path) for path in paths_of(request)):
            return error(status, f"{pattern} is not supported", scim_type)
        return None

    return refuses


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Any]:
    """Return a world, settled with one person, at an endpoint with a habit."""

    def make(endpoint: Endpoint, profile: Profile = PROFILE) -> Any:
        return pushing(tmp_path, endpoint, target_rules(NAME, profile=profile))

    return make


def begin(world: Pushing) -> None:
    world.rules = source_rules(MAPPING)
    world.hold(person("1", **ADA))
    world.settle()


def change(world: Pushing, **attributes: str) -> Run:
    """Change the person, and push; everything sent is in `world.scim.requests`."""
    world.hold(person("1", **{**ADA, **attributes}))
    world.scim.requests.clear()
    return world.push()


def forms(world: Pushing) -> Any:
    return (world.snapshot.discovery.get("dialect") or {}).get("forms", {})


# -- no PATCH ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [405, 501])
def test_an_endpoint_without_patch_gets_puts_from_then_on(made: Any, status: int) -> None:
    with made(Habit(refusing("", status))) as world:
        begin(world)
        world.scim.users["u1"]["nickName"] = "theirs"
        assert said(change(world, title="Prof", mail="x@example.com")) == [("update_user", "1", "applied", 200, "")]
        assert forms(world) == {"users": "put"}
        plan_log = world.scim.log()
        assert plan_log == ["PATCH /Users/u1", "GET /Users/u1", "PUT /Users/u1"]
        change(world, title="Mr")
        assert world.scim.log() == ["GET /Users/u1", "PUT /Users/u1"]
        assert (world.scim.users["u1"]["title"], world.scim.users["u1"]["nickName"]) == ("Mr", "theirs")


def test_a_changed_profile_makes_what_was_learned_forgotten(made: Any) -> None:
    with made(Habit(refusing("", 405))) as world:
        begin(world)
        change(world, title="Prof")
        world.scim.refuses = lambda _: None
        world.target = replace(world.target, profile=replace(PROFILE, members_per_patch=7))
        change(world, title="Mr")
        assert world.scim.log() == ["PATCH /Users/u1"]


def test_an_endpoint_that_takes_neither_keeps_its_own_words(made: Any) -> None:
    with made(Habit(lambda _: error(405, "not here"))) as world:
        begin(world)
        assert said(change(world, title="Prof")) == [("update_user", "1", "failed", 405, "not here")]
        assert forms(world) == {}


# -- paths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scim_type", ["", "noTarget", "invalidPath", "invalidFilter"])
@pytest.mark.parametrize("status", [400, 501, 500])
def test_an_address_arrives_where_its_path_is_refused_and_so_does_the_rename(
    made: Any, scim_type: str, status: int
) -> None:
    with made(Habit(refusing(r"emails\[", status, scim_type))) as world:
        begin(world)
        world.scim.users["u1"]["emails"].append({"type": "other", "value": "theirs@example.com"})
        world.hold(person("1", "renamed", **{**ADA, "mail": "new@example.com"}))
        assert world.push().results == {Result.APPLIED: 1}
        user = world.scim.users["u1"]
        assert user["userName"] == "renamed"
        assert [(each["type"], each["value"]) for each in user["emails"]] == [
            ("work", "new@example.com"),
            ("other", "theirs@example.com"),
        ]
        if status == 501:
            assert forms(world) == {"users": "put"}, "not implemented: it may know no PATCH at all"
            return
        assert forms(world) == {"users.emails": "whole"}
        assert not world.plan().changes
        world.hold(person("1", "renamed", **{**ADA, "mail": "again@example.com", "title": "Prof"}))
        plan = world.plan()
        world.scim.requests.clear()
        assert world.push(plan).results == {Result.APPLIED: 1}
        assert world.scim.log() == ["GET /Users/u1", "PATCH /Users/u1"], "both in one request, in their forms"
        assert plan.estimate.requests == 2


def test_an_extension_arrives_whole_where_its_path_is_refused(made: Any) -> None:
    with made(Habit(refusing("^urn:.*:User:"))) as world:
        begin(world)
        world.scim.users["u1"][DEPARTMENT.rpartition(":")[0]]["costCenter"] = "theirs"
        assert change(world, department="Looms", title="Prof").results == {Result.APPLIED: 1}
        user = world.scim.users["u1"]
        extension = user[DEPARTMENT.rpartition(":")[0]]
        assert (user["title"], extension["department"], extension["costCenter"]) == ("Prof", "Looms", "theirs")


def test_an_endpoint_that_takes_objects_alone_is_found_out(made: Any) -> None:
    with made(Habit(refusing("."))) as world:
        begin(world)
        assert change(world, title="Prof", mail="new@example.com").results == {Result.APPLIED: 1}
        user = world.scim.users["u1"]
        assert (user["title"], user["emails"][0]["value"]) == ("Prof", "new@example.com")
        assert forms(world) == {"users.title": "object", "users.emails": "object"}


# -- one attribute is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("scim_type", ["mutability", "", "invalidValue"])
def test_a_refused_title_holds_up_no_rename_no_address_and_nobody_else(made: Any, scim_type: str) -> None:
    def refuses(request: Request) -> Reply | None:
        body = request.body if request.method == "PUT" else request.body["Operations"]
        return error(400, "title can not be written", scim_type) if "Prof" in str(body) else None

    with made(Habit(refuses)) as world:
        begin(world)
        world.hold(person("1", "renamed", **{**ADA, "mail": "new@example.com", "title": "Prof"}))
        run = world.push()
        ((action, _, result, status, detail),) = said(run)
        assert (action, result, status) == ("update_user", "failed", 400)
        assert detail == f"title: 400 title can not be written; done: {WORK_MAIL}, userName"
        assert after(run.outcomes[0]).startswith("the target shows the old values of what was refused")
        user = world.scim.users["u1"]
        assert (user["userName"], user["emails"][0]["value"], user["title"]) == ("renamed", "new@example.com", "Dr")
        known = world.snapshot.user("1")
        assert (known.name, known.attributes["title"]) == ("renamed", "Dr")
        (left,) = world.plan().changes
        assert left.after == {"title": "Prof"}, "nothing else is sent again"
        world.push()
        (quarantined,) = world.state.quarantine(NAME).all()
        assert quarantined.detail == "title can not be written"


def test_a_leaver_whose_title_is_refused_is_off_when_back_on_and_renamed(made: Any) -> None:
    def refuses(request: Request) -> Reply | None:
        return error(400, "no title", "mutability") if "Prof" in request.content.decode() else None

    with made(Habit(refuses)) as world:
        begin(world)
        world.hold(person("1", status="left"))
        world.push()
        world.hold(person("1", "back", **{**ADA, "title": "Prof"}))
        assert world.push().results == {Result.FAILED: 1}
        user = world.scim.users["u1"]
        assert (user["active"], user["userName"]) == (True, "back")
        known = world.snapshot.user("1")
        assert known.state is State.ACTIVE


def test_a_taken_name_holds_up_no_title(made: Any) -> None:
    with made(Endpoint()) as world:
        world.rules = source_rules(MAPPING)
        world.hold(person("1", **ADA), person("2"))
        world.settle()
        world.scim.users["native"] = {"id": "native", "userName": "taken"}

        def refuses(request: Request) -> Reply:
            return error(409, "taken is taken", "uniqueness")

        world.scim.instead("PATCH", "/Users/u1", refuses(world.scim))  # type: ignore[arg-type]
        world.hold(person("1", "taken", **{**ADA, "title": "Prof"}), person("2"))
        world.push()
        assert world.scim.users["u1"]["title"] == "Prof"


@pytest.mark.parametrize("status", [400, 409])
def test_a_refusal_of_what_is_so_already_is_no_failure(made: Any, status: int) -> None:
    with made(Endpoint()) as world:
        begin(world)
        world.scim.users["u1"]["active"] = False
        world.scim.refuse_updates("/Users/", error(status, "the user is not active"))
        world.hold(person("1", status="left"))
        assert said(world.push()) == [("deactivate_user", "1", "applied", status, "")]
        assert not world.plan().changes


def test_the_requests_of_one_change_are_bounded(made: Any) -> None:
    with made(Habit(lambda _: error(400, "no"))) as world:
        begin(world)
        world.hold(
            person("1", "renamed", mail="new@example.com", home="h@example.com", title="Prof", department="Looms")
        )
        world.scim.requests.clear()
        assert world.push().results == {Result.FAILED: 1}
        assert len(world.scim.requests_refused) <= 1 + 12


def test_an_attribute_that_several_refuse_in_every_form_is_tried_once(made: Any) -> None:
    with made(Habit(lambda request: error(400, "no") if "Prof" in request.content.decode() else None)) as world:
        world.rules = source_rules(MAPPING)
        keys = [str(number) for number in range(5)]
        world.hold(*(person(key) for key in keys))
        world.settle()
        world.hold(*(person(key, title="Prof") for key in keys))
        world.concurrency = 1
        assert world.push().results == {Result.FAILED: 5}
        each = [sum(request.path.endswith(f"u{n}") for request in world.scim.requests_refused) for n in range(1, 6)]
        assert each == [3, 3, 3, 1, 1]


# -- lists -----------------------------------------------------------------------------------------------


class Replaces(Endpoint):
    """Puts what is added in the place of the list."""

    def _patched(self, held: dict[str, dict[str, Any]], id_: str, body: Any) -> Reply:
        for operation in body["Operations"]:
            if operation["op"] == "add" and operation.get("path") == "emails":
                operation["op"] = "replace"
        return super()._patched(held, id_, body)


@pytest.mark.parametrize("silent", [False, True])
def test_adding_an_address_costs_no_other(made: Any, silent: bool) -> None:
    with made(Replaces(silent=silent)) as world:
        begin(world)
        assert change(world, home="ada@home.example").results == {Result.APPLIED: 1}
        both = {("work", "ada@example.com"), ("home", "ada@home.example")}
        assert {(each["type"], each["value"]) for each in world.scim.users["u1"]["emails"]} == both
        assert forms(world) == {"users.emails": "whole"}


class Typeless(Endpoint):
    """Keeps addresses without their type. `one`: keeps the first alone."""

    def __init__(self, *, one: bool = False) -> None:
        super().__init__()
        self.one = one

    def _kept(self, body: dict[str, Any]) -> dict[str, Any]:
        body = super()._kept(body)
        if isinstance(body.get("emails"), list):
            emails = [{"value": each["value"]} for each in body["emails"]]
            body["emails"] = emails[:1] if self.one else emails
        return body


@pytest.mark.parametrize("one", [False, True])
def test_an_address_kept_without_its_type_is_ours_all_the_same(made: Any, one: bool) -> None:
    with made(Typeless(one=one)) as world:
        begin(world)
        world.hold(person("1", "renamed", **{**ADA, "mail": "new@example.com"}))
        assert world.push().results == {Result.APPLIED: 1}
        user = world.scim.users["u1"]
        assert (user["userName"], [each["value"] for each in user["emails"]]) == ("renamed", ["new@example.com"])
        assert not world.plan().changes


def test_of_two_addresses_kept_without_types_each_is_ours(made: Any) -> None:
    with made(Typeless()) as world:
        begin(world)

        def emails() -> list[str]:
            return [each["value"] for each in world.scim.users["u1"]["emails"]]

        for home, work in (("h@x.example", "ada@example.com"), ("h@x.example", "new@x.example"), ("", "new@x.example")):
            world.hold(person("1", **{**ADA, "mail": work, "home": home}))
            run = world.push()
            assert said(run) == [("update_user", "1", "applied", 200, "")]
            assert sorted(emails()) == sorted(filter(None, (home, work)))
            assert not world.plan().changes


# -- whoever comes back ------------------------------------------------------------------------------------


def test_whoever_comes_back_is_switched_on_though_nobody_knows_whether_it_was_off(made: Any) -> None:
    class Hidden(Endpoint):
        """Never shows `active`, and knows no filter over it."""

        def _shown(self, resource: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in super()._shown(resource).items() if name != "active"}

    with made(Hidden(filters="refused")) as world:
        begin(world)
        world.hold(person("1", status="left"))
        run = world.push()
        ((_, _, result, _, detail),) = said(run)
        assert (result, world.scim.users["u1"]["active"]) == ("failed", False)
        assert "doesn't show whether the account is off" in detail
        assert world.look() == 0
        world.hold(person("1", **ADA))
        back = [change.after.get("active") for change in world.plan().changes]
        assert back == [True]
        world.push()
        assert world.scim.users["u1"]["active"] is True
