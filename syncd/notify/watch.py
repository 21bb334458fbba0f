"""Find the news for people: the present incidents that people have not been told of.

Everything happens in one transaction of the state file: an incident is never written down without its notice, nor a
notice without its incident. Sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from syncd.notify.lasting import FAULT, INEFFECTIVE, MEMORY, SOURCE, STOPPED, LastingTroubles, Trouble
from syncd.notify.notice import Composer, Notice
from syncd.notify.once import expiring_token, held_changes, overdue_invitations
from syncd.notify.wording import counted, kept, lines_of, named
from syncd.store import Incidents, StateFile, WithoutEffect, without_effect
from syncd.store.snapshot import Stop

_SHOWN: Final = 10
"""Changes without effect that a notice names."""
_LAST_RUNS: Final = 5
"""Number of last runs among which one has ended: the others go on, or were killed."""
_BECAUSE: Final = {
    "gone": "everything that is managed there is gone",
    "elsewhere": "it may be another place, where what is managed was not seen",
    "refused": "it refuses the token",
    "failing": "it keeps failing",
}
_ENDS: Final = {
    "gone": "Nothing is pushed until `syncd relink --target {target}` has matched everything anew.",
    "elsewhere": "Nothing is pushed until what is managed is seen there, or `syncd relink --target {target}` has"
    " matched everything anew.",
    "refused": "Nothing is pushed until the target takes the token again; each run asks.",
    "failing": "Nothing is pushed until the target answers again; each run asks.",
}


@dataclass(frozen=True, slots=True)
class TargetConcern:
    """Facts about a target that the state file does not hold."""

    name: str
    token_expires: date | None = None
    """The first day on which the token is no longer good, as the configuration has it."""
    fault: str = ""
    """Why no run to the target was possible, for a cause outside the target."""


@dataclass(frozen=True, slots=True)
class Concerns:
    """The findings of a cycle, and the configuration of notices."""

    targets: tuple[TargetConcern, ...]
    source: str | None = None
    """Why the source could not be read; "": it was read; None: no attempt was made."""
    fault: str | None = None
    """Why a cycle failed for a cause outside source and target; "": it succeeded; None: no cycle has ended."""
    pending_after: timedelta = timedelta(days=14)
    """Time for which an invitation may be open before people are told."""
    token_before: tuple[int, ...] = (30, 7, 1)
    """Days before the end of a token on which people are told."""
    hostname: str = ""
    zone: tzinfo = UTC
    """The time zone of the moments in notices."""


def watch(state: StateFile, concerns: Concerns, now: datetime) -> int:
    """Record the incidents and put the news into the outbox; return the number of notices.

    Raises StateError: nothing is written then.
    """
    with state.atomic():
        outbox = state.outbox()
        notices = list(_notices(state, concerns, Composer(now, concerns.hostname, concerns.zone)))
        for notice in notices:
            outbox.put(notice.to_json(), now)
    return len(notices)


def unwritable(error: str, hostname: str, now: datetime) -> Notice:
    """Return the notice that the state file can't be used, for `Sender.tell`; the same one all day (UTC)."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [*lines_of(error), "No run goes on until that is mended; nothing that was acknowledged is lost."]
    composed = Notice.of(
        "state_unwritable", "", "the state file can't be used", lines, {"reason": kept(error)}, day, hostname
    )
    return replace(composed, at=now)


def writable(hostname: str, now: datetime) -> Notice:
    """Return the notice that the state file can be used again, for `Sender.tell`."""
    return Notice.of("state_recovered", "", "the state file can be used again", [], {}, now, hostname)


