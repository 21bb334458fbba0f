"""Find out what people have to be told: compare what is wrong now with what they were told of, and compose the notices.

Everything happens in one transaction of the state file: an incident is never written down without the notice that tells
of it, nor a notice without its incident. Sends nothing.

What lasts (a source that is down, a stopped target, runs that fail) is told of when it begins and when it is over.
What comes and goes must not ring for ever:

#  it was told      now     since                           -> notice
#  nothing          wrong                                      down
#  down             well                                       recovered
#  recovered        wrong   recovered less than a day ago      down again: told of its end only after a while
#  down again       well    for less than that while           none
#  down again       wrong   well for less than that while      none: people know
#  down again       well    for that while                     recovered
#  recovered        well    for a day                          none; it is forgotten

The while is an hour, and doubles each time that it comes back after all, up to a day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from syncd.core.model import Json
from syncd.core.plan import Change, timestamp
from syncd.notify.notice import Notice
from syncd.store import Incident, Incidents, StateFile
from syncd.store.snapshot import Stop

SOURCE: Final = "source"
STOPPED: Final = "stopped"
FAULT: Final = "fault"
TOKEN: Final = "token"  # noqa: S105

PASSING: Final = ("missing_grace", "quarantine")
"""Limits that hold for a time, and then no longer: nobody has to do anything."""
MEMORY: Final = timedelta(days=1)
"""How long after its end an incident is remembered."""
_SETTLED: Final = timedelta(hours=1)
"""How long what came back has to be well, the first time, for people to be told so."""
_SHOWN: Final = 10
_LAST_RUNS: Final = 5
"""Of these, one has ended: the others go on, or were killed."""
_TEXT: Final = 2000
"""Characters of an error message that are kept."""
_ENDS: Final = {
    "gone": "Nothing is pushed until `syncd relink --target {target}` has matched everything anew.",
    "refused": "Nothing is pushed until the target takes the token again; each run asks.",
    "failing": "Nothing is pushed until the target answers again; each run asks.",
}


@dataclass(frozen=True, slots=True)
class TargetConcern:
    """What is to be known of a target beside what the state file says."""

    name: str
    token_expires: date | None = None
    """The first day on which the token is no longer good, as the configuration has it."""
    fault: str = ""
    """Why no run to it was possible, where it is not to blame itself."""


@dataclass(frozen=True, slots=True)
class Concerns:
    """What a cycle found, and what people want to be told."""

    targets: tuple[TargetConcern, ...]
    source: str | None = None
    """Why the source could not be read; "": it was read; None: nobody has tried."""
    fault: str | None = None
    """Why a cycle failed where neither the source nor a target is to blame; "": it went through; None: none ended."""
    pending_after: timedelta = timedelta(days=14)
    """How long somebody may be invited without a word."""
    token_before: tuple[int, ...] = (30, 7, 1)
    """Days before its end on which a token is told of."""
    hostname: str = ""


def watch(state: StateFile, concerns: Concerns, now: datetime) -> int:
    """Write down what is wrong and put what is new of it into the outbox; return how many notices that is.

    Raises StateError: nothing is written then.
    """
    with state.atomic():
        watcher = _Watcher(state, concerns, now)
        outbox = state.outbox()
        notices = list(watcher.notices())
        for notice in notices:
            outbox.put(notice.to_json(), now)
    return len(notices)


def unwritable(error: str, hostname: str, now: datetime) -> Notice:
    """Return the notice that the state file can't be used, for `Sender.tell`; the same one all day (UTC)."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [*_lines(error), "No run goes on until that is mended; nothing that was acknowledged is lost."]
    composed = Notice.of(
        "state_unwritable", "", "the state file can't be used", lines, {"reason": _text(error)}, day, hostname
    )
    return replace(composed, at=now)


