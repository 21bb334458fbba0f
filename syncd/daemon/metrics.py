"""Metrics for Prometheus: counters fed by the results of runs, gauges read from the status when they are scraped.

Every series of a configured target exists from the start, so that the first failure is a change. Labels are names that
syncd or the configuration gives, never names of people.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from syncd import __version__
from syncd.core.drift import DriftClass
from syncd.core.model import Json, State
from syncd.core.plan import Action, Result, Run
from syncd.daemon.progress import CycleProgress
from syncd.errors import StateError

_KINDS: Final = ("sync", "resync", "user")
_SCHEDULED: Final = ("sync", "resync")
_ENDS: Final = ("ok", "held", "failed", "stopped")
_CAUSES: Final = ("gone", "elsewhere", "refused", "failing")
_PHASES: Final = ("read", "compare", "push")
_SECONDS: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)


def end_of(run: Run) -> str:
    """Return a run's result as a word: `stopped` (the target as a whole), `failed` (some changes), `held` or `ok`."""
    if run.error:
        return "stopped"
    if any(outcome.result is not Result.APPLIED for outcome in run.outcomes):
        return "failed"
    return "held" if run.plan.held else "ok"


class Metrics:
    """All metrics of one daemon, one field for each metric. Any thread may update the metrics."""

    def __init__(self, statuses: Callable[[], Sequence[Json]]) -> None:
        """`statuses` returns the same as `syncd status --json`, one for each target; called at each scrape."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # as many series again, which nobody reads
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._targets: set[str] = set()

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"syncd_{name}", what, labels, registry=self.registry)

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"syncd_{name}", what, labels, registry=self.registry)

        self.runs = counter("runs", "Runs that ended, by kind and by how they did.", "target", "kind", "result")
        self.phases = Histogram(
            "syncd_phase_seconds",
            "How long the phases of runs took: read (the target, in a full resync), compare, push.",
            ["target", "phase"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.pulls = Histogram(
            "syncd_pull_seconds",
            "How long reading the source took, with the comparison that goes along with it.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.pull_failures = counter("pull_failures", "Cycles in which the source could not be read.")
        self.cycle_failures = counter("cycle_failures", "Cycles that failed for what neither source nor target did.")
        self.changes = counter("changes", "Changes by action and by what came of them.", "target", "action", "result")
        self.requests = counter(
            "requests", "Requests by method and status; 0: no answer.", "target", "method", "status"
        )
        self.retries = counter("retries", "Requests that were sent again.", "target")
        self.waits = counter("wait_seconds", "Seconds that requests waited for their turn, all together.", "target")
        self.success = gauge(
            "last_success_timestamp_seconds",
            "When a run of a kind last ended well (ok or held); 0: not since the daemon began.",
            "target",
            "kind",
        )
        self.began = gauge("start_timestamp_seconds", "When the daemon began.")
        self.began.set_to_current_time()
        self.source_read = gauge("source_read_timestamp_seconds", "When the source was last read whole.")
        self.source_failing = gauge("source_failing", "1 while the source can't be read.")
        self.reload_failing = gauge("reload_failing", "1 while a refused configuration waits to be mended.")
        self.registry.register(_Status(statuses))

    def know(self, targets: Iterable[str]) -> None:
        """Keep series for these targets, and for no others."""
        with self._lock:
            names = set(targets)
            for gone in self._targets - names:
                for each in (
                    self.runs,
                    self.phases,
                    self.changes,
                    self.requests,
                    self.retries,
                    self.waits,
                    self.success,
                ):
                    each.remove_by_labels({"target": gone})
            for name in names - self._targets:
                for kind in _KINDS:
                    for end in _ENDS:
                        self.runs.labels(name, kind, end)
                for kind in _SCHEDULED:
                    self.success.labels(name, kind)
                for action in Action:
                    for result in Result:
                        self.changes.labels(name, action.value, result.value)
                for phase in _PHASES:
                    self.phases.labels(name, phase)
                for method, status in (("GET", 200), ("POST", 201), ("PATCH", 200), ("GET", 0), ("GET", 429)):
                    self.requests.labels(name, method, str(status))
                self.retries.labels(name)
                self.waits.labels(name)
            self._targets = names

    def ran(self, run: Run, now: datetime) -> None:
        """Count a run."""
        target, kind, end = run.plan.target, run.plan.kind, end_of(run)
        if target not in self._targets:
            return
        self.runs.labels(target, kind, end).inc()
        for outcome in run.outcomes:
            self.changes.labels(target, outcome.change.action.value, outcome.result.value).inc()
        if end in ("ok", "held"):
            self.succeeded(target, kind, now)

    def succeeded(self, target: str, kind: str, when: datetime) -> None:
        """Note when a run of a kind last ended well."""
        self.success.labels(target, kind).set(when.timestamp())

    def did(self, progress: CycleProgress) -> None:
        """Count the requests of a cycle and the seconds of its phases."""
        for (phase, target), seconds in progress.timings.items():
            if phase == "pull":
                self.pulls.observe(seconds)
            elif target in self._targets:
                self.phases.labels(target, phase).observe(seconds)
        for target, answers in progress.answers.items():
            if target in self._targets:
                for (method, status), count in answers.items():
                    if count:
                        self.requests.labels(target, method, str(status)).inc(count)
                self.retries.labels(target).inc(progress.retries[target])
                self.waits.labels(target).inc(progress.waited[target])

    def source(self, *, failed: bool, now: datetime) -> None:
        """Note whether the source could be read, or was found unchanged."""
        self.source_failing.set(failed)
        if failed:
            self.pull_failures.inc()
        else:
            self.source_read.set(now.timestamp())


class _Status(Collector):
    """The status of each target, as gauges."""

    def __init__(self, statuses: Callable[[], Sequence[Json]]) -> None:
        self._statuses = statuses

    def describe(self) -> Iterable[Metric]:
        return []  # no other collector uses these names

    def collect(self) -> Iterator[Metric]:
        info = InfoMetricFamily("syncd", "The version that runs.")
        info.add_metric([], {"version": __version__})
        yield info
        try:
            rows = self._statuses()
        except StateError:  # the counters must stay visible, above all now
            rows = None
        yield GaugeMetricFamily("syncd_state_failing", "1 while the state file can't be used.", value=rows is None)
        yield from self._of(rows or [])

    def _of(self, rows: Sequence[Json]) -> Iterator[Metric]:
        def family(name: str, what: str, *labels: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"syncd_{name}", what, labels=["target", *labels])

        managed = family("managed_users", "Managed users by state.", "state")
        groups = family("managed_groups", "Managed groups.")
        members = family("memberships", "Memberships of managed groups.")
        held = family("held_changes", "Changes that are held, by what was decided.", "decision")
        quarantined = family("quarantined_changes", "Changes that the target refuses again and again.")
        drift = family("drift", "What the last full resync found changed at the target, by class.", "class")
        stopped = family("target_stopped", "1 while nothing is sent to a target, by cause.", "cause")
        paused = family("target_paused", "1 while a person wants a target left alone.")
        unsettled = family("unsettled_changes", "Changes of which nobody knows yet what came.")
        pending = family("pending_since_timestamp_seconds", "Since when somebody has been pending the longest.")
        concurrency = family("concurrency", "How many requests at a time the target bears.")
        going_on = family("run_in_progress", "1 while a run goes on.")
        for row in rows:
            name = row["target"]
            for state in State:
                managed.add_metric([name, state.value], row["users"][state.value])
            groups.add_metric([name], row["groups"])
            members.add_metric([name], row["memberships"])
            for decision, count in row["holds"].items():
                held.add_metric([name, decision], count)
            quarantined.add_metric([name], len(row["quarantined"]))
            found = row["last_resync"]["drift"] if row["last_resync"] else {}
            for class_ in DriftClass:
                drift.add_metric([name, class_.value], found.get(class_.value, 0))
            for cause in _CAUSES:
                stopped.add_metric([name, cause], float(bool(row["stopped"]) and row["stopped"]["cause"] == cause))
            paused.add_metric([name], float(row["paused"] is not None))
            unsettled.add_metric([name], row["unsettled"])
            if row["pending_since"]:
                pending.add_metric([name], datetime.fromisoformat(row["pending_since"]).timestamp())
            concurrency.add_metric([name], row["concurrency"]["now"])
            going_on.add_metric([name], float(bool(row["daemon"]["running"])))
        yield from (managed, groups, members, held, quarantined, drift, stopped, paused, unsettled, pending)
        yield from (concurrency, going_on)