def _notices(state: StateFile, concerns: Concerns, composer: Composer) -> Iterator[Notice]:
    """Yield the news, and record the news as told."""
    incidents = state.incidents()
    lasting = LastingTroubles(incidents, composer)
    incidents.forget_others([target.name for target in concerns.targets])
    if concerns.source is not None:
        source = _source(concerns.source, composer.now)
        yield from lasting.compare("", SOURCE, source, "the source can be read again")
    if concerns.fault is not None:
        fault = _fault("", concerns.fault, composer.now, "a run failed")
        yield from lasting.compare("", FAULT, fault, "runs go through again")
    for target in concerns.targets:
        name = target.name
        stop = state.snapshot(name).stop
        stopped = _stopped(name, stop) if stop else None
        yield from lasting.compare(name, STOPPED, stopped, f"{name} goes on: it is no longer stopped")
        if stop is not None:
            incidents.forget(name, FAULT)  # the stop says more
        else:
            yield from _last_run(state, incidents, lasting, target, composer.now)
        undone = _without_effect(name, without_effect(state.quarantine(name), state.put_back(name)))
        yield from lasting.compare(name, INEFFECTIVE, undone, f"{name}: no change is without effect any more")
        yield from held_changes(incidents, name, composer)
        yield from overdue_invitations(incidents, name, concerns.pending_after, composer)
        yield from expiring_token(incidents, name, target.token_expires, concerns.token_before, composer)


def _last_run(
    state: StateFile, incidents: Incidents, lasting: LastingTroubles, concern: TargetConcern, now: datetime
) -> Iterator[Notice]:
    """Compare the result of the last run to a target that is not stopped, or the reason why no run was possible."""
    target = concern.name
    heads = state.journal(target).heads(_LAST_RUNS)
    finished, error = next(((head.finished, head.error) for head in heads if head.finished is not None), (None, ""))
    if concern.fault:
        finished, error = now, concern.fault
    if finished is None:
        return
    stopped = incidents.get(target, STOPPED)
    # A run that ended with a stop was told as the stop. `syncd relink` makes no run that could report the end.
    before = stopped.ended if stopped is not None and stopped.ended is not None else now - MEMORY
    if error and finished <= before and incidents.get(target, FAULT) is None:
        return
    trouble = _fault(target, error, finished, f"a run to {target} failed")
    yield from lasting.compare(target, FAULT, trouble, f"runs to {target} go through again")


# -- incidents in words ------------------------------------------------------------------------------


def _source(error: str, now: datetime) -> Trouble | None:
    if not error:
        return None
    hint = "Nothing is changed anywhere until it can be read again; it is tried at each run."
    return Trouble("", SOURCE, ("",), error, now, "source_down", "the source can't be read", hint)


def _fault(target: str, error: str, since: datetime, title: str) -> Trouble | None:
    return Trouble(target, FAULT, ("",), error, since, "run_failed", title) if error else None


def _stopped(target: str, stop: Stop) -> Trouble:
    hint = _ENDS[stop.cause].format(target=target)
    title = f"{target} is stopped: {_BECAUSE[stop.cause]}"
    facts = {"cause": stop.cause}
    return Trouble(target, STOPPED, (stop.cause,), stop.reason, stop.since, "target_stopped", title, hint, facts)


def _without_effect(target: str, found: Sequence[WithoutEffect]) -> Trouble | None:
    """Return the trouble that changes have no effect; each change that joins them is another cause."""
    if not found:
        return None
    changes, more = [each.change for each in found[:_SHOWN]], len(found) - _SHOWN
    lines = [f"{each.change.action.of(named(each.change))}: {each.reason}" for each in found[:_SHOWN]]
    lines += [f"and {more} more"] if more > 0 else []
    first = [{"action": each.action.value, "key": each.key, "name": each.name} for each in changes]
    return Trouble(
        target,
        INEFFECTIVE,
        tuple(f"{each.change.action.value} {each.change.key}" for each in found),
        "\n".join(lines),
        found[0].since,
        "changes_ineffective",
        f"{target}: {counted(len(found), 'change has', 'changes have')} no effect",
        "The endpoint answers with success, and what was changed is as before when syncd looks. Find out who or what "
        "undoes it there; `syncd explain WHO` says what was found. Somebody who was to lose access may still have it.",
        {"count": len(found), "first": first},
    )


__all__ = ["Concerns", "TargetConcern", "unwritable", "watch", "writable"]
