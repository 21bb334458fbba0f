"""What is measured, and against what."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

import httpx

from syncd import log
from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, Known, KnownGroup
from syncd.core.plan import Action, Plan
from syncd.scim.resources import resource as scim_resource
from syncd.setup import Setup, read
from syncd.store import StateFile
from syncd.sync import Progress, carry_out, make_plans
from tests.bench.make_csv import make_csv
from tests.sandbox.process import Sandbox

ROUNDS: Final = 3


@dataclass(frozen=True)
class Figure:
    """One figure: its values, at most what their median may be, and what it says."""

    what: str
    values: list[float]
    limit: float
    unit: str = "x"


_CSV = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "employee_id"
active = 'status == "active"'
{groups}
[mapping.user]
userName = "{{mail|lower}}"
"name.givenName" = "{{first}}"
"name.familyName" = "{{last}}"
displayName = ["{{display}}", "{{first}} {{last}}"]
'emails[type eq "work"].value' = "{{mail|lower}}"
title = "{{title}}"
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" = "{{department}}"
[[target]]
name = "bench"
base_url = "{url}"
rate = 10000
token = {{ env = "SYNCD_TOKEN" }}
concurrency = 16
"""
_GROUPS = 'groups = "groups.csv"\nmembers = "members.csv"'


def _setup(folder: Path, *, groups: bool, url: str = "http://127.0.0.1:1/scim/v2") -> Setup:
    log.configure("warning")
    (folder / "syncd.toml").write_text(_CSV.format(groups=_GROUPS if groups else "", url=url))
    return read(folder / "syncd.toml")


def _acknowledge(plan: Plan, state: StateFile) -> None:
    """Write a first plan into the snapshot, as if a target had taken all of it."""
    snapshot = state.snapshot(plan.target)
    with state.atomic():
        for change in plan.changes:
            if change.action is Action.CREATE_USER:
                assert change.state is not None
                digest = bytes.fromhex(change.digest)
                snapshot.put_user(Known(change.key, f"u-{change.key}", change.name, change.state, change.after, digest))
            elif change.action is Action.CREATE_GROUP:
                snapshot.put_group(KnownGroup(change.key, f"g-{change.key}", change.name, change.after, NO_MEMBERS))
            elif change.action is Action.ADD_MEMBERS:
                snapshot.change_members(change.key, Kind.USER, change.members)


# -- a quiet run -------------------------------------------------------------------------------------


