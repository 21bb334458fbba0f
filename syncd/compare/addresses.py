"""The third step: claims to addresses. Two people with one userName or e-mail, a rehire, a rename.

An address belongs to one person. Two entries that claim one address are a fault of the source, and neither is changed:
nobody here can know which of the two is right. A new key with the address of somebody who left may be the same person
hired again, or another who was given the address. Only a person can tell these apart: handing over an account with
everything in it must not be a guess.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Final

from syncd.compare.absence import Absence
from syncd.compare.accounts import Accounts
from syncd.compare.draft import Draft
from syncd.core.matching import Doubt
from syncd.core.model import Flat, Known, State
from syncd.core.ownership import Ownership
from syncd.core.plan import Action, Change, Trouble
from syncd.store import Snapshot

_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Clash:
    """Two keys that claim one address now."""

    address: str
    keys: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Succession:
    """A key that claims the address of another one, who left or is switched off."""

    address: str
    key: str
    former: str


class Claims:
    """The addresses of everybody who was mapped in this reading: of people who are new or whose entry changed."""

    def __init__(self) -> None:
        self._claimed: dict[str, str] = {}
        self._clashes: list[Clash] = []
        self._mapped: set[str] = set()
        """Keys whose addresses are new: the snapshot's addresses of these keys are out of date."""
        self._withdrawn: set[str] = set()

    def claim(self, key: str, user_name: str, email: str) -> None:
        """Note the addresses of one entry."""
        self._mapped.add(key)
        for address in {user_name.casefold(), email.casefold()}:
            owner = self._claimed.setdefault(address, key)
            if owner != key:
                self._clashes.append(Clash(address, (owner, key)))

    def withdraw(self, key: str) -> None:
        """Note that a key claims no address any more: its entry is disabled or out of scope."""
        self._withdrawn.add(key)

    def conflicts(self, snapshot: Snapshot, absent: Collection[str]) -> Iterator[Clash | Succession]:
        """Yield the conflicting claims: first those between keys, then those between a key and an existing account.

        `absent`: keys of the managed users who were not seen.
        """
        yield from self._clashes
        addresses = iter(self._claimed)
        while batch := list(islice(addresses, _BATCH)):
            for address, owner, state in snapshot.claimants(batch):
                key = self._claimed[address]
                if owner == key:
                    continue
                leaving = owner in self._withdrawn or owner in absent
                if leaving or (state is State.DEACTIVATED and owner not in self._mapped):
                    yield Succession(address, key, owner)
                elif owner not in self._mapped:
                    yield Clash(address, (owner, key))


def settle_claims(
    claims: Claims, snapshot: Snapshot, absence: Absence, draft: Draft, accounts: Accounts, owned: Ownership
) -> list[Trouble]:
    """Remove the changes that would give one address to two people; return the problems of the source.

    #  address claimed by                  a change of         -> result
    #  two keys                            either                 none of the two is changed
    #  a key, and an account of another    a user who is new      handover of that account, if a person approves
    #  who left or is off                  a linked user          the change waits for a person
    """
    problems: dict[tuple[str, str], Trouble] = {}
    for found in claims.conflicts(snapshot, absence.moved | absence.gone | absence.unproven):
        if isinstance(found, Clash):
            for key, other in (found.keys, found.keys[::-1]):
                problem = f"{found.address} is the address of {other} as well: neither of the two is changed"
                problems.setdefault((key, problem), Trouble(key, problem))
                draft.leave_alone(key)
                if snapshot.user(key) is None:
                    accounts.discard(key)
            continue
        key, changes, account = found.key, draft.changes.get(found.key), snapshot.user(found.former)
        if not changes or account is None:
            continue
        # An account that is linked keeps its own; only the address is in dispute.
        if changes[0].action is not Action.CREATE_USER:
            reason = f"{found.address} still is the address of the account of {found.former} ({account.state})"
            draft.doubts.setdefault(key, Doubt("address", reason))
            continue
        # A new key: a person may approve the handover of that account.
        takeover = _handover(changes, account, absence, owned)
        draft.changes[key] = [takeover]
        accounts.discard(key)  # groups follow once the handover is decided
        draft.doubts[key] = Doubt(
            "rehire",
            f"{takeover.reason}; approve if it is the same person: the account is handed over with all that is in it",
        )
    return list(problems.values())


def _handover(changes: list[Change], account: Known, absence: Absence, owned: Ownership) -> Change:
    """Return the change that hands an account over to the key for which `changes` would create one.

    Values that the new entry doesn't have are emptied: they were the former one's.
    """
    former = account.key
    wanted: Flat = dict(chain.from_iterable(change.after.items() for change in changes))
    after = owned.all_of(owned.settled(wanted, account.attributes))
    before = {path: account.attributes.get(path) for path in after}
    left = "left" if former in absence.gone else "was not seen" if former in absence.unproven else "is switched off"
    return replace(
        changes[-1],
        action=Action.ADOPT_USER,
        before=before,
        after=after,
        reason=f"hired again? {former}, who {left}, has an account with this address",
        resource=account.id,
    )
