"""Directory content as LDIF (RFC 2849): the same arguments give the same bytes, keys included."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID, uuid5

BASE = "dc=example,dc=com"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
READER = f"cn=reader,{BASE}"
PASSWORD = "read-only 1"

_NAMESPACE = UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")

Value = str | bytes
Content = Mapping[str, Value | Sequence[Value]]
_NONE: Content = {}


def key(dn: str) -> str:
    """Return the entryUUID that the entry with this DN gets here."""
    return str(uuid5(_NAMESPACE, dn))


def record(dn: str, attributes: Content, *, uuid: str | None = None) -> str:
    """Return one entry; everything that isn't plain ASCII goes in base64."""
    lines = [_line("dn", dn)]
    for name, values in attributes.items():
        lines += [_line(name, value) for value in ([values] if isinstance(values, str | bytes) else values)]
    return "".join([*lines, f"entryUUID: {uuid or key(dn)}\n", "\n"])


def _line(name: str, value: Value) -> str:
    raw = value.encode() if isinstance(value, str) else value
    safe = raw.isascii() and all(32 <= byte < 127 for byte in raw) and raw[:1] not in (b" ", b":", b"<", b"")
    if safe and not raw.endswith(b" "):
        return f"{name}: {raw.decode()}\n"
    return f"{name}:: {base64.b64encode(raw).decode()}\n"


def base() -> str:
    """Return the entries that everything else is below: two branches, and the account that may read."""
    return "".join(
        [
            record(BASE, {"objectClass": ["dcObject", "organization"], "dc": "example", "o": "Example"}),
            record(PEOPLE, {"objectClass": "organizationalUnit", "ou": "people"}),
            record(GROUPS, {"objectClass": "organizationalUnit", "ou": "groups"}),
            record(
                READER,
                {
                    "objectClass": ["organizationalRole", "simpleSecurityObject"],
                    "cn": "reader",
                    "userPassword": PASSWORD,
                },
            ),
        ]
    )


def person_dn(number: int) -> str:
    return f"uid=u{number:06d},{PEOPLE}"


def person(uid: str, attributes: Content = _NONE, *, dn: str = "") -> str:
    """Return an inetOrgPerson; `cn` and `sn` are made from the uid where they aren't given."""
    named = {"objectClass": "inetOrgPerson", "uid": uid, "cn": uid, "sn": uid}
    return record(dn or f"uid={uid},{PEOPLE}", {**named, **attributes})


def group(cn: str, members: Iterable[str], attributes: Content = _NONE, *, dn: str = "") -> str:
    """Return a groupOfNames with these DNs, one at least."""
    named = {"objectClass": "groupOfNames", "cn": cn, "member": list(members)}
    return record(dn or f"cn={cn},{GROUPS}", {**named, **attributes})


def company(people: int, group_size: int = 20) -> Iterator[str]:
    """Yield a company: ten attributes a person, a manager for each eight, a group for each `group_size`, all in one.

    People are listed from the last to the first, so that everybody comes before their manager.
    """
    yield base()
    for number in reversed(range(people)):
        given, family = f"Given{number % 97}", ("Müller", "Smith", "Peña", "Jones")[number % 4] + str(number)
        attributes: dict[str, Value | Sequence[Value]] = {
            "cn": f"{given} {family}",
            "sn": family,
            "givenName": given,
            "displayName": f"{given} {family}",
            "mail": f"u{number:06d}@example.com",
            "title": ("Engineer", "Account Executive", "Analyst")[number % 3],
            "departmentNumber": f"{number % 40:03d}",
            "employeeNumber": str(100000 + number),
            "telephoneNumber": f"+49 30 {number:07d}",
            "l": ("Berlin", "São Paulo", "Austin")[number % 3],
        }
        if number:
            attributes["manager"] = person_dn((number - 1) // 8)
        yield person(f"u{number:06d}", attributes)
    for first in range(0, people, group_size):
        yield group(f"g{first:06d}", map(person_dn, range(first, min(first + group_size, people))))
    yield group("everyone", map(person_dn, range(people)))
