"""What is to be read and from where, as plain values; and what the common kinds of directory have in common.

Owns the presets and the check of what an administrator wrote. Touches no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from syncd.errors import Fault
from syncd.sources.ldap.filters import FilterFault, check_filter
from syncd.sources.ldap.names import is_dn
from syncd.sources.passwords import holds_passwords

# RFC 4512 section 2.5, and the underscore that several servers let pass.
_ATTRIBUTE_NAME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9_-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class Preset:
    """What one kind of directory calls things."""

    key: str
    """The attribute that never changes and is never given to another entry."""
    user_filter: str
    group_filter: str
    member: str
    """Holds DNs; `memberUid` holds values of `uid`."""
    group_name: str
    active: str
    """A rule in CEL, true while the account is enabled."""
    operational: tuple[str, ...]
    """What `active` and the usual rules refer to, and a server sends only when asked by name."""


PRESETS: Final = {
    "openldap": Preset(
        key="entryUUID",
        user_filter="(objectClass=inetOrgPerson)",
        group_filter="(objectClass=groupOfNames)",
        member="member",
        group_name="cn",
        # This one value is an administrator's lock (slapo-ppolicy(5)). Any other is the moment at which too many
        # wrong passwords locked the account for a while: whoever tries those must not be able to deactivate people.
        active='pwdAccountLockedTime != "000001010000Z"',
        operational=("pwdAccountLockedTime", "memberOf"),
    ),
    "ad": Preset(
        key="objectGUID",
        user_filter="(&(objectCategory=person)(objectClass=user))",
        # Without the groups of BUILTIN (bit 1 of groupType), whose members are mostly no people and no groups.
        group_filter="(&(objectClass=group)(!(groupType:1.2.840.113556.1.4.803:=1)))",
        member="member",
        group_name="cn",
        # ADS_UF_ACCOUNTDISABLE. Every user has a userAccountControl; if ours may not read it the rule fails, and
        # that stops each change to the person: better than taking everyone for enabled. Neither lockoutTime (too
        # many wrong passwords) nor accountExpires (a rule has no clock) is looked at.
        active="math.bitAnd(int(userAccountControl), 2) == 0",
        operational=(),
    ),
    "389ds": Preset(
        key="nsUniqueId",
        user_filter="(objectClass=inetOrgPerson)",
        group_filter="(objectClass=groupOfNames)",
        member="member",
        group_name="cn",
        # Set by `dsidm account lock`, and computed from roles: true in any case, or absent.
        active='nsAccountLock.lowerAscii() != "true"',
        operational=("nsAccountLock", "memberOf"),
    ),
    "posix": Preset(
        key="entryUUID",
        user_filter="(objectClass=posixAccount)",
        group_filter="(objectClass=posixGroup)",
        member="memberUid",
        group_name="cn",
        # 0 and 1 (January 1970) are how `chage -E` and `usermod -e` switch an account off. A date to come, or one
        # just gone, would need a clock, which a rule doesn't have.
        active='!(shadowExpire in ["0", "1"])',
        operational=(),
    ),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server's address."""

    url: str
    host: str
    port: int
    tls: bool
    """TLS from the first byte (ldaps)."""

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def endpoint(url: str) -> Endpoint:
    """Take an address apart. Raises ValueError, which says what is wrong with it."""
    example = "; write it like ldaps://dc1.example.com or ldap://dc1.example.com:389"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"`{url}` is no address: {error}{example}") from None
    if parts.scheme not in ("ldap", "ldaps") or not host:
        raise ValueError(f"`{url}` is no address of a directory server{example}")
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"`{url}` holds more than a host and a port; base, filter and account have keys of their own")
    tls = parts.scheme == "ldaps"
    return Endpoint(url, host, port or (636 if tls else 389), tls)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


@dataclass(frozen=True, slots=True)
class Layout:
    """What in a directory is a user or a group, with nothing left open."""

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


@dataclass(frozen=True, slots=True)
class LdapOptions:
    """Where the directory is, how to read it, and what in it is a user or a group. None: as the preset has it."""

    urls: tuple[str, ...]
    """Tried in turn until one can be used; a reading stays with the server that it began with."""
    base_dn: str
    start_tls: bool = False
    ca_file: Path | None = None
    """In PEM; the system's certificate authorities otherwise."""
    bind_dn: str = ""
    """A DN, or what else the server takes for a name (`syncd@example.com`); anonymous when empty."""
    password: Callable[[], str] | None = None
    """Called for each bind, when the connection is known to be safe."""
    user_base_dn: str | None = None
    group_base_dn: str | None = None
    user_filter: str | None = None
    group_filter: str | None = None
    """Empty: there are no groups."""
    preset: str = "openldap"
    key: str | None = None
    member: str | None = None
    group_name: str | None = None
    page_size: int = 1000
    connect_timeout: int = 10
    """Seconds to connect, to agree on TLS and to bind, each."""
    receive_timeout: int = 60
    """Seconds of silence after which a server counts as gone."""
    deadline: int = 3600
    """Seconds for a whole reading."""

    def layout(self) -> Layout:
        """Return what these options and their preset come to."""
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

    def faults(self) -> list[Fault]:
        """Return everything that is wrong with these values, each under the key of its setting."""
        return [Fault(f"source.{key}", problem) for key, problem in self._faults()]

    def _faults(self) -> Iterator[tuple[str, str]]:
        if not self.urls:
            yield "urls", "name at least one server"
        for url in self.urls:
            try:
                server = endpoint(url)
            except ValueError as error:
                yield "urls", str(error)
                continue
            if not (server.tls or self.start_tls or server.loopback):
                yield "urls", f"{url} would carry password and people in clear: use ldaps:// or start_tls = true"
        if self.bind_dn and self.password is None:
            yield "password", "bind_dn needs one"
        if self.password is not None and not self.bind_dn:
            yield "bind_dn", "a password needs one"
        for key, dn in (
            ("base_dn", self.base_dn),
            ("user_base_dn", self.user_base_dn),
            ("group_base_dn", self.group_base_dn),
        ):
            if dn is not None and not is_dn(dn):
                yield key, f"`{dn}` is no DN such as dc=example,dc=com"
        for key, text in (("user_filter", self.user_filter), ("group_filter", self.group_filter)):
            if text is None or (key == "group_filter" and not text):
                continue
            try:
                check_filter(text)
            except FilterFault as fault:
                yield key, f"`{text}`: {fault}"
        if self.preset not in PRESETS:
            yield "preset", f"`{self.preset}` is none of {', '.join(PRESETS)}"
        for key, name in (("key", self.key), ("member", self.member), ("group_name", self.group_name)):
            if name is not None and not is_attribute_name(name):
                yield key, f"`{name}` can't be the name of an attribute"
            elif name is not None and holds_passwords(name):
                yield key, f"`{name}` holds passwords, which are never read"
        for key, number in (
            ("page_size", self.page_size),
            ("connect_timeout", self.connect_timeout),
            ("receive_timeout", self.receive_timeout),
            ("deadline", self.deadline),
        ):
            if number < 1:
                yield key, f"{number} is less than 1"


def is_attribute_name(name: str) -> bool:
    """Return whether an attribute can be called that: RFC 4512 section 2.5, options included."""
    return _ATTRIBUTE_NAME.fullmatch(name) is not None
