"""Presets for the common kinds of directory: filters, attribute names, and the rule for enabled accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

DirectoryKind = Literal["openldap", "ad", "389ds", "posix"]


@dataclass(frozen=True, slots=True)
class Preset:
    """The names and filters of one kind of directory."""

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
    """Attributes that `active` and common rules refer to, and that a server sends only when asked for them by name."""


PRESETS: Final[dict[DirectoryKind, Preset]] = {
    "openldap": Preset(
        key="entryUUID",
        user_filter="(objectClass=inetOrgPerson)",
        group_filter="(objectClass=groupOfNames)",
        member="member",
        group_name="cn",
        # This one value is an administrator's lock (slapo-ppolicy(5)). Any other is the moment at which too many
        # wrong passwords locked the account for a while: an attacker must not be able to deactivate people that way.
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
        # that stops each change to the person: better than treating everyone as enabled. Neither lockoutTime (too
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


__all__ = ["PRESETS", "DirectoryKind", "Preset"]
