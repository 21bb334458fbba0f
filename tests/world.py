"""Fixtures of the tests: people and groups, a source in memory, a target that acknowledges, and both together.

`World` is one source and one target over a real state file. `Endpoint` carries a plan out as `syncd.push` does,
with the network left out: same preconditions, same records in the snapshot, same consequences of a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from syncd.compare.comparison import Comparison
from syncd.compare.decisions import Decisions
from syncd.compare.plan import make_plan, snapshot_updates
from syncd.compare.rules import SourceRules, TargetRules
from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.digest import NO_MEMBERS, member_numbers, members_digest
from syncd.core.groups import Nesting
from syncd.core.mapping import Domains, GroupMapping, Selection, Spec, UserMapping, compile_assignment
from syncd.core.model import (
    Attributes,
    Entry,
    Evidence,
    Flat,
    GroupEntry,
    Kind,
    Known,
    KnownGroup,
    Problem,
    State,
    Wanted,
)
from syncd.core.plan import Action, Change, Plan, Result
from syncd.core.policy import Class, Limit, Policy
from syncd.core.room import ANY_NUMBER, Room
from syncd.core.rules import Rule
from syncd.core.schema import MANAGER
from syncd.cycle.gathering import gather
from syncd.cycle.progress import Progress
from syncd.scim.profiles import Profile
from syncd.settings import Settings
from syncd.settings.build import Setup, Target
from syncd.store import Snapshot, StateFile

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
UNLIMITED = {class_: Limit() for class_ in Class}
WORK_MAIL = 'emails[type eq "work"].value'


def attributes(**values: str | list[str]) -> Attributes:
    """Return attributes as a source gives them; an empty text is an attribute that is not there."""
    return {name: [value] if isinstance(value, str) else value for name, value in values.items() if value}


def person(key: str, uid: str = "", **values: str | list[str]) -> Entry:
    """Return a person who is called like their key unless `uid` says otherwise."""
    return Entry(key, attributes(uid=uid or f"u{key}", **values), f"people.csv:{key}")


def group(
    key: str, name: str = "", members: Sequence[str] = (), subgroups: Sequence[str] = (), *, incomplete: bool = False
) -> GroupEntry:
    """Return a group that is called like its key unless `name` says otherwise."""
    return GroupEntry(
        key, attributes(name=name or f"Group {key}"), f"groups.csv:{key}", list(members), list(subgroups), incomplete
    )


def faulty(key: str, *others: str, kind: Kind = Kind.USER) -> Problem:
    """Return a row that can't be used, and that may belong to any of these keys."""
    return Problem(f"faulty.csv:{key}", "ragged row", key, kind, tuple(filter(None, (key, *others))))


def domains(*patterns: str) -> Domains:
    return Domains(patterns)


@dataclass
class MemorySource:
    """A source that is a list. `absence`: whether who is not in it counts as gone.

    `elsewhere` holds what a direct question finds beside the list: True for there, None for no answer.
    """

    users: Sequence[Entry | Problem] = ()
    groups: Sequence[GroupEntry | Problem] = ()
    absence: bool = True
    elsewhere: Mapping[str, bool | None] = field(default_factory=dict)
    name: str = "memory"

    def pull(self, wanted: Wanted) -> MemoryPull:
        return MemoryPull(self)

    def mark(self, wanted: Wanted) -> bytes | None:
        return None

    def check(self, wanted: Wanted) -> Mapping[str, str]:
        return {"people": str(len(self.users))}


@dataclass
class MemoryPull:
    source: MemorySource

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return

    def users(self) -> Iterator[Entry | Problem]:
        return iter(self.source.users)

    def groups(self) -> Iterator[GroupEntry | Problem]:
        return iter(self.source.groups)

    def look_up(self, keys: Sequence[str], kind: Kind | None = None) -> Mapping[str, bool | None]:
        items = {Kind.USER: self.source.users, Kind.GROUP: self.source.groups, None: ()}[kind]
        read = {item.key for item in items if not isinstance(item, Problem)}
        return {key: self.source.elsewhere.get(key, key in read) for key in keys}

    def evidence(self) -> Evidence:
        groups = [item for item in self.source.groups if isinstance(item, GroupEntry)]
        return Evidence(
            source=self.source.name,
            users=sum(isinstance(item, Entry) for item in self.source.users),
            groups=len(groups),
            memberships=sum(len(entry.members) + len(entry.subgroups) for entry in groups),
            problems=sum(isinstance(item, Problem) for item in (*self.source.users, *self.source.groups)),
            seconds=0.0,
            absence=self.source.absence,
        )


