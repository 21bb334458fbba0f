"""The events of a world: to the source, at the target, between the two, and to the process. A state machine.

Small numbers on purpose: five people and three groups meet each other often.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from syncd.sandbox.people import Refused
from tests.invariants.service import Account, Service
from tests.invariants.world import LATE_MILLISECONDS, LIMITS, PROFILES, VERIFIED, Event, Person, World

KEYS: Final = tuple("12345")
GROUPS: Final = tuple("abc")
NAMES: Final = ("Design", "Sales", "Research")
ADDRESSES: Final = (*(f"u{key}@{VERIFIED}" for key in KEYS), f"new@{VERIFIED}", "out@example.org", "far@example.org")
NATIVES: Final = ("native@elsewhere.example", f"u1@{VERIFIED}", f"u4@{VERIFIED}", f"boss@{VERIFIED}")

keys = st.sampled_from(KEYS)
group_keys = st.sampled_from(GROUPS)
several = st.integers(0, 2**8 - 1)
"""Bits that say which ones."""

FAULTS: Final[Sequence[Mapping[str, Any]]] = (
    {"fault": "status", "status": 503, "every": 3},
    {"fault": "status", "status": 500, "applied": True, "nth": [1, 3]},
    {"fault": "reset", "applied": True, "method": ["POST", "PATCH", "DELETE"], "nth": [1, 2]},
    {"fault": "reset", "method": "POST", "nth": 1},
    {"fault": "status", "status": 429, "retry_after": 0, "every": 2, "times": 3},
    {"fault": "truncated", "method": "POST", "nth": [1, 2]},
    {"fault": "empty", "method": "POST", "nth": [1, 2]},
    {"fault": "empty", "method": "POST", "nth": 1, "location": False},
    {"fault": "not_json", "nth": 3},
    {"fault": "status", "status": 404, "method": ["PATCH", "PUT"], "nth": [1, 2]},
    {"fault": "omitted_row", "method": "GET", "times": 2},
    {"fault": "repeated_row", "method": "GET", "times": 2},
    {"fault": "page_cap", "method": "GET", "size": 1},
    {"fault": "status", "status": 400, "contains": "u2@"},
    {"fault": "unauthorized", "from": 2, "times": 4},
)
LATE: Final = {"fault": "delay", "applied": True, "milliseconds": LATE_MILLISECONDS, "method": "POST", "nth": 1}


def _was_there_before(account: Account, id_: str) -> None:
    """Let the target's own resource be older than any request that may have been cut off."""
    with account.people.resources.database.transaction() as connection:
        connection.execute("UPDATE resource SET created = '2026-01-01T00:00:00Z' WHERE id = ?", (id_,))


