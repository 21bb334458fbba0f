"""Who claims which address: two people with one userName or e-mail, somebody hired again, somebody renamed.

An address belongs to one person. Two entries that claim it are a fault of the source, and neither is changed: which
of the two is right nobody here can know. One new key with the address of somebody who left may be the same person
hired again, or another who was given the address; only a person can tell, and handing over an account with
everything in it must not be a guess.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from syncd.core.model import State
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
    """The addresses of everybody who was mapped in this reading: those who are new or whose entry changed."""

    def __init__(self) -> None:
        self._claimed: dict[str, str] = {}
        self._clashes: list[Clash] = []

    def claim(self, key: str, user_name: str, email: str) -> None:
        """Note the addresses of one entry."""
        for address in {user_name.casefold(), email.casefold()}:
            owner = self._claimed.setdefault(address, key)
            if owner != key:
                self._clashes.append(Clash(address, (owner, key)))

    def conflicts(
        self, snapshot: Snapshot, leaving: Collection[str], mapped: Collection[str]
    ) -> Iterator[Clash | Succession]:
        """Yield what can't stand: first those who clash among themselves, then with whom the target knows.

        `leaving` holds the keys that are disabled, out of scope or gone now; `mapped` everybody whose addresses are
        new: what the snapshot says of theirs is no longer true.
        """
        yield from self._clashes
        addresses = iter(self._claimed)
        while batch := list(islice(addresses, _BATCH)):
            for address, owner, state in snapshot.claimants(batch):
                key = self._claimed[address]
                if owner == key:
                    continue
                if owner in leaving or (state is State.DEACTIVATED and owner not in mapped):
                    yield Succession(address, key, owner)
                elif owner not in mapped:
                    yield Clash(address, (owner, key))
