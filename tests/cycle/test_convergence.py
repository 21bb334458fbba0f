"""Any source against any snapshot: applying the plan reaches the desired state, and the next plan is empty.

The tests derive the desired state a second time, from the sentences of the design and by other means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import syncd.compare.situation
from syncd.core.groups import Nesting
from syncd.core.model import Entry, Flat, GroupEntry, Kind, Problem, State
from syncd.core.plan import Action, Plan
from syncd.core.policy import Class, Limit
from syncd.core.schema import MANAGER
from syncd.scim.profiles import Profile
from syncd.store import StateFile
from tests.world import WORK_MAIL, World, brief, faulty, group, person, source_rules, target_rules

PEOPLE, GROUPS = "123456", "abcd"
NUMBERS = count()


@dataclass(frozen=True)
class Scene:
    """What a source holds at one time. A key that is in neither is absent."""

    people: dict[str, Entry | Problem]
    groups: dict[str, GroupEntry | Problem]
    absence: bool


@dataclass(frozen=True)
class Rules:
    """What differs between the targets that are played with."""

    nesting: Nesting
    verified: tuple[str, ...]
    by_endpoint: bool
    selected: tuple[str, ...] | None


@dataclass
class Expected:
    """What the target should hold."""

    users: dict[str, tuple[State, Flat]] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    groups: dict[str, Flat] = field(default_factory=dict)
    members: dict[str, set[tuple[Kind, str]]] = field(default_factory=dict)


def expect(now: Expected, scene: Scene, rules: Rules) -> Expected:
    """Return what the target should hold once a plan for this scene has been applied to `now`."""
    then = Expected(dict(now.users), set(now.accepted))
    for key in PEOPLE:
        row, there = scene.people.get(key), now.users.get(key)
        if isinstance(row, Problem):
            continue
        if row is None:
            if there and scene.absence:
                then.users[key] = State.DEACTIVATED, there[1] | {"active": False}
            continue
        says = {name: values[0] for name, values in row.attributes.items()}
        if says.get("status") == "left" or says.get("department") == "Contractors":
            if there:
                then.users[key] = State.DEACTIVATED, there[1] | {"active": False}
            continue
        address = says.get("mail", says["uid"])
        if rules.verified and "@" not in address:
            continue
        external = bool(rules.verified) and not address.endswith("@example.com")
        if there and there[0] is State.ACTIVE and external:
            if address != there[1].get(WORK_MAIL, there[1]["userName"]):
                continue
            state = State.ACTIVE
        elif external and key not in now.accepted:
            state = State.PENDING
        else:
            state = State.ACTIVE
            then.accepted.add(key)
        active = state is State.ACTIVE or rules.by_endpoint
        flat: Flat = {"userName": says["uid"], "externalId": key, "active": active}
        flat |= {WORK_MAIL: says["mail"]} if "mail" in says else {}
        flat |= {"displayName": says["display"]} if "display" in says else {}
        flat |= {MANAGER: says["boss"]} if "boss" in says else {}
        then.users[key] = state, flat
    for _, flat in then.users.values():
        if flat.get(MANAGER) not in then.users:
            flat.pop(MANAGER, None)
    _expect_groups(now, then, scene, rules)
    return then


def _expect_groups(now: Expected, then: Expected, scene: Scene, rules: Rules) -> None:
    entries = {key: row for key, row in scene.groups.items() if isinstance(row, GroupEntry)}
    names = {key: row.attributes["name"][0] for key, row in entries.items()}
    wanted = {key for key, name in names.items() if rules.selected is None or name in rules.selected}
    wants_none = rules.selected == ()
    for key, flat in now.groups.items():
        in_doubt = isinstance(scene.groups.get(key), Problem)
        unread = key not in scene.groups and not scene.absence and not wants_none
        if in_doubt or unread:
            then.groups[key], then.members[key] = flat, set(now.members[key])
    for key in wanted:
        then.groups[key] = {"externalId": key, "displayName": names[key]}
    for key in wanted:
        below = _below(key, entries) if rules.nesting is Nesting.FLATTEN else {key}
        listed = {member for each in below if each in entries for member in entries[each].members}
        complete = all(each in entries and not entries[each].incomplete for each in below)
        present = {member for member in PEOPLE if isinstance(scene.people.get(member), Entry) and member in then.users}
        unsure = {member for member in PEOPLE if isinstance(scene.people.get(member), Problem)}
        unsure |= set() if scene.absence else set(PEOPLE) - scene.people.keys()
        before = now.members.get(key, set())
        members = {(Kind.USER, member) for member in listed & present}
        if rules.nesting is Nesting.KEEP:
            members |= {(Kind.GROUP, each) for each in entries[key].subgroups if each in then.groups and each != key}
        if not complete:
            members |= {(kind, each) for kind, each in before if kind is Kind.USER or each in then.groups}
        then.members[key] = members | {(kind, each) for kind, each in before if kind is Kind.USER and each in unsure}
    for members in then.members.values():
        members -= {(kind, each) for kind, each in members if kind is Kind.GROUP and each not in then.groups}


def _below(key: str, entries: dict[str, GroupEntry], seen: frozenset[str] = frozenset()) -> set[str]:
    if key in seen:
        return set()
    deeper = entries[key].subgroups if key in entries else []
    return {key}.union(*(_below(each, entries, seen | {key}) for each in deeper))


# -- scenes --------------------------------------------------------------------------------------

UIDS = st.sampled_from(["ada", "bob", "cid@example.com", "dot@example.org"])
MAILS = st.sampled_from(["", "a@example.com", "b@example.com", "c@example.org"])
MAYBE = st.sampled_from(["", "", "x"])


@st.composite
def people(draw: st.DrawFn) -> dict[str, Entry | Problem]:
    rows: dict[str, Entry | Problem] = {}
    for key in PEOPLE:
        match draw(st.sampled_from(["entry"] * 6 + ["absent", "faulty"])):
            case "entry":
                rows[key] = person(
                    key,
                    # Nobody shares an address here: what follows then has rows of its own.
                    key + draw(UIDS),
                    mail=(mail := draw(MAILS)) and key + mail,
                    display=draw(MAYBE),
                    shoe=draw(MAYBE),
                    boss=draw(st.sampled_from(["", "", "1", "2", "5", "9"])),
                    status=draw(st.sampled_from(["", "", "", "left"])),
                    department=draw(st.sampled_from(["", "", "", "Contractors"])),
                )
            case "faulty":
                rows[key] = faulty(key)
    if not any(isinstance(row, Entry) for row in rows.values()):
        rows["1"] = person("1")  # from an empty source nothing follows at all
    return rows


@st.composite
def groups(draw: st.DrawFn) -> dict[str, GroupEntry | Problem]:
    rows: dict[str, GroupEntry | Problem] = {}
    for key in GROUPS:
        match draw(st.sampled_from(["entry"] * 5 + ["absent", "faulty"])):
            case "entry":
                rows[key] = group(
                    key,
                    draw(st.sampled_from(["Design", "Sales", "Other"])),
                    draw(st.lists(st.sampled_from([*PEOPLE, "nobody"]), max_size=6)),
                    draw(st.lists(st.sampled_from([*GROUPS, "nowhere"]), max_size=2)),
                    incomplete=draw(st.sampled_from([False] * 5 + [True])),
                )
            case "faulty":
                rows[key] = faulty(key, kind=Kind.GROUP)
    return rows


SCENES = st.builds(Scene, people(), groups(), st.sampled_from([True, True, True, False]))
RULES = st.builds(
    Rules,
    st.sampled_from(Nesting),
    st.sampled_from([(), ("example.com",)]),
    st.booleans(),
    st.sampled_from([None, None, ("Design", "Sales"), ()]),
)
SCOPE = 'department != "Contractors"'


@pytest.fixture(autouse=True, scope="module")
def small_sources_are_believed() -> Iterator[None]:
    """These sources are so small that half of one vanishes all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(syncd.compare.situation, "_ENOUGH_TO_JUDGE", 1000)
        yield


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFile]:
    """One state file for all the examples: each takes a target of its own. Nothing here asks what a crash costs."""
    with StateFile(tmp_path_factory.mktemp("state") / "syncd.db") as state:
        state.db.conn.execute("PRAGMA synchronous = OFF")
        yield state


