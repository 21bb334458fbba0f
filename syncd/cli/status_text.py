"""The status in words: the answer of `operations` in, lines for people out. Each fact is shown once.

Counts come first, then the activity of the daemon, then for each target a line per notable fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from syncd.cli.shared import decided_sentence, pause_sentence, relinked_sentences, stop_sentence
from syncd.report.moments import localized, minute, second
from syncd.report.text import table_or_lines, visible

_FEW: Final = 3
_NAMED: Final = 10
"""People named of those whom a removal of SSO concerns."""
_NEAR: Final = 30
"""Days before a token's expiry from which on the status names the token."""
_INCIDENTS: Final = {"source": "the source can't be read", "fault": "runs fail"}
_INEFFECTIVE: Final = "ineffective"
_HEADINGS: Final = ("target", "active", "pending", "deactivated", "groups", "memberships")


def status_lines(rows: Sequence[dict[str, Any]], zone: tzinfo, *, width: int) -> Iterator[Text | Table]:
    """Yield the status of targets, for a terminal of that width (0: as wide as it takes), with moments in `zone`."""
    yield from _counts(rows, width)
    if about := rows[0]["daemon"]:
        yield from _daemon(about, zone)
    for row in rows:
        yield from _Target(row, zone).lines()


def _counts(rows: Sequence[dict[str, Any]], width: int) -> Iterator[Text | Table]:
    cells = [(row["target"], *row["users"].values(), row["groups"], row["memberships"]) for row in rows]
    yield from table_or_lines(_HEADINGS, cells, width)


def results_sentence(run: dict[str, Any]) -> str:
    """Return the number of a run's changes by outcome."""
    counts = ", ".join(f"{count} {result}" for result, count in run["results"].items())
    return counts or ("nothing done" if run["error"] else "nothing to do")


def _daemon(about: dict[str, Any], zone: tzinfo) -> Iterator[Text]:
    """Yield the lines about the daemon itself."""
    yield Text(f"the daemon runs since {minute(_moment(about['since']), zone)} (process {about['pid']})")
    if about["refused"]:
        problem = visible(_on_one_line(about["refused"]))
        yield Text(f"its configuration was changed, and refused; the old one is in force: {problem}", "bold red")


