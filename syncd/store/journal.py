"""The journal of one target: its runs, and of each change the intent before it is sent and the outcome after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

import orjson
from sqlite_utils import Database

from syncd.core.drift import Drift
from syncd.core.model import Json, Kind
from syncd.core.plan import Change, Outcome, Plan, Result, Run, Trouble, timestamp
from syncd.store.rows import dumped

IN_FLIGHT: Final = "syncd ended before an answer came; the next run looks what became of it"
KEPT_RUNS: Final = 200
"""Runs kept per target; the oldest go first."""
_LATELY: Final = 20
"""Number of last runs that are searched for failures."""
KEPT_QUIET: Final = 20
"""Of these, runs of one kind without changes or faults: such runs say little, and come by the hour."""


@dataclass(frozen=True, slots=True)
class RunHead:
    """A run without its outcomes. `finished` is None while it goes on, and for ever when it was killed."""

    number: int
    target: str
    kind: str
    started: datetime
    finished: datetime | None
    summary: dict[str, int]
    results: dict[str, int]
    requests: int
    seconds: float
    error: str
    retries: int
    waited: float
    reads: int | None = None
    """As of `Run`."""

    def to_json(self) -> Json:
        return {
            "run": self.number,
            "target": self.target,
            "kind": self.kind,
            "started": timestamp(self.started),
            "finished": timestamp(self.finished) if self.finished else None,
            "summary": self.summary,
            "results": self.results,
            "requests": self.requests,
            "reads": self.reads,
            "writes": None if self.reads is None else self.requests - self.reads,
            "seconds": self.seconds,
            "retries": self.retries,
            "waited_seconds": self.waited,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Intent:
    """A change that was perhaps sent, with an unknown outcome."""

    id: int
    run: int
    change: Change
    at: datetime


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """The outcome of one change, and its time."""

    run: int
    at: datetime
    outcome: Outcome

    def to_json(self) -> Json:
        return {"run": self.run, "at": timestamp(self.at), **self.outcome.to_json()}


@dataclass(frozen=True, slots=True)
class PastPlan:
    """The parts of a run's plan about unchanged people."""

    run: int
    problems: tuple[Trouble, ...]
    drift: tuple[Drift, ...]


