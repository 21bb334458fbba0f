"""The measured figures, and their reference figures."""

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
from syncd.core.plan import Action, Plan, Result, Run
from syncd.cycle.knowing import mark_of
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out, make_plans
from syncd.scim.resources import resource as scim_resource
from syncd.settings.build import Setup, read
from syncd.store import StateFile
from tests.bench.endpoint import Running
from tests.bench.make_csv import make_csv

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
rate = {rate}
token = {{ env = "SYNCD_TOKEN" }}
concurrency = {concurrency}
"""
_GROUPS = 'groups = "groups.csv"\nmembers = "members.csv"'


def _setup(
    folder: Path,
    *,
    groups: bool,
    url: str = "http://127.0.0.1:1/scim/v2",
    concurrency: int = 16,
    rate: int = 10_000,
) -> Setup:
    log.configure("warning")
    text = _CSV.format(groups=_GROUPS if groups else "", url=url, concurrency=concurrency, rate=rate)
    (folder / "syncd.toml").write_text(text)
    return read(folder / "syncd.toml")


def _first_plan(setup: Setup, state: StateFile) -> Planned:
    """Return the plan for a target that was read already, and holds nobody."""
    with state.atomic():
        for target in setup.targets:
            state.snapshot(target.name).set_read_by(mark_of(target.rules))
    (planned,) = make_plans(setup, state, setup.targets, Progress())
    return planned


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
                _acknowledge(_first_plan(setup, state).plan, state)
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
    """Initial pushes: how much of what the endpoint allows is reached, and what a request costs."""
    os.environ["SYNCD_TOKEN"] = "bench"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_csv(folder, 5000, 0, 1)
        for concurrency, least in ((16, 0.90), (64, 0.80)):
            reached = [_reached(folder, concurrency) for _ in range(ROUNDS)]
            what = f"an initial push of 5,000 users, 50 ms latency, {concurrency} at a time: share of the ideal missed"
            yield Figure(what, [1 - each for each in reached], 1 - least)
        costs = [_cost(folder) for _ in range(ROUNDS)]
        yield Figure("CPU per request, 16 at a time : a bare httpx.AsyncClient, same bodies", costs, 0.8)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_csv(folder, 500, 0, 1)
        rates, refused = zip(*(_at_rate(folder, 50) for _ in range(ROUNDS)), strict=True)
        yield Figure("a limit of 50 requests/s: share of it missed", [1 - each for each in rates], 0.05)
        yield Figure("the same: requests that the endpoint refused (429)", list(refused), 0, "")


def memory() -> Iterator[Figure]:
    """What a large push holds in memory, and what a small change of a large group costs."""
    os.environ["SYNCD_TOKEN"] = "bench"
    with tempfile.TemporaryDirectory() as name, Running() as endpoint:
        folder = Path(name)
        make_csv(folder, 102_100, 0, 1)  # every fiftieth is disabled, and gets no account
        _setup(folder, groups=False, url=endpoint.base_url, concurrency=64)
        yield Figure("peak memory of a push of 100,000 creates", [_in_process(_push_all, folder)["peak"]], 200, "MB")
    with tempfile.TemporaryDirectory() as name:
        requests = _of_a_large_group(Path(name))
    yield Figure("requests that 10 more members of a group of 50,000 take", [requests], 1, "")


def _of_a_large_group(folder: Path) -> float:
    """Let 10 more join 50,000; returns how many requests the endpoint saw for that."""
    make_csv(folder, 50_010, 50_000, 1)
    with Running() as endpoint:
        setup = _setup(folder, groups=True, url=endpoint.base_url)
        with StateFile(setup.state) as state:
            _acknowledge(_first_plan(setup, state).plan, state)
            header, *rows = (folder / "members.csv").read_text().splitlines()
            people = (line.partition(",")[0] for line in (folder / "people.csv").read_text().splitlines()[1:])
            joining = {f"g0,{key}" for key in people} - set(rows)
            (folder / "members.csv").write_text("\n".join([header, *rows, *joining]) + "\n")
            (planned,) = make_plans(setup, state, setup.targets, Progress())
            run = carry_out(planned, state, Progress())
        assert not run.error, run.error
        assert sum(len(outcome.change.members) for outcome in run.outcomes) == 10
        return endpoint.stats()["PATCH Groups"]


def _reached(folder: Path, concurrency: int) -> float:
    latency = 0.05
    with Running(latency=latency) as endpoint:
        run, seconds, _ = _pushed(folder, endpoint, concurrency)
    return len(run.outcomes) * latency / concurrency / seconds


def _at_rate(folder: Path, rate: int) -> tuple[float, float]:
    with Running(latency=0.05, limit=rate) as endpoint:
        run, _, _ = _pushed(folder, endpoint, 16, rate=rate)
        stats = endpoint.stats()
    return len(run.outcomes) / stats["seconds"] / rate, stats.get("429", 0.0)


def _cost(folder: Path) -> float:
    """Return our CPU per request, journal and all, over that of a bare client."""
    with Running(latency=0.01) as endpoint:
        run, _, ours = _pushed(folder, endpoint, 16)
        bodies = [scim_resource(Kind.USER, outcome.change.after) for outcome in run.outcomes]
        return ours / asyncio.run(_post(endpoint.base_url, bodies))


def _pushed(folder: Path, endpoint: Running, concurrency: int, rate: int = 10_000) -> tuple[Run, float, float]:
    """Push everybody; returns the run, and seconds from the wall and of CPU."""
    setup = _setup(folder, groups=False, url=endpoint.base_url, concurrency=concurrency, rate=rate)
    setup.state.unlink(missing_ok=True)
    with StateFile(setup.state) as state:
        planned = _first_plan(setup, state)
        started, cpu = perf_counter(), process_time()
        run = carry_out(planned, state, Progress())
        seconds, cpu = perf_counter() - started, process_time() - cpu
    assert not run.error, run.error
    assert all(outcome.result is Result.APPLIED for outcome in run.outcomes)
    return run, seconds, cpu


def _push_all(folder: Path) -> dict[str, float]:
    setup = read(folder / "syncd.toml")
    log.configure("warning")
    with StateFile(setup.state) as state:
        planned = _first_plan(setup, state)
        run = carry_out(planned, state, Progress())
    assert set(run.results) == {Result.APPLIED}
    assert run.results[Result.APPLIED] >= 100_000
    return {"peak": _peak_megabytes()}


async def _post(url: str, bodies: list[dict[str, Any]]) -> float:
    """Send the bodies with a client as it comes; returns the CPU seconds."""
    async with httpx.AsyncClient(headers={"Authorization": "Bearer bench"}) as client:
        waiting = iter(bodies)

        async def work() -> None:
            for body in waiting:
                (await client.post(f"{url}/Users", json=body)).raise_for_status()

        started = process_time()
        await asyncio.gather(*(work() for _ in range(16)))
        return process_time() - started
