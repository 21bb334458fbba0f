"""A source of CSV files, a target that is the real sandbox, syncd between them; and time, which the tests turn.

Every run is an `Event`: the target before and after, the plan, and the requests. The laws (`laws.py`) judge events;
`life.py` produces the events.
"""

from __future__ import annotations

import csv
import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import structlog

import syncd.cycle.clock
import syncd.settings.build.targets
from syncd.core.plan import Plan, Run
from syncd.core.policy import NEVER_RELEASED
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.recovering import recover, with_recovery
from syncd.cycle.relinking import relink
from syncd.cycle.sync import carry_out, make_plans
from syncd.errors import SyncdError, TargetGone
from syncd.sandbox.requestlog import Entry
from syncd.sandbox.resources import Document
from syncd.scim.transport import Transport
from syncd.settings.build import Setup, read
from syncd.store import Snapshot, StateFile
from tests.invariants.service import TOKEN, Service
from tests.scim.asking import IMPATIENT

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GRACE = timedelta(hours=24)
VERIFIED = "example.com"
TARGET = "target"
PROFILES = ("generic", "lucidlink", "lucid-admin", "lucid-content")
LATE_MILLISECONDS = 1500

CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "id"
active = 'status == "active"'
groups = "groups.csv"
members = "members.csv"
[mapping.user]
userName = "{{mail|lower}}"
'emails[type eq "work"].value' = "{{mail|lower}}"
displayName = "{{name}}"
title = "{{title}}"
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager" = "{{boss}}"
[[target]]
name = "target"
profile = "{profile}"
base_url = "{url}"
rate = 10000
timeout = "1s"
token = {{ env = "INVARIANTS_TOKEN" }}
verified_domains = [{verified}]
delete_after = "{delete_after}"
concurrency = 4
adopt_groups = {adopt_groups}
{limits}
"""
LIMITS = """
[target.limits]
deactivate = { count = 2 }
delete_group = { count = 1 }
remove_members = { count = 2 }
rename = { count = 2 }
"""


class Killed(BaseException):
    """The process is no more. Nothing that syncd catches."""


@dataclass
class Person:
    """A row of the CSV."""

    mail: str
    name: str = ""
    title: str = ""
    status: str = "active"
    boss: str = ""

    @property
    def active(self) -> bool:
        return self.status == "active"

    @property
    def external(self) -> bool:
        return not self.mail.endswith("@" + VERIFIED)


@dataclass
class Source:
    """What the files say. `torn` are keys whose rows have lost their cells."""

    people: dict[str, Person] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    members: set[tuple[str, str]] = field(default_factory=set)
    torn: set[str] = field(default_factory=set)

    def sound(self, key: str) -> Person | None:
        """Return somebody whose row can be used, alone at an address."""
        person = self.people.get(key)
        if person is None or key in self.torn or not person.mail:
            return None
        others = [each for each in self.people.values() if each.active and each.mail == person.mail]
        return person if len(others) < 2 or not person.active else None

    def write(self, folder: Path) -> None:
        rows = [
            [key] if key in self.torn else [key, each.mail, each.name, each.title, each.status, each.boss]
            for key, each in self.people.items()
        ]
        _write(folder / "people.csv", ["id", "mail", "name", "title", "status", "boss"], rows)
        _write(folder / "groups.csv", ["id", "name"], [list(each) for each in self.groups.items()])
        _write(folder / "members.csv", ["group", "member"], [list(each) for each in sorted(self.members)])


def _write(file: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    aside = file.with_suffix(".new")
    with aside.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(header)
        writer.writerows(rows)
    aside.rename(file)


@dataclass(frozen=True)
class Sight:
    """What is at the target, by id."""

    users: Mapping[str, Document]
    groups: Mapping[str, Document]
    members: Mapping[str, set[str]]

    def is_on(self, id_: str) -> bool:
        return id_ in self.users and self.users[id_].active


@dataclass
class Event:
    """One run, or what became of it."""

    source: Source
    now: datetime
    full: bool
    before: Sight
    linked: Mapping[str, str]
    """Ids of users to keys, as the snapshot had them before."""
    linked_groups: Mapping[str, str]
    approved: frozenset[str]
    missing: Mapping[str, datetime]
    """Keys that the source lacks, since which run; after this run."""
    planned: Planned | None = None
    run: Run | None = None
    error: SyncdError | None = None
    killed: bool = False
    after: Sight = field(default_factory=lambda: Sight({}, {}, {}))
    linked_after: Mapping[str, str] = field(default_factory=dict)
    linked_groups_after: Mapping[str, str] = field(default_factory=dict)
    requests: Sequence[Entry] = ()
    log: Sequence[Mapping[str, Any]] = ()

    @property
    def writes(self) -> list[Entry]:
        return [each for each in self.requests if each.method != "GET"]

    @property
    def plan(self) -> Plan | None:
        return self.planned.plan if self.planned is not None else None

    def key_of(self, id_: str) -> str | None:
        return self.linked.get(id_) or self.linked_after.get(id_)

    def group_of(self, id_: str) -> str | None:
        return self.linked_groups.get(id_) or self.linked_groups_after.get(id_)


class Fate:
    """Counts the instants of a run at which it can be killed: before and after every commit and every request."""

    def __init__(self) -> None:
        self._left: int | None = None

    def strike_at(self, instant: int | None) -> None:
        self._left = instant

    def instant(self) -> None:
        if self._left is not None:
            if self._left <= 0:
                raise Killed
            self._left -= 1


@lru_cache
def _tls(cafile: Any = None) -> ssl.SSLContext:
    return _CREATE_CONTEXT(cafile=cafile)


_CREATE_CONTEXT = ssl.create_default_context


class World:
    """Everything together. A context manager, for what it patches is put back."""

    def __init__(
        self,
        service: Service,
        folder: Path,
        profile: str = "generic",
        *,
        verified: bool = True,
        limits: str = LIMITS,
        delete_after: str = "never",
        adopt_groups: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.service, self.folder, self.profile = service, folder, profile
        self.verified = verified
        service.open_account(profile, [VERIFIED] if verified else [], settings)
        self.now = NOON
        self.source = Source()
        self.fate = Fate()
        self.laws: Sequence[Callable[[World, Event], None]] = ()
        self.native_users: set[str] = set()
        self.native_groups: set[str] = set()
        self.missing: dict[str, datetime] = {}
        self.addresses: set[str] = set()
        """Every address that the source ever had."""
        self.interfered = False
        """Whether somebody changed something at the target since the last full resync."""
        self.broken = False
        """Whether requests fail now."""
        self.invited: set[str] = set()
        """Ids of accounts whose owners are yet to accept."""
        self.meddled: set[str] = set()
        """Keys of people whom somebody at the target switched on or off."""
        self.group_names: set[str] = set()
        self._patch = pytest.MonkeyPatch()
        (folder / "syncd.toml").write_text(
            CONFIGURATION.format(
                profile=profile,
                url=service.url,
                verified=f'"{VERIFIED}"' if verified else "",
                delete_after=delete_after,
                adopt_groups="true" if adopt_groups else "false",
                limits=limits,
            )
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(syncd.settings.build.targets, "Patience", lambda **_: IMPATIENT)
            self.setup: Setup = read(folder / "syncd.toml")
        self._changed = 0

    # -- beginning and end -----------------------------------------------------------------------

    def __enter__(self) -> World:
        self._patch.setenv("INVARIANTS_TOKEN", TOKEN)
        self._patch.setattr(syncd.cycle.clock, "now", lambda: self.now)
        self._patch.setattr(ssl, "create_default_context", _tls)  # 20 ms each
        self._patch.setattr(Transport, "send", _mortal_send(self.fate))
        self._patch.setattr(StateFile, "atomic", _mortal_atomic(self.fate))
        return self

    def __exit__(self, *exc: object) -> None:
        self._patch.undo()

    @contextmanager
    def state(self) -> Iterator[StateFile]:
        """Open the state file, as every process does anew."""
        with StateFile(self.folder / "syncd.db") as state:
            state.db.conn.execute("PRAGMA synchronous = OFF")
            yield state

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        with self.state() as state:
            yield state.snapshot(TARGET)

    # -- the source ------------------------------------------------------------------------------

    def write_source(self) -> None:
        """Let the files say what `source` says, with a time of change of its own each time."""
        self.addresses |= {each.mail for each in self.source.people.values()}
        self.group_names |= set(self.source.groups.values())
        self.source.write(self.folder)
        self._changed += 1
        for name in ("people.csv", "groups.csv", "members.csv"):
            moment = (NOON - timedelta(days=1)).timestamp() + self._changed
            os.utime(self.folder / name, (moment, moment))

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    # -- syncd -----------------------------------------------------------------------------------

    def sight(self) -> Sight:
        service = self.service
        return Sight(service.users(), service.groups(), service.members())

    def plan(self, *, full: bool = False, who: str | None = None, setup: Setup | None = None) -> Planned:
        """Return what is to be done now."""
        setup = setup or self.setup
        with self.state() as state:
            (planned,) = make_plans(setup, state, setup.targets, Progress(), who, full=full)
        return planned

    def cycle(self, *, full: bool = False, kill_at: int | None = None, planned: Planned | None = None) -> Event:
        """Run once, or carry out what was planned before; then look whether every law holds."""
        self.write_source()
        event = self._begun(full=full)
        with structlog.testing.capture_logs() as log:
            try:
                with self.state() as state:
                    self.fate.strike_at(kill_at)
                    failures = recover(state, self.setup.targets)
                    if planned is None:
                        (planned,) = make_plans(self.setup, state, self.setup.targets, Progress(), full=full)
                    (planned,) = with_recovery([planned], failures)
                    event.planned = planned
                    if planned.complete and planned.failure is None:
                        self._note_missing(event)
                    event.run = carry_out(planned, state, Progress())
            except SyncdError as error:
                event.error = error
            except (Killed, BaseExceptionGroup) as death:
                if not isinstance(death, Killed) and death.split(Killed)[1] is not None:
                    raise
                event.killed = True
            finally:
                self.fate.strike_at(None)
        event.log = log
        self._ended(event)
        if full and event.run is not None and not event.run.error:
            self.interfered = False
        return event

    def relink(self) -> None:
        """Match everything anew, as a person asks for after an incident."""
        self.write_source()
        try:
            with self.state() as state:
                relink(self.setup, state, self.setup.targets, Progress())
        except SyncdError:
            return

    def _note_missing(self, event: Event) -> None:
        present = set(self.source.people) | self.source.torn
        keys = {key for key in event.linked.values() if key not in present}
        self.missing = {key: self.missing.get(key, self.now) for key in keys}
        event.missing = dict(self.missing)

    def links(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return which id is linked to which key, of users and of groups."""
        with self.snapshot() as snapshot:
            users = {each.id: each.key for batch in snapshot.all_users() for each in batch if not each.lost}
            return users, {each.id: each.key for each in snapshot.groups().values() if not each.lost}

    def approved(self) -> frozenset[str]:
        with self.state() as state:
            return state.holds(TARGET).approved(self.now)

    def _begun(self, *, full: bool) -> Event:
        users, groups = self.links()
        self.service.clear_requests()
        return Event(
            deepcopy(self.source), self.now, full, self.sight(), users, groups, self.approved(), dict(self.missing)
        )

    def _ended(self, event: Event) -> None:
        self.service.drain()
        event.after = self.sight()
        event.linked_after, event.linked_groups_after = self.links()
        event.requests = self.service.requests()
        self._note_invited(event)
        for law in self.laws:
            law(self, event)

    def _note_invited(self, event: Event) -> None:
        """Remember whose account was made for somebody outside, and has not been accepted."""
        for id_ in event.after.users:
            if id_ in event.before.users:
                continue
            key = event.linked_after.get(id_)
            person = event.source.people.get(key) if key is not None else None
            if person is not None and person.external and self.verified:
                self.invited.add(id_)
        self.invited &= event.after.users.keys()

    # -- what a person decides -------------------------------------------------------------------

    def approve(self, chosen: Callable[[int], bool] = lambda _: True) -> int:
        """Release what is held, as far as it can be; returns how many changes."""
        with self.state() as state:
            holds = state.holds(TARGET)
            ids = [
                hold.id
                for number, hold in enumerate(holds.all())
                if hold.limit not in NEVER_RELEASED and hold.decision is None and chosen(number)
            ]
            with state.atomic():
                holds.approve(ids, "ada", self.now, self.now + timedelta(hours=24))
        return len(ids)

    def reject(self, chosen: Callable[[int], bool]) -> None:
        with self.state() as state:
            holds = state.holds(TARGET)
            ids = [hold.id for number, hold in enumerate(holds.all()) if hold.decision is None and chosen(number)]
            with state.atomic():
                holds.reject(ids, "ada", self.now)

    def take_back_rejections(self) -> None:
        """Let who said no think better of it."""
        with self.state() as state, state.atomic():
            for id_ in state.holds(TARGET).rejected():
                state.holds(TARGET).spend(id_)

    def accept(self, key: str) -> None:
        """Tell syncd that an external user accepted."""
        with self.state() as state, state.atomic():
            state.snapshot(TARGET).accept(key, seen=False)
            state.snapshot(TARGET).bump()

    # -- until all is well -----------------------------------------------------------------------

    def break_down(self, *rules: Mapping[str, Any]) -> None:
        """Let these faults, and no others, happen from now on."""
        self.broken = bool(rules)
        self.service.break_down(*rules)

    def lose_state(self) -> None:
        """Delete the state file."""
        for file in self.folder.glob("syncd.db*"):
            file.unlink()
        self.missing = {}

    def is_stopped(self) -> bool:
        with self.snapshot() as snapshot:
            return snapshot.stop is not None

    def heal(self) -> None:
        """End every fault, mend every row, and let nobody share an address, not even with who was there before."""
        self.break_down()
        self.source.torn.clear()
        if not self.source.people:  # nothing ever follows from an empty source
            self.source.people["1"] = Person(f"u1@{VERIFIED}", "Person 1")
        if not self.source.groups:
            self.source.groups["a"] = "Design"
        if not self.source.members:
            self.source.members.add((min(self.source.groups), min(self.source.people)))
        taken: set[str] = set()
        links, group_links = self.links()
        for id_, group in self.service.groups().items():
            # A name that another group still has, or an archived team keeps (Lucid), can't be given to a group.
            for key, name in self.source.groups.items():
                if name == group.name and (group.archived or group_links.get(id_) not in (None, key)):
                    self._changed += 1
                    self.source.groups[key] = f"Group {key} {self._changed}"
        owners = {
            address: links.get(user.id) or user.attributes.get("externalId")
            for user in self.sight().users.values()
            for address in {user.name.lower(), *user.emails}
        }
        for key, person in self.source.people.items():
            # Who has the address of an account that another one keeps waits for a person, and one that stays so.
            if not person.mail or person.mail in taken or owners.get(person.mail) not in (None, key):
                self._changed += 1
                person.mail = f"own{key}-{self._changed}@{VERIFIED}"
            taken.add(person.mail)

    def converge(self, *, most: int = 8) -> None:
        """Resync, release what is held and let time pass, until there is nothing left to do."""
        self.heal()
        self.take_back_rejections()
        for _ in range(most):
            if stopped := self.is_stopped():
                self.relink()
            event = self.cycle(full=True)
            self.later(hours=25)
            released = self.approve()
            assert event.planned is not None, event.error
            if isinstance(event.planned.failure, TargetGone):
                continue  # one incident: to be linked again
            assert event.planned.failure is None, event.planned.failure
            plan = event.planned.plan
            if not (plan.changes or plan.held or released or stopped or plan.drift):
                return
        raise AssertionError(f"not at rest after {most} runs: {described(self.plan(full=True).plan)}")

    def unlimited(self) -> Setup:
        """Return the same configuration without limits and without grace."""
        from syncd.core.policy import Class, Limit, Policy

        free = Policy({each: Limit() for each in Class}, timedelta(0))
        targets = tuple(replace(each, rules=replace(each.rules, policy=free)) for each in self.setup.targets)
        return replace(self.setup, targets=targets)


def _mortal_send(fate: Fate) -> Any:
    send = Transport.send

    async def mortal(self: Transport, *args: Any, **named: Any) -> Any:
        fate.instant()
        answer = await send(self, *args, **named)
        fate.instant()
        return answer

    return mortal


def _mortal_atomic(fate: Fate) -> Any:
    atomic = StateFile.atomic

    @contextmanager
    def mortal(self: StateFile) -> Iterator[None]:
        with atomic(self):
            yield
            fate.instant()
        fate.instant()

    return mortal


def described(plan: Plan) -> str:
    """Return a plan in a line or two each, for who looks at a failed test."""
    lines = [f"{each.action} {each.key} {each.before} -> {each.after}" for each in plan.changes]
    lines += [f"held by {each.limit}: {each.change.action} {each.change.key}: {each.reason}" for each in plan.held]
    lines += [f"drift {each.class_} {each.key} {each.expected} {each.found}" for each in plan.drift]
    lines += [f"problem {each.key}: {each.problem}" for each in plan.problems]
    return "\n".join(lines)
