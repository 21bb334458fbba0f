"""The keys of an LDAP source, and the layout of the directory that follows from them. Touches no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from syncd.core.hosts import address, is_loopback
from syncd.core.model import Source
from syncd.sources.ldap.presets import PRESETS, DirectoryKind
from syncd.sources.options import Conventions, Options, Reveal
from syncd.sources.passwords import holds_passwords

# RFC 4512 section 2.5, and the underscore that several servers let pass.
_ATTRIBUTE_NAME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9_-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server's address."""

    url: str
    host: str
    port: int
    tls: bool
    """TLS from the first byte (ldaps)."""


def endpoint(url: str) -> Endpoint:
    """Take an address apart. Raises ValueError, which says what is wanted and never repeats the text."""
    parts = address(url, ("ldap", "ldaps"), "ldaps://dc1.example.com or ldap://dc1.example.com:389")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("an address of host and port is wanted; where to search is `base_dn`")
    tls = parts.scheme == "ldaps"
    return Endpoint(url, parts.hostname or "", parts.port or (636 if tls else 389), tls)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which entries of a directory are users and groups, with nothing left open."""

    base: str
    key: str
    user_base: str
    user_filter: str
    group_base: str
    group_filter: str
    """Empty: there are no groups."""
    member: str
    member_is_uid: bool
    """Members are named by `uid` instead of by DN."""
    operational: tuple[str, ...]


# What checks is imported where there is something to check: options are imported with every configuration.


def _dn(text: str) -> str:
    from syncd.sources.ldap.names import is_dn

    if not is_dn(text):
        raise ValueError(f"`{text}` is not a DN such as dc=example,dc=com")
    return text


def _filter(text: str) -> str:
    from syncd.sources.ldap.filters import FilterFault, check_filter

    try:
        check_filter(text)
    except FilterFault as fault:
        raise ValueError(f"`{text}`: {fault}") from None
    return text


def _filter_or_none(text: str) -> str:
    return _filter(text) if text else text


def _attribute(name: str) -> str:
    if not is_attribute_name(name):
        raise ValueError(f"`{name}` can't be the name of an attribute")
    if holds_passwords(name):
        raise ValueError(f"`{name}` holds passwords, which are never read")
    return name


def _server(url: str) -> str:
    endpoint(url)
    return url


Dn = Annotated[str, AfterValidator(_dn)]
Filter = Annotated[str, AfterValidator(_filter)]
FilterOrNone = Annotated[str, AfterValidator(_filter_or_none)]
AttributeName = Annotated[str, AfterValidator(_attribute)]
ServerUrl = Annotated[str, AfterValidator(_server)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapOptions(Options):
    """The keys of `[source]` with `type = "ldap"`. One field for each key, so there are many.

    The order counts: `urls` is compared with `start_tls` above it, `bind_dn` with `password`.
    """

    start_tls: bool = False
    """Encrypt `ldap://` connections before anything is said; needed unless the server is on this machine."""
    urls: Annotated[tuple[ServerUrl, ...], Field(min_length=1)]
    """The servers, tried in turn until one can be used. A reading stays with the server that it began with.
    Certificates and names are verified."""
    ca_file: Path | None = None
    """The certificate authorities to trust, in PEM; else the system's."""
    password: Reveal | None = None
    """Where the password is. It is read for each bind, when the connection is known to be safe."""
    bind_dn: str = ""
    """The account that reads the directory: a DN, or another name that the server takes (`syncd@example.com`).
    Empty: anonymous."""
    base_dn: Dn
    """Where to search, with everything below."""
    user_base_dn: Dn | None = None
    """Where to search for people; else `base_dn`."""
    group_base_dn: Dn | None = None
    """Where to search for groups; else `base_dn`."""
    user_filter: Filter | None = None
    """Which entries are people; else as the preset has it."""
    group_filter: FilterOrNone | None = None
    """Which entries are groups; else as the preset has it. `""`: none."""
    preset: DirectoryKind = "openldap"
    """Fills in filters, key, member and group name attributes and the `active` rule for a kind of directory."""
    key: AttributeName | None = None
    """The attribute with the immutable id; else as the preset has it."""
    member: AttributeName | None = None
    """The attribute that lists a group's members: DNs, or user names for `memberUid`."""
    group_name: AttributeName | None = None
    """The attribute with a group's name."""
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Entries per page."""
    connect_timeout: timedelta = timedelta(seconds=10)
    """How long to wait for a server to answer at all: to connect, to agree on TLS and to bind, each."""
    receive_timeout: timedelta = timedelta(seconds=60)
    """How long a server may be silent before it counts as gone."""
    deadline: timedelta = timedelta(hours=1)
    """How long a whole reading may take."""

    @classmethod
    def contradiction(cls, name: str, known: Mapping[str, Any]) -> str:
        match name:
            case "urls" if not known.get("start_tls", True):
                for server in map(endpoint, known["urls"]):
                    if not (server.tls or is_loopback(server.host)):
                        return f"{server.url} would send everything in clear: use ldaps://, or start_tls = true"
            case "bind_dn" if "password" in known:
                if known["bind_dn"] and known["password"] is None:
                    return "needs a `password` beside it"
                if known["password"] is not None and not known["bind_dn"]:
                    return "missing: `password` is for the account that it names"
        return ""

    def conventions(self) -> Conventions:
        preset = PRESETS[self.preset]
        return Conventions(active=preset.active, group_name=self.group_name or preset.group_name)

    def source(self) -> Source:
        from syncd.sources.ldap.source import LdapSource  # ldap3 is imported where there is a directory, only

        return LdapSource(self)

    def layout(self) -> Layout:
        """Return these options, completed by their preset."""
        preset = PRESETS[self.preset]
        member = self.member or preset.member
        return Layout(
            base=self.base_dn,
            key=self.key or preset.key,
            user_base=self.base_dn if self.user_base_dn is None else self.user_base_dn,
            user_filter=preset.user_filter if self.user_filter is None else self.user_filter,
            group_base=self.base_dn if self.group_base_dn is None else self.group_base_dn,
            group_filter=preset.group_filter if self.group_filter is None else self.group_filter,
            member=member,
            member_is_uid=member.casefold() == "memberuid",
            operational=preset.operational,
        )


def is_attribute_name(name: str) -> bool:
    """Return whether an attribute can be called that: RFC 4512 section 2.5, options included."""
    return _ATTRIBUTE_NAME.fullmatch(name) is not None
