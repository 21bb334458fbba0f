"""A directory on a real OpenLDAP server, changed as an administrator would change it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self
from uuid import UUID, uuid4

import ldap3
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

from syncd.sources.ldap.options import LdapOptions
from syncd.sources.ldap.source import LdapSource
from tests.servers.ldif import BASE, GROUPS, PASSWORD, PEOPLE, READER, base
from tests.servers.slapd import Slapd


def options(server: Slapd, **changes: object) -> LdapOptions:
    """Return options that read a server in clear, as the account that may read everything."""
    plain = LdapOptions(urls=(server.url,), base_dn=BASE, bind_dn=READER, password=lambda: PASSWORD)
    return replace(plain, **changes)  # type: ignore[arg-type]


class OpenLdapDirectory:
    """People as inetOrgPerson, groups as groupOfNames, keys made by the server (entryUUID)."""

    name_attribute = "displayName"
    mail_attribute = "mail"
    alias_attribute = "labeledURI"
    group_name_attribute = "cn"
    schema = ""
    """What is defined beyond inetOrgPerson."""
    _nobody: ClassVar[list[str]] = [""]
    """What stands in a group without members: groupOfNames demands one."""

    def __init__(self, folder: Path) -> None:
        self.server = Slapd(folder / "slapd", [base()], top=self.schema)

    def __enter__(self) -> Self:
        self.server.start()
        self._administrator = self.server.administrator()
        self._elsewhere = f"ou=elsewhere,{BASE}"
        self._administrator.add(self._elsewhere, "organizationalUnit", {"ou": "elsewhere"})
        return self

    def __exit__(self, *exc: object) -> None:
        self._administrator.strategy.close()
        self.server.stop()

    def source(self) -> LdapSource:
        # Three to a page: a handful of entries are several pages.
        return LdapSource(options(self.server, page_size=3))

    def add_person(self, name: str, mail: str, aliases: Sequence[str] = ()) -> str:
        attributes: dict[str, Any] = {"sn": name, self.name_attribute: name, self.mail_attribute: mail}
        if aliases:
            attributes[self.alias_attribute] = list(aliases)
        return self._add(f"cn={escape_rdn(name)},{PEOPLE}", ["inetOrgPerson"], attributes)

    def rename(self, key: str, name: str) -> None:
        self._administrator.modify(self._dn(key), {self.name_attribute: [(ldap3.MODIFY_REPLACE, [name])]})
        self._rename(key, f"cn={escape_rdn(name)}")

    def change_mail(self, key: str, mail: str) -> None:
        self._administrator.modify(self._dn(key), {self.mail_attribute: [(ldap3.MODIFY_REPLACE, [mail])]})

    def move(self, key: str) -> None:
        self._rename(key, self._dn(key).partition(",ou=")[0], self._elsewhere)

    def disable(self, key: str) -> None:
        # An operational attribute: only the relax control (draft-zeilenga-ldap-relax) lets even the rootdn write it.
        self._administrator.modify(
            self._dn(key),
            {"pwdAccountLockedTime": [(ldap3.MODIFY_REPLACE, ["000001010000Z"])]},
            controls=[("1.3.6.1.4.1.4203.666.5.12", True, None)],
        )

    def remove_person(self, key: str) -> None:
        self._remove(key)

    def add_group(self, name: str, members: Iterable[str] = (), subgroups: Iterable[str] = ()) -> str:
        dns = [self._dn(key) for key in (*members, *subgroups)]
        return self._add(f"cn={escape_rdn(name)},{GROUPS}", ["groupOfNames"], {"member": dns or [""]})

    def rename_group(self, key: str, name: str) -> None:
        self._rename(key, f"cn={escape_rdn(name)}")

    def set_members(self, key: str, members: Iterable[str], subgroups: Iterable[str] = ()) -> None:
        dns = [self._dn(member) for member in (*members, *subgroups)]
        self._administrator.modify(self._dn(key), {"member": [(ldap3.MODIFY_REPLACE, dns or self._nobody)]})

    def remove_group(self, key: str) -> None:
        self._remove(key)

    def break_off(self) -> None:
        self.server.kill()

    # -- what an administrator's tools do ----------------------------------------------------------

    def _add(self, dn: str, classes: list[str], attributes: dict[str, Any]) -> str:
        self._administrator.add(dn, classes, attributes)
        return self._key(dn)

    def _key(self, dn: str) -> str:
        self._administrator.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["entryUUID"])
        return str(self._administrator.response[0]["attributes"]["entryUUID"][0])

    def _dn(self, key: str) -> str:
        self._administrator.search(BASE, f"({self._key_assertion(key)})", attributes=["1.1"])
        return str(self._administrator.response[0]["dn"])

    def _key_assertion(self, key: str) -> str:
        return f"entryUUID={key}"

    def _rename(self, key: str, rdn: str, parent: str | None = None) -> None:
        before = self._dn(key)
        groups = self._groups_with(before)
        self._administrator.modify_dn(before, rdn, new_superior=parent)
        for group in groups:
            changes = {"member": [(ldap3.MODIFY_DELETE, [before]), (ldap3.MODIFY_ADD, [self._dn(key)])]}
            self._administrator.modify(group, changes)

    def _remove(self, key: str) -> None:
        dn = self._dn(key)
        for group in self._groups_with(dn):
            self._administrator.search(group, "(objectClass=*)", ldap3.BASE, attributes=["member"])
            if self._administrator.response[0]["attributes"]["member"] == [dn]:
                self._administrator.modify(group, {"member": [(ldap3.MODIFY_REPLACE, self._nobody)]})
            else:
                self._administrator.modify(group, {"member": [(ldap3.MODIFY_DELETE, [dn])]})
        self._administrator.delete(dn)

    def _groups_with(self, dn: str) -> list[str]:
        escaped = escape_filter_chars(dn)
        self._administrator.search(BASE, f"(member={escaped})", attributes=["1.1"])
        return [entry["dn"] for entry in self._administrator.response]


# As much of [MS-ADSC] and [MS-ADA3] as a source can notice.
_ACTIVE_DIRECTORY = """
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID'
  EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP inetOrgPerson STRUCTURAL
  MAY ( objectGUID $ userAccountControl $ proxyAddresses ) )