class Journal:
    """Reads and writes one target's runs."""

    def __init__(self, db: Database, target: int, name: str) -> None:
        self._conn = db.conn
        self._target = target
        self.name = name

    def begin(self, plan: Plan, now: datetime) -> int:
        """Write down that a plan is about to be carried out; returns the run's number."""
        cursor = self._conn.execute(
            "INSERT INTO runs (target, kind, started, plan, requests, seconds, error) VALUES (?, ?, ?, ?, 0, 0, '')",
            [self._target, plan.kind, now.isoformat(), orjson.dumps(plan.head()).decode()],
        )
        return int(cursor.lastrowid or 0)

    def intend(self, run: int, change: Change, now: datetime) -> int:
        """Write down that a change is about to be sent; returns the intent's id, for `record`."""
        return self._insert(run, Outcome(change, Result.FAILED, detail=IN_FLIGHT, open=True), now)

    def record(self, run: int, outcome: Outcome, now: datetime, intent: int | None = None) -> None:
        """Write the outcome of one change in place of its intent; an open change keeps the time of its sending."""
        if intent is None:
            self._insert(run, outcome, now)
            return
        self._conn.execute(
            "UPDATE outcomes SET result = ?1, status = ?2, detail = ?3, at = CASE WHEN ?5 THEN at ELSE ?4 END,"
            " open = ?5 WHERE id = ?6",
            [outcome.result.value, outcome.status, outcome.detail, now.isoformat(), int(outcome.open), intent],
        )

    def _insert(self, run: int, outcome: Outcome, now: datetime) -> int:
        cursor = self._conn.execute(
            "INSERT INTO outcomes (run, key, change, result, status, detail, at, open) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                run,
                outcome.change.key,
                orjson.dumps(outcome.change.to_json()).decode(),
                outcome.result.value,
                outcome.status,
                outcome.detail,
                now.isoformat(),
                int(outcome.open),
            ],
        )
        return int(cursor.lastrowid or 0)

    def failures(self) -> dict[str, int]:
        """Return the number of failures of each key's changes in the last runs; keys without a failure are left out."""
        rows = self._conn.execute(
            "SELECT key, count(*) FROM outcomes WHERE result IN (?, ?) AND run IN"
            " (SELECT id FROM runs WHERE target = ? ORDER BY id DESC LIMIT ?) GROUP BY key",
            [*(each.value for each in Result if each.is_failure), self._target, _LATELY],
        )
        return dict(rows.fetchall())

    def intents(self) -> list[Intent]:
        """Return the changes with an unknown outcome, in the order in which they were sent."""
        rows = self._conn.execute(
            "SELECT outcomes.id, outcomes.run, outcomes.change, outcomes.at FROM outcomes"
            " JOIN runs ON runs.id = outcomes.run WHERE outcomes.open = 1 AND runs.target = ? ORDER BY outcomes.id",
            [self._target],
        ).fetchall()
        return [
            Intent(id_, run, Change.from_json(orjson.loads(change)), datetime.fromisoformat(at))
            for id_, run, change, at in rows
        ]

    def end(
        self,
        run: int,
        now: datetime,
        requests: int,
        seconds: float,
        error: str,
        *,
        retries: int = 0,
        waited: float = 0,
        reads: int | None = None,
    ) -> None:
        """Write the end of a run, and remove the oldest runs, except for changes with an unknown outcome,
        and for the last full resync, which has the drift.

        Runs without changes are removed sooner, so that runs with changes are kept for longer.
        """
        self._conn.execute(
            "UPDATE runs SET finished = ?, requests = ?, seconds = ?, error = ?, retries = ?, waited = ?, reads = ?"
            " WHERE id = ?",
            [now.isoformat(), requests, seconds, error, retries, waited, reads, run],
        )
        self._conn.execute(
            "DELETE FROM runs WHERE id IN (SELECT id FROM runs AS quiet WHERE target = ?1 AND error = ''"
            " AND kind = (SELECT kind FROM runs WHERE id = ?2) AND finished IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes.run = quiet.id)"
            " ORDER BY id DESC LIMIT -1 OFFSET ?3)",
            [self._target, run, KEPT_QUIET],
        )
        old = (
            "SELECT id FROM runs WHERE target = ?1 AND id NOT IN (SELECT run FROM outcomes WHERE open = 1)"
            " AND id IS NOT (SELECT max(id) FROM runs WHERE target = ?1 AND kind = 'resync')"
            " ORDER BY id DESC LIMIT -1 OFFSET ?2"
        )
        self._conn.execute(f"DELETE FROM outcomes WHERE run IN ({old})", [self._target, KEPT_RUNS])
        self._conn.execute(f"DELETE FROM runs WHERE id IN ({old})", [self._target, KEPT_RUNS])

    def heads(self, limit: int) -> list[RunHead]:
        """Return the last runs, the newest first."""
        rows = self._conn.execute(
            "SELECT id, kind, started, finished, plan, requests, seconds, error, retries, waited, reads FROM runs"
            " WHERE target = ? ORDER BY id DESC LIMIT ?",
            [self._target, limit],
        ).fetchall()
        return [self._head(row) for row in rows]

    def _head(self, row: tuple[int, str, str, str | None, str, int, float, str, int, float, int | None]) -> RunHead:
        number, kind, started, finished, plan, requests, seconds, error, retries, waited, reads = row
        results = self._conn.execute(
            # During a run, a change in flight has no outcome.
            "SELECT result, count(*) FROM outcomes WHERE run = ? AND NOT (open AND ?) GROUP BY result",
            [number, finished is None],
        ).fetchall()
        return RunHead(
            number,
            self.name,
            kind,
            datetime.fromisoformat(started),
            datetime.fromisoformat(finished) if finished else None,
            orjson.loads(plan)["summary"],
            dict(results),
            requests,
            seconds,
            error,
            retries,
            waited,
            reads,
        )

    def run(self, number: int) -> Run | None:
        """Return one run with its outcomes."""
        row = self._conn.execute(
            "SELECT started, plan, requests, seconds, error, retries, waited, reads FROM runs"
            " WHERE target = ? AND id = ?",
            [self._target, number],
        ).fetchone()
        if row is None:
            return None
        started, plan, requests, seconds, error, retries, waited, reads = row
        outcomes = tuple(self._outcomes(number))
        body = orjson.loads(plan) | {"changes": [outcome.change.to_json() for outcome in outcomes]}
        return Run(
            number,
            Plan.trusted(body),
            datetime.fromisoformat(started),
            outcomes,
            requests,
            seconds,
            error,
            retries,
            waited,
            reads,
        )

    def _outcomes(self, run: int) -> Iterator[Outcome]:
        rows = self._conn.execute(
            "SELECT change, result, status, detail, open FROM outcomes WHERE run = ? ORDER BY id", [run]
        )
        for row in rows:
            yield _outcome(*row)

    def outcomes_of(self, kind: Kind, key: str, limit: int) -> list[PastOutcome]:
        """Return the last outcomes of the changes of one user or group, the newest first."""
        rows = self._conn.execute(
            "SELECT outcomes.run, outcomes.at, outcomes.change, outcomes.result, outcomes.status, outcomes.detail,"
            " outcomes.open FROM outcomes JOIN runs ON runs.id = outcomes.run"
            " WHERE outcomes.key = ? AND runs.target = ? ORDER BY outcomes.id DESC",
            [key, self._target],
        )
        found = (PastOutcome(run, datetime.fromisoformat(at), _outcome(*row)) for run, at, *row in rows)
        about_user = kind is Kind.USER
        return list(islice((each for each in found if each.outcome.change.action.about_user is about_user), limit))

    def changes_naming(self, text: str) -> Iterator[Change]:
        """Yield the changes in which a text stands somewhere, the newest first; in any case, as far as it is ASCII."""
        rows = self._conn.execute(
            "SELECT outcomes.change FROM outcomes JOIN runs ON runs.id = outcomes.run"
            " WHERE runs.target = ? AND outcomes.change LIKE ? ESCAPE '!' ORDER BY outcomes.id DESC",
            [self._target, pattern_of(text)],
        )
        for (change,) in rows:
            yield Change.from_json(orjson.loads(change))

    def last_plan(self, kind: str = "") -> PastPlan | None:
        """Return the plan of the last run that was about everybody; `kind`: of the last such run of this kind."""
        row = self._conn.execute(
            "SELECT id, plan FROM runs WHERE target = ?1 AND kind != 'user' AND ?2 IN ('', kind)"
            " ORDER BY id DESC LIMIT 1",
            [self._target, kind],
        ).fetchone()
        if row is None:
            return None
        plan = orjson.loads(row[1])
        return PastPlan(
            row[0],
            tuple(Trouble(**problem) for problem in plan["problems"]),
            tuple(map(Drift.from_json, plan["drift"])),
        )


def _outcome(change: str, result: str, status: int, detail: str, is_open: int) -> Outcome:
    return Outcome(Change.from_json(orjson.loads(change)), Result(result), status, detail, open=bool(is_open))


def pattern_of(text: str) -> str:
    """Return the LIKE pattern (ESCAPE '!') of JSON in which a text stands somewhere; its wildcards mean themselves."""
    quoted = dumped(text)[1:-1]
    return "%" + "".join(f"!{char}" if char in "%_!" else char for char in quoted) + "%"