def quiet() -> Iterator[Figure]:
    """A run in which nothing changed, and one in which the files did, but nobody in them."""
    ratios, compared, peaks, per_user = [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        folders = {users: Path(name) / str(users) for users in (10_000, 100_000)}
        for users, folder in folders.items():
            make_csv(folder, users, users * 10, users // 50)
            setup = _setup(folder, groups=True)
            with StateFile(setup.state) as state:
                _acknowledge(make_plans(setup, state, setup.targets, Progress())[0].plan, state)
        for _ in range(ROUNDS):
            big = folders[100_000]
            bare = _in_process(_parse_and_hash, big)["seconds"]
            ratios.append(_in_process(_quiet_run, big)["seconds"] / bare)
            ours = _in_process(_full_comparison, big)
            small = _in_process(_full_comparison, folders[10_000])
            compared.append(ours["seconds"] / bare)
            peaks.append(ours["peak"])
            per_user.append((small["seconds"] / 10_000) / (ours["seconds"] / 100_000))
    what = "a quiet run of 100,000 users and 1,000,000 memberships : csv and blake2b over the same files"
    yield Figure(what, ratios, 2.5)
    yield Figure("the same with every entry and membership read and compared", compared, 2.5)
    yield Figure("its peak memory", peaks, 150, "MB")
    yield Figure("the same with 10,000 users, per user : one of 100,000", per_user, 1.25)


def _parse_and_hash(folder: Path) -> dict[str, float]:
    started = process_time()
    for name in ("people.csv", "groups.csv", "members.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                blake2b("\x1f".join(row).encode()).digest()
    return {"seconds": process_time() - started}


def _quiet_run(folder: Path) -> dict[str, float]:
    setup = read(folder / "syncd.toml")
    log.configure("warning")
    started = process_time()
    with StateFile(setup.state) as state:
        (planned,) = make_plans(setup, state, setup.targets, Progress())
        run = carry_out(planned, state, Progress())
    seconds = process_time() - started
    assert not run.plan.changes
    assert run.requests == 0
    return {"seconds": seconds, "peak": _peak_megabytes()}


def _full_comparison(folder: Path) -> dict[str, float]:
    """Measure a run that can't know beforehand that nothing changed."""
    setup = read(folder / "syncd.toml")
    with StateFile(setup.state) as state, state.atomic():
        state.snapshot("bench").set_mark(b"")
    return _quiet_run(folder)


def _peak_megabytes() -> float:
    """Return the most memory that this process has held. (`ru_maxrss` would count its parent's before the exec.)"""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _in_process(function: Callable[[Path], dict[str, float]], folder: Path) -> dict[str, float]:
    """Measure in a process of its own, so that memory is that of this one thing."""
    code = (
        "import json; from pathlib import Path; from tests.bench import figures;"
        f" print(json.dumps(figures.{function.__name__}(Path({str(folder)!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


# -- the command line --------------------------------------------------------------------------------


def help_() -> Iterator[Figure]:
    """What it costs to start."""
    syncd = [str(Path(sys.executable).with_name("syncd")), "--help"]
    httpx_alone = [sys.executable, "-c", "import httpx"]
    ratios = [_cpu(syncd) / _cpu(httpx_alone) for _ in range(ROUNDS)]
    yield Figure("CPU of `syncd --help` : `python -c 'import httpx'`", ratios, 1.0)


def _cpu(command: list[str], **options: Any) -> float:
    """Return the CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# -- reading LDAP ------------------------------------------------------------------------------------


def ldap() -> Iterator[Figure]:
    """Pulling people from a directory."""
    from tests.bench.ldap import ratios

    yield Figure("pulling 20,000 users from slapd : ldapsearch -E pr=1000/noprompt", ratios(ROUNDS), 11)


# -- the first push ----------------------------------------------------------------------------------


def push() -> Iterator[Figure]:
    """An initial push, against the same POSTs from a bare loop."""
    os.environ["SYNCD_TOKEN"] = "sandbox-token"
    ratios = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_csv(folder, 2000, 0, 1)
            with Sandbox() as sandbox:
                ours, bodies = _push(folder, sandbox)
            with Sandbox() as sandbox:
                bare = asyncio.run(_post(sandbox, bodies))
        ratios.append(ours / bare)
    yield Figure("an initial push of 2,000 users, 16 side by side : a bare httpx loop of the same POSTs", ratios, 1.3)


def _push(folder: Path, sandbox: Sandbox) -> tuple[float, list[dict[str, Any]]]:
    setup = _setup(folder, groups=False, url=sandbox.base_url)
    with StateFile(setup.state) as state:
        (planned,) = make_plans(setup, state, setup.targets, Progress())
        started = perf_counter()
        run = carry_out(planned, state, Progress())
        seconds = perf_counter() - started
    assert not run.error, run.error
    return seconds, [scim_resource(Kind.USER, change.after) for change in planned.plan.changes]


async def _post(sandbox: Sandbox, bodies: list[dict[str, Any]]) -> float:
    headers = {"Authorization": f"Bearer {sandbox.token}", "Content-Type": "application/scim+json"}
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
    async with httpx.AsyncClient(headers=headers, limits=limits, trust_env=False) as client:
        waiting = iter(bodies)

        async def work() -> None:
            for body in waiting:
                (await client.post(f"{sandbox.base_url}/Users", json=body)).raise_for_status()

        started = perf_counter()
        await asyncio.gather(*(work() for _ in range(16)))
        return perf_counter() - started
