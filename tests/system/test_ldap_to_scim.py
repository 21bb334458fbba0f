"""A real OpenLDAP server to a real SCIM server, by the installed command, as an administrator does it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest

from tests.sandbox.process import Sandbox
from tests.servers.ldif import BASE, GROUPS, PASSWORD, PEOPLE, READER, base, group, key, person
from tests.servers.slapd import Slapd
from tests.system.commands import Administrator

CONFIGURATION = f"""
state = "syncd.db"

[source]
type = "ldap"
urls = ["URL"]
bind_dn = "{READER}"
password = {{ file = "password" }}
base_dn = "{BASE}"
preset = "openldap"
active = 'employeeType != "terminated"'

[mapping.user]
userName = "{{mail|lower}}"
"name.givenName" = "{{givenName}}"
"name.familyName" = "{{sn}}"
displayName = ["{{displayName}}", "{{cn}}"]
'emails[type eq "work"].value' = "{{mail|lower}}"
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager" = "{{manager}}"

[[target]]
name = "endpoint"
base_url = "ENDPOINT"
rate = 10000
token = {{ env = "SYNCD_TOKEN" }}
missing_grace = "0s"
"""


def dn(uid: str) -> str:
    return f"uid={uid},{PEOPLE}"


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    """Four people, of whom one is terminated; two groups, one inside the other, each inside itself."""
    ldif = [
        base(),
        person("zoe", {"mail": "Zoe@example.com", "sn": "Müller", "givenName": "Zoë", "cn": "Zoë Müller"}),
        person("jan", {"mail": "jan@example.com", "sn": "Kjær", "cn": "Jan, Kjær", "manager": dn("zoe")}),
        person("wei", {"mail": "wei@example.com", "sn": "王", "givenName": "伟", "cn": "王伟"}),
        person("old", {"mail": "old@example.com", "employeeType": "terminated"}),
        group("engineering", [dn("zoe"), f"cn=platform,{GROUPS}"]),
        group("platform", [dn("jan"), dn("old"), f"cn=engineering,{GROUPS}"]),
    ]
    with Slapd(tmp_path / "slapd", ldif) as slapd:
        yield slapd


@pytest.fixture
def admin(tmp_path: Path, slapd: Slapd, sandbox: Sandbox) -> Administrator:
    folder = tmp_path / "syncd"
    folder.mkdir()
    admin = Administrator(folder, SYNCD_TOKEN=sandbox.token)
    admin.write("syncd.toml", CONFIGURATION.replace("URL", slapd.url).replace("ENDPOINT", sandbox.base_url))
    admin.write("password", PASSWORD).chmod(0o600)
    return admin


def members(sandbox: Sandbox) -> dict[str, set[str]]:
    """Return the userNames in each group, by its displayName."""
    names = {user["id"]: user["userName"] for user in sandbox.users()}
    return {
        group["displayName"]: {names[member["value"]] for member in group.get("members", [])}
        for group in sandbox.groups()
    }


def by_key(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {user["externalId"]: user for user in sandbox.users()}


def test_a_directory_reaches_the_endpoint_and_stays_in_step(
    admin: Administrator, slapd: Slapd, sandbox: Sandbox
) -> None:
    check = admin.syncd("check")
    assert check.code == 0, check.out + check.err

    first = admin.syncd("sync", "--json")
    assert first.code == 0, first.out + first.err
    reading = 3  # users, groups, and the token's own account
    assert first.json["requests"] == reading + first.json["estimate"]["requests"]
    users = by_key(sandbox)
    assert {user["userName"] for user in users.values()} == {"zoe@example.com", "jan@example.com", "wei@example.com"}
    assert users[key(dn("wei"))]["name"] == {"givenName": "伟", "familyName": "王"}
    manager = users[key(dn("jan"))]["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["manager"]
    assert manager["value"] == users[key(dn("zoe"))]["id"]
    everybody = {"zoe@example.com", "jan@example.com"}
    assert members(sandbox) == {"engineering": everybody, "platform": everybody}

    sandbox.clear_requests()
    assert admin.syncd("sync").code == 0
    assert sandbox.requests() == []

    # Renamed and moved to another branch: the same key, so the same account.
    root = slapd.administrator()
    root.modify(dn("zoe"), {"mail": [(ldap3.MODIFY_REPLACE, ["zoe.m@example.com"])]})
    root.modify_dn(dn("wei"), "uid=wei", new_superior=BASE)
    root.modify(dn("jan"), {"employeeType": [(ldap3.MODIFY_REPLACE, ["terminated"])]})
    root.modify(f"cn=platform,{GROUPS}", {"member": [(ldap3.MODIFY_ADD, [f"uid=wei,{BASE}"])]})
    root.unbind()
    changed = admin.syncd("sync", "--json")
    assert changed.code == 0, changed.out
    assert [(o["action"], o["name"]) for o in changed.json["outcomes"]] == [
        ("deactivate_user", "jan@example.com"),
        ("update_user", "zoe.m@example.com"),
        ("add_members", "engineering"),
        ("add_members", "platform"),
    ]
    after = by_key(sandbox)
    assert {key_: user["id"] for key_, user in after.items()} == {key_: user["id"] for key_, user in users.items()}
    assert after[key(dn("jan"))]["active"] is False
    assert members(sandbox)["engineering"] == {"zoe.m@example.com", "jan@example.com", "wei@example.com"}


def test_an_entry_deleted_from_the_directory_is_switched_off(
    admin: Administrator, slapd: Slapd, sandbox: Sandbox
) -> None:
    admin.syncd("sync")
    root = slapd.administrator()
    root.delete(dn("wei"))
    root.unbind()
    done = admin.syncd("sync", "--json")
    assert [(o["action"], o["name"]) for o in done.json["outcomes"]] == [("deactivate_user", "wei@example.com")]


def test_a_wrong_password_is_one_error_and_changes_nothing(
    admin: Administrator, slapd: Slapd, sandbox: Sandbox
) -> None:
    admin.syncd("sync")
    sandbox.clear_requests()
    admin.write("password", "not-the-password")
    done = admin.syncd("sync")
    assert done.code == 1
    assert "127.0.0.1" in done.err
    assert "not-the-password" not in done.err + done.out
    assert sandbox.requests() == []


def test_a_server_that_is_down_is_one_error_and_changes_nothing(
    admin: Administrator, slapd: Slapd, sandbox: Sandbox
) -> None:
    admin.syncd("sync")
    sandbox.clear_requests()
    slapd.kill()
    done = admin.syncd("sync")
    assert done.code == 1
    assert "127.0.0.1" in done.err
    assert sandbox.requests() == []


def test_a_search_cut_short_by_a_size_limit_locks_nobody_out(tmp_path: Path, sandbox: Sandbox) -> None:
    people = [base(), *(person(f"u{number}", {"mail": f"u{number}@example.com"}) for number in range(30))]
    folder = tmp_path / "syncd"
    folder.mkdir()
    admin = Administrator(folder, SYNCD_TOKEN=sandbox.token)
    admin.write("password", PASSWORD).chmod(0o600)
    with Slapd(tmp_path / "whole", people) as slapd:
        admin.write("syncd.toml", CONFIGURATION.replace("URL", slapd.url).replace("ENDPOINT", sandbox.base_url))
        assert admin.syncd("sync").code == 0
    sandbox.clear_requests()
    with Slapd(tmp_path / "limited", people, limits="size.soft=10 size.hard=10 size.prtotal=10") as slapd:
        admin.write("syncd.toml", CONFIGURATION.replace("URL", slapd.url).replace("ENDPOINT", sandbox.base_url))
        done = admin.syncd("sync")
    assert done.code == 1, done.out
    assert sandbox.requests() == []
    assert all(user["active"] for user in sandbox.users())
