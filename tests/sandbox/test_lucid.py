"""Every sentence of Lucid's SCIM API reference that speaks of behaviour, and both readings of its open points."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from scim2_server.requests import ScimRequest

from syncd.sandbox.application import handler
from syncd.sandbox.database import Database
from syncd.sandbox.options import SandboxOptions
from syncd.sandbox.profiles import profiles_of
from syncd.sandbox.profiles.lucid_admin import LucidAdmin
from syncd.sandbox.resources import Resources
from tests.sandbox.conftest import Sandboxes
from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import ENTERPRISE, GROUP, USER, add_members, group, patch, remove_member, unused, user


@pytest.fixture
def admin(sandboxes: Sandboxes) -> Sandbox:
    return sandboxes("lucid-admin")


@pytest.fixture
def content(sandboxes: Sandboxes) -> Sandbox:
    return sandboxes("lucid-content")


def create(sandbox: Sandbox, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = sandbox.scim("POST", "/Users", body or user())
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def create_group(sandbox: Sandbox, name: str = "", *members: str, token: str | None = None) -> dict[str, Any]:
    answer = sandbox.scim("POST", "/Groups", group(name, *members), token=token)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def members_of(sandbox: Sandbox, id_: str, token: str | None = None) -> list[str]:
    found = sandbox.scim("GET", f"/Groups/{id_}", token=token).json()
    return [member["value"] for member in found.get("members", [])]


def deactivated(sandbox: Sandbox) -> dict[str, Any]:
    created = create(sandbox)
    off = patch({"op": "replace", "path": "active", "value": False})
    answer = sandbox.scim("PATCH", f"/Users/{created['id']}", off)
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    return created


# Two integrations


def test_the_token_alone_decides_which_integration_answers(content: Sandbox) -> None:
    other = "sandbox-token-lucid-admin"
    person = create(content)["id"]
    team = create_group(content, "Same name", person)["id"]
    org_group = create_group(content, "Same name", person, token=other)["id"]

    assert {each["id"] for each in content.groups()} >= {team}
    assert org_group not in {each["id"] for each in content.groups()}
    assert content.scim("GET", f"/Groups/{org_group}").status_code == 404
    assert content.scim("GET", f"/Groups/{team}", token=other).status_code == 404
    assert content.scim("GET", f"/Users/{person}", token=other).status_code == 200
    kinds = {each["id"]: each["kind"] for each in content.admin("GET", "/groups")}
    assert (kinds[team], kinds[org_group]) == ("team", "organizational group")


def test_a_user_shows_the_groups_of_the_integration_that_asks(content: Sandbox) -> None:
    other = "sandbox-token-lucid-admin"
    person = create(content)["id"]
    team = create_group(content, unused("Team "), person)["id"]
    org_group = create_group(content, unused("Org "), person, token=other)["id"]

    def shown(token: str | None) -> list[str]:
        return [each["value"] for each in content.scim("GET", f"/Users/{person}", token=token).json()["groups"]]

    assert (shown(None), shown(other)) == ([team], [org_group])


def test_both_tokens_are_printed_and_may_be_chosen() -> None:
    with Sandbox("lucid-admin", tokens=("one", "two")) as sandbox:
        assert "token one (lucid-admin), token two (lucid-content)" in sandbox.greeting
        create_group(sandbox, "Org", token="one")
        assert [each["displayName"] for each in sandbox.groups(token="one")] == ["Org"]
        assert sandbox.groups(token="two") == []


def test_an_invalid_token_is_401_everywhere(admin: Sandbox) -> None:
    for path in ("/Users", "/Groups", "/Schemas", "/ServiceProviderConfig"):
        assert admin.scim("GET", path, token="wrong").status_code == 401


# Discovery


def test_the_documented_service_provider_config(admin: Sandbox) -> None:
    config = admin.scim("GET", "/ServiceProviderConfig").json()
    assert {
        name: config[name]["supported"] for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag")
    } == {
        "patch": True,
        "bulk": False,
        "filter": True,
        "changePassword": False,
        "sort": False,
        "etag": True,
    }
    assert config["filter"]["maxResults"] == 100


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/ResourceTypes"), ("POST", "/Bulk"), ("GET", "/Me"), ("POST", "/.search"), ("POST", "/Users/.search")],
)
def test_endpoints_that_are_not_documented_are_not_there(admin: Sandbox, method: str, path: str) -> None:
    assert admin.scim(method, path, {} if method == "POST" else None).status_code == 404


def test_schemas_list_lucids_attributes_alone(admin: Sandbox) -> None:
    schemas = {each["id"]: each for each in admin.scim("GET", "/Schemas").json()["Resources"]}
    assert {each["name"] for each in schemas[USER]["attributes"]} == {
        *("userName", "name", "displayName", "emails", "active", "title", "phoneNumbers", "roles", "password", "groups")
    }
    assert {each["name"] for each in schemas[GROUP]["attributes"]} == {"displayName", "members"}
    assert {each["name"] for each in schemas[ENTERPRISE]["attributes"]} == {
        *("costCenter", "organization", "division", "department", "manager")
    }
    assert admin.scim("GET", f"/Schemas/{GROUP}").json()["name"] == "Group"


def test_etags_are_supported(admin: Sandbox) -> None:
    person = create(admin)["id"]
    etag = admin.scim("GET", f"/Users/{person}").headers["ETag"]
    renamed = patch({"op": "replace", "path": "title", "value": "Boss"})
    condition = {"If-Match": etag}
    assert admin.scim("PATCH", f"/Users/{person}", renamed, headers=condition).status_code == 200
    assert admin.scim("PATCH", f"/Users/{person}", renamed, headers=condition).status_code == 412


# Users


def test_ids_have_the_form_lucid_number_and_lucid_group_number(admin: Sandbox) -> None:
    person, org_group = create(admin)["id"], create_group(admin)["id"]
    assert re.fullmatch(r"lucid-\d+", person)
    assert re.fullmatch(r"lucid-group-\d+", org_group)


@pytest.mark.parametrize("missing", ["schemas", "userName", "emails"])
def test_schemas_user_name_and_emails_are_required(admin: Sandbox, missing: str) -> None:
    body = user()
    del body[missing]
    assert admin.scim("POST", "/Users", body).status_code == 400
    existing = create(admin)["id"]
    assert admin.scim("PUT", f"/Users/{existing}", body).status_code == 400


def test_every_documented_attribute_is_kept(admin: Sandbox) -> None:
    boss = create(admin)["id"]
    body = user(
        name=unused(),
        **{
            "displayName": "Ada Lovelace",
            "externalId": unused("external-"),
            "title": "Analyst",
            "phoneNumbers": [{"value": "+44 20 7946 0000", "type": "work"}],
            "roles": [{"value": "DocumentAdmin"}],
            ENTERPRISE: {
                "costCenter": "CC-100",
                "organization": "Engineering",
                "division": "Product",
                "department": "Backend",
                "manager": {"value": boss},
            },
        },
    )
    body["name"] = {"formatted": "Ada Lovelace", "givenName": "Ada", "familyName": "Lovelace"}
    created = create(admin, body)
    assert {name: created.get(name) for name in body if name != "schemas"} == {
        name: value for name, value in body.items() if name != "schemas"
    }


def test_the_password_needs_eight_characters_and_is_never_returned(admin: Sandbox) -> None:
    assert admin.scim("POST", "/Users", user(password="1234567")).status_code == 400
    assert "password" not in create(admin, user(password="12345678"))


def test_a_role_is_one_of_the_documented_ones(admin: Sandbox) -> None:
    assert admin.scim("POST", "/Users", user(roles=[{"value": "Billing Admin"}])).status_code == 400
    assert create(admin, user(roles=[{"value": "BillingAdmin"}]))["roles"] == [{"value": "BillingAdmin"}]


def test_a_user_name_or_email_that_exists_is_a_conflict_on_post_put_and_patch(admin: Sandbox) -> None:
    first, second = create(admin), create(admin)
    same_name = user(unused())
    same_name["userName"] = first["userName"].upper()
    same_email = user(unused())
    same_email["emails"] = [{"value": first["emails"][0]["value"].upper(), "type": "work"}]
    for body in (same_name, same_email):
        assert admin.scim("POST", "/Users", body).status_code == 409
        assert admin.scim("PUT", f"/Users/{second['id']}", body).status_code == 409
    taken = patch({"op": "replace", "path": "emails", "value": first["emails"]})
    assert admin.scim("PATCH", f"/Users/{second['id']}", taken).status_code == 409


def test_an_email_of_a_deactivated_user_is_a_conflict(admin: Sandbox) -> None:
    gone = deactivated(admin)
    assert admin.scim("POST", "/Users", user(gone["userName"].split("@")[0])).status_code == 409


def test_an_email_on_another_lucid_account_is_a_conflict_until_they_are_invited(admin: Sandbox) -> None:
    name = unused()
    admin.admin("PUT", "/elsewhere", {"emails": [f"{name}@example.com"]})
    answer = admin.scim("POST", "/Users", user(name))
    assert answer.status_code == 409
    assert "because the email already exists" in answer.json()["detail"]
    query = {"filter": f'userName eq "{name}@example.com"'}
    assert admin.scim("GET", "/Users", params=query).json()["totalResults"] == 0

    admin.admin("POST", "/users", {"email": f"{name}@example.com"})

    assert admin.scim("GET", "/Users", params=query).json()["totalResults"] == 1


def test_put_and_patch_deactivate_a_user(admin: Sandbox) -> None:
    by_patch = deactivated(admin)
    body = user(unused())
    by_put = create(admin, body)
    assert admin.scim("PUT", f"/Users/{by_put['id']}", {**body, "active": False}).json()["active"] is False
    states = {each["id"]: each["state"] for each in admin.admin("GET", "/users")}
    assert (states[by_patch["id"]], states[by_put["id"]]) == ("deactivated", "deactivated")


def test_deactivated_users_are_in_neither_the_total_nor_the_list(admin: Sandbox) -> None:
    before = admin.scim("GET", "/Users").json()["totalResults"]
    gone = deactivated(admin)
    after = admin.scim("GET", "/Users").json()
    assert after["totalResults"] == before
    assert gone["id"] not in {each["id"] for each in admin.users()}


def test_a_deactivated_user_is_reactivated_by_id(admin: Sandbox) -> None:
    gone = deactivated(admin)["id"]
    admin.scim("PATCH", f"/Users/{gone}", patch({"op": "replace", "path": "active", "value": True}))
    assert gone in {each["id"] for each in admin.users()}


def test_delete_user_is_a_hard_delete(admin: Sandbox) -> None:
    person = create(admin)
    org_group = create_group(admin, unused("Org "), person["id"])["id"]
    assert admin.scim("DELETE", f"/Users/{person['id']}").status_code == 204
    assert admin.scim("GET", f"/Users/{person['id']}").status_code == 404
    assert members_of(admin, org_group) == []
    again = create(admin, user(person["userName"].split("@")[0]))
    assert again["id"] != person["id"]


def test_the_account_owner_cannot_be_deleted(admin: Sandbox) -> None:
    owner = create(admin)["id"]
    admin.admin("PATCH", f"/users/{owner}", {"owner": True})
    assert admin.scim("DELETE", f"/Users/{owner}").status_code == 409
    assert admin.scim("GET", f"/Users/{owner}").status_code == 200


def test_patch_returns_the_modified_user(admin: Sandbox) -> None:
    person = create(admin)["id"]
    answer = admin.scim("PATCH", f"/Users/{person}", patch({"op": "add", "path": "title", "value": "Boss"}))
    assert (answer.status_code, answer.json()["title"]) == (200, "Boss")


@pytest.mark.parametrize("schema", [USER, "urn:ietf:params:scim:api:messages:2.0:PatchOp"])
def test_patch_names_the_core_schema_or_patch_op(admin: Sandbox, schema: str) -> None:
    person = create(admin)["id"]
    body = {"schemas": [schema], "Operations": [{"op": "replace", "value": {"title": "Boss"}}]}
    assert admin.scim("PATCH", f"/Users/{person}", body).json()["title"] == "Boss"


def test_a_missing_base_licence_is_rehearsed_with_a_fault(admin: Sandbox) -> None:
    admin.faults({"fault": "status", "status": 424, "method": "POST", "path": "/Users", "times": 1})
    assert admin.scim("POST", "/Users", user()).status_code == 424
    admin.faults()


# Filters and pages


@pytest.mark.parametrize(
    "template",
    [
        'email eq "{}"',
        "email eq {}",
        'emails.value eq "{}"',
        'workemail eq "{}"',
        'username eq "{}"',
        'userName EQ "{}"',
    ],
)
def test_optimised_attributes_are_found_quoted_or_not(admin: Sandbox, template: str) -> None:
    person = create(admin)
    found = admin.scim("GET", "/Users", params={"filter": template.format(person["userName"])}).json()
    assert [each["id"] for each in found["Resources"]] == [person["id"]]


def test_display_name_and_external_id_are_filtered(admin: Sandbox) -> None:
    display, external = unused("Display-"), unused("external-")
    person = create(admin, user(displayName=display, externalId=external))["id"]
    for text in (f'displayname eq "{display}"', f"displayname eq {display}", f'externalid eq "{external}"'):
        found = admin.scim("GET", "/Users", params={"filter": text}).json()
        assert [each["id"] for each in found["Resources"]] == [person]


@pytest.mark.parametrize(
    "text",
    [
        'userName sw "a"',
        "userName pr",
        'userName ne "a"',
        'userName eq "a" and active eq true',
        'not (userName eq "a")',
        'emails[type eq "work"]',
        "userName eq",
        "nonsense",
    ],
)
def test_eq_is_the_only_operator(admin: Sandbox, text: str) -> None:
    assert admin.scim("GET", "/Users", params={"filter": text}).status_code == 400


def test_groups_are_filtered_by_the_exact_display_name(admin: Sandbox) -> None:
    name = unused("Engineering ")
    org_group = create_group(admin, name)["id"]

    def found(text: str) -> list[str]:
        page = admin.scim("GET", "/Groups", params={"filter": text}).json()
        return [each["id"] for each in page["Resources"]]

    assert found(f'displayName eq "{name}"') == [org_group]
    assert found(f'displayName eq "{name.upper()}"') == []
    assert found(f'displayName eq "{name[:-1]}"') == []


@pytest.mark.parametrize(
    "text", ['externalId eq "x"', 'id eq "x"', 'displayName sw "x"', 'displayName eq "x" or displayName eq "y"']
)
def test_groups_take_no_other_filter(admin: Sandbox, text: str) -> None:
    assert admin.scim("GET", "/Groups", params={"filter": text}).status_code == 400


def test_items_per_page_is_the_count_that_was_sent(admin: Sandbox) -> None:
    create_group(admin)
    page = admin.scim("GET", "/Groups", params={"count": "50", "startIndex": "1"}).json()
    assert (page["itemsPerPage"], page["startIndex"]) == (50, 1)
    assert len(page["Resources"]) < 50


@pytest.mark.parametrize(
    ("query", "rows", "start"),
    [({"count": "-3"}, 0, 1), ({"count": "1", "startIndex": "0"}, 1, 1), ({"count": "1", "startIndex": "-7"}, 1, 1)],
)
def test_negative_counts_are_zero_and_indexes_below_one_are_one(
    admin: Sandbox, query: dict[str, str], rows: int, start: int
) -> None:
    create_group(admin)
    page = admin.scim("GET", "/Groups", params=query).json()
    assert (len(page["Resources"]), page["startIndex"]) == (rows, start)


def test_a_hundred_is_the_most_of_a_page_and_the_default(admin: Sandbox) -> None:
    with Sandbox("lucid-admin") as sandbox:
        for number in range(101):
            create_group(sandbox, f"Group {number}")
        assert len(sandbox.scim("GET", "/Groups").json()["Resources"]) == 100
        page = sandbox.scim("GET", "/Groups", params={"count": "1000"}).json()
        assert (len(page["Resources"]), page["totalResults"]) == (100, 101)
        assert len({each["id"] for each in sandbox.groups()}) == 101


def test_attributes_and_excluded_attributes(admin: Sandbox) -> None:
    person = create(admin)["id"]
    org_group = create_group(admin, unused("Org "), person)["id"]
    excluded = admin.scim("GET", f"/Groups/{org_group}", params={"excludedAttributes": "members"}).json()
    assert ("members" in excluded, excluded["id"]) == (False, org_group)
    only = admin.scim("GET", f"/Groups/{org_group}", params={"attributes": "displayName"}).json()
    assert {"id", "displayName"} <= only.keys()
    assert "members" not in only
    fewer = admin.scim("GET", f"/Users/{person}", params={"excludedAttributes": "groups,roles"}).json()
    assert "groups" not in fewer
    both = {"attributes": "displayName", "excludedAttributes": "members"}
    assert admin.scim("GET", "/Groups", params=both).status_code == 400


# Groups


def test_a_group_has_no_external_id(admin: Sandbox) -> None:
    created = admin.scim("POST", "/Groups", group(unused("Org "), externalId="7"))
    assert created.status_code == 201
    assert "externalId" not in created.json()


def test_a_group_name_that_exists_is_a_conflict_on_post_put_and_patch(admin: Sandbox) -> None:
    name = unused("Org ")
    create_group(admin, name)
    other = create_group(admin)["id"]
    assert admin.scim("POST", "/Groups", group(name)).status_code == 409
    assert admin.scim("PUT", f"/Groups/{other}", group(name)).status_code == 409
    rename = patch({"op": "replace", "path": "displayName", "value": name})
    assert admin.scim("PATCH", f"/Groups/{other}", rename).status_code == 409


def test_members_are_added_removed_and_replaced_by_lists_of_values(admin: Sandbox) -> None:
    one, two, three = (create(admin)["id"] for _ in range(3))
    org_group = create_group(admin, unused("Org "), one)["id"]

    def change(op: str, *ids: str) -> list[str]:
        listed = [{"value": id_} for id_ in ids]
        body = {"schemas": [GROUP], "Operations": [{"op": op, "path": "members", "value": listed}]}
        answer = admin.scim("PATCH", f"/Groups/{org_group}", body)
        assert answer.status_code == 200
        return [member["value"] for member in answer.json().get("members", [])]

    assert change("add", two, three) == [one, two, three]
    assert change("remove", one, three) == [two]
    assert change("replace", three) == [three]
    assert change("replace") == []


def test_an_organizational_group_holds_users_and_subgroups(admin: Sandbox) -> None:
    person, inner = create(admin)["id"], create_group(admin)["id"]
    outer = create_group(admin, unused("Outer "), person, inner)
    shown = {member["value"]: member["$ref"] for member in outer["members"]}
    assert shown == {
        person: f"{admin.base_url}/Users/{person}",
        inner: f"{admin.base_url}/Groups/{inner}",
    }


def test_a_team_holds_users_only(content: Sandbox) -> None:
    person, team, other = create(content)["id"], create_group(content)["id"], create_group(content)["id"]
    assert content.scim("PATCH", f"/Groups/{team}", add_members(other)).status_code == 400
    assert content.scim("POST", "/Groups", group(unused(), other)).status_code == 400
    assert content.scim("PATCH", f"/Groups/{team}", add_members(person)).status_code == 200


def test_a_user_is_in_one_organizational_group_at_most(sandboxes: Sandboxes) -> None:
    moving = sandboxes("lucid-admin")
    person = create(moving)["id"]
    first = create_group(moving, unused("Org "), person)["id"]
    second = create_group(moving, unused("Org "))["id"]
    moving.scim("PATCH", f"/Groups/{second}", add_members(person))
    assert (members_of(moving, first), members_of(moving, second)) == ([], [person])

    refusing = sandboxes("lucid-admin", second_group="refused")
    person = create(refusing)["id"]
    first = create_group(refusing, unused("Org "), person)["id"]
    second = create_group(refusing, unused("Org "))["id"]
    assert refusing.scim("PATCH", f"/Groups/{second}", add_members(person)).status_code == 400
    assert (members_of(refusing, first), members_of(refusing, second)) == ([person], [])


def test_the_excluded_all_users_group_may_hold_everybody(sandboxes: Sandboxes) -> None:
    sandbox = sandboxes("lucid-admin", all_users_group="Everyone", second_group="refused")
    person = create(sandbox)["id"]
    everyone = create_group(sandbox, "Everyone", person)["id"]
    org_group = create_group(sandbox, unused("Org "), person)["id"]
    assert (members_of(sandbox, everyone), members_of(sandbox, org_group)) == ([person], [person])


def test_a_user_may_be_in_many_teams(content: Sandbox) -> None:
    person = create(content)["id"]
    teams = [create_group(content, unused("Team "), person)["id"] for _ in range(2)]
    assert [members_of(content, team) for team in teams] == [[person], [person]]


def test_deleting_a_team_archives_it_and_creating_its_name_again_restores_it(content: Sandbox) -> None:
    person, other, name = create(content)["id"], create(content)["id"], unused("Team ")
    team = create_group(content, name, person)["id"]

    assert content.scim("DELETE", f"/Groups/{team}").status_code == 204
    assert content.scim("GET", f"/Groups/{team}").status_code == 404
    assert team not in {each["id"] for each in content.groups()}
    assert "groups" not in content.scim("GET", f"/Users/{person}").json()
    archived = {each["id"]: each["archived"] for each in content.admin("GET", "/groups")}
    assert archived[team] is True

    restored = create_group(content, name, other)
    assert restored["id"] == team
    assert members_of(content, team) == [person]


def test_the_names_of_archived_teams_count_for_a_rename(content: Sandbox) -> None:
    name = unused("Team ")
    content.scim("DELETE", f"/Groups/{create_group(content, name)['id']}")
    other = create_group(content)["id"]
    rename = patch({"op": "replace", "path": "displayName", "value": name})
    assert content.scim("PATCH", f"/Groups/{other}", rename).status_code == 409


# What no document says: both answers


@pytest.mark.parametrize(("answer", "status"), [("found", 200), ("not-found", 404)])
def test_deactivated_by_id(sandboxes: Sandboxes, answer: str, status: int) -> None:
    sandbox = sandboxes("lucid-admin", deactivated_by_id=answer)
    gone = deactivated(sandbox)["id"]
    assert sandbox.scim("GET", f"/Users/{gone}").status_code == status
    on = patch({"op": "replace", "path": "active", "value": True})
    assert sandbox.scim("PATCH", f"/Users/{gone}", on).status_code == 200
    assert sandbox.scim("GET", f"/Users/{gone}").status_code == 200


@pytest.mark.parametrize(("answer", "total"), [("hidden", 0), ("found", 1)])
def test_deactivated_by_filter(sandboxes: Sandboxes, answer: str, total: int) -> None:
    sandbox = sandboxes("lucid-admin", deactivated_by_filter=answer)
    gone = deactivated(sandbox)
    query = {"filter": f'userName eq "{gone["userName"]}"'}
    assert sandbox.scim("GET", "/Users", params=query).json()["totalResults"] == total
    assert gone["id"] not in {each["id"] for each in sandbox.users()}


def test_unsupported_attributes(sandboxes: Sandboxes) -> None:
    ignoring, refusing = sandboxes("lucid-admin"), sandboxes("lucid-admin", unsupported="refused")
    home = [{"value": "1", "type": "home"}, {"value": "2", "type": "work"}]
    for extra in ({"nickName": "Ada"}, {"phoneNumbers": home}):
        created = create(ignoring, user(**extra))
        assert "nickName" not in created
        assert created.get("phoneNumbers", home[1:]) == home[1:]
        assert refusing.scim("POST", "/Users", user(**extra)).status_code == 400
    assert refusing.scim("POST", "/Groups", group(unused(), externalId="7")).status_code == 400


@pytest.mark.parametrize(("answer", "status"), [("accepted", 200), ("refused", 400)])
def test_value_paths(sandboxes: Sandboxes, answer: str, status: int) -> None:
    sandbox = sandboxes("lucid-content", value_paths=answer)
    person = create(sandbox)["id"]
    team = create_group(sandbox, unused("Team "), person)["id"]
    assert sandbox.scim("PATCH", f"/Groups/{team}", remove_member(person)).status_code == status
    moved = patch({"op": "replace", "path": 'emails[type eq "work"].value', "value": f"{unused()}@example.com"})
    assert sandbox.scim("PATCH", f"/Users/{person}", moved).status_code == status


@pytest.mark.parametrize(("answer", "status"), [("refused", 400), ("deleted", 204)])
def test_deleting_an_organizational_group_that_still_has_members(
    sandboxes: Sandboxes, answer: str, status: int
) -> None:
    sandbox = sandboxes("lucid-admin", delete_with_members=answer)
    org_group = create_group(sandbox, unused("Org "), create(sandbox)["id"])["id"]
    assert sandbox.scim("DELETE", f"/Groups/{org_group}").status_code == status
    assert sandbox.scim("DELETE", f"/Groups/{create_group(sandbox)['id']}").status_code == 204


@pytest.mark.parametrize("answer", ["old", "requested"])
def test_members_of_a_restored_team(sandboxes: Sandboxes, answer: str) -> None:
    sandbox = sandboxes("lucid-content", restored_members=answer)
    old, requested, name = create(sandbox)["id"], create(sandbox)["id"], unused("Team ")
    team = create_group(sandbox, name, old)["id"]
    sandbox.scim("DELETE", f"/Groups/{team}")
    create_group(sandbox, name, requested)
    assert members_of(sandbox, team) == [{"old": old, "requested": requested}[answer]]


def test_a_filtered_list_ends_at_its_maximum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LucidAdmin.most_filtered == 10_000
    monkeypatch.setattr(LucidAdmin, "most_filtered", 3)
    database = Database(tmp_path / "sandbox.db")
    profile = profiles_of(Resources(database), SandboxOptions(profile="lucid-admin"))["lucid-admin"]
    lucid = handler(profile)

    def send(method: str, path: str, body: Any = None, **query: str) -> dict[str, Any]:
        request = ScimRequest(method, "http://host/scim/v2", path, query, {}, json.dumps(body).encode())
        return lucid.handle(request).body or {}

    for _ in range(5):
        send("POST", "/Users", user(title="Boss"))
    assert send("GET", "/Users")["totalResults"] == 5
    page = send("GET", "/Users", filter='title eq "boss"')
    assert (page["totalResults"], len(page["Resources"])) == (3, 3)
    database.close()
