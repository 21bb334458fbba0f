"""Decide which lasting incidents are news: a source that is down, a stopped target, runs that fail, changes without
effect.

People are told of the beginning and of the end of an incident. An alert that keeps coming back is repeated less and
less often:

#  people know      now     since                           -> notice
#  nothing          wrong                                      down
#  down             well                                       recovered
#  recovered        wrong   recovered less than a day ago      down again: its end is told only after a while
#  down again       well    for less than that while           none
#  down again       wrong   well for less than that while      none: people know
#  down again       well    for that while                     recovered
#  recovered        well    for a day                          none; it is forgotten

The while is an hour. It doubles each time that the trouble comes back, up to a day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from syncd.core.model import Json
from syncd.core.plan import timestamp
from syncd.notify.notice import Composer, Notice
from syncd.notify.wording import kept, lines_of, span_of
from syncd.report.moments import localized, minute
from syncd.store import Incident, Incidents

SOURCE: Final = "source"
STOPPED: Final = "stopped"
FAULT: Final = "fault"
INEFFECTIVE: Final = "ineffective"

MEMORY: Final = timedelta(days=1)
"""Time for which an incident is remembered after its end."""
_SETTLED: Final = timedelta(hours=1)
"""Time for which a relapsed incident has to be over, the first time, before people are told of its end."""
_RECOVERED: Final = {
    SOURCE: "source_recovered",
    STOPPED: "target_recovered",
    FAULT: "run_recovered",
    INEFFECTIVE: "changes_recovered",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A lasting incident, and the words that tell of its beginning."""

    target: str
    kind: str
    causes: tuple[str, ...]
    """Its present causes; another one, while it goes on, is news."""
    reason: str
    since: datetime
    event: str
    title: str
    hint: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


class LastingTroubles:
    """Compares the present incidents with the notices sent, by the table at the top of this module."""

    def __init__(self, incidents: Incidents, composer: Composer) -> None:
        self._incidents = incidents
        self._composer = composer
        self._now = composer.now

    def compare(self, target: str, kind: str, trouble: Trouble | None, well: str) -> Iterator[Notice]:
        """Yield the news of one kind of incident. `well`: the title of the notice of its end."""
        known = self._incidents.get(target, kind)
        if trouble is not None:
            yield from self._wrong(known, trouble)
        elif known is not None:
            yield from self._well(known, well)

    def _wrong(self, known: Incident | None, trouble: Trouble) -> Iterator[Notice]:
        if known is None:
            yield self._down(trouble, trouble.title)
            self._keep(trouble, trouble.since, told=[*trouble.causes], relapses=0)
            return
        detail = known.detail
        told: list[str] = detail["told"]
        relapses: int = detail["relapses"]
        since = known.since
        if known.ended is not None and detail["recovered"]:
            # The incident was over, and people know: this is a relapse.
            relapses += 1
            since = trouble.since
            told = [*trouble.causes]
            again = f"It was well again only {span_of(self._now - known.ended)}. If it goes on to come and go,"
            while_ = span_of(_while(relapses))
            yield self._down(
                trouble, f"{trouble.title}, again", f"{again} the next notice comes when it has been well for {while_}."
            )
        elif new := [cause for cause in trouble.causes if cause not in told]:
            # The incident goes on, for another cause.
            told = [*told, *new]
            yield self._down(trouble, trouble.title)
        self._keep(trouble, since, told=told, relapses=relapses)

    def _well(self, known: Incident, title: str) -> Iterator[Notice]:
        detail = known.detail
        ended = known.ended or self._now
        recovered: bool = detail["recovered"]
        if not recovered and (not detail["relapses"] or self._now - ended >= _while(detail["relapses"])):
            recovered = True
            since, until = (minute(moment, self._composer.zone) for moment in (known.since, ended))
            lines = [f"It lasted from {since} to {until} ({span_of(ended - known.since)})."]
            facts = {"since": timestamp(known.since), "ended": timestamp(ended)}
            yield self._composer.notice(_RECOVERED[known.kind], known.target, title, lines, facts)
        if recovered and self._now - ended >= MEMORY:
            self._incidents.forget(known.target, known.kind)
        elif ended != known.ended or recovered != detail["recovered"]:
            self._incidents.put(replace(known, ended=ended, detail={**detail, "recovered": recovered}))

    def _down(self, trouble: Trouble, title: str, more: str = "") -> Notice:
        reason = [localized(line, self._composer.zone) for line in lines_of(trouble.reason)]
        lines = [*reason, *filter(None, (trouble.hint, more))]
        facts = {**trouble.facts, "reason": kept(trouble.reason), "since": timestamp(trouble.since)}
        return self._composer.notice(trouble.event, trouble.target, title, lines, facts)

    def _keep(self, trouble: Trouble, since: datetime, *, told: list[str], relapses: int) -> None:
        detail = {"reason": kept(trouble.reason), "told": told, "relapses": relapses, "recovered": False}
        self._incidents.put(Incident(trouble.target, trouble.kind, since, detail=detail))


def _while(relapses: int) -> timedelta:
    """Return the time for which an incident with this many relapses has to be over before people are told."""
    return min(_SETTLED * float(2 ** min(relapses - 1, 10)), MEMORY)


__all__ = ["FAULT", "INEFFECTIVE", "MEMORY", "SOURCE", "STOPPED", "LastingTroubles", "Trouble"]
