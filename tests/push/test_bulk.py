"""Many writes in one request: as few requests as announced, an outcome for each, and nobody made twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from syncd.core.plan import Result, Run
from syncd.cycle.knowing import mark_of
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out, make_plans
from syncd.errors import OutcomeUnclear, ScimError, TargetRefused
from syncd.scim.bulk import Bulk
from syncd.scim.transport import Answer, Transport
from syncd.settings.build import read
from syncd.store import StateFile
from tests.endpoints import TOKEN, Reply, Request, Server, error
from tests.sandbox.process import Sandbox
from tests.scim.asking import IMPATIENT

PEOPLE = 230
CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "key"
[mapping.user]
userName = "{{mail}}"
externalId = "{{key}}"
title = "{{title}}"
[[target]]
name = "target"
base_url = "{url}"
rate = 10000
token = {{ env = "SYNCD_TEST_BULK_TOKEN" }}
concurrency = 4
"""


class World:
    """Files, a state file that knows of bulk, and a sandbox that offers it."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._folder = folder
        (folder / "syncd.toml").write_text(CONFIGURATION.format(url=sandbox.base_url))
        self.setup = read(folder / "syncd.toml")
        with StateFile(self.setup.state) as state, state.atomic():
            bulk = {"maxOperations": 1000, "maxPayloadSize": 1_000_000}
            state.snapshot("target").discover({"patch": True, "etag": True, "bulk": bulk})

    def sync(self, title: str = "Engineer", people: int = PEOPLE) -> Run:
        rows = [f"{key},p{key}@example.com,{title}" for key in range(people)]
        (self._folder / "people.csv").write_text("\n".join(["key,mail,title", *rows]) + "\n")
        with StateFile(self.setup.state) as state:
            with state.atomic():  # as if the target had been read: these tests count what is sent
                for target in self.setup.targets:
                    state.snapshot(target.name).set_read_by(mark_of(target.rules))
            (planned,) = make_plans(self.setup, state, self.setup.targets, Progress())
            return carry_out(planned, state, Progress())

    def complete(self) -> None:
        """Fail unless everybody is there once, and nothing is left to be done."""
        names = sorted(user["userName"] for user in self.sandbox.users())
        assert names == sorted(f"p{key}@example.com" for key in range(PEOPLE))
        with StateFile(self.setup.state) as state:
            (planned,) = make_plans(self.setup, state, self.setup.targets, Progress(), full=True)
        assert (planned.plan.changes, planned.plan.drift) == ((), ())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with Sandbox() as sandbox:
        monkeypatch.setenv("SYNCD_TEST_BULK_TOKEN", sandbox.token)
        monkeypatch.setattr("syncd.settings.build.targets.Patience", lambda **_: IMPATIENT)
        yield World(tmp_path, sandbox)


def test_many_changes_go_together_and_take_as_many_requests_as_announced(world: World) -> None:
    # 100, 100 and 30; one look, until the endpoint was found to do as it answers; and one whether it is the place.
    for title, requests in (("Engineer", 3 + 1), ("Doctor", 3 + 1 + 1), ("Professor", 3 + 1)):
        run = world.sync(title)
        assert run.results == {Result.APPLIED: PEOPLE}
        assert run.requests == run.plan.estimate.requests == requests
        world.complete()


def test_few_go_alone(world: World) -> None:
    run = world.sync(people=99)
    assert (run.results, run.requests) == ({Result.APPLIED: 99}, 99)


@pytest.mark.parametrize("applied", [False, True])
def test_where_the_connection_is_cut_each_is_looked_up_and_nobody_is_made_twice(world: World, applied: bool) -> None:
    world.sandbox.faults({"fault": "reset", "applied": applied, "method": "POST", "path": "/Bulk", "nth": 1})
    assert world.sync().results == {Result.APPLIED: PEOPLE}
    world.complete()


@pytest.mark.parametrize("status", [400, 404, 413, 501])
def test_where_bulk_is_refused_after_all_each_goes_alone(world: World, status: int) -> None:
    world.sandbox.faults({"fault": "status", "status": status, "method": "POST", "path": "/Bulk"})
    assert world.sync().results == {Result.APPLIED: PEOPLE}
    world.complete()


# -- an endpoint's answers to single operations ------------------------------------------------------


def together(server: Server, count: int, size: int = 1_000_000) -> list[Answer | BaseException]:
    """Write so many users side by side; returns the answers and errors in their order."""

    async def conversation() -> list[Answer | BaseException]:
        async with Transport("t", server.url, TOKEN, patience=IMPATIENT) as transport:
            bulk = Bulk(transport, 100, size)

            async def write(number: int) -> Answer:
                with bulk.worker():
                    return await bulk.send("POST", "Users", {"userName": f"u{number}"}, repeatable=False)

            # Each is a worker before the first of them writes.
            return await asyncio.gather(*(write(number) for number in range(count)), return_exceptions=True)

    return asyncio.run(conversation())


def answering(*operations: dict[str, Any]) -> Server:
    return Server(lambda _: Reply(200, {"Operations": list(operations)}))


def test_each_gets_its_own_answer_in_whatever_order_and_form_they_come() -> None:
    said = (
        {"bulkId": "2", "method": "POST", "status": "409", "response": {"detail": "taken", "scimType": "uniqueness"}},
        {"bulkId": "0", "method": "POST", "status": "201", "location": "https://x/Users/a", "response": {"id": "a"}},
        {"bulkId": "1", "method": "POST", "status": {"code": "201"}, "location": "https://x/Users/b"},
    )
    with answering(*said) as server:
        first, second, third = together(server, 3)
    assert first == Answer(201, {"id": "a"}, "https://x/Users/a")
    assert second == Answer(201, None, "https://x/Users/b")
    assert isinstance(third, ScimError)
    assert (third.status, third.detail, third.scim_type) == (409, "taken", "uniqueness")
    assert not isinstance(third, OutcomeUnclear)


def test_of_what_the_answer_says_nothing_nobody_knows_what_came() -> None:
    with answering({"bulkId": "0", "method": "POST", "status": 201}) as server:
        first, second = together(server, 2)
    assert isinstance(first, Answer)
    assert isinstance(second, OutcomeUnclear)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_one_that_failed_may_have_been_done(status: int) -> None:
    with answering({"bulkId": "0", "method": "POST", "status": str(status)}) as server:
        (only,) = together(server, 1)
    assert isinstance(only, OutcomeUnclear)


def test_without_bulk_ids_answers_are_taken_by_their_place() -> None:
    with answering({"method": "POST", "status": "201"}, {"method": "POST", "status": "409"}) as server:
        first, second = together(server, 2)
    assert isinstance(first, Answer)
    assert isinstance(second, ScimError)


def test_one_that_came_too_early_goes_alone() -> None:
    def answer(request: Request) -> Reply:
        if request.path.endswith("/Bulk"):
            return Reply(200, {"Operations": [{"bulkId": "0", "method": "POST", "status": "429"}]})
        return Reply(201, {"id": "a"})

    with Server(answer) as server:
        (only,) = together(server, 1)
        assert only == Answer(201, {"id": "a"})
        assert [request.path for request in server.requests] == ["/scim/v2/Bulk", "/scim/v2/Users"]


def test_no_request_is_larger_than_the_endpoint_takes() -> None:
    with Server(lambda request: Reply(200, {"Operations": [
        {"bulkId": each["bulkId"], "method": "POST", "status": "201"} for each in request.body["Operations"]
    ]})) as server:  # fmt: skip
        assert all(isinstance(each, Answer) for each in together(server, 100, size=2000))
        assert len(server.requests) > 1
        assert max(len(request.content) for request in server.requests) <= 2000
        assert sum(len(request.body["Operations"]) for request in server.requests) == 100


def test_a_refused_request_was_not_carried_out_and_each_gets_its_own_error() -> None:
    def answer(request: Request) -> Reply:
        return error(501, "no bulk here") if request.path.endswith("/Bulk") else error(409, "taken")

    with Server(answer) as server:
        errors = together(server, 2)
    assert [each.status for each in errors if isinstance(each, ScimError)] == [409, 409]


# -- refusals ------------------------------------------------------------------------------------------------


def settled(*replies: Reply, statuses: dict[str, int], probe: Reply | None = None) -> tuple[list[Any], list[str]]:
    """Send three creates together, each operation answered with a status; returns what each got, and the requests."""

    def answer(request: Request) -> Reply:
        if request.method == "GET":
            return probe or Reply(200, {"totalResults": 0})
        if not request.path.endswith("Bulk"):
            return Reply(201, {"id": f"alone-{request.body['userName']}"})
        if replies:
            return replies[0]
        said = [
            {
                "bulkId": each["bulkId"],
                "status": str(statuses[each["data"]["userName"]]),
                "response": {"message": "not you", "id": each["data"]["userName"]},
            }
            for each in request.body["Operations"]
        ]
        return Reply(200, {"Operations": said})

    async def together(url: str) -> list[Any]:
        async with Transport("lucid", url, TOKEN, patience=IMPATIENT) as transport:
            bulk = Bulk(transport, 100, 1_000_000)

            async def one(name: str) -> Any:
                with bulk.worker():
                    return await bulk.send("POST", "Users", {"userName": name}, repeatable=False)

            return await asyncio.gather(*map(one, statuses), return_exceptions=True)

    with Server(answer) as server:
        return asyncio.run(together(server.url)), server.log()


def test_a_403_inside_a_bulk_answer_is_about_that_operation() -> None:
    (first, second, third), log = settled(statuses={"a": 201, "b": 403, "c": 403})
    assert isinstance(first, Answer)
    assert [(type(each), each.status, each.detail) for each in (second, third)] == [(ScimError, 403, "not you")] * 2
    assert log[0] == "POST /Bulk"
    assert set(log[1:]) == {"GET /Users"}


def test_a_403_inside_a_bulk_answer_is_about_the_token_where_reads_are_refused_as_well() -> None:
    answers, _ = settled(statuses={"a": 403, "b": 403}, probe=error(401))
    assert [type(each) for each in answers] == [TargetRefused] * 2


def test_a_401_inside_a_bulk_answer_is_about_the_token() -> None:
    answers, log = settled(statuses={"a": 401})
    assert [type(each) for each in answers] == [TargetRefused]
    assert log == ["POST /Bulk"]


def test_a_token_that_may_not_send_bulk_requests_sends_each_write_alone() -> None:
    answers, log = settled(error(403, "no bulk"), statuses={"a": 0, "b": 0})
    assert [each.status for each in answers] == [201, 201]
    assert sorted(log) == ["GET /Users", "POST /Bulk", "POST /Users", "POST /Users"]
