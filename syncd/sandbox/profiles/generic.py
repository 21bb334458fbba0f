"""Profile `generic`: RFC 7643 and RFC 7644 to the letter."""

from __future__ import annotations

from typing import ClassVar

from syncd.sandbox.profiles.base import Profile


class Generic(Profile):
    """The RFCs' answers, and none of anybody's own."""

    name: ClassVar[str] = "generic"
    title: ClassVar[str] = "SCIM 2.0 service provider"
