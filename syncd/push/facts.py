"""The facts about a deletion, for what must succeed first. Values only: JSON, with an absent fact as null."""

from __future__ import annotations

from datetime import timedelta

from syncd.core.model import Flat, Json, Known
from syncd.core.plan import Change, timestamp
from syncd.core.schema import MANAGER
from syncd.store import Preparation, Snapshot
from syncd.store.rows import emails_of


def facts_of(
    change: Change, known: Known, preparation: Preparation, snapshot: Snapshot, delete_after: timedelta | None
) -> dict[str, Json]:
    """Return who is deleted, where and why, and who the manager is, as far as the snapshot knows."""
    gone, off = known.missing_since, known.since
    since = f"gone from the source since {timestamp(gone)}; " if gone else ""
    return {
        "event": "before_delete",
        "target": snapshot.name,
        **_person(known),
        "manager": _manager(known, snapshot),
        "reason": f"{since}{change.reason}",
        "missingSince": timestamp(gone) if gone else None,
        "deactivatedSince": timestamp(off) if off else None,
        "deleteAfterSeconds": int(delete_after.total_seconds()) if delete_after is not None else None,
        "changeId": change.id,
        "idempotencyKey": preparation.id,
        "attempt": preparation.attempts,
    }


def _person(known: Known) -> dict[str, Json]:
    emails = list(emails_of(known.attributes))
    return {
        "key": known.key,
        "userName": known.name,
        "name": _name(known.attributes),
        "id": known.id,
        "email": emails[0] if emails else None,
        "emails": emails,
    }


def _manager(known: Known, snapshot: Snapshot) -> Json:
    """Return whom the content may go to: a manager who has no account there is known by key alone."""
    key = known.attributes.get(MANAGER)
    if not isinstance(key, str) or not key:
        return None
    manager = snapshot.user(key)
    if manager is None or manager.lost:
        return {"key": key, "userName": None, "name": None, "id": None, "email": None, "emails": []}
    return _person(manager)


def _name(attributes: Flat) -> str | None:
    whole = attributes.get("name.formatted") or attributes.get("displayName")
    parts = filter(None, (attributes.get("name.givenName"), attributes.get("name.familyName")))
    return str(whole) if whole else " ".join(map(str, parts)) or None


__all__ = ["facts_of"]
