"""A company whose people are deleted at a target: real files, a real endpoint, and what must succeed before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.core.plan import Plan, Run
from syncd.cycle import clock
from syncd.cycle.planned import saved_plan
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out, make_plans, sync
from syncd.settings.build import Setup, read
from syncd.store import Hold, StateFile
from tests.endpoints import TOKEN, Endpoint, Reply, Request, Server

Json = Any
SECRET = "s3cr3t-path-of-the-hook"
WEBHOOK = 'before_delete = { webhook = { url = { env = "HOOK" } } }'
ADA, BOB, CY = "1,ada@example.com,{},2,Ada", "2,bob@example.com,active,,Bob", "3,cy@example.com,{},2,Cy"


class HookServer(Server):
    """Takes what is posted; answers are given one after the other, then 204."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Reply] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/{SECRET}?key={SECRET}"

    def answer(self, request: Request) -> Reply:
        return self.answers.pop(0) if self.answers else Reply(204)

    @property
    def facts(self) -> list[Json]:
        return [request.body for request in self.requests]

    @property
    def keys(self) -> list[str]:
        """The idempotency keys, call by call."""
        return [request.headers["idempotency-key"] for request in self.requests]


@dataclass
class Company:
    """Ada and Cy may leave; Bob is their manager. Nothing is kept open between two runs."""

    folder: Path
    scim: Endpoint
    first: str = WEBHOOK
    profile: str = "generic"
    more: str = ""
    concurrency: int = 1
    """One by one, so that Ada's account is u1, Bob's u2, Cy's u3."""
    now: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    pauses: list[float] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "syncd.toml"

    def people(self, *rows: str) -> None:
        (self.folder / "people.csv").write_text("\n".join(["id,mail,status,boss,first", *rows, ""]))

    def leave(self, *, cy: bool = False) -> None:
        """Let Ada, and perhaps Cy, have left and be switched off; what follows next is the deletion."""
        self.people(ADA.format("active"), BOB, CY.format("active"))
        self.sync()
        self.people(ADA.format("left"), BOB, CY.format("left" if cy else "active"))
        self.sync()
        self.scim.requests.clear()
        self.later(hours=1)

    def later(self, **passed: float) -> None:
        self.now += timedelta(**passed)

    def setup(self) -> Setup:
        self.file.write_text(
            f"""
            state = "syncd.db"
            [source]
            type = "csv"
            users = "people.csv"
            key = "id"
            active = 'status == "active"'
            [mapping.user]
            userName = "{{mail}}"
            "name.givenName" = "{{first}}"
            'emails[type eq "work"].value' = "{{mail}}"
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager" = "{{boss}}"
            [[target]]
            name = "target"
            profile = "{self.profile}"
            base_url = "{self.scim.url}"
            rate = 10000
            concurrency = {self.concurrency}
            token = {{ env = "TARGET_TOKEN" }}
            delete_after = "30m"
            {self.first}
            {self.more}
            """
        )
        return read(self.file)

    @contextmanager
    def state(self) -> Iterator[StateFile]:
        with StateFile(self.folder / "syncd.db") as state:
            yield state

    def sync(self, who: str | None = None, *, full: bool = False) -> Run:
        setup = self.setup()
        with self.state() as state:
            (run,) = sync(setup, state, setup.targets, Progress(), who=who, full=full)
        return run

    def plan(self) -> Plan:
        setup = self.setup()
        with self.state() as state:
            (planned,) = make_plans(setup, state, setup.targets, Progress())
        return planned.plan

    def apply(self, plan: Plan) -> Run:
        setup = self.setup()
        with self.state() as state:
            return carry_out(saved_plan(setup, plan, "plan.json"), state, Progress())

    def holds(self) -> list[Hold]:
        with self.state() as state:
            return state.holds("target").all()

    def approve(self, *limits: str) -> None:
        """Approve what is held by these limits."""
        with self.state() as state, state.atomic():
            holds = state.holds("target")
            ids = [hold.id for hold in holds.all() if hold.limit in limits]
            assert ids
            holds.approve(ids, "eve", self.now, self.now + timedelta(days=1))

    @property
    def deleted(self) -> list[str]:
        """The accounts that DELETE was sent for."""
        return [request.path.rpartition("/")[2] for request in self.scim.requests if request.method == "DELETE"]


@contextmanager
def company(folder: Path, monkeypatch: pytest.MonkeyPatch, hook: str = "", **settings: str) -> Iterator[Company]:
    """Yield a company at an endpoint; `hook`: the address of its webhook."""
    with Endpoint() as scim:
        made = Company(folder, scim, **settings)
        monkeypatch.setenv("TARGET_TOKEN", TOKEN)
        monkeypatch.setenv("HOOK", hook)
        monkeypatch.setattr(clock, "now", lambda: made.now)

        async def wait(seconds: float) -> None:
            made.pauses.append(seconds)

        monkeypatch.setattr("syncd.push.preparing.wait", wait)
        yield made


def outcome(run: Run) -> tuple[str, str]:
    """Return result and detail of the only outcome."""
    (found,) = run.outcomes
    return found.result.value, found.detail
