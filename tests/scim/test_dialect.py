"""What was learned of an endpoint: in words, and only as long as profile and overrides stay the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.scim.dialect import Dialect, Form
from syncd.scim.profiles import Profile

PROFILE = Profile("test")


@pytest.mark.parametrize(
    ("ability", "form", "words"),
    [
        ("members.remove", Form.PUT, "members are removed by PUT of the whole resource"),
        ("members.add", Form.TYPED, "members are added with each member's type"),
        ("groups.create", Form.LISTED, "groups are created with an empty list of members"),
        ("users", Form.OBJECT, "accounts are changed by PATCH without paths"),
        ("users.active", Form.PATH, "accounts are switched on and off by PATCH, path by path"),
        ("users.emails", Form.WHOLE, "emails of accounts is changed by PATCH of the whole attribute"),
        ("groups.displayName", Form.PUT, "displayName of groups is changed by PUT of the whole resource"),
        (
            "users.urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            Form.OBJECT,
            "the extension enterprise:2.0:User of accounts is changed by PATCH without paths",
        ),
    ],
)
def test_a_form_is_said_with_what_it_is_for(ability: str, form: Form, words: str) -> None:
    assert Dialect({ability: form}).in_words() == [words]


def test_what_is_not_kept_or_not_shown_is_said() -> None:
    department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
    assert Dialect(dropped={"title", department}).in_words() == ["accepted and not kept: title, department"]
    (silent,) = Dialect(silent={"members.remove", "groups.delete"}).in_words()
    assert silent == ("answers don't show the effect, so it is looked at, when groups are deleted, members are removed")
    assert Dialect(truthful={"users.active"}).in_words() == []


def test_another_profile_or_override_makes_it_forgotten() -> None:
    discovery = {"dialect": Dialect({"members.remove": Form.PUT}).to_json(PROFILE)}
    assert Dialect.known(discovery, PROFILE).forms == {"members.remove": Form.PUT}
    assert not Dialect.is_outdated(discovery, PROFILE)
    overridden = replace(PROFILE, members_per_patch=7)
    assert Dialect.known(discovery, overridden) == Dialect()
    assert Dialect.is_outdated(discovery, overridden)
    assert not Dialect.is_outdated({}, overridden)
