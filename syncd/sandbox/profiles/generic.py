"""Profile `generic`: RFC 7643 and RFC 7644 to the letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from syncd.sandbox.profiles.base import Choice, Profile


class Generic(Profile):
    """The behaviour of the RFCs, without deviations."""

    name: ClassVar[str] = "generic"
    title: ClassVar[str] = "SCIM 2.0 service provider"
    choices: ClassVar[Mapping[str, Choice]] = {
        "manager": Choice("May manager.value be anything, or only the id of a user?", ("anything", "existing")),
    }

    def checks_managers(self) -> bool:
        """Whether a manager has to be the id of a user."""
        return self.settings["manager"] == "existing"
