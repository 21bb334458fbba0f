"""The groups of one target's snapshot and their members: millions of memberships, one digest per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from syncd.core.digest import NO_MEMBERS, member_numbers, members_changed
from syncd.core.model import Kind, KnownGroup, State
from syncd.store.rows import Rows, dumped, moment_of, sampled

_COLUMNS: Final = "key, id, name, attributes, members_digest, missing_since, lost, kept_as"


class Groups(Rows):
    """Reads and writes groups and memberships."""

    def groups(self) -> dict[str, KnownGroup]:
        """Return all groups by key; there are thousands of them at most."""
        rows = self._conn.execute(f"SELECT {_COLUMNS} FROM groups WHERE target = ?", [self._target])
        return {row[0]: _known_group(row) for row in rows}

    def group(self, key: str) -> KnownGroup | None:
        row = self._conn.execute(
            f"SELECT {_COLUMNS} FROM groups WHERE target = ? AND key = ?", [self._target, key]
        ).fetchone()
        return _known_group(row) if row else None

    def sample_groups(self, most: int) -> list[KnownGroup]:
        """Return the oldest and the newest linked groups, without those that syncd made anew."""
        statement = f"SELECT ref, {_COLUMNS} FROM groups WHERE target = ? AND lost = 0 AND remade = 0"
        return [_known_group(row) for row in sampled(self._conn, statement, [self._target], most)]

    def members(self, group: str) -> tuple[set[str], set[str]]:
        """Return the acknowledged members of a group: keys of users, keys of groups."""
        rows = self._conn.execute(
            "SELECT kind, member_key FROM members WHERE target = ? AND group_key = ?", [self._target, group]
        )
        found: tuple[set[str], set[str]] = (set(), set())
        for kind, key in rows:
            found[0 if kind == Kind.USER.value else 1].add(key)
        return found

    def ids_to_be_shown(self, group: str) -> set[str]:
        """Return the ids of a group's members whom the target must show; some leave deactivated people out."""
        rows = self._conn.execute(
            "SELECT users.id FROM members JOIN users ON users.target = members.target AND users.key = member_key"
            " WHERE members.target = ?1 AND group_key = ?2 AND kind = ?3 AND lost = 0 AND state != ?4"
            " UNION SELECT groups.id FROM members JOIN groups ON groups.target = members.target"
            " AND groups.key = member_key WHERE members.target = ?1 AND group_key = ?2 AND kind = ?5 AND lost = 0",
            [self._target, group, Kind.USER.value, State.DEACTIVATED.value, Kind.GROUP.value],
        )
        return {id_ for (id_,) in rows}

    def count_members(self) -> int:
        """Return how many memberships the target has acknowledged."""
        return int(self._one("SELECT count(*) FROM members WHERE target = ?", self._target)[0])

    def groups_of(self, keys: Sequence[str]) -> dict[str, int]:
        """Return the number of groups of each of these users; one scan over all memberships."""
        rows = self._conn.execute(
            # `+`: never a look-up by each key in each group.
            "SELECT member_key, count(*) FROM members WHERE target = ? AND kind = ?"
            " AND +member_key IN (SELECT value FROM json_each(?)) GROUP BY member_key",
            [self._target, Kind.USER.value, dumped(list(keys))],
        )
        return {**dict.fromkeys(keys, 0), **dict(rows.fetchall())}

    def in_several(self, groups: Sequence[str]) -> set[str]:
        """Return the users who are members of more than one of these groups; one scan over all memberships."""
        rows = self._conn.execute(
            "SELECT member_key FROM members WHERE target = ? AND kind = ?"
            " AND +group_key IN (SELECT value FROM json_each(?)) GROUP BY member_key HAVING count(*) > 1",
            [self._target, Kind.USER.value, dumped(list(groups))],
        )
        return {key for (key,) in rows}

    def put_group(self, group: KnownGroup) -> None:
        """Write the acknowledged state of one group; `change_members` writes its members."""
        self.with_free_id(
            Kind.GROUP,
            group.key,
            group.id,
            "INSERT INTO groups (target, key, id, name, attributes, members_digest, lost, kept_as)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (target, key) DO UPDATE SET id = excluded.id, name = excluded.name,"
            " attributes = excluded.attributes, lost = excluded.lost, kept_as = excluded.kept_as",
            [
                self._target,
                group.key,
                group.id,
                group.name,
                dumped(group.attributes),
                group.members_digest,
                int(group.lost),
                dumped(group.kept_as) if group.kept_as else None,
            ],
        )

    def change_members(self, group: str, kind: Kind, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
        """Write added and removed members; a member that was there or gone already changes nothing."""
        present = self.members(group)[0 if kind is Kind.USER else 1] if len(added) + len(removed) > 1 else None

        def is_member(key: str) -> bool:
            if present is not None:
                return key in present
            row = self._conn.execute(
                "SELECT 1 FROM members WHERE target = ? AND group_key = ? AND kind = ? AND member_key = ?",
                [self._target, group, kind.value, key],
            ).fetchone()
            return row is not None

        came = [key for key in dict.fromkeys(added) if not is_member(key)]
        went = [key for key in dict.fromkeys(removed) if is_member(key)]
        self._conn.executemany(
            "INSERT INTO members (target, group_key, kind, member_key) VALUES (?, ?, ?, ?)",
            [(self._target, group, kind.value, key) for key in came],
        )
        self._conn.executemany(
            "DELETE FROM members WHERE target = ? AND group_key = ? AND kind = ? AND member_key = ?",
            [(self._target, group, kind.value, key) for key in went],
        )
        row = self._conn.execute(
            "SELECT members_digest FROM groups WHERE target = ? AND key = ?", [self._target, group]
        ).fetchone()
        if row is not None:
            digest = members_changed(
                row[0] or NO_MEMBERS,
                member_numbers(kind, came).values(),
                member_numbers(kind, went).values(),
            )
            self._conn.execute(
                "UPDATE groups SET members_digest = ? WHERE target = ? AND key = ?", [digest, self._target, group]
            )

    def _forget_members(self, group: str) -> None:
        self._conn.execute("DELETE FROM members WHERE target = ? AND group_key = ?", [self._target, group])
        self._conn.execute(
            "UPDATE groups SET members_digest = ? WHERE target = ? AND key = ?", [NO_MEMBERS, self._target, group]
        )

    def _forget_memberships(self, kind: Kind, key: str) -> None:
        for group in self.holding(kind, key):
            self.change_members(group, kind, removed=[key])

    def holding(self, kind: Kind, key: str) -> list[str]:
        """Return the keys of the groups that somebody, or a group, is a member of."""
        rows = self._conn.execute(
            "SELECT key FROM groups WHERE target = ?1 AND EXISTS (SELECT 1 FROM members WHERE target = ?1"
            " AND group_key = groups.key AND kind = ?2 AND member_key = ?3)",
            [self._target, kind.value, key],
        )
        return [group for (group,) in rows]


def _known_group(row: tuple[str, str, str, str, bytes, str | None, int, str | None]) -> KnownGroup:
    key, id_, name, attributes, digest, missing, lost, kept_as = row
    return KnownGroup(
        key,
        id_,
        name,
        orjson.loads(attributes),
        digest,
        moment_of(missing),
        bool(lost),
        orjson.loads(kept_as) if kept_as else {},
    )
