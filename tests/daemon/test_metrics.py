"""Metrics: the counts, the names in dashboard and alerts, and the part that the network sees."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncd.daemon.metrics import Metrics
from syncd.errors import StateError
from tests.daemon.running import Running
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person

DOCS = Path(__file__).parents[2] / "docs"


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    try:
        with urlopen(Request(f"http://{address}{path}", method=method, headers=headers), timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except HTTPError as error:
        return error.code, error.headers.get("Content-Type", ""), error.read().decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def address(admin: Administrator) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = f"127.0.0.1:{free.getsockname()[1]}"
    admin.environment |= {"SYNCD__METRICS__LISTEN": found, "SYNCD__SCHEDULE__SYNC": "100d"}
    return found


def test_what_runs_came_to(admin: Administrator, sandbox: Sandbox, address: str) -> None:
    with Running(admin) as running:
        running.do("sync")
        admin.people(person(key, status="left" if key == 1 else "active") for key in range(1, 8))
        sandbox.faults({"fault": "status", "status": 400, "contains": "p7@example.com"})
        running.do("resync")
        found = samples(ask(address, "/metrics")[2])

    def of(name: str, **labels: str) -> float | None:
        return found.get((f"syncd_{name}", tuple(sorted(labels.items()))))

    at = {"target": "sandbox"}
    assert of("changes_total", **at, action="create_user", result="applied") == 6
    assert of("changes_total", **at, action="create_user", result="failed") == 1
    assert of("changes_total", **at, action="deactivate_user", result="applied") == 1
    assert of("changes_total", **at, action="delete_user", result="applied") == 0, "zeros are there from the start"
    assert of("runs_total", **at, kind="resync", result="failed") == 1
    assert of("runs_total", **at, kind="resync", result="ok") == 1, "the first one"
    assert of("managed_users", **at, state="active") == 5
    assert of("managed_users", **at, state="deactivated") == 1
    assert of("quarantined_changes", **at) == 1
    assert of("requests_total", **at, method="POST", status="201") == 7
    assert of("requests_total", **at, method="POST", status="400") == 1
    assert of("target_stopped", **at, cause="gone") == 0
    assert of("source_failing") == 0
    assert (of("source_read_timestamp_seconds") or 0) > datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert (of("last_success_timestamp_seconds", **at, kind="resync") or 0) > 0
    assert of("phase_seconds_count", **at, phase="read") == 2
    assert "example.com" not in str(found)


def test_when_it_last_went_well_is_known_after_a_restart(admin: Administrator, sandbox: Sandbox, address: str) -> None:
    name = ("syncd_last_success_timestamp_seconds", (("kind", "resync"), ("target", "sandbox")))
    with Running(admin) as running:
        running.do("sync")
        before = samples(ask(address, "/metrics")[2])[name]
    sandbox.faults({"fault": "unauthorized"})
    with Running(admin) as running:
        running.do("sync")
        after = samples(ask(address, "/metrics")[2])[name]
    assert before > 0
    assert abs(after - before) < 1


def test_the_network_gets_health_and_figures_and_nothing_else(
    admin: Administrator, sandbox: Sandbox, address: str
) -> None:
    admin.environment["SYNCD__TARGET__SANDBOX__TOKEN_EXPIRES"] = "2026-11-02"
    with Running(admin) as running:
        running.do("sync")
        assert ask(address, "/healthz")[::2] == (200, "ok\n")
        assert json.loads(ask(address, "/readyz")[2]) == {"ready": True, "reasons": []}
        assert ask(address, "/metrics", Accept="application/openmetrics-text;version=1.0.0")[1].startswith(
            "application/openmetrics-text"
        )
        for path in ("/", "/v1/status", "/v1/approve", "/docs", "/metrics/../v1/status"):
            assert ask(address, path)[0] == 404
        for path in ("/healthz", "/readyz", "/metrics"):
            assert ask(address, path, "POST")[0] == 405
        assert "token has expired, on 2026-11-02" in admin.syncd("status").out, "which keeps nobody from working yet"
        (admin.folder / "people.csv").unlink()
        with pytest.raises(Exception, match="there is no such file"):
            running.do("sync")
        running.ask("pause")
        status, _, body = ask(address, "/readyz")
        assert (status, json.loads(body)["reasons"]) == (503, ["sandbox is paused"])


def test_nothing_listens_unless_it_is_configured(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, SYNCD__SCHEDULE__SYNC="100d") as running:
        running.do("sync")
        assert not _listening(running.pid)


def test_what_listens_is_seen(admin: Administrator, sandbox: Sandbox, address: str) -> None:
    with Running(admin, SYNCD__SCHEDULE__SYNC="100d") as running:
        running.do("sync")
        assert len(_listening(running.pid)) == 1


def _listening(pid: int) -> set[str]:
    """The listening TCP sockets, named as in /proc/PID/fd, that a process holds."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()
    ]
    held: set[str] = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            held.add(link.readlink().name)
    return {name for line in lines if line[3] == "0A" and (name := f"socket:[{line[9]}]") in held}