class _Target:
    """The lines about one target; a reason is shown in one line only."""

    def __init__(self, row: dict[str, Any], zone: tzinfo) -> None:
        self._row = row
        self._zone = zone
        self._told: list[str] = []

    def lines(self) -> Iterator[Text]:
        """Yield the lines: current activity, next run, errors, changes that wait for a person, last run."""
        yield from self._now()
        yield from self._wrong()
        yield from self._waiting()
        yield from self._last()

    def _line(self, text: str, style: str = "") -> Text:
        shown = visible(localized(text, self._zone))
        return Text(f"{visible(self._row['target'])}: ", style="bold").append(shown, style=style or "not bold")

    def _is_news(self, reason: str) -> bool:
        """Return whether a reason was not shown yet, and mark the reason as shown."""
        reason = _on_one_line(reason).removeprefix(f"{self._row['target']}: ")
        if any(reason in told or told in reason for told in self._told):
            return False
        self._told.append(reason)
        return True

    def _minute(self, moment: str) -> str:
        return minute(_moment(moment), self._zone)

    def _now(self) -> Iterator[Text]:
        if daemon := self._row["daemon"]:
            if running := daemon["running"]:
                yield self._line(self._going_on(running), "green")
            coming = [f"next {kind} {self._minute(when)}" for kind, when in daemon["next"].items() if when]
            yield self._line(", ".join(coming) or "no run is scheduled")

    def _going_on(self, running: dict[str, Any]) -> str:
        """Return the progress of a run."""
        if running["phase"] == "pushing":
            left = running["seconds_left"]
            rest = f", about {left // 60 + 1} min left" if left is not None else ""
            how = f"{running['done']} of {running['of']} changes, {running['per_second']} a second{rest}"
        else:
            people = f", {running['people']} people so far" if "people" in running else ""
            how = f"{running['phase']}{people}"
        return f"{running['kind']} goes on since {self._minute(running['since'])} ({running['by']}): {how}"

    def _wrong(self) -> Iterator[Text]:
        row = self._row
        if paused := row["paused"]:
            yield self._line(pause_sentence(paused["by"], _moment(paused["since"]), self._zone), "bold red")
        if stop := row["stopped"]:
            self._is_news(stop["reason"])
            said = stop_sentence(stop["cause"], stop["reason"], _moment(stop["since"]), self._zone)
            yield self._line(said, "bold red")
        for incident in row["incidents"]:
            reason = _on_one_line(str(incident["detail"].get("reason", "")))
            if reason and self._is_news(reason):
                words = _INCIDENTS.get(incident["kind"], incident["kind"])
                yield self._line(f"{words} since {self._minute(incident['since'])}: {reason}", "bold red")
        pace = row["concurrency"]
        if pace["now"] < pace["most"]:
            yield self._line(f"slowed down: {pace['now']} of {pace['most']} requests at a time")
        if row["token_expires"] and (sentence := _expiry(date.fromisoformat(row["token_expires"]))):
            yield self._line(sentence, "bold red")

    def _waiting(self) -> Iterator[Text]:
        row = self._row
        in_flight = row["daemon"] is not None and row["daemon"]["running"] is not None
        if (count := row["unsettled"]) and not in_flight:
            noun = "change" if count == 1 else "changes"
            yield self._line(f"the outcome of {count} {noun} is not known yet; the next run looks", "yellow")
        if decided := decided_sentence(row["holds"]):
            yield self._line(f"{decided} (`syncd holds`)", "magenta")
        yield from self._without_effect()
        if quarantined := [each for each in row["quarantined"] if each["result"] != _INEFFECTIVE]:
            some = ", ".join(self._quarantined(each) for each in quarantined[:_FEW])
            more = f" and {len(quarantined) - _FEW} more" if len(quarantined) > _FEW else ""
            yield self._line(f"{len(quarantined)} quarantined: {some}{more}", "yellow")
        relinked = row.get("relinked") or {}  # a daemon of an earlier version says nothing of it
        if row["pending_since"]:
            days = (datetime.now(UTC) - _moment(row["pending_since"])).days
            long = f" ({days} day{'' if days == 1 else 's'})" if days else ""
            pending = "pending" if relinked.get("invite") else "invited and pending"
            invited = f"{row['users']['pending']} {pending}"
            yield self._line(f"{invited}, the longest since {self._minute(row['pending_since'])}{long}")
        for sentence in relinked_sentences(relinked, most=_NAMED):
            yield self._line(sentence, "yellow")

    def _without_effect(self) -> Iterator[Text]:
        if found := self._row["ineffective"]:
            counted = f"{len(found)} change{' has' if len(found) == 1 else 's have'} no effect"
            some = ", ".join(f"{_doing(each['change'])} ({self._again(each)})" for each in found[:_FEW])
            more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
            yield self._line(f"{counted}: {some}{more}; `syncd explain WHO` says what was found", "bold red")

    def _again(self, each: dict[str, Any]) -> str:
        """Return when a change without effect is sent again."""
        return f"next try {self._try(each['next_try'])}" if each["next_try"] else "sent again by each full resync"

    def _quarantined(self, each: dict[str, Any]) -> str:
        return f"{_doing(each['change'])} ({each['status']}, next try {self._try(each['next_try'])})"

    def _try(self, moment: str) -> str:
        return self._minute(moment) if _moment(moment) > datetime.now(UTC) else "in the next run"

    def _last(self) -> Iterator[Text]:
        if run := self._row["last_run"]:
            yield self._line(f"last run: {self._run(run)}")
        else:
            yield self._line("no run yet")
        if last := self._row["last_resync"]:
            error = last["error"]
            found = f"stopped{self._because(error)}" if error else f"drift: {_drift(last['drift'])}"
            yield self._line(f"last full resync {self._minute(last['started'])} (run {last['run']}): {found}")
        if learned := self._row["learned"]:
            yield self._line(f"learned about the endpoint: {'; '.join(learned)}")

    def _run(self, run: dict[str, Any]) -> str:
        started = second(_moment(run["started"]), self._zone)
        if run["finished"] is None:
            return f"run {run['run']} began {started} and has not ended"
        held = f", {run['summary']['held']} held" if run["summary"]["held"] else ""
        problems = f", {run['summary']['problems']} problems" if run["summary"]["problems"] else ""
        error = f"; stopped{self._because(run['error'])}" if run["error"] else ""
        return f"run {run['run']}, {started}: {results_sentence(run)}{held}{problems}{error}"

    def _because(self, error: str) -> str:
        """Return the first line of an error, or a reference to the line that shows the error already."""
        first = error.splitlines()[0]
        return f": {first}" if self._is_news(first) else " (see above)"


def _doing(change: dict[str, Any]) -> str:
    from syncd.core.actions import Action

    return Action(change["action"]).of(change["name"])


def _expiry(day: date) -> str:
    """Return the expiry of a token in words, if the expiry is near."""
    left = (day - datetime.now(UTC).date()).days
    if left > _NEAR:
        return ""
    if left <= 0:
        return f"the token has expired, on {day}"
    return f"the token expires in {left} day{'' if left == 1 else 's'}, on {day}"


def _drift(counts: dict[str, int]) -> str:
    from syncd.core.drift import DriftClass
    from syncd.report.drifts import DRIFTS

    return ", ".join(f"{DRIFTS[DriftClass(class_)]} ({count})" for class_, count in counts.items()) or "none"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
