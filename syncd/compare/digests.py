"""Entries that differ from the snapshot, found by their digests: only those reach Python's decisions.

The digest of each entry's raw attributes, keyed with the fingerprint of the mapping, is compared with the one in the
snapshot, a batch at a time. Of the users who were seen, one byte each is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from syncd.core.digest import entry_digest
from syncd.core.model import Entry, Known
from syncd.store import Snapshot


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of entries, divided into unchanged and different ones."""

    unchanged: Sequence[str]
    """Keys whose digest is the same as before."""
    differing: Sequence[tuple[Entry, bytes]]
    """Entries that are new or differ, with their digests."""
    known: Mapping[str, Known]
    """The snapshot's rows of the entries that differ."""


class Digests:
    """Divides entries into unchanged and different ones, and notes which users were seen."""

    def __init__(
        self,
        snapshot: Snapshot,
        mapping_fingerprint: bytes,
        undecided: Collection[str],
        remember: Callable[[Sequence[Entry]], None],
    ) -> None:
        """`remember` is called with the entries that differ, and with those whose key is in `undecided`."""
        self._snapshot = snapshot
        self._mapping_fingerprint = mapping_fingerprint
        self._undecided = undecided
        self._remember = remember
        self.seen = bytearray(snapshot.highest_ref() + 1)
        """A byte for each `ref` of the snapshot: 1 where the user was seen."""
        self.back: list[str] = []
        """Keys of users who were missing and have been seen now."""

    def compare(self, entries: Sequence[Entry]) -> Batch:
        """Divide one batch of at most a few thousand entries."""
        row_summaries = self._snapshot.row_summaries([entry.key for entry in entries])
        differing: list[tuple[Entry, bytes]] = []
        unchanged: list[str] = []
        seen, fingerprint, undecided = self.seen, self._mapping_fingerprint, self._undecided
        for entry in entries:
            digest = entry_digest(entry.attributes, fingerprint)
            row_summary = row_summaries.get(entry.key)
            if row_summary is not None:
                seen[row_summary.ref] = 1
                if row_summary.missing:
                    self.back.append(entry.key)
                if row_summary.digest == digest:
                    unchanged.append(entry.key)
                    if entry.key in undecided:
                        self._remember([entry])
                    continue
            differing.append((entry, digest))
        if not differing:
            return Batch(unchanged, differing, {})
        self._remember([entry for entry, _ in differing])
        known = self._snapshot.users([entry.key for entry, _ in differing if entry.key in row_summaries])
        return Batch(unchanged, differing, known)

    def see(self, keys: Iterable[str]) -> None:
        """Note that these keys are in the source, though their entries can't be read."""
        for key, row_summary in self._snapshot.row_summaries(list(keys)).items():
            self.seen[row_summary.ref] = 1
            if row_summary.missing:
                self.back.append(key)
