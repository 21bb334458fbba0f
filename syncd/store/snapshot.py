"""The snapshot of one target: its last acknowledged state. Finds the known rows for a comparison; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

import orjson

from syncd.core.drift import Drift, DriftClass
from syncd.core.model import Flat, Json, Kind, Known, is_on
from syncd.core.place import Place
from syncd.core.plan import timestamp
from syncd.store.entries import Entries
from syncd.store.groups import Groups
from syncd.store.rows import dumped, table_of
from syncd.store.users import RowSummary, Users

__all__ = ["Pause", "RowSummary", "Snapshot", "Stop"]

_PARTS: Final = ((Kind.USER, "members"), (Kind.GROUP, "groups"))


@dataclass(frozen=True, slots=True)
class Pause:
    """The pause of a target by a person."""

    by: str
    since: datetime

    def to_json(self) -> Json:
        return {"by": self.by, "since": timestamp(self.since)}


@dataclass(frozen=True, slots=True)
class Stop:
    """The stop of a target: what is managed is gone or wasn't seen, the token is refused, or the target kept failing.

    A person ends the first kind; the others end when the target works again.
    """

    cause: Literal["gone", "elsewhere", "refused", "failing"]
    reason: str
    since: datetime


class Snapshot(Users, Groups, Entries):
    """Reads and writes one target's rows. Writes belong inside the state file's `atomic()`."""

    # -- the target ------------------------------------------------------------------------------

    @property
    def serial(self) -> int:
        """Raised with every acknowledged change: two plans with one serial saw the same snapshot."""
        return int(self._one("SELECT serial FROM targets WHERE id = ?", self._target)[0])

    def bump(self) -> None:
        """Raise the serial."""
        self._conn.execute("UPDATE targets SET serial = serial + 1 WHERE id = ?", [self._target])

    @property
    def discovery(self) -> dict[str, Json]:
        """The announced or proven capabilities of the endpoint, empty before the first discovery."""
        return dict(self._remembered("discovery") or {})

    def discover(self, discovery: Json) -> None:
        """Remember the endpoint's capabilities."""
        self._remember("discovery", discovery)

    @property
    def mark(self) -> bytes:
        """The mark of source, rules and snapshot when everything was last in line; empty when it wasn't."""
        return bytes(self._one("SELECT mark FROM targets WHERE id = ?", self._target)[0] or b"")

    def set_mark(self, mark: bytes) -> None:
        """Remember the mark with which everything was in line."""
        self._conn.execute("UPDATE targets SET mark = ? WHERE id = ?", [mark, self._target])

    @property
    def read_by(self) -> str | None:
        """The fingerprint of the rules by which the target was last read whole, with everything found linked.

        "": some of it is not linked yet. None: nothing was recorded.
        """
        found = self._one("SELECT read_by FROM targets WHERE id = ?", self._target)[0]
        return None if found is None else str(found)

    def set_read_by(self, rules: str) -> None:
        """Remember the rules by which the target was read, or "" while what was found is not linked."""
        self._conn.execute("UPDATE targets SET read_by = ? WHERE id = ?", [rules, self._target])

    @property
    def place(self) -> Place | None:
        """The place that the links belong to; None before it was first recorded."""
        found = self._remembered("place")
        return Place.from_json(found) if found else None

    def set_place(self, place: Place) -> None:
        """Remember the place that the links belong to: what is managed was seen there, or nothing is linked."""
        self._remember("place", place.to_json())

    @property
    def is_empty(self) -> bool:
        """Whether nobody and no group is linked."""
        return not any(self.counts().values()) and not self.groups()

    @property
    def source_counts(self) -> dict[str, int]:
        """Numbers of users, groups and memberships in the last believed reading; empty before the first one."""
        return dict(self._remembered("source_counts") or {})

    def set_source_counts(self, counts: Mapping[str, int]) -> None:
        """Remember the numbers of a believed reading."""
        self._remember("source_counts", dict(counts))

    @property
    def stop(self) -> Stop | None:
        """The target's stop, None without one."""
        stop = self._remembered("stop")
        return Stop(stop["cause"], stop["reason"], datetime.fromisoformat(stop["since"])) if stop else None

    def set_stop(self, stop: Stop | None) -> None:
        """Remember that the target stopped, or goes on."""
        self._remember("stop", stop and {"cause": stop.cause, "reason": stop.reason, "since": stop.since.isoformat()})

    @property
    def paused(self) -> Pause | None:
        """The target's pause, None without one."""
        by, since = self._one("SELECT paused_by, paused_since FROM targets WHERE id = ?", self._target)
        return Pause(by, datetime.fromisoformat(since)) if since else None

    def set_paused(self, pause: Pause | None) -> None:
        """Remember the beginning or the end of a pause."""
        self._conn.execute(
            "UPDATE targets SET paused_by = ?, paused_since = ? WHERE id = ?",
            [pause.by if pause else None, pause.since.isoformat() if pause else None, self._target],
        )

    def _remembered(self, column: str) -> Json:
        (text,) = self._one(f"SELECT {column} FROM targets WHERE id = ?", self._target)
        return orjson.loads(text) if text else None

    def _remember(self, column: str, value: Json) -> None:
        text = None if value is None else dumped(value)
        self._conn.execute(f"UPDATE targets SET {column} = ? WHERE id = ?", [text, self._target])

    # -- removals and handovers ------------------------------------------------------------------

    def forget_user(self, key: str) -> None:
        """Remove a user that is gone from the target, with the memberships."""
        self._forget_memberships(Kind.USER, key)
        self._conn.execute("DELETE FROM users WHERE target = ? AND key = ?", [self._target, key])

    def forget_group(self, key: str) -> None:
        """Remove a group that is gone from the target, with all its members and its own memberships."""
        self._forget_memberships(Kind.GROUP, key)
        self._forget_members(key)
        self._conn.execute("DELETE FROM groups WHERE target = ? AND key = ?", [self._target, key])

    def lose(self, kind: Kind, key: str) -> None:
        """Write that the target no longer has a resource, though nobody here asked for that: its id is dead."""
        self._forget_memberships(kind, key)
        if kind is Kind.USER:
            self._conn.execute(
                "UPDATE users SET lost = 1, remade = 1, digest = x'' WHERE target = ? AND key = ?", [self._target, key]
            )
        else:
            self._forget_members(key)
            self._conn.execute(
                "UPDATE groups SET lost = 1, remade = 1 WHERE target = ? AND key = ?", [self._target, key]
            )

    def remade(self, kind: Kind) -> set[str]:
        """Return the keys whose resources were lost since the place was last proven, those made anew among them."""
        rows = self._conn.execute(f"SELECT key FROM {table_of(kind)} WHERE target = ? AND remade = 1", [self._target])
        return {key for (key,) in rows}

    def prove_place(self) -> None:
        """Write that most of what was linked was seen at the target: what was lost before that was lost by itself."""
        for kind in Kind:
            self._conn.execute(f"UPDATE {table_of(kind)} SET remade = 0 WHERE target = ? AND lost = 0", [self._target])

    def rekey_user(self, old: str, known: Known) -> None:
        """Hand the account of one key to another, `known.key`, with the memberships: somebody is hired again.

        A lost account of the other key is forgotten; a live one is sqlite3.IntegrityError.
        """
        if (former := self.user(known.key)) is not None and former.lost:
            self.forget_user(known.key)
        holding = self.holding(Kind.USER, old)
        for group in holding:
            self.change_members(group, Kind.USER, removed=[old])
        self._conn.execute("UPDATE users SET key = ? WHERE target = ? AND key = ?", [known.key, self._target, old])
        self.put_user(known)
        for group in holding:
            self.change_members(group, Kind.USER, added=[known.key])

    # -- drift -----------------------------------------------------------------------------------

    def observe(self, drift: Drift) -> bool:
        """Write the findings of a full resync, if the row still has the expected values; return whether it had.

        Memberships that changed meanwhile are skipped, member by member.
        """
        if drift.class_ in (DriftClass.MEMBER_ADDED, DriftClass.MEMBER_REMOVED):
            return self._observe_members(drift)
        return self._observe_user(drift) if drift.kind is Kind.USER else self._observe_group(drift)

    def _observe_user(self, drift: Drift) -> bool:
        user = self.user(drift.key)
        if user is None or user.lost or not _still({"userName": user.name, **user.attributes}, drift.expected):
            return False
        if drift.class_ is DriftClass.USER_DELETED:
            self.lose(Kind.USER, drift.key)
            return True
        name = drift.found.get("userName") or user.name
        self.put_user(replace(user, name=name, attributes=_merged(user.attributes, drift.found), digest=b""))
        return True

    def _observe_group(self, drift: Drift) -> bool:
        group = self.group(drift.key)
        if group is None or group.lost or not _still({"displayName": group.name, **group.attributes}, drift.expected):
            return False
        if drift.class_ is DriftClass.GROUP_DELETED:
            self.lose(Kind.GROUP, drift.key)
            return True
        name = drift.found.get("displayName") or group.name
        self.put_group(replace(group, name=name, attributes=_merged(group.attributes, drift.found)))
        return True

    def _observe_members(self, drift: Drift) -> bool:
        group = self.group(drift.key)
        if group is None or group.lost:
            return False
        present = self.members(drift.key)
        moved = False
        for index, (kind, part) in enumerate(_PARTS):
            linked = self.ids(kind, drift.found.get(part, []))
            came = [key for key in linked if key not in present[index]]
            went = [key for key in drift.expected.get(part, []) if key in present[index]]
            if came or went:
                self.change_members(drift.key, kind, came, went)
                moved = True
        return moved


def _still(row: Flat, expected: Flat) -> bool:
    """Return whether a row has these values; one that doesn't say whether it is active is (RFC 7643 section 4.1.1)."""
    return all(
        is_on(row.get(path)) is is_on(value) if path == "active" else row.get(path) == value
        for path, value in expected.items()
    )


def _merged(attributes: Flat, found: Flat) -> Flat:
    return {path: value for path, value in {**attributes, **found}.items() if value is not None}
