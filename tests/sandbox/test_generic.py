"""Profile generic: RFC 7643 and RFC 7644 over real HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from scim2_client import BaseSyncSCIMClient
from scim2_tester import Status, check_server

from tests.sandbox.conftest import Sandboxes
from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import ENTERPRISE, GROUP, USER, add_members, group, patch, remove_member, unused, user


@pytest.fixture
def sandbox(sandboxes: Sandboxes) -> Sandbox:
    return sandboxes("generic")


def create(sandbox: Sandbox, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = sandbox.scim("POST", "/Users", body or user())
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def create_group(sandbox: Sandbox, *members: str, **more: Any) -> str:
    answer = sandbox.scim("POST", "/Groups", group("", *members, **more))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def members_of(sandbox: Sandbox, id_: str) -> list[str]:
    found = sandbox.scim("GET", f"/Groups/{id_}").json()
    return [member["value"] for member in found.get("members", [])]


def found(sandbox: Sandbox, path: str, text: str) -> list[str]:
    page = sandbox.scim("GET", path, params={"filter": text})
    assert page.status_code == 200, page.text
    return [each["id"] for each in page.json()["Resources"]]


# Conformance


class HttpxClient(BaseSyncSCIMClient):
    """scim2-client over httpx."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self.client = client

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return not endpoint.startswith("http") or endpoint.startswith(str(self.client.base_url))

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def request(self, method: str, url: str, **more: Any) -> httpx.Response:
        return self.client.request(method, url, **more)


@pytest.mark.parametrize(("profile", "checks"), [("generic", 100), ("okta-style", 50)])
def test_scim2_tester_finds_no_error_and_nothing_critical(profile: str, checks: int) -> None:
    with Sandbox(profile) as sandbox:
        bearer = {"Authorization": f"Bearer {sandbox.token}"}
        with httpx.Client(base_url=sandbox.base_url, headers=bearer, trust_env=False) as client:
            results = check_server(HttpxClient(client))
    wrong = [result for result in results if result.status in (Status.ERROR, Status.CRITICAL)]
    assert [(result.title, result.reason) for result in wrong] == []
    assert len(results) > checks


# Tokens and errors


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic sandbox-token"}])
def test_a_missing_or_wrong_token_is_401_with_a_challenge(sandbox: Sandbox, headers: dict[str, str]) -> None:
    answer = sandbox.client.get("/scim/v2/Users", headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (401, "401")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_configuration_needs_no_token(sandbox: Sandbox) -> None:
    assert sandbox.client.get("/scim/v2/ServiceProviderConfig").json()["patch"] == {"supported": True}


def test_the_endpoints_are_also_there_without_the_prefix(sandbox: Sandbox) -> None:
    bearer = {"Authorization": f"Bearer {sandbox.token}"}
    created = create(sandbox)
    answer = sandbox.client.get(f"/Users/{created['id']}", headers=bearer)
    assert answer.json()["meta"]["location"] == f"{sandbox.url}/Users/{created['id']}"


def test_an_error_is_a_scim_error(sandbox: Sandbox) -> None:
    answer = sandbox.scim("GET", "/Users/nobody")
    assert answer.headers["Content-Type"] == "application/scim+json"
    error = answer.json()
    assert (error["schemas"], error["status"]) == (["urn:ietf:params:scim:api:messages:2.0:Error"], "404")


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({"schemas": [USER]}, "invalidValue"),
        ({"userName": "no-schemas"}, "invalidValue"),
        ({"schemas": [USER], "userName": "x", "nonsense": 1}, "invalidSyntax"),
        ({"schemas": [USER], "userName": 7}, "invalidValue"),
    ],
)
def test_a_wrong_body_is_400(sandbox: Sandbox, body: dict[str, Any], scim_type: str) -> None:
    answer = sandbox.scim("POST", "/Users", body)
    assert answer.status_code == 400
    assert answer.json()["scimType"] in (scim_type, "invalidValue", "invalidSyntax")


# Users


