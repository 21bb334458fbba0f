"""Health on the network: the answers by method, and that no other information is shown."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from syncd.daemon.health import application, reasons_against_ready

PATHS = ("/healthz", "/readyz", "/metrics")


def ask(path: str, method: str = "GET", reasons: tuple[str, ...] = (), accept: str = "*/*") -> httpx.Response:
    registry = CollectorRegistry()
    Counter("syncd_runs", "Runs.", registry=registry).inc()
    app = application(registry, lambda: list(reasons))

    async def one() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://syncd") as client:
            return await client.request(method, path, headers={"Accept": accept})

    return asyncio.run(one())


def test_it_lives_even_when_it_is_not_well() -> None:
    assert ask("/healthz", reasons=("lucid is stopped (gone)",)).text == "ok\n"


def test_readiness_gives_its_reasons() -> None:
    assert (ask("/readyz").status_code, ask("/readyz").json()) == (200, {"ready": True, "reasons": []})
    found = ask("/readyz", reasons=("lucid is paused",))
    assert (found.status_code, found.json()) == (503, {"ready": False, "reasons": ["lucid is paused"]})


def row(target: str = "lucid", **facts: Any) -> dict[str, Any]:
    return {"target": target, "stopped": None, "paused": None, "incidents": [], **facts}


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        ([row()], []),
        ([row(stopped={"cause": "gone"})], ["lucid is stopped (gone)"]),
        ([row(paused={"by": "ada"}), row("aws")], ["lucid is paused"]),
        (
            [row(incidents=[{"kind": "source"}]), row("aws", incidents=[{"kind": "source"}])],
            ["the source can't be read"],
        ),
        ([row(incidents=[{"kind": "fault"}])], ["runs fail"]),
        ([row(incidents=[{"kind": "token"}])], []),
        (None, ["the state file can't be used"]),
    ],
)
def test_what_keeps_it_from_being_ready(rows: list[Any] | None, reasons: list[str]) -> None:
    assert reasons_against_ready(rows, first_is_over=True, refused=False) == reasons


def test_it_is_not_ready_before_the_first_run_nor_while_a_configuration_is_refused() -> None:
    assert reasons_against_ready([row()], first_is_over=False, refused=True) == [
        "a configuration was refused",
        "the first run has not ended",
    ]


@pytest.mark.parametrize(
    ("accept", "media_type", "line"),
    [
        ("*/*", "text/plain", "syncd_runs_total 1.0"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", "# EOF"),
    ],
)
def test_figures_come_as_text_or_as_openmetrics(accept: str, media_type: str, line: str) -> None:
    found = ask("/metrics", accept=accept)
    assert found.headers["content-type"].startswith(media_type)
    assert line in found.text.splitlines()


@pytest.mark.parametrize("path", PATHS)
def test_only_reading_is_answered(path: str) -> None:
    assert ask(path, "HEAD").status_code == 200
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert ask(path, method).status_code == 405


@pytest.mark.parametrize(
    "path", ["/", "/v1/status", "/healthz/more", "/metrics/", "/docs", "/openapi.json", "//metrics"]
)
def test_nothing_else_is_there(path: str) -> None:
    found = ask(path)
    assert found.status_code in (307, 404)  # 307: to the same path without the slash at its end
    assert "syncd_runs" not in found.text