DEFAULT_MAPPING: Mapping[str, Spec] = {
    "userName": "{uid|lower}",
    "displayName": "{display}",
    WORK_MAIL: "{mail|lower}",
    MANAGER: "{boss}",
}


def source_rules(
    mapping: Mapping[str, Spec] = DEFAULT_MAPPING,
    active: str = 'status != "left"',
    nesting: Nesting = Nesting.FLATTEN,
) -> SourceRules:
    return SourceRules(
        UserMapping([compile_assignment(path, spec, Kind.USER) for path, spec in mapping.items()]),
        GroupMapping([compile_assignment("displayName", "{name}", Kind.GROUP)]),
        Rule(active) if active else None,
        nesting,
    )


def target_rules(
    name: str = "target",
    *,
    scope: str = "",
    groups: Sequence[str] | None = None,
    verified: Sequence[str] = (),
    profile: Profile = Profile("test", patch=True),  # noqa: B008  # frozen
    limits: Mapping[Class, Limit] = UNLIMITED,
    grace: timedelta = timedelta(0),
    scheme: object = "mapping 1",
) -> TargetRules:
    """Return a target's rules; without limits and grace unless they are given."""
    return TargetRules(
        name=name,
        profile=profile,
        selection=Selection(
            Rule(scope) if scope else None, None if groups is None else tuple(groups), domains(*verified)
        ),
        policy=Policy({**UNLIMITED, **limits}, grace),
        rate=10.0,
        scheme=[scheme, scope, list(verified), profile.pending_by_endpoint],
        group_scheme=[None if groups is None else list(groups)],
    )


