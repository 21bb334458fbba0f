"""Accounts that are never switched off, whatever the source says: named in the configuration, or by the target."""

from __future__ import annotations

from collections.abc import Collection

from syncd.core.model import Known
from syncd.store import Snapshot


def protection(protect: Collection[str], snapshot: Snapshot, key: str, id_: str, known: Known | None) -> str:
    """Return why an account is never switched off, "" where it may be.

    `protect`: keys, userNames and e-mails, folded, from the configuration. `id_`: the account's at the target.
    """
    named = {key.casefold(), *(known.addresses if known is not None else ())}.intersection(protect)
    if named:
        return f"the configuration names {min(named)} in `protect`"
    accounts: dict[str, str] = snapshot.discovery.get("protected") or {}
    return accounts.get(id_, "")
