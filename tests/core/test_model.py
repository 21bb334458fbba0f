"""The meaning of a SCIM `active` value, in every form that endpoints use."""

from __future__ import annotations

import pytest

from syncd.core.model import Json, Kind, Observed, is_on
from syncd.scim.resources import flatten, not_taken


@pytest.mark.parametrize(
    ("active", "on"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        (1.0, True),
        (0.0, False),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        (" FALSE ", False),
        ("yes", True),
        ("no", False),
        ("No", False),
        ("on", True),
        ("off", False),
        ("OFF", False),
        ("1", True),
        ("0", False),
        (None, True),  # not shown: RFC 7643 section 4.1.1
        ("", True),  # nothing that says off
        ("unknown", True),
    ],
)
def test_whether_an_account_is_on(active: Json, on: bool) -> None:
    assert on is is_on(active)
    assert on is Observed("id", "ada", "", (), {"active": active}).active
    shown = {"userName": "ada", "active": active}
    assert flatten(Kind.USER, shown, ["active"]) == ({} if active is None else {"active": on})
    assert not not_taken(Kind.USER, {"active": on}, shown)
    assert list(not_taken(Kind.USER, {"active": not on}, shown)) == ["active"]
