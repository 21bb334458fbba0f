"""Profile `okta-style`: an endpoint built for the kind of client that sends PUT alone, as Okta's wizard-made apps do.

The RFC doesn't ask for PATCH (RFC 7644 section 3.5.2 makes it optional), and such a client filters by a few attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from scim2_models import InvalidFilterException
from scim2_models.path import CompareOperator, Comparison, FilterNode

from syncd.sandbox.profiles.base import NO_METHOD, Choice, Json, Profile, no_method
from syncd.sandbox.resources import GROUP, USER

FILTERS = {USER: ("userName", "externalId", "id"), GROUP: ("displayName",)}


class OktaStyle(Profile):
    """PUT and no PATCH: a change of one member sends the whole group."""

    name: ClassVar[str] = "okta-style"
    title: ClassVar[str] = "SCIM 2.0 service provider without PATCH"
    endpoints: ClassVar[frozenset[str]] = Profile.endpoints - {"Bulk", "Me"}
    choices: ClassVar[Mapping[str, Choice]] = {
        "patch": Choice("With which status is a PATCH refused?", NO_METHOD),
    }

    def config(self) -> Json:
        """Return a ServiceProviderConfig without PATCH and bulk."""
        bulk = {"supported": False, "maxOperations": 0, "maxPayloadSize": 0}
        return {**super().config(), "patch": {"supported": False}, "bulk": bulk}

    def check_method(self, type_: str, method: str) -> None:
        """Refuse PATCH."""
        if method == "PATCH":
            raise no_method(self.settings["patch"], method, ("GET", "PUT", "DELETE"))

    def check_filter(self, type_: str, node: FilterNode) -> None:
        """Accept one comparison by eq only."""
        known = {name.lower() for name in FILTERS[type_]}
        if (
            not isinstance(node, Comparison)
            or node.op != CompareOperator.eq
            or str(node.attr_path).lower() not in known
        ):
            raise InvalidFilterException(detail=f"a filter is one of {', '.join(FILTERS[type_])}, eq and a value")