objectclass ( 1.2.840.113556.1.5.8 NAME 'group' SUP top STRUCTURAL MUST cn MAY ( objectGUID $ member ) )

"""


class ActiveDirectoryLike(OpenLdapDirectory):
    """Active Directory's schema on OpenLDAP: objectGUID for a key, a bit of userAccountControl for disabled."""

    alias_attribute = "proxyAddresses"
    schema = _ACTIVE_DIRECTORY
    _nobody: ClassVar[list[str]] = []

    def source(self) -> LdapSource:
        # The preset's filters use what only Active Directory has: a short form for objectCategory, bits of groupType.
        filters = {"user_filter": "(objectClass=user)", "group_filter": "(objectClass=group)"}
        return LdapSource(options(self.server, page_size=3, preset="ad", **filters))

    def disable(self, key: str) -> None:
        self._administrator.modify(self._dn(key), {"userAccountControl": [(ldap3.MODIFY_REPLACE, ["514"])]})

    def _add(self, dn: str, classes: list[str], attributes: dict[str, Any]) -> str:
        guid = uuid4()
        if classes == ["groupOfNames"]:
            kind = "group"
            further: dict[str, Any] = {"member": [member for member in attributes["member"] if member]}
        else:
            kind, further = "user", {"userAccountControl": "512"}
        given = {**attributes, **further, "objectGUID": guid.bytes_le}
        self._administrator.add(dn, [kind], {name: value for name, value in given.items() if value})
        return str(guid)

    def _key_assertion(self, key: str) -> str:
        octets = "".join(f"\\{octet:02x}" for octet in UUID(key).bytes_le)
        return f"objectGUID={octets}"