def writable(hostname: str, now: datetime) -> Notice:
    """Return the notice that the state file can be used again, for `Sender.tell`."""
    return Notice.of("state_recovered", "", "the state file can be used again", [], {}, now, hostname)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Something that lasts: how it is told of when it begins and when it is over."""

    target: str
    kind: str
    cause: str
    reason: str
    since: datetime
    down: str
    """The event, …"""
    title: str
    """… and the sentence."""
    hint: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


class _Watcher:
    def __init__(self, state: StateFile, concerns: Concerns, now: datetime) -> None:
        self._state = state
        self._concerns = concerns
        self._now = now
        self._incidents: Incidents = state.incidents()

    def notices(self) -> Iterator[Notice]:
        """Yield what people are to be told, and write down that they were."""
        concerns = self._concerns
        self._incidents.forget_others([target.name for target in concerns.targets])
        if concerns.source is not None:
            yield from self._lasting("", SOURCE, self._source(concerns.source), "the source can be read again")
        if concerns.fault is not None:
            yield from self._lasting("", FAULT, self._fault(concerns.fault), "runs go through again")
        for target in concerns.targets:
            yield from self._of_target(target)

    def _of_target(self, target: TargetConcern) -> Iterator[Notice]:
        name = target.name
        stop = self._state.snapshot(name).stop
        yield from self._lasting(
            name, STOPPED, self._stopped(name, stop) if stop else None, f"{name} goes on: it is no longer stopped"
        )
        if stop is not None:
            self._incidents.forget(name, FAULT)  # that it stopped says more
        else:
            yield from self._run(target)
        yield from self._held(name)
        yield from self._pending(name)
        yield from self._token(target)

    # -- what lasts ----------------------------------------------------------------------------------

    def _source(self, error: str) -> _Trouble | None:
        if not error:
            return None
        hint = "Nothing is changed anywhere until it can be read again; it is tried at each run."
        title = "the source can't be read"
        return _Trouble("", SOURCE, "", error, self._now, "source_down", title, hint)

    def _fault(self, error: str) -> _Trouble | None:
        return _Trouble("", FAULT, "", error, self._now, "run_failed", "a run failed") if error else None

    def _stopped(self, target: str, stop: Stop) -> _Trouble:
        because = {
            "gone": "everything that is managed there is gone",
            "refused": "it refuses the token",
            "failing": "it keeps failing",
        }[stop.cause]
        hint = _ENDS[stop.cause].format(target=target)
        title = f"{target} is stopped: {because}"
        facts = {"cause": stop.cause}
        return _Trouble(target, STOPPED, stop.cause, stop.reason, stop.since, "target_stopped", title, hint, facts)

    def _run(self, concern: TargetConcern) -> Iterator[Notice]:
        """Compare how the last run to a target ended, or why there was none, where it is not stopped."""
        target = concern.name
        heads = self._state.journal(target).heads(_LAST_RUNS)
        finished, error = next(((head.finished, head.error) for head in heads if head.finished is not None), (None, ""))
        if concern.fault:
            finished, error = self._now, concern.fault
        if finished is None:
            return
        stopped = self._incidents.get(target, STOPPED)
        # What ended with a stop was told as such; and `syncd relink` makes no run that could say that it is over.
        before = stopped.ended if stopped is not None and stopped.ended is not None else self._now - MEMORY
        if error and finished <= before and self._incidents.get(target, FAULT) is None:
            return
        title = f"a run to {target} failed"
        trouble = _Trouble(target, FAULT, "", error, finished, "run_failed", title) if error else None
        yield from self._lasting(target, FAULT, trouble, f"runs to {target} go through again")

    def _lasting(self, target: str, kind: str, trouble: _Trouble | None, well: str) -> Iterator[Notice]:
        """Compare one thing that can last with what people were told of it: the table at the top."""
        known = self._incidents.get(target, kind)
        if trouble is not None:
            yield from self._wrong(known, trouble)
        elif known is not None:
            yield from self._well(known, well)

    def _wrong(self, known: Incident | None, trouble: _Trouble) -> Iterator[Notice]:
        if known is None:
            yield self._down(trouble, trouble.title)
            self._keep(trouble, trouble.since, told=[trouble.cause], relapses=0)
            return
        detail = known.detail
        told: list[str] = detail["told"]
        relapses: int = detail["relapses"]
        since = known.since
        if known.ended is not None and detail["recovered"]:
            relapses += 1
            since = trouble.since
            told = [trouble.cause]
            again = f"It was well again only {_span(self._now - known.ended)}. If it goes on to come and go,"
            while_ = _span(_while(relapses))
            yield self._down(
                trouble, f"{trouble.title}, again", f"{again} the next notice comes when it has been well for {while_}."
            )
        elif trouble.cause not in told:
            told = [*told, trouble.cause]
            yield self._down(trouble, trouble.title)
        self._keep(trouble, since, told=told, relapses=relapses)

    def _well(self, known: Incident, title: str) -> Iterator[Notice]:
        detail = known.detail
        ended = known.ended or self._now
        recovered: bool = detail["recovered"]
        if not recovered and (not detail["relapses"] or self._now - ended >= _while(detail["relapses"])):
            recovered = True
            event = {SOURCE: "source_recovered", STOPPED: "target_recovered", FAULT: "run_recovered"}[known.kind]
            lines = [f"It lasted from {_moment(known.since)} to {_moment(ended)} ({_span(ended - known.since)})."]
            facts = {"since": timestamp(known.since), "ended": timestamp(ended)}
            yield self._notice(event, known.target, title, lines, facts)
        if recovered and self._now - ended >= MEMORY:
            self._incidents.forget(known.target, known.kind)
        elif ended != known.ended or recovered != detail["recovered"]:
            self._incidents.put(replace(known, ended=ended, detail={**detail, "recovered": recovered}))

    def _down(self, trouble: _Trouble, title: str, more: str = "") -> Notice:
        lines = [*_lines(trouble.reason), *filter(None, (trouble.hint, more))]
        facts = {**trouble.facts, "reason": _text(trouble.reason), "since": timestamp(trouble.since)}
        return self._notice(trouble.down, trouble.target, title, lines, facts)

    def _keep(self, trouble: _Trouble, since: datetime, *, told: list[str], relapses: int) -> None:
        detail = {"reason": _text(trouble.reason), "told": told, "relapses": relapses, "recovered": False}
        self._incidents.put(Incident(trouble.target, trouble.kind, since, detail=detail))

    # -- what is told of each once -------------------------------------------------------------------

    def _held(self, target: str) -> Iterator[Notice]:
        new = self._incidents.held_anew(target, PASSING, _SHOWN, self._now, MEMORY)
        count = sum(new.limits.values())
        if not count:
            return
        lines = [f"held by {limit}: {number}" for limit, number in new.limits.items()]
        lines += [f"  {change.action.of(_called(change))}" for change in new.first]
        if count > len(new.first):
            lines.append(f"  and {count - len(new.first)} more")
        lines.append(f"`syncd holds --target {target}` shows them all; `syncd approve` or `syncd reject` decides.")
        title = f"{target}: {_counted(count, 'change is', 'changes are')} held, and wait for somebody to decide"
        first = [{"id": each.id, "action": each.action.value, "key": each.key, "name": each.name} for each in new.first]
        yield self._notice("changes_held", target, title, lines, {"count": count, "limits": new.limits, "first": first})

    def _pending(self, target: str) -> Iterator[Notice]:
        after = self._concerns.pending_after
        new = self._incidents.overdue_anew(target, self._now - after, _SHOWN, self._now, MEMORY)
        if not new.count:
            return
        lines = [f"  {each.name}, invited on {each.since.astimezone(UTC):%Y-%m-%d}" for each in new.first]
        if new.count > len(new.first):
            lines.append(f"  and {new.count - len(new.first)} more")
        lines.append("`syncd explain WHO` says what each of them waits for; `syncd accept WHO` if they have accepted.")
        people = "1 person has" if new.count == 1 else f"{new.count} people have"
        title = f"{target}: {people} not accepted the invitation for {_span(after)}"
        first = [{"key": each.key, "name": each.name, "since": timestamp(each.since)} for each in new.first]
        yield self._notice("invitations_pending", target, title, lines, {"count": new.count, "first": first})

    def _token(self, target: TargetConcern) -> Iterator[Notice]:
        """Tell of a token as it comes nearer to its end: of each step once, and of the last one alone if late."""
        expires = target.token_expires
        known = self._incidents.get(target.name, TOKEN)
        if expires is None:
            if known is not None:
                self._incidents.forget(target.name, TOKEN)
            return
        left = (expires - self._now.astimezone(UTC).date()).days
        step = min((days for days in (*self._concerns.token_before, 0) if left <= days), default=None)
        told = known.detail["step"] if known is not None and known.detail["expires"] == expires.isoformat() else None
        if step is None:
            if known is not None:
                self._incidents.forget(target.name, TOKEN)  # there is another one
            return
        if told is not None and told <= step:
            return
        self._incidents.put(
            Incident(target.name, TOKEN, self._now, detail={"expires": expires.isoformat(), "step": step})
        )
        name = target.name
        if left > 0:
            event, title = (
                "token_expires",
                f"{name}: the token expires in {_counted(left, 'day', 'days')}, on {expires}",
            )
        else:
            event, title = "token_expired", f"{name}: the token has expired, on {expires}"
        hint = "Have the target issue another one, put it in place of the old, and set `token_expires` to its date."
        yield self._notice(event, name, title, [hint], {"expires": expires.isoformat(), "days": left})

    def _notice(self, kind: str, target: str, title: str, lines: list[str], facts: Mapping[str, Json]) -> Notice:
        return Notice.of(kind, target, title, lines, facts, self._now, self._concerns.hostname)


def _while(relapses: int) -> timedelta:
    """Return how long what came back so often has to be well for people to be told so."""
    return min(_SETTLED * float(2 ** min(relapses - 1, 10)), MEMORY)


def _called(change: Change) -> str:
    return change.name if change.name == change.key else f"{change.name} ({change.key})"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in _text(text).splitlines() if line.strip()]


def _text(text: str) -> str:
    """Return an error message as it can be kept: of any length and with any bytes of a file's name it may come."""
    return text[:_TEXT].encode(errors="backslashreplace").decode()


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _span(span: timedelta) -> str:
    """Return about how long something lasted, in its largest unit."""
    minutes = max(int(span.total_seconds()) // 60, 1)
    for size, one in ((24 * 60, "day"), (60, "hour")):
        if minutes >= size:
            return _counted(minutes // size, one, f"{one}s")
    return _counted(minutes, "minute", "minutes")