def test_a_created_user_has_id_location_and_version(sandbox: Sandbox) -> None:
    answer = sandbox.scim("POST", "/Users", user(unused(), externalId="7"))
    body = answer.json()
    location = f"{sandbox.base_url}/Users/{body['id']}"
    assert (answer.status_code, answer.headers["Location"], body["meta"]["location"]) == (201, location, location)
    assert answer.headers["ETag"] == body["meta"]["version"]
    assert (body["externalId"], body["meta"]["resourceType"]) == ("7", "User")


def test_user_names_are_unique_whatever_their_case(sandbox: Sandbox) -> None:
    name = unused("Straße")
    first = create(sandbox, {"schemas": [USER], "userName": name})
    for taken in (name, name.upper().replace("SS", "ß"), name.lower()):
        answer = sandbox.scim("POST", "/Users", {"schemas": [USER], "userName": taken})
        assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    other = create(sandbox)["id"]
    rename = patch({"op": "replace", "path": "userName", "value": name.lower()})
    assert sandbox.scim("PATCH", f"/Users/{other}", rename).status_code == 409
    assert sandbox.scim("PATCH", f"/Users/{first['id']}", rename).status_code == 204


def test_external_ids_are_not_unique_and_compare_exactly(sandbox: Sandbox) -> None:
    external = unused("Ext-")
    ids = [create(sandbox, user(externalId=external))["id"] for _ in range(2)]
    assert found(sandbox, "/Users", f'externalId eq "{external}"') == ids
    assert found(sandbox, "/Users", f'externalId eq "{external.upper()}"') == []


def test_a_deleted_name_can_be_used_again(sandbox: Sandbox) -> None:
    body = user(unused())
    first = create(sandbox, body)["id"]
    assert sandbox.scim("DELETE", f"/Users/{first}").status_code == 204
    for method in ("GET", "DELETE", "PATCH"):
        body_ = patch({"op": "remove", "path": "title"}) if method == "PATCH" else None
        assert sandbox.scim(method, f"/Users/{first}", body_).status_code == 404
    assert create(sandbox, body)["id"] != first


def test_put_replaces_and_does_not_create(sandbox: Sandbox) -> None:
    body = user(unused(), title="Boss", nickName="Ada")
    id_ = create(sandbox, body)["id"]
    del body["nickName"]
    replaced = sandbox.scim("PUT", f"/Users/{id_}", body).json()
    assert ("nickName" in replaced, replaced["title"]) == (False, "Boss")
    assert sandbox.scim("PUT", "/Users/nobody", user()).status_code == 404


def test_patch_adds_replaces_and_removes(sandbox: Sandbox) -> None:
    id_ = create(sandbox)["id"]
    changed = sandbox.scim(
        "PATCH",
        f"/Users/{id_}?attributes=title,name,active,emails,{ENTERPRISE}:department",
        patch(
            {"op": "Add", "path": "title", "value": "Boss"},
            {"op": "replace", "path": "name.givenName", "value": "Ada"},
            {"op": "replace", "value": {"active": False}},
            {"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@example.com"},
            {"op": "add", "path": f"{ENTERPRISE}:department", "value": "Engineering"},
        ),
    ).json()
    assert changed["title"] == "Boss"
    assert changed["name"] == {"givenName": "Ada"}
    assert changed["active"] is False
    assert changed["emails"][0]["value"] == "new@example.com"
    assert changed[ENTERPRISE] == {"department": "Engineering"}
    sandbox.scim("PATCH", f"/Users/{id_}", patch({"op": "remove", "path": "title"}))
    assert "title" not in sandbox.scim("GET", f"/Users/{id_}").json()


def test_patch_is_all_or_nothing(sandbox: Sandbox) -> None:
    id_ = create(sandbox)["id"]
    half = patch({"op": "add", "path": "title", "value": "Boss"}, {"op": "replace", "path": "id", "value": "mine"})
    assert sandbox.scim("PATCH", f"/Users/{id_}", half).status_code == 400
    assert "title" not in sandbox.scim("GET", f"/Users/{id_}").json()


