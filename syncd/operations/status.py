"""The status of targets, their runs and holds, from the state file alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from syncd.core.limits import PASSING
from syncd.core.model import Json
from syncd.core.plan import timestamp
from syncd.errors import SyncdError
from syncd.explain import explain as explained
from syncd.scim.dialect import Dialect
from syncd.settings.build import Setup, Target
from syncd.store import Decision, Hold, Journal, StateFile, relinked, without_effect

_BATCH: Final = 1000
_TOLD_APART: Final = ("stopped", "ineffective")
"""Incidents that have a key of their own in the status."""


def status(setup: Setup, state: StateFile, target: str | None) -> list[Json]:
    """Return the status of each target. A running daemon adds its own facts under `daemon`."""
    expires = {each.name: each.token_expires for each in setup.settings.target}
    with state.explained():
        return [
            _target_status(state, each)
            | {"token_expires": day.isoformat() if (day := expires[each.name]) else None, "daemon": None}
            for each in setup.chosen(target)
        ]


def runs(setup: Setup, state: StateFile, target: str | None, count: int) -> list[Json]:
    """Return the last runs of each target, the newest first."""
    with state.explained():
        return [[head.to_json() for head in state.journal(each.name).heads(count)] for each in setup.chosen(target)]


def show(state: StateFile, number: int) -> Json:
    """Return one run with its outcomes. Raises SyncdError where there is none of that number."""
    with state.explained():
        name = state.target_of_run(number)
        run = state.journal(name).run(number) if name is not None else None
    if run is None:
        raise SyncdError(f"there is no run {number}", hint="`syncd runs` lists them")
    return run.to_json()


def explain(setup: Setup, state: StateFile, target: str | None, who: str) -> list[Json]:
    """Return why a user or group is in its state, at each target that knows it; elsewhere, why not, as `error`.

    Raises SyncdError where no target knows it.
    """
    found: list[Json] = []
    errors: dict[str, SyncdError] = {}
    with state.explained():
        for each in setup.chosen(target):
            try:
                found.append(explained(setup, state, each, who, datetime.now(UTC)).to_json())
            except SyncdError as error:
                errors[each.name] = error
    if not found:
        raise next(iter(errors.values()))
    return [*found, *({"target": name, "error": error.message} for name, error in errors.items())]


def holds(setup: Setup, state: StateFile, target: str | None) -> list[Json]:
    """Return the holds of each target."""
    with state.explained():
        return [
            {"target": each.name, "holds": [hold.to_json() for hold in state.holds(each.name).all()]}
            for each in setup.chosen(target)
        ]


def tally(holds: Iterable[Hold], now: datetime) -> dict[str, int]:
    """Count holds by decision; an approval that has expired no longer counts as one.

    `passing`: held for a time, unless a person decides earlier. `waiting`: held until a person decides.
    """
    counts = {"waiting": 0, "passing": 0, "approved": 0, "rejected": 0}
    for hold in holds:
        if hold.decision is Decision.REJECTED:
            counts["rejected"] += 1
        elif hold.decision is Decision.APPROVED and hold.expires is not None and hold.expires > now:
            counts["approved"] += 1
        else:
            counts["passing" if hold.limit in PASSING else "waiting"] += 1
    return counts


def _target_status(state: StateFile, configured: Target) -> dict[str, Any]:
    """Return the status of one target."""
    target, most = configured.name, configured.concurrency
    snapshot, journal = state.snapshot(target), state.journal(target)
    heads, stop = journal.heads(1), snapshot.stop
    since = _pending_since(state, target)
    return {
        "target": target,
        "users": {state_.value: count for state_, count in snapshot.counts().items()},
        "groups": len(snapshot.groups()),
        "memberships": snapshot.count_members(),
        "serial": snapshot.serial,
        "paused": snapshot.paused.to_json() if snapshot.paused else None,
        "stopped": {"cause": stop.cause, "reason": stop.reason, "since": timestamp(stop.since)} if stop else None,
        "incidents": [
            each.to_json()
            for each in state.incidents().lasting()
            if each.target in ("", target) and each.kind not in _TOLD_APART
        ],
        "concurrency": {"now": snapshot.discovery.get("concurrency") or most, "most": most},
        "learned": Dialect.known(snapshot.discovery, configured.rules.profile).peculiarities(),
        "unsettled": len(journal.intents()),
        "holds": tally(state.holds(target).all(), datetime.now(UTC)),
        "ineffective": [each.to_json() for each in without_effect(state.quarantine(target), state.put_back(target))],
        "quarantined": [each.to_json() for each in state.quarantine(target).all()],
        "pending_since": timestamp(since) if since else None,
        "relinked": relinked(snapshot).to_json(),
        "last_run": heads[0].to_json() if heads else None,
        "last_resync": _last_resync(journal),
    }


def _last_resync(journal: Journal) -> dict[str, Any] | None:
    """Return the last full resync, with its drift counted by class."""
    last = journal.last_plan("resync")
    run = journal.run(last.run) if last else None
    if run is None:
        return None
    drift = Counter(each.class_.value for each in run.plan.drift)
    return {
        "run": run.number,
        "started": timestamp(run.started),
        "drift": dict(sorted(drift.items())),
        "error": run.error,
    }


def _pending_since(state: StateFile, target: str) -> datetime | None:
    """Return since when the longest-pending user has been pending."""
    snapshot = state.snapshot(target)
    keys = iter(snapshot.pending_keys())
    longest: datetime | None = None
    while batch := list(islice(keys, _BATCH)):
        moments = [user.since for user in snapshot.users(batch).values() if user.since]
        longest = min([*moments, *([longest] if longest else [])], default=None)
    return longest
