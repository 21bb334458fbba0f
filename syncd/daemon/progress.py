"""The progress of a cycle: written by its thread, and read by the event loop, which never waits for it."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from syncd.core.model import Json
from syncd.core.plan import Outcome
from syncd.cycle.progress import Progress
from syncd.errors import SyncdError
from syncd.push.shutdown import Shutdown
from syncd.scim.transport import Traffic


class Halted(SyncdError):
    """A cycle was told to stop while it was reading: nothing was changed."""


@dataclass
class _Push:
    changes: int
    done: int = 0
    since: float = field(default_factory=monotonic)


@dataclass
class Told:
    """The progress that one follower has been sent."""

    phase: Json = None
    done: dict[str, int] = field(default_factory=dict)


class CycleProgress(Progress):
    """One cycle's progress."""

    def __init__(self, targets: tuple[str, ...], shutdown: Shutdown) -> None:
        self._lock = threading.Lock()
        self._targets = targets
        self._shutdown = shutdown
        self._phase: Json = {"event": "waiting", "for": "waiting for its turn"}
        self._pushes: dict[str, _Push] = {}
        self.timings: dict[tuple[str, str], float] = {}
        """Seconds by phase and target (`pull` is of all targets: "")."""
        self.answers: dict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
        """Requests by target, and by method and status."""
        self.retries: Counter[str] = Counter()
        self.waited: dict[str, float] = defaultdict(float)
        """Seconds that requests to a target waited."""

    # -- told by the cycle's thread --------------------------------------------------------------

    def waiting(self, sentence: str) -> None:
        self._phase = {"event": "waiting", "for": sentence}

    def pulled(self, people: int) -> None:
        self._phase = {"event": "pulling", "people": people}
        self._halt()

    def reading(self, target: str) -> None:
        self._phase = {"event": "reading", "target": target}
        self._halt()

    def _halt(self) -> None:
        """End a reading by an exception, once every target of the cycle was told to stop."""
        if all(map(self._shutdown.is_requested, self._targets)):
            raise Halted("syncd was told to stop; nothing was done")

    def pushing(self, target: str, changes: int) -> None:
        with self._lock:
            self._pushes[target] = _Push(changes)

    def outcome(self, target: str, outcome: Outcome) -> None:
        self._pushes[target].done += 1

    def took(self, phase: str, target: str, seconds: float) -> None:
        with self._lock:
            self.timings[phase, target] = self.timings.get((phase, target), 0.0) + seconds

    def answered(self, target: str, answers: Mapping[tuple[str, int], int], traffic: Traffic) -> None:
        with self._lock:
            self.answers[target].update(answers)
            self.retries[target] += traffic.retries
            self.waited[target] += traffic.waited

    # -- read by the event loop ------------------------------------------------------------------

    def news(self, told: Told) -> list[Json]:
        """Return the progress since a follower's last events, and note these events as sent."""
        events = []
        with self._lock:
            pushes = {target: (push.changes, push.done) for target, push in self._pushes.items()}
        if not pushes and self._phase != told.phase:
            told.phase = self._phase
            events.append(self._phase)
        for target, (changes, done) in pushes.items():
            if target not in told.done:
                told.done[target] = 0
                events.append({"event": "pushing", "target": target, "changes": changes})
            if done != told.done[target]:
                told.done[target] = done
                events.append({"event": "pushed", "target": target, "changes": done})
        return events

    def status(self, target: str) -> Json:
        """Return the cycle's progress at one target: the phase, and in a push the counts and the seconds left."""
        with self._lock:
            push = self._pushes.get(target)
        if push is None:
            return {"phase": self._phase["event"], **{k: v for k, v in self._phase.items() if k == "people"}}
        spent = monotonic() - push.since
        rate = push.done / spent if spent > 0 else 0.0
        left = round((push.changes - push.done) / rate) if rate else None
        return {
            "phase": "pushing",
            "done": push.done,
            "of": push.changes,
            "per_second": round(rate, 1),
            "seconds_left": left,
        }