class World:
    """A source and a target, with the state file between them. Change what is in it, then `sync()`."""

    def __init__(self, state: StateFile, target: TargetRules | None = None, source: SourceRules | None = None) -> None:
        self.state = state
        self.target = target or target_rules()
        self.rules = source or source_rules()
        self.now = NOON
        self.people: list[Entry | Problem] = []
        self.groups: list[GroupEntry | Problem] = []
        self.absence = True
        self.elsewhere: dict[str, bool | None] = {}
        self.decisions = Decisions()
        self.endpoint = Endpoint(state, self.snapshot, self.target.room)
        self.snapshot_updates = SnapshotUpdates()

    @property
    def snapshot(self) -> Snapshot:
        return self.state.snapshot(self.target.name)

    def setup(self, *targets: TargetRules) -> Setup:
        """Return the configuration that the shell would have read."""
        source = MemorySource(self.people, self.groups, self.absence, self.elsewhere)
        made = tuple(
            Target(rules, "http://localhost", lambda: SecretStr(""), None, 1) for rules in targets or [self.target]
        )
        settings = Settings.model_construct()
        return Setup(Path("syncd.toml"), self.state.path, source, self.rules, Wanted(None, None), made, settings)

    def plan(self) -> Plan:
        """Pull and compare, and write nothing."""
        comparison = Comparison(self.rules, self.target, self.snapshot, self.now, decisions=self.decisions)
        (differences,) = gather(self.setup(), [comparison], Progress())
        plan = make_plan(comparison, differences)
        self.snapshot_updates = snapshot_updates(differences, plan)
        return plan

    def sync(self, failing: Collection[str] = ()) -> Plan:
        """Plan and carry out. The keys in `failing` are those whose requests the target refuses."""
        plan = self.plan()
        with self.state.atomic():
            self.snapshot_updates.write(self.snapshot, self.now)
        self.endpoint.carry_out(plan, failing)
        return plan

    def assert_settled(self) -> None:
        """Fail unless the endpoint is as the snapshot says, and there is nothing left to do."""
        assert self.endpoint.fulfilled()
        self.endpoint.agrees_with_the_snapshot()
        assert brief(self.plan()) == []

    def hold(self, *people: Entry | Problem) -> None:
        """Let the source hold these people, in place of those it held."""
        self.people = list(people)

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass
class Endpoint:
    """A target that acknowledges. What it holds is kept here as well, by key, to be compared with the snapshot."""

    state: StateFile
    snapshot: Snapshot
    room: Room = ANY_NUMBER
    users: dict[str, tuple[State, Flat]] = field(default_factory=dict)
    groups: dict[str, Flat] = field(default_factory=dict)
    members: dict[str, set[tuple[Kind, str]]] = field(default_factory=dict)
    results: list[tuple[Change, Result]] = field(default_factory=list)
    """What came of each change of the last plan."""

    def carry_out(self, plan: Plan, failing: Collection[str] = ()) -> None:
        """Do every change of a plan, in its order. Fails where that order is not the phases'."""
        phases = [self.room.place(change.phase, change.name) for change in plan.changes]
        assert phases == sorted(phases)
        assert len({(change.phase, change.action.about_user, change.key) for change in plan.changes}) == len(phases)
        self.results = []
        unlucky: set[str] = set()
        for change in plan.changes:
            result = Result.FAILED
            if change.action.about_user and change.key in unlucky:
                result = Result.SKIPPED
            elif change.key not in failing:
                with self.state.atomic():
                    result = _EXECUTE[change.action](self, change)
                    self.snapshot.bump()
            if result is not Result.APPLIED and change.action.about_user:
                unlucky.add(change.key)
            self.results.append((change, result))

    def fulfilled(self) -> bool:
        """Whether every change of the last plan was applied."""
        return all(result is Result.APPLIED for _, result in self.results)

    # -- people ----------------------------------------------------------------------------------

    def _write_user(self, change: Change) -> Result:
        known = self.snapshot.user(change.key)
        creates = change.action is Action.CREATE_USER
        there = known.attributes if known else {}
        if (known is None) is not creates or any(there.get(path) != value for path, value in change.before.items()):
            return Result.REFUSED
        manager = change.after.get(MANAGER)
        if manager is not None and not self.snapshot.ids(Kind.USER, [manager]):
            return Result.SKIPPED
        assert change.state is not None
        after = _merged(there, change.after)
        accepted = change.state is State.ACTIVE or (known is not None and known.accepted)
        digest = bytes.fromhex(change.digest)
        if known is None:
            known = Known(change.key, f"id-{change.key}", change.name, change.state, after, digest, accepted)
        self.snapshot.put_user(
            replace(known, name=change.name, state=change.state, attributes=after, digest=digest, accepted=accepted)
        )
        self.users[change.key] = (change.state, _merged(self.users.get(change.key, (None, {}))[1], change.after))
        return Result.APPLIED

    def _delete_user(self, change: Change) -> Result:
        self.snapshot.forget_user(change.key)
        del self.users[change.key]
        for members in self.members.values():
            members.discard((Kind.USER, change.key))
        return Result.APPLIED

    # -- groups ----------------------------------------------------------------------------------

    def _create_group(self, change: Change) -> Result:
        if self.snapshot.group(change.key) is not None:
            return Result.REFUSED
        self.snapshot.put_group(KnownGroup(change.key, f"id-{change.key}", change.name, change.after, NO_MEMBERS))
        self.groups[change.key] = dict(change.after)
        self.members[change.key] = set()
        return Result.APPLIED

    def _update_group(self, change: Change) -> Result:
        known = self.snapshot.group(change.key)
        if known is None or any(known.attributes.get(path) != value for path, value in change.before.items()):
            return Result.REFUSED
        after = _merged(known.attributes, change.after)
        self.snapshot.put_group(replace(known, name=change.name, attributes=after))
        self.groups[change.key] = _merged(self.groups[change.key], change.after)
        return Result.APPLIED

    def _delete_group(self, change: Change) -> Result:
        known = self.snapshot.group(change.key)
        if known is None or known.attributes != change.before:
            return Result.REFUSED
        self.snapshot.forget_group(change.key)
        del self.groups[change.key], self.members[change.key]
        for members in self.members.values():
            members.discard((Kind.GROUP, change.key))
        return Result.APPLIED

    def _change_members(self, change: Change) -> Result:
        if self.snapshot.group(change.key) is None:
            return Result.REFUSED
        adding = change.action is Action.ADD_MEMBERS
        result = Result.REFUSED
        for kind, keys in ((Kind.USER, change.members), (Kind.GROUP, change.subgroups)):
            linked = [key for key in keys if key in self.snapshot.ids(kind, keys)]
            moved = [key for key in linked if ((kind, key) in self.members[change.key]) is not adding]
            if moved:
                result = Result.APPLIED
                added, removed = (moved, []) if adding else ([], moved)
                self.snapshot.change_members(change.key, kind, added, removed)
                touched = {(kind, key) for key in moved}
                self.members[change.key] = (
                    self.members[change.key] | touched if adding else self.members[change.key] - touched
                )
        return result

    # -- what the snapshot says of it ------------------------------------------------------------

    def agrees_with_the_snapshot(self) -> None:
        """Fail where the snapshot says something else than what is here."""
        known = self.snapshot.users(list(self.users))
        assert {key: (user.state, user.attributes) for key, user in known.items()} == self.users
        groups = self.snapshot.groups()
        assert {key: each.attributes for key, each in groups.items()} == self.groups
        for key, members in self.members.items():
            people, subgroups = self.snapshot.members(key)
            assert {(Kind.USER, each) for each in people} | {(Kind.GROUP, each) for each in subgroups} == members
            assert groups[key].members_digest == digest_of(people, subgroups)

    def members_of(self, key: str) -> set[str]:
        """Return the people in a group."""
        return {member for kind, member in self.members[key] if kind is Kind.USER}

    def subgroups_of(self, key: str) -> set[str]:
        """Return the groups in a group."""
        return {member for kind, member in self.members[key] if kind is Kind.GROUP}

    def states(self) -> dict[str, str]:
        """Return the state of every account."""
        return {key: state.value for key, (state, _) in self.users.items()}


