"""An endpoint with PUT and without PATCH: the refused requests, and the values that a PUT removes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import Sandboxes
from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import GROUP, add_members, group, patch, remove_member, unused, user

OKTA = "okta-style"


@pytest.fixture
def okta(sandboxes: Sandboxes) -> Sandbox:
    return sandboxes(OKTA)


def create(sandbox: Sandbox, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = sandbox.scim("POST", f"/{kind}", body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def test_it_announces_neither_patch_nor_bulk(okta: Sandbox) -> None:
    config = okta.scim("GET", "/ServiceProviderConfig").json()
    assert (config["patch"]["supported"], config["bulk"]["supported"]) == (False, False)
    assert (config["filter"]["supported"], config["etag"]["supported"]) == (True, True)


@pytest.mark.parametrize(("method", "path"), [("POST", "/Bulk"), ("GET", "/Me")])
def test_there_is_no_bulk_and_no_me(okta: Sandbox, method: str, path: str) -> None:
    assert okta.scim(method, path, {}).status_code == 404


@pytest.mark.parametrize("status", [501, 405])
def test_a_patch_is_refused_whatever_it_asks_for(sandboxes: Sandboxes, status: int) -> None:
    okta = sandboxes(OKTA, patch=str(status))
    ada = create(okta, "Users", user())
    team = create(okta, "Groups", group("", ada["id"]))
    for path, body in (
        (f"/Users/{ada['id']}", patch({"op": "replace", "path": "active", "value": False})),
        (f"/Groups/{team['id']}", patch({"op": "replace", "path": "displayName", "value": "Other"})),
        (f"/Groups/{team['id']}", remove_member(ada["id"])),
        (f"/Groups/{team['id']}", add_members(ada["id"])),
    ):
        answer = okta.scim("PATCH", path, body)
        assert (answer.status_code, answer.json()["status"]) == (status, str(status))
        assert answer.headers.get("Allow") == ("DELETE, GET, PUT" if status == 405 else None)
    assert okta.scim("GET", f"/Users/{ada['id']}").json()["active"] is True
    kept = okta.scim("GET", f"/Groups/{team['id']}").json()
    assert (kept["displayName"], [each["value"] for each in kept["members"]]) == (team["displayName"], [ada["id"]])


def test_a_put_of_a_group_without_members_removes_all(okta: Sandbox) -> None:
    ada, bob = create(okta, "Users", user())["id"], create(okta, "Users", user())["id"]
    team = create(okta, "Groups", group("", ada, bob, externalId="key"))
    path = f"/Groups/{team['id']}"
    one = okta.scim("PUT", path, {**group(team["displayName"], bob), "externalId": "key"}).json()
    assert ([each["value"] for each in one["members"]], one["externalId"]) == ([bob], "key")
    none = okta.scim("PUT", path, {"schemas": [GROUP], "displayName": team["displayName"]})
    assert none.status_code == 200
    assert not {"members", "externalId"} & okta.scim("GET", path).json().keys()


def test_a_put_of_a_user_takes_away_what_it_does_not_say(okta: Sandbox) -> None:
    name = unused()
    id_ = create(okta, "Users", user(name, title="Countess"))["id"]
    answer = okta.scim("PUT", f"/Users/{id_}", user(name, nickName="Ada", active=False))
    assert answer.status_code == 200
    assert (answer.json()["nickName"], answer.json()["active"], "title" in answer.json()) == ("Ada", False, False)


def test_a_put_for_another_version_is_412(okta: Sandbox) -> None:
    name = unused()
    created = okta.scim("POST", "/Users", user(name))
    path, version = f"/Users/{created.json()['id']}", {"If-Match": created.headers["ETag"]}
    assert okta.scim("PUT", path, user(name, title="First"), headers=version).status_code == 200
    assert okta.scim("PUT", path, user(name, title="Second"), headers=version).status_code == 412


def test_lists_are_paged_by_index() -> None:
    with Sandbox(OKTA) as okta:
        ids = [create(okta, "Users", user())["id"] for _ in range(3)]
        page = okta.scim("GET", "/Users?startIndex=2&count=1").json()
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (3, 2, 1)
    assert [each["id"] for each in page["Resources"]] == ids[1:2]


def test_filters_know_eq_on_a_few_attributes(okta: Sandbox) -> None:
    name, key = unused(), unused("key")
    ada = create(okta, "Users", user(name, externalId=key))
    team = create(okta, "Groups", group("", ada["id"]))
    for path, text, wanted in (
        ("/Users", f'userName eq "{name}@EXAMPLE.com"', ada),
        ("/Users", f'externalId eq "{key}"', ada),
        ("/Users", f'id eq "{ada["id"]}"', ada),
        ("/Groups", f'displayName eq "{team["displayName"]}"', team),
    ):
        answer = okta.scim("GET", path, params={"filter": text})
        assert [each["id"] for each in answer.json()["Resources"]] == [wanted["id"]]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/Users", 'userName co "a"'),
        ("/Users", 'userName eq "a" and id eq "b"'),
        ("/Users", 'emails.value eq "a@example.com"'),
        ("/Users", "title pr"),
        ("/Groups", 'externalId eq "a"'),
        ("/Groups", 'members.value eq "a"'),
    ],
)
def test_any_other_filter_is_400(okta: Sandbox, path: str, text: str) -> None:
    answer = okta.scim("GET", path, params={"filter": text})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")