@pytest.mark.parametrize(("answer", "status"), [("anything", 201), ("existing", 400)])
def test_whether_a_manager_must_exist(sandboxes: Sandboxes, answer: str, status: int) -> None:
    sandbox = sandboxes("generic", manager=answer)
    boss = create(sandbox)["id"]
    extension = {"schemas": [USER, ENTERPRISE]}
    nobody = user(**{**extension, ENTERPRISE: {"manager": {"value": "nobody"}}})
    assert sandbox.scim("POST", "/Users", nobody).status_code == status
    somebody = user(**{**extension, ENTERPRISE: {"manager": {"value": boss}}})
    report = create(sandbox, somebody)
    assert report[ENTERPRISE]["manager"] == {"value": boss}
    sandbox.scim("DELETE", f"/Users/{boss}")
    assert "manager" not in sandbox.scim("GET", f"/Users/{report['id']}").json().get(ENTERPRISE, {})


# Groups


def test_members_are_linked_to_users_and_groups_is_read_only(sandbox: Sandbox) -> None:
    person = create(sandbox)["id"]
    name = unused("Team ")
    team = sandbox.scim("POST", "/Groups", group(name, person)).json()
    assert team["members"] == [{"value": person, "$ref": f"{sandbox.base_url}/Users/{person}", "type": "User"}]
    shown = sandbox.scim("GET", f"/Users/{person}").json()["groups"]
    url = f"{sandbox.base_url}/Groups/{team['id']}"
    assert shown == [{"value": team["id"], "$ref": url, "type": "direct", "display": name}]
    leave = patch({"op": "remove", "path": "groups"})
    assert sandbox.scim("PATCH", f"/Users/{person}", leave).status_code == 400
    body = {**sandbox.scim("GET", f"/Users/{person}").json(), "groups": []}
    assert sandbox.scim("PUT", f"/Users/{person}", body).status_code == 200
    assert members_of(sandbox, team["id"]) == [person]


def test_a_deleted_user_leaves_its_groups(sandbox: Sandbox) -> None:
    stays, goes = create(sandbox)["id"], create(sandbox)["id"]
    team = create_group(sandbox, stays, goes)
    sandbox.scim("DELETE", f"/Users/{goes}")
    assert members_of(sandbox, team) == [stays]


@pytest.mark.parametrize(
    ("operations", "left"),
    [
        ([{"op": "add", "path": "members", "value": [{"value": "C"}]}], "ABC"),
        ([{"op": "add", "path": "members", "value": [{"value": "A"}, {"value": "A"}]}], "AB"),
        ([{"op": "add", "path": "members", "value": {"value": "C"}}], "ABC"),
        ([{"op": "add", "value": {"members": [{"value": "C", "display": "x", "type": "User"}]}}], "ABC"),
        ([{"op": "Add", "path": f"{GROUP}:members", "value": [{"value": "C"}]}], "ABC"),
        ([{"op": "replace", "path": "members", "value": [{"value": "C"}]}], "C"),
        ([{"op": "replace", "path": "members", "value": []}], ""),
        ([{"op": "replace", "value": {"displayName": "Renamed", "members": [{"value": "B"}]}}], "B"),
        ([{"op": "remove", "path": "members"}], ""),
        ([{"op": "remove", "path": 'members[value eq "A"]'}], "B"),
        ([{"op": "REMOVE", "path": 'MEMBERS[ value EQ "A" ]'}], "B"),
        ([{"op": "remove", "path": 'members[value eq "C"]'}], "AB"),
        ([{"op": "remove", "path": 'members[value eq "A" or value eq "B"]'}], ""),
        ([{"op": "remove", "path": 'members[type eq "User"]'}], ""),
        (
            [
                {"op": "remove", "path": 'members[value eq "A"]'},
                {"op": "add", "path": "members", "value": [{"value": "C"}]},
                {"op": "replace", "path": "displayName", "value": "Renamed"},
            ],
            "BC",
        ),
    ],
)
def test_patch_of_members(sandbox: Sandbox, operations: list[dict[str, Any]], left: str) -> None:
    ids = {letter: create(sandbox)["id"] for letter in "ABC"}
    team = create_group(sandbox, ids["A"], ids["B"])
    body = patch(*operations)
    text = httpx.Request("PATCH", "http://x", json=body).content.decode()
    for letter, id_ in ids.items():
        text = text.replace(f'"{letter}"', f'"{id_}"').replace(f'\\"{letter}\\"', f'\\"{id_}\\"')
    headers = {"Authorization": f"Bearer {sandbox.token}", "Content-Type": "application/scim+json"}
    answer = sandbox.client.patch(f"/scim/v2/Groups/{team}", content=text, headers=headers)

    assert answer.status_code == 204, answer.text
    assert members_of(sandbox, team) == [ids[letter] for letter in left]
    renamed = sandbox.scim("GET", f"/Groups/{team}").json()["displayName"] == "Renamed"
    assert renamed is ("Renamed" in text)