_EXECUTE: Mapping[Action, Callable[[Endpoint, Change], Result]] = {
    Action.CREATE_USER: Endpoint._write_user,
    Action.ADOPT_USER: Endpoint._write_user,
    Action.UPDATE_USER: Endpoint._write_user,
    Action.REACTIVATE_USER: Endpoint._write_user,
    Action.DEACTIVATE_USER: Endpoint._write_user,
    Action.DELETE_USER: Endpoint._delete_user,
    Action.CREATE_GROUP: Endpoint._create_group,
    Action.UPDATE_GROUP: Endpoint._update_group,
    Action.DELETE_GROUP: Endpoint._delete_group,
    Action.ADD_MEMBERS: Endpoint._change_members,
    Action.REMOVE_MEMBERS: Endpoint._change_members,
}


def digest_of(people: Collection[str], subgroups: Collection[str] = ()) -> bytes:
    """Return the digest of a member set, worked out from nothing but the set."""
    users, groups = member_numbers(Kind.USER, people), member_numbers(Kind.GROUP, subgroups)
    return members_digest([*users.values(), *groups.values()])


def _merged(before: Flat, after: Flat) -> Flat:
    return {path: value for path, value in {**before, **after}.items() if value is not None}


def said(plan: Plan) -> list[tuple[str, str, Any, Any]]:
    """Return action, key, before and after of every change that may run."""
    return [(change.action.value, change.key, change.before, change.after) for change in plan.changes]


def brief(plan: Plan) -> list[str]:
    """Return `action key` of every change that may run, with the members where it is about those."""
    return [_brief(change) for change in plan.changes]


def withheld(plan: Plan) -> list[str]:
    """Return `limit: action key` of every change that is held."""
    return [f"{held.limit}: {_brief(held.change)}" for held in plan.held]


def _brief(change: Change) -> str:
    who = [*change.members, *change.subgroups]
    return " ".join([change.action.value, change.key, *who])
