"""Whether two targets of a configuration are one place: each of them would put back what the other one writes.

#  address          token          accounts listed    integration    -> one place
#  the same         the same       any                any               yes
#  the same         another one    the same ones      the other one     no: the token decides which one answers (Lucid)
#  the same         another one    the same ones      any               yes
#  the same         another one    others, or none    any               no: another account, or nobody can tell
#  another one      any            the same ones      any               yes: two spellings of one address
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from syncd.core.model import Json
from syncd.core.place import address_of, sort_of
from syncd.scim.resources import field as member
from syncd.settings.build import Target

_RANDOM: Final = frozenset({"uuid", "x"})
"""Parts of the sorts of ids that no two endpoints have by chance."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of a list, as far as it tells one place from another."""

    id: str
    name: str
    created: str
    """`meta.created`; "" where the endpoint doesn't show it."""

    @classmethod
    def of(cls, body: Json) -> Account:
        """Read a user of any form."""
        shown = member(body, "id"), member(body, "userName"), member(member(body, "meta"), "created")
        return cls(*("" if each is None else str(each) for each in shown))

    @property
    def is_unmistakable(self) -> bool:
        """Whether no other endpoint has such an account by chance."""
        return bool(self.created) or not _RANDOM.isdisjoint(re.split(r"[^A-Za-z]+", sort_of(self.id)))


@dataclass(frozen=True, slots=True)
class Shared:
    """Two targets that are one place."""

    target: str
    other: str
    what: str
    """What the two have in common, as a clause."""
    reason: str
    """Why they are one place on purpose; "" where nobody says so."""

    @property
    def is_said(self) -> bool:
        """Whether one of the two says why."""
        return bool(self.reason)


def shared_places(
    targets: Sequence[Target], chosen: Collection[str], accounts: Mapping[str, Collection[Account]]
) -> Iterator[Shared]:
    """Yield for each chosen target the others that are the same place. `accounts`: those listed there, by target."""
    for target in targets:
        if target.name not in chosen:
            continue
        for other in targets:
            if other is not target and (what := _in_common(target, other, accounts)):
                yield Shared(target.name, other.name, what, target.shares_address or other.shares_address)


def may_be_one_host(one: Target, other: Target) -> bool:
    """Return whether two addresses are one, or lead to one host: then the listed accounts tell."""
    if one.is_at_address_of(other):
        return True
    return bool(_hosts(one) & _hosts(other))


def _in_common(target: Target, other: Target, accounts: Mapping[str, Collection[Account]]) -> str:
    if target.is_at_address_of(other):
        if target.has_token_of(other):
            return "the same address and the same token"
        if _are_integrations(target, other) or not _same(target, other, accounts):
            return ""
        return "the same address and the same accounts, by another token"
    if _same(target, other, accounts) and all(each.is_unmistakable for each in accounts[target.name]):
        return f"the same accounts at another spelling of the address ({other.base_url})"
    return ""


def _are_integrations(one: Target, other: Target) -> bool:
    """Return whether two targets are the two integrations of one account."""
    ours, theirs = one.rules.profile, other.rules.profile
    return ours.sibling == theirs.name or theirs.sibling == ours.name


def _same(target: Target, other: Target, accounts: Mapping[str, Collection[Account]]) -> bool:
    one, two = accounts.get(target.name), accounts.get(other.name)
    return bool(one) and bool(two) and set(one or ()) == set(two or ())


def _hosts(target: Target) -> set[tuple[object, ...]]:
    """Return the network addresses of a target; none where its name isn't known here."""
    parts = urlsplit(address_of(target.base_url))
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {(*address[:2], parts.path) for *_, address in found}


__all__ = ["Account", "Shared", "may_be_one_host", "shared_places"]