def test_removing_members_by_a_list_of_values_is_no_form_of_the_rfc(sandbox: Sandbox) -> None:
    person = create(sandbox)["id"]
    team = create_group(sandbox, person)
    listed = patch({"op": "remove", "path": "members", "value": [{"value": person}]})
    assert sandbox.scim("PATCH", f"/Groups/{team}", listed).status_code == 400
    assert members_of(sandbox, team) == [person]


def test_a_member_that_nobody_is_refuses_the_whole_request(sandbox: Sandbox) -> None:
    person = create(sandbox)["id"]
    team = create_group(sandbox)
    assert sandbox.scim("PATCH", f"/Groups/{team}", add_members(person, "nobody")).status_code == 400
    assert sandbox.scim("PATCH", f"/Groups/{team}", add_members(person, team)).status_code == 400
    assert members_of(sandbox, team) == []


def test_groups_nest(sandbox: Sandbox) -> None:
    inner = create_group(sandbox)
    outer = create_group(sandbox, inner)
    assert sandbox.scim("GET", f"/Groups/{outer}").json()["members"][0]["type"] == "Group"


def test_put_of_a_group_without_members_removes_them(sandbox: Sandbox) -> None:
    team = create_group(sandbox, create(sandbox)["id"])
    sandbox.scim("PUT", f"/Groups/{team}", {"schemas": [GROUP], "displayName": "Empty"})
    assert members_of(sandbox, team) == []


# Filters, sorting, pages, attributes


def test_filters_find_people_by_what_identifies_them(sandbox: Sandbox) -> None:
    name = unused("Look.Up+")
    one = create(sandbox, user(name, title="Boss", externalId=name))
    for text in (
        f'userName eq "{one["userName"].upper()}"',
        f'emails eq "{one["userName"]}"',
        f'emails.value eq "{one["userName"].upper()}"',
        f'emails[value eq "{one["userName"]}" and type eq "work"]',
        f'id eq "{one["id"]}"',
        f'externalId eq "{name}" and active eq true',
        f'{USER}:userName eq "{one["userName"]}"',
        f'userName sw "{name[:-1].lower()}" and title eq "boss"',
        f'not (userName ne "{one["userName"]}")',
    ):
        assert found(sandbox, "/Users", text) == [one["id"]], text
    for text in (
        f'emails[value eq "{one["userName"]}" and type eq "home"]',
        f'id eq "{one["id"].upper()}"',
        f'userName eq "{one["userName"]}" and title eq "Clerk"',
        r'userName eq "\" or userName pr"',
    ):
        assert found(sandbox, "/Users", text) == [], text


def test_filters_find_groups_by_name_and_members(sandbox: Sandbox) -> None:
    person = create(sandbox)["id"]
    name = unused("Find ")
    team = sandbox.scim("POST", "/Groups", group(name, person)).json()["id"]
    for text in (f'displayName eq "{name.lower()}"', f'members eq "{person}"', f'members.value eq "{person}"'):
        assert found(sandbox, "/Groups", text) == [team]
    assert found(sandbox, "/Users", f'groups.value eq "{team}"') == [person]


@pytest.mark.parametrize("text", ["nonsense", "userName eq", 'colour eq "red"', "active gt true", 'userName eq "a'])
def test_a_wrong_filter_is_400(sandbox: Sandbox, text: str) -> None:
    answer = sandbox.scim("GET", "/Users", params={"filter": text})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


def test_pages_are_complete_and_in_a_stable_order() -> None:
    with Sandbox() as sandbox:
        ids = [create(sandbox)["id"] for _ in range(7)]
        seen: list[str] = []
        for start in (1, 4, 7, 10):
            page = sandbox.scim("GET", "/Users", params={"startIndex": str(start), "count": "3"}).json()
            assert (page["totalResults"], page["startIndex"]) == (7, start)
            assert page["itemsPerPage"] == len(page["Resources"])
            seen += [each["id"] for each in page["Resources"]]
        assert seen == ids
        assert sandbox.scim("GET", "/Users", params={"count": "0"}).json()["Resources"] == []


