"""LDAP directories as a source: OpenLDAP, Active Directory, 389 DS, and POSIX accounts in any of them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from syncd.core.model import Wanted
from syncd.errors import SourceMismatch
from syncd.sources.ldap import answers
from syncd.sources.ldap.ber import RawAttributes
from syncd.sources.ldap.connect import connect
from syncd.sources.ldap.entries import AttributeReader, KeyAttribute, KeyUnreadable
from syncd.sources.ldap.lookup import LookUp
from syncd.sources.ldap.options import Layout, LdapOptions, is_attribute_name
from syncd.sources.ldap.pull import LdapPull
from syncd.sources.ldap.session import NO_ATTRIBUTES, Query, Session
from syncd.sources.passwords import demand_no_passwords


class LdapSource:
    """One directory, on as many servers as it likes."""

    def __init__(self, options: LdapOptions) -> None:
        self.name = options.urls[0]
        self._options = options

    def pull(self, wanted: Wanted) -> LdapPull:
        """Connect, bind and start a reading.

        Raises SourceUnreachable, SourceRefused (password, certificate), and SourceMismatch for options that can't
        work and for a wanted attribute that no directory can have, or that holds passwords.
        """
        self._demand_possible(wanted)
        return LdapPull(connect(self._options), self._options.layout(), wanted)

    def mark(self, wanted: Wanted) -> bytes | None:
        """Return None: no server tells cheaply, and for everything below a base, that nothing has changed."""
        return None

    def check(self, wanted: Wanted) -> Mapping[str, str]:
        """Connect, bind, count, and describe the findings. Raises the same errors as a pull."""
        self._demand_possible(wanted)
        session = connect(self._options)
        try:
            return _facts(session, self._options, wanted)
        finally:
            session.close()

    def _demand_possible(self, wanted: Wanted) -> None:
        demand_no_passwords(self.name, wanted)
        wrong = sorted(
            name for name in (wanted.user or frozenset()) | (wanted.group or frozenset()) if not is_attribute_name(name)
        )
        if wrong:
            names = ", ".join(f"`{answers.plain(name)}`" for name in wrong)
            raise SourceMismatch(
                self.name,
                f"no attribute of a directory can be called {names}",
                hint="an LDAP attribute is a letter, then letters, digits and hyphens; correct the mapping or the rule",
            )


def _facts(session: Session, options: LdapOptions, wanted: Wanted) -> dict[str, str]:
    layout = options.layout()
    facts = {"server": session.url}
    vendor = _vendor(session)
    if vendor:
        facts["vendor"] = vendor
    facts |= _security(session.socket)
    facts["bound as"] = session.whoami() or options.bind_dn or "anonymous"
    users = _Census(session, "counting users", layout.user_base, layout.user_filter, layout.key)
    facts["users"] = f"{users.entries} match {layout.user_filter} below {layout.user_base}"
    if users.keyless:
        facts["users without a readable key"] = f"{users.keyless} of {users.entries} lack {layout.key}"
    keyless = users.keyless
    if layout.group_filter:
        groups = _Census(session, "counting groups", layout.group_base, layout.group_filter, layout.key)
        facts["groups"] = f"{groups.entries} match {layout.group_filter} below {layout.group_base}"
        keyless += groups.keyless
        if groups.keyless:
            facts["groups without a readable key"] = f"{groups.keyless} of {groups.entries} lack {layout.key}"
    else:
        facts["groups"] = "none are read: group_filter is empty"
    if session.references:
        facts["parts on other servers"] = f"{session.references}, which are not read"
    facts["who vanishes"] = _absence(session, layout, "" if keyless else users.some_key)
    unused = _unused(session, layout, wanted)
    if unused:
        facts["attributes that nobody has"] = f"{', '.join(unused)} (misspelt, or not readable for the bind account?)"
    return facts


class _Census:
    """Number of matching entries, number of those without a key, and the key of one."""

    def __init__(self, session: Session, task: str, base: str, filter_: str, key: str) -> None:
        self.entries = self.keyless = 0
        self.some_key = ""
        attribute = KeyAttribute(key)
        reader = AttributeReader(frozenset(), withheld=[key])

        def count(_: bytes, raw: RawAttributes) -> None:
            self.entries += 1
            values = reader.read(raw).special.get(key.casefold(), [])
            self.keyless += not values
            if not self.some_key:
                with suppress(KeyUnreadable):
                    self.some_key = attribute.read(values)

        for _ in session.pages(Query(task, base, filter_, (key,)), count):
            pass


def _absence(session: Session, layout: Layout, witness: str) -> str:
    """Report whether absence can be proven: look up a key that never existed, together with a witness."""
    if not witness:
        return f"is never proven gone, while there are entries without a readable {layout.key}"
    nobody = str(uuid4())
    look_up = LookUp(session, layout, lambda key: True, [witness])
    if look_up.answers([nobody])[nobody] is False:
        return f"is looked up by {layout.key}"
    return (
        f"is never proven gone: looking up {layout.key} is refused, doesn't find who is there, or is referred to "
        "another server (then choose bases that lie wholly on this one)"
    )


def _vendor(session: Session) -> str:
    """Return the server's product name (RFC 3045), or a guess from other attributes."""
    found = session.entry(
        Query(
            "reading the root DSE",
            "",
            "(objectClass=*)",
            ("objectClass", "vendorName", "vendorVersion", "isGlobalCatalogReady"),
        )
    )
    if found is None:
        return ""
    told = {
        name.decode().casefold(): [answers.plain(value.decode(errors="replace")) for value in values]
        for name, values in found[1].items()
    }
    if "vendorname" in told or "vendorversion" in told:
        return " ".join((*told.get("vendorname", []), *told.get("vendorversion", [])))
    if "isglobalcatalogready" in told:
        return "Active Directory"
    return "OpenLDAP" if "OpenLDAProotDSE" in told.get("objectclass", []) else ""


def _security(socket: Any) -> dict[str, str]:
    if not isinstance(socket, ssl.SSLSocket):
        return {"TLS": "none (loopback)"}
    certificate: dict[str, Any] = socket.getpeercert() or {}
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    names += [value for _, value in certificate.get("subjectAltName", ())]
    named = ", ".join(answers.plain(name) for name in dict.fromkeys(names))
    return {
        "TLS": socket.version() or "unknown",
        "certificate": f"{named}; valid until {certificate.get('notAfter', 'an unknown date')}",
    }


def _unused(session: Session, layout: Layout, wanted: Wanted) -> list[str]:
    """Return the wanted attributes that not one matching entry has; asks for each of them separately."""
    missing = []
    for names, base, filter_ in (
        (wanted.user, layout.user_base, layout.user_filter),
        (wanted.group, layout.group_base, layout.group_filter),
    ):
        for name in sorted(names or ()):
            if not filter_:
                continue
            query = Query(f"looking for {name}", base, f"(&{filter_}({name}=*))", (NO_ATTRIBUTES,))
            if not session.exists(query) and name not in missing:
                missing.append(name)
    return missing
