"""Every sentence of AWS's SCIM developer guide that speaks of behaviour, and both readings of its open points."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import Sandboxes
from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import ENTERPRISE, GROUP, add_members, group, patch, remove_member, unused, user

AWS = "aws-identity-center"
Json = dict[str, Any]


@pytest.fixture
def aws(sandboxes: Sandboxes) -> Sandbox:
    return sandboxes(AWS)


def person(name: str = "", **more: Any) -> Json:
    """Return a creation request with all that AWS requires."""
    name = name or unused()
    return user(name) | {"displayName": name, "name": {"givenName": "Ada", "familyName": "Lovelace"}} | more


def create(sandbox: Sandbox, **more: Any) -> Json:
    answer = sandbox.scim("POST", "/Users", person(**more))
    assert answer.status_code == 201, answer.text
    created: Json = answer.json()
    return created


def create_group(sandbox: Sandbox, *members: str, **more: Any) -> str:
    answer = sandbox.scim("POST", "/Groups", group("", *members, **more))
    assert answer.status_code == 201, answer.text
    id_: str = answer.json()["id"]
    return id_


def found(sandbox: Sandbox, path: str, text: str) -> list[str]:
    answer = sandbox.scim("GET", path, params={"filter": text})
    assert answer.status_code == 200, answer.text
    return [resource["id"] for resource in answer.json()["Resources"]]


def members_of(sandbox: Sandbox, id_: str) -> list[str]:
    return found(sandbox, "/Users", f'groups.value eq "{id_}"')


def change(sandbox: Sandbox, path: str, *operations: Json) -> httpx.Response:
    return sandbox.scim("PATCH", path, patch(*operations))


def removal(*members: str) -> Json:
    return {"op": "remove", "path": "members", "value": [{"value": member} for member in members]}


@pytest.fixture(scope="module")
def crowd(sandboxes: Sandboxes) -> list[str]:
    """The ids of 101 people of a sandbox that has nobody else, and no test adds to."""
    return [create(sandboxes(AWS, total_results="page"))["id"] for _ in range(101)]


# What there is


def test_it_announces_patch_and_filters_and_no_cursors(aws: Sandbox) -> None:
    config = aws.scim("GET", "/ServiceProviderConfig").json()
    assert config["patch"] == {"supported": True}
    assert config["filter"] == {"supported": True, "maxResults": 100}
    assert config["bulk"]["supported"] is False
    assert config["etag"] == config["sort"] == config["changePassword"] == {"supported": False}
    assert "pagination" not in config


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/Bulk"), ("GET", "/Me"), ("POST", "/.search"), ("POST", "/Users/.search")]
)
def test_what_the_guide_does_not_list_is_404(aws: Sandbox, method: str, path: str) -> None:
    assert aws.scim(method, path).status_code == 404


@pytest.mark.parametrize("path", ["/Schemas", "/ResourceTypes"])
def test_schemas_and_resource_types_are_there(aws: Sandbox, path: str) -> None:
    assert aws.scim("GET", path).status_code == 200


@pytest.mark.parametrize("status", [501, 405])
def test_a_group_takes_no_put(sandboxes: Sandboxes, status: int) -> None:
    sandbox = sandboxes(AWS, put_group=str(status))
    id_ = create_group(sandbox)
    answer = sandbox.scim("PUT", f"/Groups/{id_}", group("Other"))
    assert (answer.status_code, answer.json()["status"]) == (status, str(status))
    assert sandbox.scim("GET", f"/Groups/{id_}").json()["displayName"] != "Other"


def test_a_user_takes_put_and_is_replaced(aws: Sandbox) -> None:
    created = create(aws, title="Engineer")
    answer = aws.scim("PUT", f"/Users/{created['id']}", person(created["displayName"], nickName="Countess"))
    assert (answer.status_code, answer.json()["nickName"]) == (200, "Countess")
    assert "title" not in answer.json()


def test_there_are_no_etags_and_no_locations(aws: Sandbox) -> None:
    created = aws.scim("POST", "/Users", person())
    assert set(created.json()["meta"]) == {"resourceType", "created", "lastModified"}
    changed = change(aws, f"/Users/{created.json()['id']}", {"op": "add", "path": "title", "value": "Countess"})
    renamed = change(aws, f"/Groups/{create_group(aws)}", {"op": "replace", "path": "externalId", "value": unused()})
    for answer in (created, changed, renamed):
        assert not {"etag", "location", "content-location"} & set(answer.headers)


# Errors


def test_an_error_has_a_schema_besides_schemas_and_a_request_id(aws: Sandbox) -> None:
    answer = aws.scim("GET", "/Users/nobody")
    error = answer.json()
    assert answer.status_code == 404
    assert error["schema"] == error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert error["status"] == "404"
    assert re.fullmatch(r"[0-9a-f-]{36}", error["exceptionRequestId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", error["timeStamp"])
    assert "scimType" not in error


def test_a_wrong_token_is_401_in_the_same_form(aws: Sandbox) -> None:
    answer = aws.scim("GET", "/Users", token="wrong")
    assert (answer.status_code, answer.json()["status"]) == (401, "401")
    assert "exceptionRequestId" in answer.json()


@pytest.mark.parametrize("applied", [False, True])
def test_throttling_is_rehearsed_with_a_fault(aws: Sandbox, applied: bool) -> None:
    aws.faults({"fault": "status", "status": 429, "retry_after": 1, "times": 1, "applied": applied})
    throttled = aws.scim("GET", "/Users")
    assert (throttled.status_code, throttled.json()["status"]) == (429, "429")
    assert "exceptionRequestId" in throttled.json()
    assert aws.scim("GET", "/Users").status_code == 200


# Users


@pytest.mark.parametrize("missing", ["userName", "displayName", "givenName", "familyName"])
def test_a_user_needs_their_names(aws: Sandbox, missing: str) -> None:
    body = person()
    body.pop(missing, None)
    body["name"].pop(missing, None)
    answer = aws.scim("POST", "/Users", body)
    assert answer.status_code == 400
    assert missing in answer.json()["detail"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"emails": [{"value": "a@example.com", "primary": True}, {"value": "b@example.com"}]},
        {"phoneNumbers": [{"value": "1"}, {"value": "2"}]},
        {"addresses": [{"locality": "London"}, {"locality": "Paris"}]},
        {"emails": [{"value": "a@example.com"}]},
        {"groups": []},
    ],
)
def test_a_user_has_one_value_of_a_kind_the_primary_email_and_no_groups(aws: Sandbox, wrong: Json) -> None:
    assert aws.scim("POST", "/Users", person(**wrong)).status_code == 400
    created = create(aws)
    assert aws.scim("PUT", f"/Users/{created['id']}", person(created["displayName"], **wrong)).status_code == 400


@pytest.mark.parametrize(
    "unsupported",
    [
        {"password": "long enough"},
        {"photos": [{"value": "https://example.com/ada.png"}]},
        {"ims": [{"value": "ada"}]},
        {"emails": [{"value": "a@example.com", "primary": True, "display": "Ada"}]},
    ],
)
def test_what_is_not_supported_is_refused_or_ignored(sandboxes: Sandboxes, unsupported: Json) -> None:
    assert sandboxes(AWS).scim("POST", "/Users", person(**unsupported)).status_code == 400
    ignoring = create(sandboxes(AWS, unsupported="ignored"), **unsupported)
    assert not {"password", "photos", "ims"} & ignoring.keys()
    assert "display" not in ignoring["emails"][0]


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_names_and_external_ids_are_nobody_elses(aws: Sandbox, kind: str) -> None:
    def body(name: str, external_id: str) -> Json:
        return person(name, externalId=external_id) if kind == "Users" else group(name, externalId=external_id)

    name, external_id = unused("Name"), unused("key")
    assert aws.scim("POST", f"/{kind}", body(name, external_id)).status_code == 201
    for taken in (body(name.upper(), unused("key")), body(unused("Name"), external_id)):
        answer = aws.scim("POST", f"/{kind}", taken)
        assert (answer.status_code, answer.json()["status"]) == (409, "409")
        assert answer.json()["detail"] == "Refused to create a new, duplicate resource."
    assert aws.scim("POST", f"/{kind}", body(unused("Name"), external_id.upper())).status_code == 201


def test_a_user_without_external_id_is_no_duplicate_of_another(aws: Sandbox) -> None:
    assert create(aws)["id"] != create(aws)["id"]


def test_a_patch_of_a_user_answers_with_the_user(aws: Sandbox) -> None:
    id_ = create(aws, title="Engineer")["id"]
    answer = change(
        aws,
        f"/Users/{id_}",
        {"op": "replace", "path": "name.givenName", "value": "Augusta"},
        {"op": "remove", "path": "title"},
        {"op": "add", "path": f"{ENTERPRISE}:department", "value": "R&D"},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "augusta@example.com"},
        {"op": "replace", "path": "active", "value": False},
    )
    changed = answer.json()
    assert (answer.status_code, changed["name"]["givenName"], changed["active"]) == (200, "Augusta", False)
    assert changed[ENTERPRISE] == {"department": "R&D"}
    assert [email["value"] for email in changed["emails"]] == ["augusta@example.com"]
    assert "title" not in changed


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "remove", "path": "userName"}],
        [{"op": "remove", "path": "active"}],
        [{"op": "replace", "path": "active", "value": False}, {"op": "replace", "path": "active", "value": True}],
        [{"op": "replace", "value": {"userName": "x"}}, {"op": "replace", "path": "userName", "value": "y"}],
        [{"op": "remove"}],
        [{"op": "remove", "value": {"title": "x"}}],
        [{"op": "remove", "path": "displayName"}],
        [{"op": "remove", "path": "name.familyName"}],
        [{"op": "add", "path": "emails", "value": [{"value": "second@example.com", "type": "home"}]}],
        [{"op": "replace", "path": "emails", "value": [{"value": "unmarked@example.com"}]}],
        [{"op": "replace", "path": "roles", "value": [{"value": "admin"}]}],
        [{"op": "replace", "path": "password", "value": "long enough"}],
        [{"op": "replace", "value": {"title": "T", "nickName": "N"}}],
    ],
)
def test_a_patch_that_the_guide_excludes_is_400_and_changes_nothing(aws: Sandbox, operations: list[Json]) -> None:
    id_ = create(aws)["id"]
    before = aws.scim("GET", f"/Users/{id_}").json()
    answer = change(aws, f"/Users/{id_}", {"op": "replace", "path": "locale", "value": "en-GB"}, *operations)
    assert (answer.status_code, answer.json()["status"]) == (400, "400")
    assert aws.scim("GET", f"/Users/{id_}").json() == before


@pytest.mark.parametrize(
    "operation",
    [
        {"path": "active"},
        {"op": "replace", "path": 7, "value": 7},
        {"op": 7, "path": "active", "value": 7},
        {"op": "replace", "value": {"title": None, "": None}},
        {"op": "tidy", "path": "members", "value": [{"value": "x"}]},
        {"op": "add", "path": "members", "value": 7},
        {"op": "remove", "path": "members", "value": "x"},
        {"op": "add", "path": "members[", "value": "x"},
        "remove",
        None,
    ],
)
@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_an_operation_that_is_none_is_400(aws: Sandbox, kind: str, operation: Any) -> None:
    id_ = create(aws)["id"] if kind == "Users" else create_group(aws)
    assert change(aws, f"/{kind}/{id_}", operation).status_code == 400


def test_a_patch_without_a_path_changes_one_attribute(aws: Sandbox) -> None:
    id_ = create(aws)["id"]
    path = f"/Users/{id_}"
    one = change(aws, path, {"op": "replace", "value": {"active": False}}, {"op": "add", "value": {"title": "T"}})
    assert (one.status_code, one.json()["active"], one.json()["title"]) == (200, False, "T")
    for wrong in (
        {"op": "replace", "value": {"title": "T", "nickName": "N"}},
        {"op": "remove", "value": {"title": "T"}},
        {"op": "replace", "value": "T"},
    ):
        answer = change(aws, path, wrong)
        assert answer.status_code == 400
        assert answer.json()["detail"] == (
            'Current PATCH support allows omitting "path" attribute only for Add and Replace operations '
            "modifying a single attribute."
        )


# Groups


def test_a_group_never_shows_its_members(aws: Sandbox) -> None:
    ada, bob = create(aws)["id"], create(aws)["id"]
    created = aws.scim("POST", "/Groups", group("", ada)).json()
    assert created.get("members", []) == []
    assert change(aws, f"/Groups/{created['id']}", *add_members(bob)["Operations"]).status_code == 204
    assert aws.scim("GET", f"/Groups/{created['id']}").json()["members"] == []
    listed = {each["id"]: each["members"] for each in aws.groups()}
    assert listed[created["id"]] == []
    assert members_of(aws, created["id"]) == [ada, bob]


def test_a_user_does_not_show_their_groups(aws: Sandbox) -> None:
    ada = create(aws)["id"]
    create_group(aws, ada)
    assert "groups" not in aws.scim("GET", f"/Users/{ada}").json()


def test_members_are_removed_by_a_list_of_values(aws: Sandbox) -> None:
    ada, bob, eve = (create(aws)["id"] for _ in range(3))
    id_ = create_group(aws, ada, bob, eve)
    assert change(aws, f"/Groups/{id_}", removal(ada, eve)).status_code == 204
    assert members_of(aws, id_) == [bob]


def test_members_are_removed_by_a_path_with_a_filter_only_where_that_is_understood(sandboxes: Sandboxes) -> None:
    for answer, status, left in (("refused", 400, 2), ("accepted", 204, 1)):
        sandbox = sandboxes(AWS, member_paths=answer)
        ada, bob = create(sandbox)["id"], create(sandbox)["id"]
        id_ = create_group(sandbox, ada, bob)
        assert sandbox.scim("PATCH", f"/Groups/{id_}", remove_member(ada)).status_code == status
        assert members_of(sandbox, id_) == [ada, bob][-left:]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "members"},
        {"op": "Remove", "path": "Members", "value": []},
        {"op": "replace", "path": "members", "value": []},
        {"op": "replace", "path": "members", "value": [{"value": "x"}]},
        {"op": "replace", "value": {"members": []}},
        {"op": "remove", "path": f"{GROUP}:members"},
        {"op": "add", "value": {"displayName": "Other", "members": []}},
        {"op": "replace", "path": "title", "value": "x"},
    ],
)
def test_all_members_are_never_replaced_or_removed(aws: Sandbox, operation: Json) -> None:
    ada = create(aws)["id"]
    id_ = create_group(aws, ada)
    name = aws.scim("GET", f"/Groups/{id_}").json()["displayName"]
    renamed = {"op": "replace", "path": "displayName", "value": unused("Renamed ")}
    assert change(aws, f"/Groups/{id_}", renamed, operation).status_code == 400
    assert members_of(aws, id_) == [ada]
    assert aws.scim("GET", f"/Groups/{id_}").json()["displayName"] == name


def test_a_group_is_renamed_as_the_guide_shows_it(aws: Sandbox) -> None:
    id_, name = create_group(aws, externalId=unused("key")), unused("Renamed ")
    assert (
        change(aws, f"/Groups/{id_}", {"op": "replace", "value": {"id": id_, "displayName": name}}).status_code == 204
    )
    key = unused("key")
    by_urn = {"op": "replace", "path": f"{GROUP}:externalId", "value": key}
    assert change(aws, f"/Groups/{id_}", by_urn).status_code == 204
    renamed = aws.scim("GET", f"/Groups/{id_}").json()
    assert (renamed["displayName"], renamed["externalId"]) == (name, key)


def test_one_unknown_member_is_404_for_the_whole_request(aws: Sandbox) -> None:
    ada, nested = create(aws)["id"], create_group(aws)
    id_ = create_group(aws)
    name = aws.scim("GET", f"/Groups/{id_}").json()["displayName"]
    renamed = {"op": "replace", "path": "displayName", "value": unused("Renamed ")}
    for nobody in ("nobody", nested):
        answer = change(aws, f"/Groups/{id_}", renamed, *add_members(ada, nobody)["Operations"])
        assert (answer.status_code, answer.json()["status"]) == (404, "404")
        assert aws.scim("POST", "/Groups", group("", ada, nobody)).status_code == 404
    assert members_of(aws, id_) == []
    assert aws.scim("GET", f"/Groups/{id_}").json()["displayName"] == name


def test_a_request_changes_100_memberships_at_most(sandboxes: Sandboxes, crowd: list[str]) -> None:
    sandbox = sandboxes(AWS, total_results="page")
    id_ = create_group(sandbox)
    path = f"/Groups/{id_}"
    assert sandbox.scim("PATCH", path, add_members(*crowd)).status_code == 400
    both = [*add_members(*crowd[:99])["Operations"], removal(crowd[99], crowd[100])]
    assert change(sandbox, path, *both).status_code == 400
    assert sandbox.scim("PATCH", path, add_members(*crowd[:100])).status_code == 204
    assert sandbox.scim("PATCH", path, add_members(crowd[100])).status_code == 204
    assert change(sandbox, path, removal(*crowd)).status_code == 400
    assert change(sandbox, path, removal(*crowd[:100])).status_code == 204
    assert members_of(sandbox, id_) == [crowd[100]]


def test_a_group_is_created_with_100_members_at_most(sandboxes: Sandboxes, crowd: list[str]) -> None:
    sandbox = sandboxes(AWS, total_results="page")
    assert sandbox.scim("POST", "/Groups", group("", *crowd)).status_code == 400
    assert sandbox.scim("POST", "/Groups", group("", *crowd[:100])).status_code == 201


# Lists


def test_a_list_without_a_cursor_is_one_page_of_100(sandboxes: Sandboxes, crowd: list[str]) -> None:
    sandbox = sandboxes(AWS, total_results="page")
    first = sandbox.scim("GET", "/Users").json()
    assert [each["id"] for each in first["Resources"]] == crowd[:100]
    assert (first["totalResults"], first["itemsPerPage"], first["startIndex"]) == (100, 100, 1)
    again = sandbox.scim("GET", "/Users?startIndex=101&count=3").json()
    assert [each["id"] for each in again["Resources"]] == crowd[:3]
    assert (again["startIndex"], "nextCursor" in again) == (1, False)


def test_what_total_results_counts_without_a_cursor_can_be_chosen(aws: Sandbox) -> None:
    everybody = {create(aws)["id"], create(aws)["id"]} | {each["id"] for each in aws.users()}
    page = aws.scim("GET", "/Users?count=1").json()
    assert (page["totalResults"], len(page["Resources"])) == (len(everybody), 1)


def test_a_cursor_leads_through_all_pages(sandboxes: Sandboxes, crowd: list[str]) -> None:
    sandbox = sandboxes(AWS, total_results="page")
    first = sandbox.scim("GET", "/Users?cursor").json()
    assert set(first) == {"schemas", "itemsPerPage", "nextCursor", "Resources"}
    assert (first["itemsPerPage"], [each["id"] for each in first["Resources"]]) == (100, crowd[:100])
    assert re.fullmatch(r"[-a-zA-Z0-9+=/:_]+", first["nextCursor"])
    last = sandbox.scim("GET", "/Users", params={"cursor": first["nextCursor"]}).json()
    assert set(last) == {"schemas", "itemsPerPage", "Resources"}
    assert (last["itemsPerPage"], [each["id"] for each in last["Resources"]]) == (1, crowd[100:])


def test_a_filter_is_paged_by_cursor_too(aws: Sandbox) -> None:
    members = [create(aws)["id"] for _ in range(5)]
    create(aws)
    query = {"filter": f'groups.value eq "{create_group(aws, *members)}"', "count": "2"}
    pages, cursor = [], ""
    while cursor is not None:
        page = aws.scim("GET", "/Users", params={**query, "cursor": cursor}).json()
        pages.append([each["id"] for each in page["Resources"]])
        cursor = page.get("nextCursor")
    assert pages == [members[:2], members[2:4], members[4:]]


def test_nobody_is_skipped_when_somebody_on_an_earlier_page_is_deleted(aws: Sandbox) -> None:
    members = [create(aws)["id"] for _ in range(4)]
    query = {"filter": f'groups.value eq "{create_group(aws, *members)}"', "count": "2"}
    first = aws.scim("GET", "/Users", params={**query, "cursor": ""}).json()
    assert aws.scim("DELETE", f"/Users/{members[0]}").status_code == 204
    second = aws.scim("GET", "/Users", params={**query, "cursor": first["nextCursor"]}).json()
    assert [each["id"] for each in second["Resources"]] == members[2:]


def test_a_cursor_that_was_not_given_is_400(sandboxes: Sandboxes, crowd: list[str]) -> None:
    sandbox = sandboxes(AWS, total_results="page")
    given = sandbox.scim("GET", "/Users?cursor&count=1").json()["nextCursor"]
    # A client that doesn't percent-encode sends a space for each plus.
    for wrong in ("nonsense", "7", given[:-4], given.replace("+", " "), f"{given}="):
        assert sandbox.scim("GET", "/Users", params={"cursor": wrong}).status_code == 400
    assert sandbox.scim("GET", "/Groups", params={"cursor": given}).status_code == 400
    unencoded = sandbox.client.get(
        f"/scim/v2/Users?cursor={given}", headers={"Authorization": f"Bearer {sandbox.token}"}
    )
    assert unencoded.status_code == 400


@pytest.mark.parametrize("count", ["0", "101", "-1", "many", ""])
def test_a_count_is_from_1_to_100(aws: Sandbox, count: str) -> None:
    assert aws.scim("GET", "/Users", params={"count": count}).status_code == 400
    assert aws.scim("GET", "/Groups", params={"count": count, "cursor": ""}).status_code == 400


def test_attributes_and_excluded_attributes_do_nothing(aws: Sandbox) -> None:
    id_ = create(aws, title="Countess")["id"]
    whole = aws.scim("GET", f"/Users/{id_}").json()
    for query in ("attributes=userName", "excludedAttributes=title"):
        assert aws.scim("GET", f"/Users/{id_}?{query}").json() == whole
        listed = aws.scim("GET", f'/Users?{query}&filter=id eq "{id_}"').json()
        assert listed["Resources"] == [whole]


# Filters


def test_users_are_found_by_what_the_guide_lists(aws: Sandbox) -> None:
    ada = create(aws, externalId=unused("key"))
    bob = create(aws, **{ENTERPRISE: {"manager": {"value": ada["id"]}}})["id"]
    id_ = create_group(aws, bob)
    assert found(aws, "/Users", f'userName eq "{ada["userName"].upper()}"') == [ada["id"]]
    assert found(aws, "/Users", f'externalId eq "{ada["externalId"]}"') == [ada["id"]]
    assert found(aws, "/Users", f'id eq "{bob}"') == [bob]
    assert found(aws, "/Users", f'manager eq "{ada["id"]}"') == [bob]
    assert found(aws, "/Users", f'id eq "{bob}" and manager eq "{ada["id"]}"') == [bob]
    assert found(aws, "/Users", f'manager eq "{bob}" and id eq "{bob}"') == []
    assert found(aws, "/Users", f'groups.value eq "{id_}"') == [bob]
    assert found(aws, "/Users", 'userName eq "no\\"body and id eq"') == []


def test_groups_are_found_by_what_the_guide_lists(aws: Sandbox) -> None:
    ada, eve = create(aws)["id"], create(aws)["id"]
    key = unused("key")
    id_ = create_group(aws, ada, externalId=key)
    name = aws.scim("GET", f"/Groups/{id_}").json()["displayName"]
    assert found(aws, "/Groups", f'displayName eq "{name}"') == [id_]
    assert found(aws, "/Groups", f'externalId eq "{key}"') == [id_]
    assert found(aws, "/Groups", f'id eq "{id_}"') == [id_]
    assert found(aws, "/Groups", f'members.value eq "{ada}"') == [id_]
    assert found(aws, "/Groups", f'id eq "{id_}" and member eq "{ada}"') == [id_]
    assert found(aws, "/Groups", f'members eq "{eve}" and id eq "{id_}"') == []


def test_a_filter_for_a_member_who_does_not_exist_is_404(aws: Sandbox) -> None:
    assert aws.scim("GET", "/Groups", params={"filter": 'members.value eq "nobody"'}).status_code == 404


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/Users", 'userName sw "a"'),
        ("/Users", "userName pr"),
        ("/Users", 'userName eq "a" or userName eq "b"'),
        ("/Users", 'not (userName eq "a")'),
        ("/Users", '(userName eq "a")'),
        ("/Users", 'userName eq "a" and externalId eq "b"'),
        ("/Users", 'userName eq "a" and '),
        ("/Users", 'id eq "a" and id eq "b"'),
        ("/Users", 'title eq "Countess"'),
        ("/Users", 'emails.value eq "a@example.com"'),
        ("/Users", 'emails[type eq "work"]'),
        ("/Users", "userName eq ada"),
        ("/Users", "active eq true"),
        ("/Users", 'displayName eq "Ada"'),
        ("/Users", ""),
        ("/Groups", 'userName eq "a"'),
        ("/Groups", 'displayName eq "a" and externalId eq "b"'),
        ("/Groups", 'displayName co "a"'),
    ],
)
def test_any_other_filter_is_400(aws: Sandbox, path: str, text: str) -> None:
    assert aws.scim("GET", path, params={"filter": text}).status_code == 400


# The people's side


def test_people_see_the_members_that_the_api_hides(aws: Sandbox) -> None:
    ada = create(aws)
    id_ = create_group(aws, ada["id"])
    shown = aws.admin("GET", f"/groups/{id_}")
    assert [member["id"] for member in shown["members"]] == [ada["id"]]
    assert "AWS IAM Identity Center" in aws.client.get("/").text
