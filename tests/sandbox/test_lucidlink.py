"""Every sentence of "Understanding SCIM Integration in LucidLink" that speaks of behaviour, and both readings of
its open points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import Sandboxes
from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import add_members, group, patch, remove_member, unused, user

VERIFIED = ("example.com", "*.example.com")


@pytest.fixture
def sandbox(sandboxes: Sandboxes) -> Sandbox:
    return sandboxes("lucidlink", verified_domains=VERIFIED)


@pytest.fixture
def own() -> Iterator[Sandbox]:
    """A sandbox that a test may turn upside down."""
    with Sandbox("lucidlink", verified_domains=VERIFIED) as sandbox:
        yield sandbox


def create(sandbox: Sandbox, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = sandbox.scim("POST", "/Users", body or user())
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def push(sandbox: Sandbox, name: str, *members: str) -> str:
    answer = sandbox.scim("POST", "/Groups", group(name, *members))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def deactivate(sandbox: Sandbox, id_: str) -> None:
    off = patch({"op": "replace", "path": "active", "value": False})
    assert sandbox.scim("PATCH", f"/Users/{id_}", off).status_code == 204


def seen(sandbox: Sandbox, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.admin("GET", f"/users/{id_}")
    return found


def refused(sandbox: Sandbox, method: str, path: str, body: Any = None) -> str:
    answer = sandbox.client.request(method, f"/admin{path}", json=body)
    assert answer.status_code == 409, answer.text
    return str(answer.json()["error"])


# SCIM-managed users


def test_a_lucidlink_user_becomes_scim_managed_if_their_email_matches(sandbox: Sandbox) -> None:
    name = unused()
    native = sandbox.admin("POST", "/users", {"email": f"{name}@example.com", "name": "Ada"})
    sandbox.admin("PATCH", f"/users/{native['id']}", {"permission": "Edit"})
    assert native["managed"] is False

    managed = create(sandbox, user(name.upper(), externalId="7"))

    assert managed["id"] == native["id"]
    after = seen(sandbox, native["id"])
    assert (after["managed"], after["permission"], after["externalId"]) == (True, "Edit", "7")


def test_an_email_that_is_managed_already_is_a_conflict(sandbox: Sandbox) -> None:
    name = unused()
    create(sandbox, user(name))
    again = sandbox.scim("POST", "/Users", user(name))
    assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")


def test_a_user_without_an_email_cannot_be_matched_and_is_refused(sandbox: Sandbox) -> None:
    nobody = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "no-address"}
    assert sandbox.scim("POST", "/Users", nobody).status_code == 400


def test_a_scim_managed_user_cannot_be_deleted_by_people(sandbox: Sandbox) -> None:
    managed = create(sandbox)
    reason = refused(sandbox, "DELETE", f"/users/{managed['id']}")
    assert reason == (
        f"{managed['userName']} is managed by SCIM and can't be deleted here; do it in your identity provider"
    )
    assert sandbox.scim("GET", f"/Users/{managed['id']}").status_code == 200


def test_a_native_user_can_be_deleted_by_people(sandbox: Sandbox) -> None:
    native = sandbox.admin("POST", "/users", {"email": f"{unused()}@example.com"})
    sandbox.admin("DELETE", f"/users/{native['id']}")
    assert sandbox.client.get(f"/admin/users/{native['id']}").status_code == 404


def test_a_scim_managed_user_can_be_added_to_a_native_group(sandbox: Sandbox) -> None:
    managed = create(sandbox)
    native = sandbox.admin("POST", "/groups", {"name": unused("Native ")})
    changed = sandbox.admin("PUT", f"/groups/{native['id']}/members/{managed['id']}")
    assert [member["id"] for member in changed["members"]] == [managed["id"]]
    assert seen(sandbox, managed["id"])["managed"] is True


# States


def test_a_deactivated_user_keeps_permissions_and_groups_and_is_not_billed(sandbox: Sandbox) -> None:
    managed = create(sandbox)
    sandbox.admin("PATCH", f"/users/{managed['id']}", {"permission": "Admin"})
    team = push(sandbox, unused("Team "), managed["id"])
    native = sandbox.admin("POST", "/groups", {"name": unused("Native ")})
    sandbox.admin("PUT", f"/groups/{native['id']}/members/{managed['id']}")

    deactivate(sandbox, managed["id"])

    after = seen(sandbox, managed["id"])
    assert (after["state"], after["billed"], after["permission"]) == ("deactivated", False, "Admin")
    assert {each["id"] for each in after["groups"]} == {team, native["id"]}


def test_a_reactivated_user_has_what_they_had(sandbox: Sandbox) -> None:
    managed = create(sandbox)
    sandbox.admin("PATCH", f"/users/{managed['id']}", {"permission": "View"})
    deactivate(sandbox, managed["id"])
    on = patch({"op": "replace", "path": "active", "value": True})
    sandbox.scim("PATCH", f"/Users/{managed['id']}", on)

    after = seen(sandbox, managed["id"])
    assert (after["state"], after["billed"], after["permission"]) == ("active", True, "View")


@pytest.mark.parametrize(
    ("domain", "state"),
    [
        ("example.com", "active"),
        ("EXAMPLE.com", "active"),
        ("berlin.example.com", "active"),
        ("example.org", "pending"),
        ("notexample.com", "pending"),
        ("example.com.evil.org", "pending"),
    ],
)
def test_a_user_outside_the_verified_sso_domains_is_pending(sandbox: Sandbox, domain: str, state: str) -> None:
    created = create(sandbox, user(domain=domain))
    after = seen(sandbox, created["id"])
    assert (after["state"], after["invitations"]) == (state, 1 if state == "pending" else 0)


def test_nobody_is_pending_without_a_verified_domain(sandboxes: Sandboxes) -> None:
    sandbox = sandboxes("lucidlink")
    assert seen(sandbox, create(sandbox, user(domain="example.org"))["id"])["state"] == "active"


def test_a_pending_user_is_active_once_they_accept_the_invitation(sandbox: Sandbox) -> None:
    pending = create(sandbox, user(domain="example.org"))
    accepted = sandbox.admin("POST", f"/users/{pending['id']}/accept")
    assert (accepted["state"], accepted["managed"], accepted["has_password"]) == ("active", True, True)
    assert sandbox.client.post(f"/admin/users/{pending['id']}/accept").status_code == 400


def test_setting_active_does_not_accept_an_invitation(sandbox: Sandbox) -> None:
    pending = create(sandbox, user(domain="example.org"))
    sandbox.scim("PATCH", f"/Users/{pending['id']}", patch({"op": "replace", "path": "active", "value": True}))
    assert seen(sandbox, pending["id"])["state"] == "pending"


def test_a_pending_user_who_comes_back_from_deactivation_is_pending(sandbox: Sandbox) -> None:
    pending = create(sandbox, user(domain="example.org"))
    deactivate(sandbox, pending["id"])
    assert seen(sandbox, pending["id"])["state"] == "deactivated"
    sandbox.scim("PATCH", f"/Users/{pending['id']}", patch({"op": "replace", "path": "active", "value": True}))
    assert seen(sandbox, pending["id"])["state"] == "pending"


def test_a_native_user_outside_the_domains_who_has_accepted_stays_active_when_managed(sandbox: Sandbox) -> None:
    name = unused()
    native = sandbox.admin("POST", "/users", {"email": f"{name}@example.org"})
    sandbox.admin("POST", f"/users/{native['id']}/accept")
    create(sandbox, user(name, domain="example.org"))
    assert seen(sandbox, native["id"])["state"] == "active"


# Groups


def test_a_pushed_group_is_shown_with_the_suffix_scim(sandbox: Sandbox) -> None:
    name = unused("Design ")
    shown = sandbox.admin("GET", f"/groups/{push(sandbox, name)}")
    assert (shown["shown"], shown["managed"]) == (f"{name} (SCIM)", True)


def test_a_pushed_group_stands_beside_a_native_one_of_the_same_name(sandbox: Sandbox) -> None:
    name = unused("Design ")
    native = sandbox.admin("POST", "/groups", {"name": name})
    pushed = push(sandbox, name)
    assert pushed != native["id"]
    assert sandbox.admin("GET", f"/groups/{native['id']}")["shown"] == name


def test_a_scim_group_cannot_be_renamed_deleted_or_given_other_members_by_people(sandbox: Sandbox) -> None:
    member, other = create(sandbox), create(sandbox)
    name = unused("Design ")
    pushed = push(sandbox, name, member["id"])
    before = sandbox.admin("GET", f"/groups/{pushed}")

    for method, path, body, verb in (
        ("PATCH", "", {"name": "Mine"}, "renamed"),
        ("DELETE", "", None, "deleted"),
        ("PUT", f"/members/{other['id']}", None, "given other members"),
        ("DELETE", f"/members/{member['id']}", None, "given other members"),
    ):
        reason = refused(sandbox, method, f"/groups/{pushed}{path}", body)
        assert reason == f"{name} (SCIM) is managed by SCIM and can't be {verb} here; do it in your identity provider"

    assert sandbox.admin("GET", f"/groups/{pushed}") == before


def test_support_can_force_what_the_locks_refuse(sandbox: Sandbox) -> None:
    member, other, victim = create(sandbox), create(sandbox), create(sandbox)
    pushed = push(sandbox, unused("Design "), member["id"])

    sandbox.admin("PATCH", f"/groups/{pushed}", {"name": "Drifted", "force": True})
    sandbox.admin("PUT", f"/groups/{pushed}/members/{other['id']}?force=1")
    sandbox.admin("DELETE", f"/groups/{pushed}/members/{member['id']}?force=1")
    sandbox.admin("PATCH", f"/users/{other['id']}", {"active": False, "force": True})
    sandbox.admin("DELETE", f"/users/{victim['id']}?force=1")

    drifted = sandbox.scim("GET", f"/Groups/{pushed}").json()
    assert drifted["displayName"] == "Drifted"
    assert [each["value"] for each in drifted["members"]] == [other["id"]]
    assert sandbox.scim("GET", f"/Users/{other['id']}").json()["active"] is False
    assert sandbox.scim("GET", f"/Users/{victim['id']}").status_code == 404


def test_scim_attributes_of_a_managed_user_are_locked_for_people(sandbox: Sandbox) -> None:
    managed = create(sandbox)
    assert "can't be changed here" in refused(sandbox, "PATCH", f"/users/{managed['id']}", {"active": False})
    assert seen(sandbox, managed["id"])["state"] == "active"


def test_a_native_group_is_not_changed_through_scim(sandbox: Sandbox) -> None:
    member = create(sandbox)
    native = sandbox.admin("POST", "/groups", {"name": unused("Native ")})["id"]
    sandbox.admin("PUT", f"/groups/{native}/members/{member['id']}")
    before = sandbox.admin("GET", f"/groups/{native}")

    rename = patch({"op": "replace", "path": "displayName", "value": "Mine"})
    for method, body in (
        ("PATCH", rename),
        ("PATCH", remove_member(member["id"])),
        ("PATCH", add_members(create(sandbox)["id"])),
        ("PUT", group("Mine")),
        ("DELETE", None),
    ):
        assert sandbox.scim(method, f"/Groups/{native}", body).status_code == 403

    assert sandbox.admin("GET", f"/groups/{native}") == before


def test_a_scim_group_is_renamed_and_deleted_through_scim(sandbox: Sandbox) -> None:
    pushed = push(sandbox, unused("Design "))
    name = unused("Product ")
    rename = patch({"op": "replace", "path": "displayName", "value": name})
    assert sandbox.scim("PATCH", f"/Groups/{pushed}", rename).status_code == 204
    assert sandbox.admin("GET", f"/groups/{pushed}")["shown"] == f"{name} (SCIM)"
    assert sandbox.scim("DELETE", f"/Groups/{pushed}").status_code == 204


# Group permissions


def permit(sandbox: Sandbox, group_: str, permission: str) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.admin("PATCH", f"/groups/{group_}", {"permission": permission})
    return found


def test_a_scim_group_takes_permissions_although_it_is_locked(sandbox: Sandbox) -> None:
    ada, grace = create(sandbox)["id"], create(sandbox)["id"]
    pushed = push(sandbox, unused("Design "), ada)
    native = sandbox.admin("POST", "/groups", {"name": unused("Native ")})["id"]
    sandbox.admin("PUT", f"/groups/{native}/members/{ada}")
    sandbox.admin("PATCH", f"/users/{grace}", {"permission": "Admin"})

    assert permit(sandbox, pushed, "View")["permission"] == "View"
    assert permit(sandbox, native, "Edit")["permission"] == "Edit"

    assert "renamed" in refused(sandbox, "PATCH", f"/groups/{pushed}", {"name": "Mine", "permission": "Admin"})
    assert sandbox.admin("GET", f"/groups/{pushed}")["permission"] == "View", "all of a request, or nothing"
    assert (seen(sandbox, ada)["permission"], seen(sandbox, ada)["effective_permission"]) == ("", "Edit")
    assert seen(sandbox, grace)["effective_permission"] == "Admin"
    sandbox.admin("DELETE", f"/groups/{native}")
    assert seen(sandbox, ada)["effective_permission"] == "View"
    permit(sandbox, pushed, "")
    assert seen(sandbox, ada)["effective_permission"] == ""


def test_scim_neither_shows_nor_changes_a_groups_permission(sandbox: Sandbox) -> None:
    ada = create(sandbox)["id"]
    pushed, name = push(sandbox, unused("Design ")), unused("Product ")
    permit(sandbox, pushed, "Edit")
    for method, body in (
        ("PATCH", patch({"op": "replace", "path": "displayName", "value": name})),
        ("PATCH", add_members(ada)),
        ("PUT", group(name)),
    ):
        assert sandbox.scim(method, f"/Groups/{pushed}", body).status_code in (200, 204)
        assert sandbox.admin("GET", f"/groups/{pushed}")["permission"] == "Edit"
    assert "permission" not in sandbox.scim("GET", f"/Groups/{pushed}").json()


def test_a_groups_permission_ends_with_the_group_and_returns_with_no_other(own: Sandbox) -> None:
    ada = create(own)["id"]
    first = push(own, "Design", ada)
    permit(own, first, "Edit")
    assert own.scim("DELETE", f"/Groups/{first}").status_code == 204
    second = push(own, "Design", ada)
    assert own.admin("GET", f"/groups/{second}")["permission"] == ""
    assert seen(own, ada)["effective_permission"] == ""

    permit(own, second, "Edit")
    own.admin("DELETE", "/sso")
    own.admin("PUT", "/sso")
    third = push(own, "Design", ada)
    assert own.admin("GET", f"/groups/{third}")["permission"] == ""


# Removing SSO


def test_removing_sso_deletes_scim_groups_and_deactivated_users_and_unmanages_the_rest(own: Sandbox) -> None:
    owner = own.admin("POST", "/users", {"email": "owner@example.com"})["id"]
    own.admin("POST", f"/users/{owner}/accept")
    own.admin("PATCH", f"/users/{owner}", {"owner": True, "permission": "Admin"})
    create(own, user("owner"))
    with_password = own.admin("POST", "/users", {"email": "has-password@example.com"})["id"]
    own.admin("POST", f"/users/{with_password}/accept")
    create(own, user("has-password"))
    without_password = create(own, user("sso-only"))["id"]
    create(own, user("invited", domain="example.org"))
    gone = create(own, user("gone"))["id"]
    deactivate(own, gone)
    native_gone = own.admin("POST", "/users", {"email": "native-gone@example.com"})["id"]
    own.admin("PATCH", f"/users/{native_gone}", {"active": False})
    pushed = push(own, "Pushed", with_password)
    native = own.admin("POST", "/groups", {"name": "Native"})["id"]
    own.admin("PUT", f"/groups/{native}/members/{without_password}")

    account = own.admin("DELETE", "/sso")

    assert account["sso"] is False
    assert [each["id"] for each in own.admin("GET", "/groups")] == [native]
    assert pushed not in {each["id"] for each in own.admin("GET", "/groups")}
    assert {each["userName"]: (each["state"], each["managed"]) for each in own.admin("GET", "/users")} == {
        "owner@example.com": ("active", False),
        "has-password@example.com": ("active", False),
        "sso-only@example.com": ("pending", False),
        "invited@example.org": ("pending", False),
    }
    assert [each["id"] for each in own.admin("GET", f"/groups/{native}")["members"]] == [without_password]


def test_a_deactivated_owner_survives_the_removal_of_sso(own: Sandbox) -> None:
    owner = own.admin("POST", "/users", {"email": "owner@example.com"})["id"]
    own.admin("PATCH", f"/users/{owner}", {"owner": True, "active": False})
    own.admin("DELETE", "/sso")
    assert seen(own, owner)["owner"] is True


def test_without_sso_there_is_no_scim_until_it_is_set_up_again(own: Sandbox) -> None:
    id_ = create(own, user("ada"))["id"]
    own.admin("DELETE", "/sso")
    assert own.scim("GET", "/Users").status_code == 401
    assert own.scim("POST", "/Users", user("grace")).status_code == 401
    assert own.client.delete("/admin/sso").status_code == 400

    own.admin("PUT", "/sso")

    assert own.scim("GET", "/Users").status_code == 200
    again = create(own, user("ada"))
    assert (again["id"], seen(own, id_)["managed"]) == (id_, True)


def test_a_user_unmanaged_by_the_removal_has_to_be_invited_again(own: Sandbox) -> None:
    id_ = create(own, user("ada"))["id"]
    own.admin("DELETE", "/sso")
    assert own.admin("POST", f"/users/{id_}/invite")["invitations"] == 1
    assert own.admin("POST", f"/users/{id_}/accept")["state"] == "active"


def test_writing_what_is_there_manages_an_unmanaged_user_again(own: Sandbox) -> None:
    ids = [create(own, user(name))["id"] for name in ("ada", "grace")]
    own.admin("DELETE", "/sso")
    own.admin("PUT", "/sso")
    own.scim(
        "PATCH",
        f"/Users/{ids[0]}",
        patch({"op": "replace", "path": "userName", "value": seen(own, ids[0])["userName"]}),
    )
    own.scim("PUT", f"/Users/{ids[1]}", own.scim("GET", f"/Users/{ids[1]}").json())
    assert [(seen(own, id_)["state"], seen(own, id_)["managed"]) for id_ in ids] == [("pending", True)] * 2


# What no document says: both answers


@pytest.mark.parametrize(("answer", "mark"), [("dropped", None), ("kept", "7")])
def test_the_marks_after_a_removal_of_sso(answer: str, mark: str | None) -> None:
    with Sandbox("lucidlink", settings={"marks-after-removal": answer}) as sandbox:
        id_ = create(sandbox, user("ada") | {"externalId": "7"})["id"]
        sandbox.admin("DELETE", "/sso")
        sandbox.admin("PUT", "/sso")
        assert sandbox.scim("GET", f"/Users/{id_}").json().get("externalId") == mark


@pytest.mark.parametrize(
    ("answer", "good"), [("same", ["sandbox-token"] * 2), ("new", ["sandbox-token-2", "sandbox-token-3"])]
)
def test_the_token_after_a_removal_of_sso(answer: str, good: list[str]) -> None:
    with Sandbox("lucidlink", settings={"token-after-removal": answer}) as sandbox:
        tokens = ("sandbox-token", "sandbox-token-2", "sandbox-token-3")
        for expected in good:
            sandbox.admin("DELETE", "/sso")
            sandbox.admin("PUT", "/sso")
            taken = [each for each in tokens if sandbox.scim("GET", "/Users", token=each).status_code == 200]
            assert taken == [expected]
            assert f"<code>{expected}</code>" in sandbox.client.get("/ui/account").text


@pytest.mark.parametrize(("answer", "shown"), [("as-sent", True), ("false", False)])
def test_active_while_pending(sandboxes: Sandboxes, answer: str, shown: bool) -> None:
    sandbox = sandboxes("lucidlink", verified_domains=VERIFIED, active_while_pending=answer)
    pending = create(sandbox, user(domain="example.org"))
    assert pending["active"] is shown
    assert sandbox.scim("GET", f"/Users/{pending['id']}").json()["active"] is shown
    query = {"filter": f'userName eq "{pending["userName"]}" and active eq true'}
    assert sandbox.scim("GET", "/Users", params=query).json()["totalResults"] == int(shown)
    sandbox.admin("POST", f"/users/{pending['id']}/accept")
    assert sandbox.scim("GET", f"/Users/{pending['id']}").json()["active"] is True


@pytest.mark.parametrize(("answer", "suffix"), [("no", ""), ("yes", " (SCIM)")])
def test_the_suffix_in_the_api(sandboxes: Sandboxes, answer: str, suffix: str) -> None:
    sandbox = sandboxes("lucidlink", verified_domains=VERIFIED, suffix_in_api=answer)
    member = create(sandbox)["id"]
    name = unused("Design ")
    pushed = push(sandbox, name, member)

    shown = sandbox.scim("GET", f"/Groups/{pushed}").json()
    assert shown["displayName"] == name + suffix
    assert sandbox.scim("GET", f"/Users/{member}").json()["groups"][0]["display"] == name + suffix
    found = sandbox.scim("GET", "/Groups", params={"filter": f'displayName eq "{name}{suffix}"'}).json()
    assert [each["id"] for each in found["Resources"]] == [pushed]

    assert sandbox.scim("PUT", f"/Groups/{pushed}", shown).json()["displayName"] == name + suffix
    assert sandbox.admin("GET", f"/groups/{pushed}")["shown"] == f"{name} (SCIM)"


@pytest.mark.parametrize(("answer", "shown"), [("shown", True), ("hidden", False)])
def test_native_users_and_groups_in_the_api(sandboxes: Sandboxes, answer: str, shown: bool) -> None:
    sandbox = sandboxes("lucidlink", verified_domains=VERIFIED, natives_in_api=answer)
    managed = create(sandbox)["id"]
    native_user = sandbox.admin("POST", "/users", {"email": f"{unused()}@example.com"})["id"]
    native_group = sandbox.admin("POST", "/groups", {"name": unused("Native ")})["id"]
    sandbox.admin("PUT", f"/groups/{native_group}/members/{managed}")

    assert (native_user in {each["id"] for each in sandbox.users()}) is shown
    assert (native_group in {each["id"] for each in sandbox.groups()}) is shown
    assert sandbox.scim("GET", f"/Users/{native_user}").status_code == (200 if shown else 404)
    groups = sandbox.scim("GET", f"/Users/{managed}").json().get("groups", [])
    assert [each["value"] for each in groups] == ([native_group] if shown else [])


@pytest.mark.parametrize(("answer", "state"), [("deleted", None), ("deactivated", "deactivated")])
def test_delete_by_scim(sandboxes: Sandboxes, answer: str, state: str | None) -> None:
    sandbox = sandboxes("lucidlink", verified_domains=VERIFIED, deleted_by_scim=answer)
    managed = create(sandbox)["id"]
    assert sandbox.scim("DELETE", f"/Users/{managed}").status_code == 204
    found: httpx.Response = sandbox.client.get(f"/admin/users/{managed}")
    assert (found.json()["state"] if found.status_code == 200 else None) == state


@pytest.mark.parametrize(("answer", "status"), [("refused", 409), ("done", 204)])
def test_the_owner_is_special(sandboxes: Sandboxes, answer: str, status: int) -> None:
    sandbox = sandboxes("lucidlink", verified_domains=VERIFIED, owner=answer)
    owner = create(sandbox)["id"]
    sandbox.admin("PATCH", f"/users/{owner}", {"owner": True})
    off = patch({"op": "replace", "path": "active", "value": False})
    assert sandbox.scim("PATCH", f"/Users/{owner}", off).status_code == status
    assert sandbox.scim("DELETE", f"/Users/{owner}").status_code == status


@pytest.mark.parametrize(("answer", "status"), [("offered", 200), ("absent", 404)])
def test_discovery(sandboxes: Sandboxes, answer: str, status: int) -> None:
    sandbox = sandboxes("lucidlink", verified_domains=VERIFIED, discovery=answer)
    for path in ("/ServiceProviderConfig", "/Schemas", "/ResourceTypes"):
        assert sandbox.scim("GET", path).status_code == status
    assert sandbox.scim("GET", "/Users").status_code == 200