def test_sorting(sandbox: Sandbox) -> None:
    for letter in "bca":
        create(sandbox, user(unused(letter), title="Sorted"))
    query = {"filter": 'title eq "Sorted"', "sortBy": "userName", "sortOrder": "descending"}
    page = sandbox.scim("GET", "/Users", params=query).json()
    assert [each["userName"][0] for each in page["Resources"]] == ["c", "b", "a"]


def test_attributes_select_and_exclude(sandbox: Sandbox) -> None:
    id_ = create(sandbox, user(title="Boss"))["id"]
    only = sandbox.scim("GET", f"/Users/{id_}", params={"attributes": "userName,emails.value"}).json()
    assert only.keys() == {"schemas", "id", "userName", "emails"}
    assert [*only["emails"][0]] == ["value"]
    fewer = sandbox.scim("GET", f"/Users/{id_}", params={"excludedAttributes": "title,id"}).json()
    assert ("title" in fewer, "id" in fewer) == (False, True)


def test_search_with_post_and_at_the_root(sandbox: Sandbox) -> None:
    person = create(sandbox)
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": f'id eq "{person["id"]}"',
    }
    for path in ("/Users/.search", "/.search"):
        page = sandbox.scim("POST", path, body).json()
        assert [each["id"] for each in page["Resources"]] == [person["id"]]


# Versions


def test_versions_change_with_the_resource_and_only_then(sandbox: Sandbox) -> None:
    id_ = create(sandbox)["id"]
    path = f"/Users/{id_}"
    first = sandbox.scim("GET", path).headers["ETag"]
    title = patch({"op": "replace", "path": "title", "value": "Boss"})
    second = sandbox.scim("PATCH", path, title).headers["ETag"]
    same = sandbox.scim("PATCH", path, title).headers["ETag"]
    assert (first != second, second == same) == (True, True)
    assert sandbox.scim("GET", path, headers={"If-None-Match": second}).status_code == 304
    assert sandbox.scim("GET", path, headers={"If-None-Match": first}).status_code == 200
    stale = {"If-Match": first}
    assert sandbox.scim("PATCH", path, title, headers=stale).status_code == 412
    assert sandbox.scim("PUT", path, user(), headers=stale).status_code == 412
    assert sandbox.scim("DELETE", path, headers=stale).status_code == 412
    assert sandbox.scim("DELETE", path, headers={"If-Match": second}).status_code == 204


def test_a_group_has_a_new_version_when_its_members_change(sandbox: Sandbox) -> None:
    person = create(sandbox)["id"]
    path = f"/Groups/{create_group(sandbox)}"
    versions = [sandbox.scim("GET", path).headers["ETag"]]
    changes = (add_members(person), add_members(person), remove_member(person), remove_member(person))
    versions += [sandbox.scim("PATCH", path, body).headers["ETag"] for body in changes]
    first, added, again, removed, gone = versions
    assert (added == again, removed == gone, len({first, added, removed})) == (True, True, 3)
    condition = {"If-Match": first}
    assert sandbox.scim("PATCH", path, add_members(person), headers=condition).status_code == 412
    assert members_of(sandbox, path.removeprefix("/Groups/")) == []


# Bulk


def test_bulk_creates_a_user_and_the_group_that_refers_to_it(sandbox: Sandbox) -> None:
    name = unused("Bulk ")
    answer = sandbox.scim(
        "POST",
        "/Bulk",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "ada", "data": user()},
                {"method": "POST", "path": "/Users", "bulkId": "bad", "data": {"schemas": [USER]}},
                {"method": "POST", "path": "/Groups", "bulkId": "team", "data": group(name, "bulkId:ada")},
            ],
        },
    ).json()
    assert [each["status"] for each in answer["Operations"]] == ["201", "400", "201"]
    team = found(sandbox, "/Groups", f'displayName eq "{name}"')[0]
    assert members_of(sandbox, team) == [answer["Operations"][0]["location"].rpartition("/")[2]]
