"""The invariants of the final state: after any events, syncd converges on the source's state."""

from __future__ import annotations

from tests.invariants import laws
from tests.invariants.life import Life, live
from tests.invariants.service import Service
from tests.invariants.world import Person, World

ALMOST_NOTHING = """
[target.limits]
deactivate = { count = 0 }
remove_members = { count = 1 }
rename = { count = 0 }
"""


def as_the_source_says(world: World) -> None:
    """Fail unless everybody in the source has one account, and nobody else who is managed is in."""
    sight = world.sight()
    links, group_links = world.links()
    ids = {key: id_ for id_, key in links.items() if id_ in sight.users}
    for key, person in world.source.people.items():
        if person.active:
            assert key in ids, f"{key} has no account"
            _is_as_wanted(world, key, person, sight.users[ids[key]].attributes)
        elif key in ids:
            assert not sight.users[ids[key]].active, f"{key} is disabled, and in"
    for key, id_ in ids.items():
        if key not in world.source.people:
            assert not sight.users[id_].active, f"{key} is gone, and in"
    groups = {key: id_ for id_, key in group_links.items() if id_ in sight.groups}
    assert set(groups) == set(world.source.groups)
    for key, id_ in groups.items():
        assert sight.groups[id_].name == world.source.groups[key]
        wanted = {
            ids[who]
            for group, who in world.source.members
            if group == key and who in world.source.people and world.source.people[who].active
        }
        managed = {each for each in sight.members[id_] if each in links}
        strangers = {
            each for each in world.native_users & sight.members[id_] if each in sight.users and each not in links
        }
        for each in strangers:
            addresses = {sight.users[each].name.lower(), *sight.users[each].emails}
            assert addresses & world.addresses, f"{addresses} is in group {key}, and nobody manages that account"
        switched_off = {each for each in managed if not sight.users[each].active and each not in world.invited}
        assert wanted - switched_off <= managed <= wanted | switched_off, f"group {key}"


def _is_as_wanted(world: World, key: str, person: Person, attributes: dict[str, object]) -> None:
    assert str(attributes["userName"]).lower() == person.mail
    # What the source doesn't say is the target's own.
    assert not person.title or attributes.get("title") == person.title
    assert attributes.get("displayName", "") == person.name
    if not person.external or world.profile == "lucidlink":
        assert attributes["active"] is True, f"{key} is wanted, and off"


class Restless(Life):
    """A life that ends well."""

    laws = (laws.nothing_is_made_twice,)
    native_groups = ("Natives",)  # of one name with ours, they are for a person to tell apart
    adopting = ("lucid-admin", "lucid-content")
    ends = True

    def at_the_end(self) -> None:
        self.world.converge()
        as_the_source_says(self.world)


def test_03_policy_drops_nothing(service: Service) -> None:
    class Guarded(Life):
        laws = (laws.policy_drops_nothing,)
        limits = ALMOST_NOTHING
        faults = Life.faults[:2]

    live(Guarded, service)


def test_04_killed_at_any_instant_the_next_run_converges(service: Service) -> None:
    class Killed(Restless):
        pass

    live(Killed, service)


def test_05_quiet_when_nothing_changed(service: Service) -> None:
    class Quiet(Restless):
        def at_the_end(self) -> None:
            self.world.converge()
            self.world.cycle()
            event = self.world.cycle()
            assert not event.requests, [(each.method, each.path) for each in event.requests]
            assert event.run is not None
            assert not event.run.plan.changes

    live(Quiet, service)


def test_08_state_can_be_lost(service: Service) -> None:
    class Forgetful(Restless):
        def at_the_end(self) -> None:
            world = self.world
            world.converge()
            # A path that everybody lost before any reading showed it counts as one that the endpoint never shows, and
            # is no drift; the plan says so.
            unshown = any("the endpoint shows no" in each.problem for each in world.plan(full=True).plan.problems)
            before = world.links()
            world.lose_state()
            event = world.cycle()
            assert event.planned is None or event.planned.plan.kind == "resync", "nothing is known: it is read first"
            # Lucid lists nobody who is switched off: that they are there shows when they are made again.
            hidden = world.profile.startswith("lucid-") and not all(each.active for each in event.before.users.values())
            hidden = hidden or unshown
            assert hidden or not event.writes, [(each.method, each.path, each.body) for each in event.writes]
            # Groups without an externalId can be known by their name alone, and that is for a person to say.
            world.converge()
            there = world.sight()
            wanted = {id_: key for id_, key in before[0].items() if key in world.source.people and there.is_on(id_)}
            assert {id_: key for id_, key in world.links()[0].items() if id_ in wanted} == wanted
            assert world.links()[1] == before[1]
            as_the_source_says(world)

    live(Forgetful, service)


def test_09_one_bad_record_stops_nobody_else(service: Service) -> None:
    class Poisoned(Restless):
        laws = ()
        faults = ({"fault": "status", "status": 400, "contains": "u2@"},)

        def at_the_end(self) -> None:
            """The endpoint never takes one address; everybody else is as wanted, and that one is asked for rarely."""
            world = self.world
            world.converge()
            world.break_down(*self.faults)
            world.source.people["6"] = Person("u2@example.com" if self._is_free() else "u2@sub.example.com", "Six")
            world.source.people["7"] = Person("u7@example.com", "Seven")
            tries = 0
            for _ in range(12):
                event = world.cycle()
                asked = [each for each in event.writes if "u2@" in str(each.body)]
                tries += bool(asked)
                world.later(minutes=15)
            # At once, after 15 minutes, after 30 more and 60 more: four times in three hours, never each time.
            assert tries in (0, 3, 4), tries
            assert "u7@example.com" in {each.name for each in world.sight().users.values() if each.active}

        def _is_free(self) -> bool:
            return all(each.mail != "u2@example.com" for each in self.world.source.people.values())

    live(Poisoned, service)
