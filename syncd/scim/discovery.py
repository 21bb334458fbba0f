"""Discovery: an endpoint's announcement of its capabilities (/ServiceProviderConfig, RFC 7643 section 5). Pure.

A hint, no more: announced capabilities were found wrong in both directions, so the profile takes precedence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from syncd.core.model import Json
from syncd.scim.profiles import PROFILES, Profile
from syncd.scim.resources import field


@dataclass(frozen=True, slots=True)
class Announcement:
    """The announced capabilities; None where the endpoint announces nothing. Sizes are bytes."""

    patch: bool | None
    bulk: bool | None
    bulk_operations: int | None
    bulk_bytes: int | None
    filter: bool | None
    filter_results: int | None
    etag: bool | None
    sort: bool | None
    index: bool | None
    cursor: bool | None
    page_size: int | None

    def facts(self, known: dict[str, Json]) -> dict[str, Json]:
        """Return the facts to remember about the endpoint, merged with the `known` ones."""
        bulk = {"maxOperations": self.bulk_operations, "maxPayloadSize": self.bulk_bytes} if self.bulk else None
        return {**known, "patch": self.patch is not False, "etag": self.etag is True, "bulk": bulk}

    def __str__(self) -> str:
        """Return the announcement as a clause."""
        numbers = _and(
            self.bulk_operations and f"{self.bulk_operations:,} operations",
            self.bulk_bytes and f"{self.bulk_bytes:,} bytes",
        )
        words = {
            "PATCH": self.patch,
            f"bulk{f' of at most {numbers}' if numbers else ''}": self.bulk,
            f"filters{f' with at most {self.filter_results:,} results' if self.filter_results else ''}": self.filter,
            "ETags": self.etag,
            "sorting": self.sort,
            "pages by index": self.index,
            "pages by cursor": self.cursor,
        }
        there = [word for word, said in words.items() if said]
        absent = [word.partition(" of ")[0].partition(" with ")[0] for word, said in words.items() if said is False]
        largest = f"pages of at most {self.page_size:,}" if self.page_size else ""
        said = ", ".join([*there, *filter(None, [largest])]) or "no optional capability"
        return f"{said}; not {', '.join(absent)}" if absent else said


def announced(config: Json) -> Announcement:
    """Read a ServiceProviderConfig of any form."""
    bulk, filter_, pages = (field(config, name) for name in ("bulk", "filter", "pagination"))
    return Announcement(
        patch=_flag(field(field(config, "patch"), "supported")),
        bulk=_flag(field(bulk, "supported")),
        bulk_operations=_number(field(bulk, "maxOperations")),
        bulk_bytes=_number(field(bulk, "maxPayloadSize")),
        filter=_flag(field(filter_, "supported")),
        filter_results=_number(field(filter_, "maxResults")),
        etag=_flag(field(field(config, "etag"), "supported")),
        sort=_flag(field(field(config, "sort"), "supported")),
        index=_flag(field(pages, "index")),
        cursor=_flag(field(pages, "cursor")),
        page_size=_number(field(pages, "maxPageSize")),
    )


def overridden(profile: Profile) -> dict[str, Any]:
    """Return the differences of a target's profile from the built-in profile of the same name."""
    plain = PROFILES.get(profile.name, profile)
    names = [each.name for each in fields(Profile)]
    return {name: getattr(profile, name) for name in names if getattr(profile, name) != getattr(plain, name)}


def in_toml(name: str, value: Any) -> str:
    """Return a line of the configuration: `patch = false`."""
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def differences(profile: Profile, said: Announcement) -> Iterator[str]:
    """Yield the contradictions between profile and announcement, a sentence each. The profile takes precedence."""
    for name, what, ours, theirs in (
        ("patch", "PATCH", profile.patch, said.patch),
        ("bulk", "bulk", profile.bulk, said.bulk),
        ("etags", "ETags", profile.etags, said.etag),
    ):
        if None not in (ours, theirs) and ours is not theirs:
            heard = f"announces {'it' if what != 'ETags' else 'them'}" if theirs else "announces none"
            yield _at_odds(profile, name, f"{'' if ours else 'no '}{what}", heard, theirs)
    ways = {"index": said.index, "cursor": said.cursor}
    if profile.paging in ways and ways[profile.paging] is False:
        other = next((way for way, there in ways.items() if there), "single")
        yield _at_odds(profile, "paging", f"pages by {profile.paging}", "announces no such pages", other)
    if said.filter is False and (profile.user_filters is None or profile.user_filters):
        yield _at_odds(profile, "user_filters", "filters", "announces none", ())
    largest = min((each for each in (said.filter_results, said.page_size) if each), default=profile.page_size)
    if largest < profile.page_size:
        heard = f"announces {largest:,} at most"
        yield _at_odds(profile, "page_size", f"pages of {profile.page_size:,}", heard, largest)


def _at_odds(profile: Profile, name: str, ours: str, heard: str, theirs: Any) -> str:
    if name in overridden(profile):
        line = in_toml(name, getattr(profile, name))
        return f"profile_overrides say {line}, the endpoint {heard}: the override counts."
    change = f"change it with [target.profile_overrides] {in_toml(name, theirs)}"
    return f"The profile says {ours}, the endpoint {heard}: the profile counts; {change}."


def _flag(value: Json) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _and(*parts: str | int | None) -> str:
    return " and ".join(str(part) for part in parts if part)


__all__ = ["Announcement", "announced", "differences", "in_toml", "overridden"]