def world_of(state: StateFile, rules: Rules) -> World:
    target = target_rules(
        f"target {next(NUMBERS)}",
        scope=SCOPE,
        groups=rules.selected,
        verified=rules.verified,
        profile=Profile("p", patch=True, pending_by_endpoint=rules.by_endpoint),
    )
    return World(state, target, source_rules(nesting=rules.nesting))


def show(world: World, scene: Scene, random: Random | None = None) -> None:
    """Let the source hold a scene, in any order where `random` is given."""
    rows, entries = list(scene.people.values()), list(scene.groups.values())
    if random is not None:
        random.shuffle(rows)
        random.shuffle(entries)
        entries = [
            replace(
                entry,
                members=random.sample(entry.members, len(entry.members)),
                subgroups=random.sample(entry.subgroups, len(entry.subgroups)),
            )
            if isinstance(entry, GroupEntry)
            else entry
            for entry in entries
        ]
    world.people, world.groups, world.absence = rows, entries, scene.absence


def check(world: World, expected: Expected) -> None:
    assert world.endpoint.users == expected.users
    assert world.endpoint.groups == expected.groups
    assert world.endpoint.members == expected.members
    world.endpoint.agrees_with_the_snapshot()


def check_quiet(world: World) -> None:
    assert brief(world.plan()) == []
    assert world.snapshot_updates.digests == {}


