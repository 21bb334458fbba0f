"""LucidLink's single sign-on removed and set up again, against a workspace that behaves as its documents say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.cli.starter import write
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person


@pytest.fixture
def workspace() -> Iterator[Sandbox]:
    with Sandbox("lucidlink", verified_domains=["example.com"]) as sandbox:
        yield sandbox


@pytest.fixture
def admin(tmp_path: Path, workspace: Sandbox) -> Administrator:
    """Four people, one of them external, and a group of two."""
    folder = tmp_path / "syncd"
    list(write(folder))
    admin = Administrator(
        folder,
        SYNCD_TOKEN=workspace.token,
        SYNCD__TARGET__SANDBOX__BASE_URL=workspace.base_url,
        SYNCD__TARGET__SANDBOX__PROFILE="lucidlink",
        SYNCD__TARGET__SANDBOX__VERIFIED_DOMAINS='["example.com"]',
    )
    admin.people([person(1), person(2), person(3, mail="kim@partner.org"), person(4)])
    admin.write("groups.csv", "id,name\neng,Engineering\n")
    admin.members([("eng", "1"), ("eng", "2")])
    return admin


def test_sso_removed_and_set_up_again_gives_everybody_back_the_same_account(
    admin: Administrator, workspace: Sandbox
) -> None:
    assert admin.syncd("sync").code == 0
    accounts = {user["userName"]: user["id"] for user in workspace.admin("GET", "/users")}
    invitations = {user["userName"]: user["invitations"] for user in workspace.admin("GET", "/users")}
    workspace.admin("DELETE", "/sso")
    workspace.clear_requests()

    assert admin.syncd("resync").code == 1
    assert admin.syncd("sync").code == 1
    assert "sandbox: stopped since " in admin.syncd("status").out
    assert set(workspace.counts()) <= {"GET"}

    workspace.admin("PUT", "/sso")
    relinked = admin.syncd("relink")
    assert relinked.code == 2, relinked.out + relinked.err
    assert set(workspace.counts()) <= {"GET"}
    assert re.search(r"\+ create group +Engineering", relinked.out)
    done = admin.syncd("resync")
    assert done.code == 0, done.out + done.err

    users = {user["userName"]: user for user in workspace.admin("GET", "/users")}
    assert {name: user["id"] for name, user in users.items()} == accounts
    assert {name: user["invitations"] for name, user in users.items()} == invitations
    (group,) = workspace.admin("GET", "/groups")
    assert {member["name"] for member in group["members"]} == {"p1@example.com", "p2@example.com"}
    workspace.clear_requests()
    assert admin.syncd("sync").code == 0
    assert workspace.requests() == []