def test_an_address_that_is_taken_is_said(admin: Administrator, sandbox: Sandbox) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = admin.syncd("run", environment={"SYNCD__METRICS__LISTEN": f"127.0.0.1:{taken.getsockname()[1]}"})
    assert done.code == 1
    assert "metrics.listen: 127.0.0.1:" in done.err
    assert "Address already in use" in done.err


# -- what the documents name ---------------------------------------------------------------------------

STATUS: dict[str, Any] = {
    "target": "t",
    "users": {"active": 1, "pending": 0, "deactivated": 0},
    "groups": 0,
    "memberships": 0,
    "paused": None,
    "stopped": None,
    "concurrency": {"now": 8, "most": 8},
    "unsettled": 0,
    "holds": {"waiting": 0, "passing": 0, "approved": 0, "rejected": 0},
    "quarantined": [],
    "pending_since": "2026-11-22T18:00:00Z",
    "last_resync": None,
    "daemon": {"running": None},
}


@pytest.fixture
def known() -> dict[str, set[str]]:
    """By the names of series, the labels that they have."""
    metrics = Metrics(lambda: [STATUS])
    metrics.know(["t"])
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for name in ("source_read_timestamp_seconds", "source_failing", "reload_failing"):
        assert f"syncd_{name}" in found
    return found


def expressions() -> list[str]:
    board = json.loads((DOCS / "grafana.json").read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    shown += [each["definition"] for each in board["templating"]["list"] if "definition" in each]
    return [*shown, *(alert["expr"] for alert in alerts())]


def alerts() -> list[dict[str, str]]:
    """Return the alert rules, each as its scalars by name; a folded one in one line."""
    found = []
    for text in (DOCS / "alerts.yml").read_text().split("      - alert: ")[1:]:
        folded = re.sub(r">-\n((?: {10}.*\n)+)", lambda lines: " ".join(lines[1].split()) + "\n", text)
        pairs = re.findall(r'^ +(\w+): "?(.+?)"?$', folded, re.MULTILINE)
        found.append({"alert": text.partition("\n")[0], **dict(pairs)})
    return found


def test_the_dashboard_and_the_alerts_name_what_exists(known: dict[str, set[str]]) -> None:
    found = expressions()
    assert len(found) > 30
    for expression in found:
        named = re.findall(r"(syncd_\w+)(?:\{([^}]*)\})?", expression)
        assert named, expression
        for name, selectors in named:
            assert name in known, f"{name} in {expression}"
            asked = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selectors))
            assert asked <= known[name], f"{name} has no {asked - known[name]}"
        there = {"instance"}.union(*(known[name] for name, _ in named))
        for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            assert {each.strip() for each in grouped.split(",")} <= there, expression
        assert expression.count("(") == expression.count(")")
        assert expression.count("{") == expression.count("}")


def test_every_alert_says_what_it_is_and_where_to_read_on(known: dict[str, set[str]]) -> None:
    operations = (DOCS / "operations.md").read_text()
    titles = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", operations, re.MULTILINE)
    }
    for alert in alerts():
        assert {"alert", "expr", "labels", "summary", "description", "runbook"} <= alert.keys(), alert
        page, _, title = alert["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert not title or title in titles, alert["runbook"]
        labels = set().union(*(known[name] for name in re.findall(r"syncd_\w+", alert["expr"])))
        spoken = " ".join((alert["summary"], alert["description"]))
        assert set(re.findall(r"\$labels\.(\w+)", spoken)) <= labels, alert["alert"]


def test_every_figure_is_explained_in_the_documents(known: dict[str, set[str]]) -> None:
    page = (DOCS / "metrics.md").read_text()
    for name in known:
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        assert f"`{base}`" in page, base


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_first_failure_is_an_increase_and_no_success_is_seen() -> None:
    metrics = Metrics(list)
    metrics.know(["t"])
    for end in ("ok", "held", "failed", "stopped"):
        assert value(metrics, "syncd_runs_total", target="t", kind="sync", result=end) == 0
    assert value(metrics, "syncd_changes_total", target="t", action="create_user", result="failed") == 0
    assert value(metrics, "syncd_last_success_timestamp_seconds", target="t", kind="sync") == 0
    assert value(metrics, "syncd_pull_failures_total") == 0
    assert (value(metrics, "syncd_start_timestamp_seconds") or 0) > 0


def test_what_is_counted_is_seen_without_a_state_file() -> None:
    def statuses() -> list[Any]:
        raise StateError("the disk is full")

    metrics = Metrics(statuses)
    metrics.source(failed=True, now=datetime.now(UTC))
    assert value(metrics, "syncd_state_failing") == 1
    assert value(metrics, "syncd_pull_failures_total") == 1
    assert value(Metrics(lambda: [STATUS]), "syncd_state_failing") == 0


def test_a_target_that_is_no_longer_configured_has_no_series() -> None:
    metrics = Metrics(list)
    metrics.know(["a", "b"])
    metrics.know(["b"])
    text = str([sample for family in metrics.registry.collect() for sample in family.samples])
    assert "'b'" in text
    assert "'a'" not in text
