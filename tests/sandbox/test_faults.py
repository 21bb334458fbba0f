"""The sandbox's log and its faults on demand, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import add_members, group, patch, unused, user


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.clear_requests()
    yield running
    running.faults()


def create(sandbox: Sandbox, body: dict[str, object] | None = None) -> str:
    answer = sandbox.scim("POST", "/Users", body or user())
    assert answer.status_code == 201
    return str(answer.json()["id"])


def there(sandbox: Sandbox, user_name: str) -> bool:
    return any(each["userName"] == user_name for each in sandbox.users())


# The request log


def test_the_log_shows_method_path_query_body_status_time_and_company(sandbox: Sandbox) -> None:
    body = user("logged")
    sandbox.scim("POST", "/Users", body)
    sandbox.scim("GET", "/Users", params={"filter": 'userName eq "nobody"'})

    posted, searched = sandbox.requests()

    assert (posted["number"], posted["method"], posted["path"], posted["status"]) == (1, "POST", "/Users", 201)
    assert posted["body"] == body
    assert posted["milliseconds"] > 0
    assert (posted["in_flight"], posted["in_flight_here"]) == (1, 1)
    assert searched["query"] == {"filter": 'userName eq "nobody"'}
    assert sandbox.counts() == {"POST": 1, "GET": 1}


def test_an_observer_is_not_counted_and_clearing_forgets(sandbox: Sandbox) -> None:
    sandbox.users()
    assert sandbox.requests() == []
    create(sandbox)
    assert len(sandbox.requests()) == 1
    sandbox.clear_requests()
    assert (sandbox.requests(), sandbox.counts()) == ([], {})


def test_the_log_is_narrowed_by_method_path_and_number(sandbox: Sandbox) -> None:
    first = create(sandbox)
    sandbox.scim("GET", f"/Users/{first}")
    sandbox.scim("GET", "/Groups")

    assert [each["number"] for each in sandbox.requests(method="get")] == [2, 3]
    assert [each["number"] for each in sandbox.requests(path="/Users")] == [1, 2]
    assert [each["number"] for each in sandbox.requests(since="2")] == [3]


def test_neither_token_nor_password_is_in_the_log(sandbox: Sandbox) -> None:
    id_ = create(sandbox, user(password="correct horse"))
    sandbox.scim("PATCH", f"/Users/{id_}", patch({"op": "replace", "path": "password", "value": "battery"}))
    sandbox.scim("PATCH", f"/Users/{id_}", patch({"op": "replace", "value": {"password": "staple"}}))

    log = json.dumps(sandbox.requests())

    assert not any(secret in log for secret in ("correct horse", "battery", "staple", sandbox.token))


def test_requests_in_flight_together_are_seen_to_be(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "delay", "milliseconds": 400, "method": "GET"})

    async def both() -> None:
        async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False) as client:
            bearer = {"Authorization": f"Bearer {sandbox.token}"}
            await asyncio.gather(*(client.get("/Groups", headers=bearer) for _ in range(3)))

    asyncio.run(both())
    report = sandbox.admin("GET", "/requests")

    assert [each["in_flight"] for each in report["requests"]] == [1, 2, 3]
    assert [each["in_flight_here"] for each in report["requests"]] == [1, 2, 3]
    assert (report["most_in_flight"], report["in_flight"]) == (3, 0)


# Selection


@pytest.mark.parametrize(
    ("selection", "met"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 2}, [2]),
        ({"nth": [1, 4]}, [1, 4]),
        ({"from": 5}, [5, 6]),
        ({"every": 3}, [3, 6]),
        ({"times": 2}, [1, 2]),
        ({"every": 2, "times": 1}, [2]),
        ({"method": ["PATCH", "PUT"]}, []),
        ({"path": "/Groups*"}, []),
        ({"path": "/Users/*"}, [1, 2, 3, 4, 5, 6]),
        ({"probability": 0.0}, []),
        ({"probability": 1.0}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_fault_meets_the_requests_that_its_rule_selects(
    sandbox: Sandbox, selection: dict[str, object], met: list[int]
) -> None:
    sandbox.faults({"fault": "status", "status": 503, **selection})

    answers = [sandbox.scim("GET", "/Users/none").status_code for _ in range(6)]

    assert [number for number, status in enumerate(answers, start=1) if status == 503] == met


def test_random_faults_are_the_same_for_the_same_seed(sandbox: Sandbox) -> None:
    def answers(seed: int) -> list[int]:
        sandbox.faults({"fault": "status", "status": 500, "probability": 0.5, "seed": seed})
        return [sandbox.scim("GET", "/Users/none").status_code for _ in range(20)]

    assert answers(7) == answers(7)
    assert answers(7) != answers(8)


def test_a_fault_can_be_for_one_person_alone(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "status", "status": 500, "contains": "unlucky"})
    assert sandbox.scim("POST", "/Users", user("unlucky")).status_code == 500
    assert sandbox.scim("POST", "/Users", user("lucky")).status_code == 201


def test_the_rules_tell_what_they_met(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "status", "status": 500, "nth": 2})
    for _ in range(3):
        sandbox.scim("GET", "/Users")
    rule = {"fault": "status", "status": 500, "nth": 2, "seen": 3, "met": 1}
    assert sandbox.admin("GET", "/faults") == {"faults": [rule]}


# The faults


def test_delay_before_and_after_the_effect(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "delay", "milliseconds": 300, "method": "GET"})
    sandbox.scim("GET", "/Users")
    assert sandbox.requests()[0]["milliseconds"] >= 300

    name = unused("late")
    sandbox.faults({"fault": "delay", "milliseconds": 1500, "applied": True, "method": "POST"})
    posting = threading.Thread(target=sandbox.scim, args=("POST", "/Users", user(name)))
    posting.start()
    while not there(sandbox, f"{name}@example.com"):
        assert posting.is_alive()
    assert posting.is_alive()
    posting.join()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_error_before_the_effect_leaves_everything_as_it_was(sandbox: Sandbox, status: int) -> None:
    name = unused()
    sandbox.faults({"fault": "status", "status": status})
    answer = sandbox.scim("POST", "/Users", user(name))
    assert (answer.status_code, answer.json()["status"]) == (status, str(status))
    assert not there(sandbox, f"{name}@example.com")


def test_an_error_after_the_effect_hides_that_it_took_place(sandbox: Sandbox) -> None:
    name = unused()
    sandbox.faults({"fault": "status", "status": 502, "applied": True, "body": "html"})
    answer = sandbox.scim("POST", "/Users", user(name))
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert there(sandbox, f"{name}@example.com")


def test_429_says_when_to_come_back_in_seconds_as_a_date_or_not_at_all(sandbox: Sandbox) -> None:
    sandbox.faults(
        {"fault": "status", "status": 429, "retry_after": 2, "nth": 1},
        {"fault": "status", "status": 429, "retry_after": 60, "retry_after_form": "date", "nth": 2},
        {"fault": "status", "status": 429, "nth": 3},
    )
    seconds, date, without = (sandbox.scim("GET", "/Users") for _ in range(3))

    assert seconds.headers["Retry-After"] == "2"
    wait = parsedate_to_datetime(date.headers["Retry-After"]) - datetime.now(UTC)
    assert 59 <= wait.total_seconds() <= 61
    assert "Retry-After" not in without.headers


@pytest.mark.parametrize("applied", [False, True])
def test_a_reset_comes_before_or_after_the_change_took_effect(sandbox: Sandbox, applied: bool) -> None:
    name = unused()
    sandbox.faults({"fault": "reset", "applied": applied})
    with pytest.raises(httpx.NetworkError):
        sandbox.scim("POST", "/Users", user(name))
    sandbox.faults()
    assert there(sandbox, f"{name}@example.com") is applied
    assert (sandbox.requests()[0]["status"], sandbox.requests()[0]["faults"]) == (0, ["reset"])


def test_a_body_is_truncated(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "truncated"})
    answer = sandbox.scim("GET", "/Users")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_body_is_not_json(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "not_json"})
    answer = sandbox.scim("POST", "/Users", user())
    assert (answer.status_code, answer.text[:15]) == (201, "<!doctype html>")


@pytest.mark.parametrize("location", [True, False])
def test_201_without_a_body(sandbox: Sandbox, location: bool) -> None:
    sandbox.faults({"fault": "empty", "location": location})
    answer = sandbox.scim("POST", "/Users", user())
    assert (answer.status_code, answer.content, "Location" in answer.headers) == (201, b"", location)


def test_a_page_repeats_or_omits_a_row(sandbox: Sandbox) -> None:
    for _ in range(3):
        create(sandbox)
    honest = sandbox.scim("GET", "/Users", params={"count": "3"}).json()

    sandbox.faults({"fault": "repeated_row"})
    repeated = sandbox.scim("GET", "/Users", params={"count": "3"}).json()
    assert repeated["Resources"] == [*honest["Resources"], honest["Resources"][0]]

    sandbox.faults({"fault": "omitted_row"})
    omitted = sandbox.scim("GET", "/Users", params={"count": "3"}).json()
    assert omitted["Resources"] == honest["Resources"][:2]
    assert omitted["totalResults"] == honest["totalResults"]


def test_pages_are_smaller_than_asked(sandbox: Sandbox) -> None:
    for _ in range(3):
        create(sandbox)
    sandbox.faults({"fault": "page_cap", "size": 2})
    assert len(sandbox.scim("GET", "/Users", params={"count": "100"}).json()["Resources"]) == 2
    assert len(sandbox.scim("GET", "/Users").json()["Resources"]) == 2
    assert len(sandbox.scim("GET", "/Users", params={"count": "1"}).json()["Resources"]) == 1


def test_a_read_after_a_write_is_stale_for_a_while(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "stale", "milliseconds": 1000})
    before = {each["id"] for each in sandbox.users()}
    new = create(sandbox)

    assert sandbox.scim("GET", f"/Users/{new}").status_code == 404
    assert sandbox.scim("GET", "/Users").json()["totalResults"] == len(before)
    assert new in {each["id"] for each in sandbox.users()}, "an observer sees the truth"

    waiting = 0
    while sandbox.scim("GET", f"/Users/{new}").status_code == 404:
        waiting += 1
        assert waiting < 2000
    assert sandbox.scim("GET", f"/Users/{new}").json()["id"] == new


def test_a_token_stops_working(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "unauthorized", "from": 3})
    answers = [sandbox.scim("GET", "/Users").status_code for _ in range(4)]
    assert answers == [200, 200, 401, 401]


def test_a_group_write_can_fail_half_way_through_a_run(sandbox: Sandbox) -> None:
    first, second = create(sandbox), create(sandbox)
    team = sandbox.scim("POST", "/Groups", group("", first)).json()["id"]
    sandbox.faults({"fault": "status", "status": 500, "method": "PATCH", "path": "/Groups/*", "times": 1})

    assert sandbox.scim("PATCH", f"/Groups/{team}", add_members(second)).status_code == 500
    assert [each["value"] for each in sandbox.scim("GET", f"/Groups/{team}").json()["members"]] == [first]
    assert sandbox.scim("PATCH", f"/Groups/{team}", add_members(second)).status_code == 204


# Rules that can't be


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"fault": "status"}], "rule 1, status: Field required"),
        ([{"fault": "reset"}, {"fault": "delay", "milliseconds": "soon"}], "rule 2, milliseconds: "),
        ([{"fault": "status", "status": 200}], "rule 1, status: Input should be greater than or equal to 400"),
        ([{"fault": "explosion"}], "rule 1: Input tag 'explosion' found using 'fault' does not match any of"),
        ([{"fault": "reset", "mehtod": "GET"}], "rule 1, mehtod: Extra inputs are not permitted"),
        ("reset", "faults: Input should be a valid list"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_number_and_key(sandbox: Sandbox, rules: object, message: str) -> None:
    answer = sandbox.client.put("/admin/faults", json=rules)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_rules_are_added_one_by_one_and_cleared(sandbox: Sandbox) -> None:
    sandbox.admin("POST", "/faults", {"fault": "reset", "nth": 9})
    sandbox.admin("POST", "/faults", [{"fault": "truncated", "nth": 9}])
    assert [rule["fault"] for rule in sandbox.admin("GET", "/faults")["faults"]] == ["reset", "truncated"]
    assert sandbox.admin("DELETE", "/faults") == {"faults": []}


def test_faults_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('[{"fault": "status", "status": 503}]')
    with Sandbox(faults=file) as sandbox:
        assert sandbox.scim("GET", "/Users").status_code == 503


# Guard


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}],
    ids=["another site's page", "another name for this address", "a page without a site"],
)
def test_another_web_site_cannot_use_the_peoples_side(sandbox: Sandbox, headers: dict[str, str]) -> None:
    assert sandbox.client.delete("/admin/requests", headers=headers).status_code == 403