@given(RULES, st.lists(SCENES, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_applying_the_plan_gives_what_should_be_and_then_all_is_quiet(
    state: StateFile, rules: Rules, scenes: Sequence[Scene]
) -> None:
    world, expected = world_of(state, rules), Expected()
    for scene in scenes:
        show(world, scene)
        expected = expect(expected, scene, rules)
        world.sync()
        assert world.endpoint.fulfilled()
        check(world, expected)
        check_quiet(world)


@given(RULES, st.lists(st.tuples(SCENES, st.sets(st.sampled_from(PEOPLE + GROUPS))), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_what_failed_is_made_up_for_by_the_next_run(
    state: StateFile, rules: Rules, steps: Sequence[tuple[Scene, set[str]]]
) -> None:
    world, expected = world_of(state, rules), Expected()
    for scene, failing in steps:
        show(world, scene)
        expected = expect(expected, scene, rules)
        world.sync(failing)
        world.endpoint.agrees_with_the_snapshot()
        world.sync()
        assert world.endpoint.fulfilled()
        check(world, expected)
        check_quiet(world)


@given(RULES, SCENES, SCENES, st.integers())
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_source_is_irrelevant(
    state: StateFile, rules: Rules, first: Scene, second: Scene, seed: int
) -> None:
    world = world_of(state, rules)
    show(world, first)
    world.sync()
    plans = []
    for random in (None, Random(seed), Random(seed + 1)):
        show(world, second, random)
        plan = world.plan()
        # Problems are told in the order in which they were met.
        plans.append(replace(plan, problems=tuple(sorted(plan.problems, key=repr))).to_json())
    assert plans[0] == plans[1] == plans[2]


def pieces(plan: Plan) -> Counter[tuple[str, ...]]:
    """Return everything in a plan, allowed or held, as counts of what can be held by itself."""
    counted: Counter[tuple[str, ...]] = Counter()
    for change in (*plan.changes, *(held.change for held in plan.held)):
        if change.action in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS):
            counted.update((change.action, change.key, "user", key) for key in change.members)
            counted.update((change.action, change.key, "group", key) for key in change.subgroups)
        else:
            counted[change.id,] += 1
    return counted


LIMITS = st.dictionaries(st.sampled_from(Class), st.builds(Limit, st.none(), st.integers(0, 2)))


@given(RULES, SCENES, SCENES, LIMITS, st.sampled_from([timedelta(0), timedelta(hours=1)]))
@settings(max_examples=80, deadline=None)
def test_policy_holds_or_lets_pass_and_drops_nothing(
    state: StateFile, rules: Rules, first: Scene, second: Scene, limits: dict[Class, Limit], grace: timedelta
) -> None:
    world = world_of(state, rules)
    show(world, first)
    world.sync()
    show(world, second)
    free = world.plan()
    world.target = target_rules(
        world.target.name,
        scope=SCOPE,
        groups=rules.selected,
        verified=rules.verified,
        profile=world.target.profile,
        limits=limits,
        grace=grace,
    )
    limited = world.plan()
    assert pieces(limited) == pieces(free)
    # By effect: who was active before, is there no more, and is kept by the grace, keeps every group too.
    held = {each.change.key for each in limited.held if each.change.action is Action.DEACTIVATE_USER}
    before = {key: world.endpoint.members_of(key) for key in world.endpoint.groups}
    world.sync()
    for key in held:
        assert world.endpoint.users[key][0] is not State.DEACTIVATED
        for each, members in before.items():
            if key in members and each in world.endpoint.groups:
                assert key in world.endpoint.members_of(each)