class Life(RuleBasedStateMachine):
    """People come and go at both ends, requests fail, the process dies; after each run every law is asked."""

    service: ClassVar[Service]
    laws: ClassVar[Sequence[Callable[[World, Event], None]]] = ()
    profiles: ClassVar[Sequence[str]] = PROFILES
    faults: ClassVar[Sequence[Mapping[str, Any]]] = FAULTS
    native_groups: ClassVar[Sequence[str]] = (*NAMES, "Natives")
    adopting: ClassVar[Sequence[str]] = ()
    """Profiles whose groups bear no mark of ours: only by their names are they found again without a state file; and
    who is switched off only where a filter finds them."""
    limits: ClassVar[str] = LIMITS
    outsiders: ClassVar[bool] = False
    """Whether somebody is outside the verified domains from the beginning in every life."""
    ends: ClassVar[bool] = False
    """Whether, in the end, everything must come to rest as the source says."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.world: World

    @initialize(data=st.data(), everybody=several, outside=st.booleans())
    def begin(self, data: st.DataObject, everybody: int, outside: bool) -> None:
        profile = data.draw(st.sampled_from(self.profiles), "profile")
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="syncd-life-")))
        self.world = self.stack.enter_context(
            World(
                self.service,
                folder,
                profile,
                limits=self.limits,
                adopt_groups=profile in self.adopting,
                settings={"deactivated-by-filter": "found"} if profile in self.adopting else {},
            )
        )
        world = self.world
        for number, key in enumerate(KEYS[:4]):
            mail = "out@example.org" if (outside or self.outsiders) and number == 3 else f"u{key}@{VERIFIED}"
            world.source.people[key] = Person(mail, f"Person {key}", boss="1" if number else "")
        world.source.groups.update(zip(GROUPS[:2], NAMES, strict=False))
        for number, key in enumerate(KEYS[:4]):
            world.source.members.add((GROUPS[everybody >> number & 1], key))
        world.write_source()
        if everybody & 64:
            self._people(lambda it: it.people.invite(NATIVES[everybody % len(NATIVES)]), native=True)
        if everybody & 128:
            self.a_native_group_is_made(2)
        world.cycle()
        world.laws = self.laws

    def teardown(self) -> None:
        try:
            if self.ends and hasattr(self, "world"):
                self.at_the_end()
        finally:
            self.stack.close()

    def at_the_end(self) -> None:
        """What must be in the end; a subclass's."""

    # -- at the source ---------------------------------------------------------------------------

    @rule(key=keys, mail=st.sampled_from(ADDRESSES), boss=st.sampled_from(["", *KEYS]))
    def joins(self, key: str, mail: str, boss: str) -> None:
        self.world.source.people.setdefault(key, Person(mail, f"Person {key}", boss=boss if boss != key else ""))

    @rule(key=keys)
    def leaves(self, key: str) -> None:
        self.world.source.people.pop(key, None)
        self.world.source.torn.discard(key)

    @rule(key=keys, active=st.booleans())
    def is_switched(self, key: str, active: bool) -> None:
        if key in self.world.source.people:
            self.world.source.people[key].status = "active" if active else "left"

    @rule(key=keys, title=st.sampled_from(["", "Chief", "Intern"]), boss=st.sampled_from(["", *KEYS]))
    def changes(self, key: str, title: str, boss: str) -> None:
        if key in self.world.source.people:
            person = self.world.source.people[key]
            person.title, person.boss = title, boss if boss != key else ""

    @rule(key=keys, mail=st.sampled_from(ADDRESSES))
    def moves(self, key: str, mail: str) -> None:
        """A new address, perhaps outside, perhaps somebody else's."""
        if key in self.world.source.people:
            self.world.source.people[key].mail = mail

    @rule(old=keys, new=keys)
    def is_hired_again(self, old: str, new: str) -> None:
        people = self.world.source.people
        if old in people and new not in people:
            people[new] = people.pop(old)

    @rule(key=keys, torn=st.booleans())
    def has_a_torn_row(self, key: str, torn: bool) -> None:
        if key in self.world.source.people:
            (self.world.source.torn.add if torn else self.world.source.torn.discard)(key)

    @rule(which=st.sampled_from(["all", "half"]))
    def the_export_is_short(self, which: str) -> None:
        """A whole file lost, or half of it; the next rule may bring people back one by one."""
        source = self.world.source
        for key in list(source.people)[0 if which == "all" else len(source.people) // 2 :]:
            del source.people[key]
            source.torn.discard(key)

    @rule(key=group_keys, name=st.sampled_from(NAMES))
    def group_is_called(self, key: str, name: str) -> None:
        if name not in self.world.source.groups.values():
            self.world.source.groups[key] = name

    @rule(key=group_keys)
    def group_is_dropped(self, key: str) -> None:
        self.world.source.groups.pop(key, None)
        self.world.source.members = {each for each in self.world.source.members if each[0] != key}

    @rule(key=group_keys, chosen=several)
    def group_has(self, key: str, chosen: int) -> None:
        source = self.world.source
        if key not in source.groups:
            return
        alone = self.world.profile == "lucid-admin"
        for number, person in enumerate(KEYS):
            source.members.discard((key, person))
            if chosen >> number & 1 and not (alone and any(who == person for _, who in source.members)):
                source.members.add((key, person))

    # -- at the target, by people ----------------------------------------------------------------

    def _people(self, work: Callable[[Account], Any], *, native: bool = False) -> Any:
        """Let people do something; what the service refuses them is not done."""
        self.world.interfered = True
        with suppress(Refused):
            made = self.world.service.do(work)
            if native:
                (self.world.native_users if made.type == "User" else self.world.native_groups).add(made.id)
                self.world.service.do(lambda it: _was_there_before(it, made.id))
            return made
        return None

    def _one(self, number: int, ids: Sequence[str]) -> str | None:
        return sorted(ids)[number % len(ids)] if ids else None

    def _linked_user(self, number: int) -> str | None:
        there = self.world.service.users()
        return self._one(number, [id_ for id_ in self.world.links()[0] if id_ in there])

    def _linked_group(self, number: int) -> str | None:
        there = self.world.service.groups()
        return self._one(number, [id_ for id_ in self.world.links()[1] if id_ in there and not there[id_].archived])

    @rule(number=several, active=st.booleans())
    def support_switches(self, number: int, active: bool) -> None:
        if (id_ := self._linked_user(number)) is not None:
            self.world.meddled.add(self.world.links()[0][id_])
            self._people(lambda it: it.people.change_user(id_, {"active": active}, force=True))

    @rule(number=several, title=st.sampled_from(["Edited", "Chief"]))
    def support_edits(self, number: int, title: str) -> None:
        if (id_ := self._linked_user(number)) is not None:
            self._people(lambda it: it.people.change_user(id_, {"title": title}, force=True))

    @rule(number=several)
    def support_deletes_a_user(self, number: int) -> None:
        if (id_ := self._linked_user(number)) is not None:
            self._people(lambda it: it.people.delete_user(id_, force=True))

    @rule(number=several)
    def support_deletes_a_group(self, number: int) -> None:
        if (id_ := self._linked_group(number)) is not None:
            self._people(lambda it: it.people.delete_group(id_, force=True))

    @rule(number=several)
    def support_renames_a_group(self, number: int) -> None:
        if (id_ := self._linked_group(number)) is not None:
            self._people(lambda it: it.people.rename_group(id_, f"Renamed {number}", force=True))

    @rule(number=several, who=several, joins=st.booleans())
    def support_changes_members(self, number: int, who: int, joins: bool) -> None:
        group, user = self._linked_group(number), self._one(who, list(self.world.service.users()))
        if group is not None and user is not None:
            change = "add_member" if joins else "remove_member"
            self._people(lambda it: getattr(it.people, change)(group, user, force=True))

    @rule(mail=st.sampled_from(NATIVES))
    def a_native_user_is_invited(self, mail: str) -> None:
        self._people(lambda it: it.people.invite(mail, "Native"), native=True)

    @rule(number=several)
    def a_native_group_is_made(self, number: int) -> None:
        name = self.native_groups[number % len(self.native_groups)]
        self._people(lambda it: it.people.create_group(name), native=True)

    @rule(number=several, who=several)
    def somebody_joins_a_native_group(self, number: int, who: int) -> None:
        there = self.world.service.groups()
        group = self._one(number, [id_ for id_ in self.world.native_groups if id_ in there])
        user = self._one(who, list(self.world.service.users()))
        if group is not None and user is not None and self.world.profile != "lucid-admin":
            self._people(lambda it: it.people.add_member(group, user))

    @rule(number=several)
    def an_invitation_is_accepted(self, number: int) -> None:
        """At the target where it knows of invitations, else told to syncd."""
        waiting = sorted(self.world.invited & self.world.links()[0].keys())
        if not waiting:
            return
        id_ = waiting[number % len(waiting)]
        if self.world.profile == "lucidlink":
            self._people(lambda it: it.people.accept(id_))
        else:
            self.world.accept(self.world.links()[0][id_])
        self.world.invited.discard(id_)

    # -- in between ------------------------------------------------------------------------------

    @rule(number=st.integers(0, 10**6))
    def the_service_breaks(self, number: int) -> None:
        self.world.break_down(self.faults[number % len(self.faults)])

    @rule()
    def the_service_works_again(self) -> None:
        self.world.break_down()

    @rule(hours=st.sampled_from([1, 13, 25, 80]))
    def time_passes(self, hours: int) -> None:
        self.world.later(hours=hours)

    @rule(chosen=several)
    def a_person_approves(self, chosen: int) -> None:
        self.world.approve(lambda number: bool(chosen >> (number % 8) & 1))

    @rule(chosen=several)
    def a_person_rejects(self, chosen: int) -> None:
        self.world.reject(lambda number: bool(chosen >> (number % 8) & 1))

    # -- syncd -----------------------------------------------------------------------------------

    @rule()
    def runs(self) -> None:
        self.world.cycle()

    @rule()
    def resyncs(self) -> None:
        self.world.cycle(full=True)

    @rule()
    def runs_again(self) -> None:
        """The same, so that it happens as often as that matters."""
        self.world.cycle()

    @rule()
    def runs_late(self) -> None:
        self.world.later(hours=25)
        self.world.cycle()

    @rule()
    def is_released_and_runs(self) -> None:
        self.world.approve()
        self.world.cycle(full=True)

    @rule(instant=st.integers(0, 40), full=st.booleans())
    def is_killed(self, instant: int, full: bool) -> None:
        self.world.cycle(full=full, kill_at=instant)

    @rule(instant=st.integers(0, 14), key=group_keys, chosen=several)
    def is_killed_and_runs(self, instant: int, key: str, chosen: int) -> None:
        """Something new is made when the process dies, and what is not known of it is made up for by a normal run."""
        world = self.world
        free = sorted(set(NAMES) - set(world.source.groups.values()))
        if free:
            world.source.groups.setdefault(key, free[0])
        self.group_has(key, chosen)
        world.cycle(kill_at=instant)
        world.cycle()

    @rule()
    def an_outsider_changes(self) -> None:
        """Something else of who is pending changes: no reason to let them in."""
        for person in self.world.source.people.values():
            if person.external:
                person.title = "Guest" if person.title != "Guest" else "Visitor"
        self.world.cycle()

    @rule()
    def a_native_group_has_the_name(self) -> None:
        """A group comes whose name the target's own has."""
        source, there = self.world.source, self.world.service.groups()
        names = {there[id_].name for id_ in self.world.native_groups & there.keys()} & set(NAMES)
        for name in sorted(names - set(source.groups.values())):
            source.groups["d"] = name
        self.world.cycle(full=True)

    @rule()
    def loses_the_state_file(self) -> None:
        """The way back is a full resync: who was given another userName meanwhile is known by externalId alone."""
        self.world.break_down()
        self.world.lose_state()
        self.world.cycle(full=True)

    @rule()
    @precondition(lambda self: self.world.is_stopped())
    def is_linked_again(self) -> None:
        self.world.relink()


def live(machine: type[Life], service: Service, *, examples: int = 15, steps: int = 25) -> None:
    """Run a machine. `SYNCD_EXAMPLES` asks for a longer hunt, which is not the same every time; `SYNCD_SHRINK` for the
    shortest life that fails, which takes minutes.
    """
    hunting = int(os.environ.get("SYNCD_EXAMPLES", "0"))
    machine.service = service
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=hunting or examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=not hunting,
            database=None,
            phases=(Phase.generate, *((Phase.shrink,) if os.environ.get("SYNCD_SHRINK") else ())),
            report_multiple_bugs=False,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
