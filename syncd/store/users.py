"""The users of one target's snapshot: the link to an account, and the last acknowledged state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from syncd.core.model import Kind, Known, Release, State
from syncd.store.rows import (
    BATCH,
    Rows,
    batches,
    dumped,
    emails_of,
    folded,
    marks,
    moment_of,
    sampled,
    table_of,
    text_of,
)

_COLUMNS: Final = (
    "key, id, name, state, attributes, digest, accepted, missing_since, since, lost, kept_as, unmanaged, uninvited"
)


class RowSummary(NamedTuple):
    """The columns of a known user that are needed to skip unchanged ones."""

    key: str
    ref: int
    digest: bytes
    missing: int
    """1 when the user is missing from the source since an earlier run."""


class Users(Rows):
    """Reads and writes users; `Groups` has their memberships."""

    def counts(self) -> dict[State, int]:
        """Return the number of users in each state, without those who are gone for good with SSO."""
        rows = self._conn.execute(
            "SELECT state, count(*) FROM users WHERE target = ? AND NOT (lost = 1 AND unmanaged = 1 AND state = ?)"
            " GROUP BY state",
            [self._target, State.DEACTIVATED.value],
        )
        found = dict(rows.fetchall())
        return {state: found.get(state.value, 0) for state in State}

    def row_summaries(self, keys: Sequence[str]) -> dict[str, RowSummary]:
        """Return the short rows of up to a few thousand keys."""
        found: dict[str, RowSummary] = {}
        for batch in batches(keys):
            rows = self._conn.execute(
                "SELECT key, ref, digest, missing_since IS NOT NULL FROM users"
                f" WHERE target = ? AND key IN ({marks(batch)})",
                [self._target, *batch],
            )
            found.update({row[0]: RowSummary._make(row) for row in rows})
        return found

    def users(self, keys: Sequence[str]) -> dict[str, Known]:
        """Return the full rows of these keys."""
        found: dict[str, Known] = {}
        for batch in batches(keys):
            rows = self._conn.execute(
                f"SELECT {_COLUMNS} FROM users WHERE target = ? AND key IN ({marks(batch)})", [self._target, *batch]
            )
            found.update((row[0], _known(row)) for row in rows)
        return found

    def user(self, key: str) -> Known | None:
        return self.users([key]).get(key)

    def all_users(self) -> Iterator[list[Known]]:
        """Yield everybody, a thousand at a time; rows may be updated meanwhile."""
        last = 0
        # `+target`: by the primary key; the index of keys would mean sorting everybody anew for each batch.
        while rows := self._conn.execute(
            f"SELECT ref, {_COLUMNS} FROM users WHERE +target = ? AND ref > ? ORDER BY ref LIMIT ?",
            [self._target, last, BATCH],
        ).fetchall():
            yield [_known(row[1:]) for row in rows]
            last = rows[-1][0]

    def ids(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        """Return the ids at the target of those keys that are linked to something that is still there."""
        found: dict[str, str] = {}
        for batch in batches(keys):
            found.update(
                self._conn.execute(
                    f"SELECT key, id FROM {table_of(kind)} WHERE target = ? AND lost = 0 AND key IN ({marks(batch)})",
                    [self._target, *batch],
                ).fetchall()
            )
        return found

    def keys_of(self, kind: Kind, ids: Sequence[str]) -> dict[str, str]:
        """Return the keys by the ids of the resources that they are linked to, the lost ones among them."""
        found: dict[str, str] = {}
        for batch in batches(ids):
            found.update(
                self._conn.execute(
                    f"SELECT id, key FROM {table_of(kind)} WHERE target = ? AND id IN ({marks(batch)})",
                    [self._target, *batch],
                ).fetchall()
            )
        return found

    def key_of(self, kind: Kind, id_: str) -> str | None:
        """Return the key that a resource of the target is linked to, or was before it was lost."""
        return self.keys_of(kind, [id_]).get(id_)

    def find(self, who: str) -> list[Known]:
        """Return the users that a person means by a key, or by a userName or e-mail in any case."""
        if not who:
            return []
        address = who.casefold()
        rows = self._conn.execute(
            f"SELECT ref, {_COLUMNS} FROM users WHERE target = ?1 AND key = ?2"
            f" UNION SELECT ref, {_COLUMNS} FROM users WHERE target = ?1 AND user_name = ?3"
            f" UNION SELECT ref, {_COLUMNS} FROM users WHERE target = ?1 AND email = ?3 ORDER BY ref",
            [self._target, who, address],
        ).fetchall()
        if rows:
            return [_known(row[1:]) for row in rows]
        keys = list(self._with_email(address))
        found = self.users(keys)
        return [found[key] for key in keys]

    def _with_email(self, address: str) -> Iterator[str]:
        """Yield the keys of everybody with this folded e-mail, the first one or not: only the first has an index."""
        text = dumped(address)[1:-1]
        rows = self._conn.execute("SELECT key, attributes FROM users WHERE target = ? ORDER BY ref", [self._target])
        for key, attributes in rows:
            # Most rows are ruled out before their JSON is read.
            if text in attributes.casefold() and address in map(str.casefold, emails_of(orjson.loads(attributes))):
                yield key

    def claimants(self, addresses: Collection[str]) -> list[tuple[str, str, State]]:
        """Return (address, key, state) of everybody whose userName or first e-mail is among these folded addresses.

        The lost ones have no claim: their account is gone.
        """
        found: list[tuple[str, str, State]] = []
        for batch in batches(filter(None, addresses)):
            rows = self._conn.execute(
                " UNION ".join(
                    f"SELECT {column}, key, state FROM users"
                    f" WHERE target = ? AND lost = 0 AND {column} IN ({marks(batch)})"
                    for column in ("user_name", "email")
                ),
                [self._target, *batch, self._target, *batch],
            )
            found.extend((address, key, State(state)) for address, key, state in rows)
        return found

    def pending_keys(self) -> list[str]:
        """Return the keys of all users with an open invitation."""
        rows = self._conn.execute(
            "SELECT key FROM users WHERE target = ? AND state = ? ORDER BY ref", [self._target, State.PENDING.value]
        )
        return [key for (key,) in rows]

    def deactivated_before(self, moment: datetime) -> list[Known]:
        """Return the users whose account exists and has been switched off since that moment, or longer."""
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM users WHERE target = ? AND state = ? AND since <= ? AND lost = 0 ORDER BY ref",
            [self._target, State.DEACTIVATED.value, text_of(moment)],
        )
        return [_known(row) for row in rows]

    def highest_ref(self) -> int:
        """Return the largest `ref` of any user: the size of a bitmap of those seen."""
        return int(self._one("SELECT coalesce(max(ref), 0) FROM users")[0])

    def unseen(self, seen: bytearray) -> Iterator[Known]:
        """Yield the users whose `ref` is not marked in the bitmap (a byte each)."""
        refs = [
            ref
            for (ref,) in self._conn.execute("SELECT ref FROM users WHERE target = ? ORDER BY ref", [self._target])
            if not seen[ref]
        ]
        for batch in batches(refs):
            rows = self._conn.execute(f"SELECT {_COLUMNS} FROM users WHERE ref IN ({marks(batch)})", batch).fetchall()
            yield from map(_known, rows)

    def sample_users(self, states: Sequence[State], most: int) -> list[Known]:
        """Return the oldest and the newest linked users in some states, without those that syncd made anew."""
        return [
            _known(row)
            for row in sampled(
                self._conn,
                f"SELECT ref, {_COLUMNS} FROM users WHERE target = ? AND state IN ({marks(states)})"
                " AND lost = 0 AND remade = 0",
                [self._target, *(state.value for state in states)],
                most,
            )
        ]

    def put_user(self, user: Known) -> None:
        """Write the acknowledged state of one user."""
        self.with_free_id(
            Kind.USER,
            user.key,
            user.id,
            f"INSERT INTO users (target, {_COLUMNS}, user_name, email)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (target, key) DO UPDATE SET"
            " id = excluded.id, name = excluded.name, state = excluded.state, attributes = excluded.attributes,"
            " digest = excluded.digest, accepted = excluded.accepted, missing_since = excluded.missing_since,"
            " since = excluded.since, lost = excluded.lost, kept_as = excluded.kept_as,"
            " unmanaged = excluded.unmanaged, uninvited = excluded.uninvited,"
            " user_name = excluded.user_name, email = excluded.email",
            [
                self._target,
                user.key,
                user.id,
                user.name,
                user.state.value,
                dumped(user.attributes),
                user.digest,
                int(user.accepted),
                text_of(user.missing_since),
                text_of(user.since),
                int(user.lost),
                dumped(user.kept_as) if user.kept_as else None,
                int(user.unmanaged),
                int(user.uninvited),
                *folded(user.name, user.attributes),
            ],
        )

    def accept(self, key: str, *, seen: bool) -> None:
        """Write that somebody invited has accepted; `seen`: the target shows the account as active.

        Nothing, where they are not invited any more: a plan may be carried out days after it was made.
        """
        user = self.user(key)
        if user is not None and user.state is State.PENDING and not user.lost:
            shown = {"active": True} if seen else {}
            self.put_user(replace(user, accepted=True, digest=b"", attributes={**user.attributes, **shown}))

    def release(self, release: Release, now: datetime) -> bool:
        """Write what the removal of SSO at the target left of a user; return whether that was news.

        Nothing for a user who is lost, or was released before and not sent since.
        """
        user = self.user(release.key)
        if user is None or user.lost or user.unmanaged:
            return False
        user = replace(user, unmanaged=True, digest=b"")
        if release.mark_gone:
            kept = {path: value for path, value in user.attributes.items() if path != "externalId"}
            user = replace(user, attributes=kept)
        if release.uninvited and user.state is State.ACTIVE:
            user = replace(user, state=State.PENDING, accepted=False, uninvited=True, since=now)
        self.put_user(user)
        return True

    def to_invite(self) -> list[Known]:
        """Return the users whom an administrator of the target has to invite anew, and who are not in yet, by name."""
        return self._by_name(State.PENDING, "uninvited = 1 AND accepted = 0")

    def gone_with_sso(self) -> list[Known]:
        """Return the users whose account was off, and was deleted for good when SSO was removed, by name."""
        return self._by_name(State.DEACTIVATED, "unmanaged = 1 AND lost = 1")

    def _by_name(self, state: State, condition: str) -> list[Known]:
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM users WHERE target = ? AND state = ? AND {condition} ORDER BY user_name, key",
            [self._target, state.value],
        )
        return [_known(row) for row in rows]

    def awaits_activation(self) -> bool:
        """Return whether somebody has accepted and is not active yet."""
        found = self._conn.execute(
            "SELECT 1 FROM users WHERE target = ? AND state = ? AND accepted = 1 AND lost = 0 LIMIT 1",
            [self._target, State.PENDING.value],
        ).fetchone()
        return found is not None

    def put_digests(self, digests: Mapping[str, bytes]) -> None:
        """Remember the digests of entries that differ without needing a change.

        Users who have accepted and are not active yet are left out: the acceptance may be newer than the comparison.
        """
        self._conn.executemany(
            "UPDATE users SET digest = ? WHERE target = ? AND key = ? AND NOT (accepted = 1 AND state = ?)",
            [(digest, self._target, key, State.PENDING.value) for key, digest in digests.items()],
        )

    def note_missing(self, kind: Kind, since: Mapping[str, datetime], back: Iterable[str]) -> None:
        """Remember since when keys are missing, and which of them are back."""
        table = table_of(kind)
        self._conn.executemany(
            f"UPDATE {table} SET missing_since = ? WHERE target = ? AND key = ? AND missing_since IS NULL",
            [(text_of(moment), self._target, key) for key, moment in since.items()],
        )
        self._conn.executemany(
            f"UPDATE {table} SET missing_since = NULL WHERE target = ? AND key = ?",
            [(self._target, key) for key in back],
        )


def _known(
    row: tuple[str, str, str, str, str, bytes, int, str | None, str | None, int, str | None, int, int],
) -> Known:
    key, id_, name, state, attributes, digest, accepted, missing, since, lost, kept_as, unmanaged, uninvited = row
    return Known(
        key,
        id_,
        name,
        State(state),
        orjson.loads(attributes),
        digest,
        bool(accepted),
        moment_of(missing),
        moment_of(since),
        bool(lost),
        orjson.loads(kept_as) if kept_as else {},
        bool(unmanaged),
        bool(uninvited),
    )
