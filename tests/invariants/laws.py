"""The laws of every single run, one function per law. Each failure shows the observed values.

Of syncd's own records, the laws trust only the links between ids and keys.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import orjson

from syncd.core.drift import DriftClass
from syncd.core.model import Kind
from syncd.core.plan import Action, Plan, Result
from syncd.sandbox.requestlog import Entry
from tests.invariants.service import TOKEN
from tests.invariants.world import GRACE, Event, World, described

_RESOURCE: Final = re.compile(r"/(Users|Groups)/([^/?]+)$")
_LEAVING: Final = (Action.DEACTIVATE_USER, Action.DELETE_USER)


def native_is_never_written(world: World, event: Event) -> None:
    """Invariant 1: what nobody's source speaks of is never written, and stays as it is.

    A native account may be taken out of a managed group, whose members are the source's alone, where the plan names it;
    it is never put into one.
    """
    ours = {*event.linked, *event.linked_after, *event.linked_groups, *event.linked_groups_after}
    for request in event.writes:
        named = _RESOURCE.search(request.path)
        if named is None:
            assert request.method == "POST", f"{request.method} {request.path}"
            continue
        id_ = named[2]
        assert id_ not in world.native_groups, f"{request.method} of the native group {id_}: {request.body}"
        if id_ in world.native_users:
            _matches_somebody(world, event, id_)
        existed = id_ in event.before.users or id_ in event.before.groups
        assert id_ in ours or not existed or event.killed or _taken_over(event, id_), f"{request.method} of {id_}"
    for id_ in world.native_groups & event.before.groups.keys():
        before, after = event.before.groups[id_], event.after.groups.get(id_)
        assert after is not None, f"the native group {before.name} is gone"
        assert after.attributes == before.attributes
        if world.profile != "lucid-admin":  # there a person is in one group, and joining ours leaves the other
            assert event.after.members[id_] == event.before.members[id_] & event.after.users.keys()
    changes = event.plan.changes if event.plan is not None else ()
    taken_out = {(change.key, each.id) for change in changes for each in change.foreign}
    for id_ in world.native_users & event.before.users.keys():
        before, after = event.before.users[id_], event.after.users.get(id_)
        if event.key_of(id_) is None and not (set(before.emails) | {before.name}) & world.addresses:
            assert after is not None, f"the native user {before.name} is gone"
            assert after.attributes == before.attributes
            for group, key in event.linked_groups.items():
                was_in, is_in = (id_ in each.members.get(group, ()) for each in (event.before, event.after))
                assert was_in or not is_in, f"the native user {before.name} was put into {key}"
                if was_in and group in event.after.members and not is_in:
                    assert event.killed or (key, id_) in taken_out, f"{before.name} was taken out of {key} unsaid"


def _matches_somebody(world: World, event: Event, id_: str) -> None:
    """A native account may be taken over by whose address it has, and by nobody else."""
    user = event.before.users.get(id_) or event.after.users.get(id_)
    assert user is not None
    assert ({user.name.lower(), *user.emails}) & world.addresses, f"{user.name} was never in the source"


def _taken_over(event: Event, id_: str) -> bool:
    """Whether a plan, or a create that collided, says that it takes this one over."""
    plan = event.plan
    if plan is None:
        return False
    if any(change.resource == id_ for change in plan.changes):
        return True
    there = event.before.users.get(id_) or event.before.groups.get(id_)
    creates = [change for change in plan.changes if change.action in (Action.CREATE_USER, Action.CREATE_GROUP)]
    return there is not None and any(there.name.casefold() == change.name.casefold() for change in creates)


def nobody_is_removed_without_proof(world: World, event: Event) -> None:
    """Invariant 2: who is switched off, deleted or taken out of a group is so by the source's own word, or by grace."""
    source = event.source
    released = {change.key for change in event.plan.changes if change.id in event.approved} if event.plan else set()
    for id_, key in event.linked.items():
        if not event.before.is_on(id_) or event.after.is_on(id_) or key in released:
            continue
        if key in source.people and key not in source.torn:
            assert not source.people[key].active, f"{key} is active in the source, and was switched off"
            continue
        assert key not in source.torn, f"{key} was switched off for a row that can't be read"
        assert source.people, f"{key} was switched off because the source is empty"
        since = event.missing.get(key)
        assert since is not None, f"{key} was switched off"
        assert event.now - since >= GRACE, f"{key} was switched off {event.now - since} after the last sign of them"
    for group_id, group in event.linked_groups.items():
        if group_id not in event.before.groups or event.before.groups[group_id].archived or group in released:
            continue
        there = event.after.groups.get(group_id)
        if there is None or there.archived:
            assert group not in source.groups, f"group {group} is in the source, and was deleted"
            continue
        for member in event.before.members[group_id] - event.after.members[group_id]:
            key = event.linked.get(member)
            if key is None or member not in event.after.users or world.profile == "lucid-admin":
                continue
            assert key not in source.torn, f"{key} was taken out of {group} for a row that can't be read"
            listed = (group, key) in source.members and key in source.people and source.people[key].active
            assert not listed or event.linked_after.get(member) != key, f"{key} was taken out of {group}"


def policy_drops_nothing(world: World, event: Event) -> None:
    """Invariant 3: with limits and grace or without, the same changes are planned; and every report shows them all."""
    if event.planned is None or event.planned.failure is not None or event.killed:
        return
    limited = world.plan().plan
    free = world.plan(setup=world.unlimited()).plan
    assert pieces(limited) == pieces(free), f"{described(limited)}\n--- without limits:\n{described(free)}"
    shown = limited.to_json()
    assert len(shown["changes"]) == len(limited.changes)
    assert {each["id"] for each in shown["held"]} == {each.id for each in limited.held}
    assert all(each.reason for each in (*limited.held, *limited.rejected))


def pieces(plan: Plan) -> Counter[tuple[str, ...]]:
    """Return everything in a plan, allowed or held, as counts of what can be held by itself."""
    counted: Counter[tuple[str, ...]] = Counter()
    for change in (*plan.changes, *(held.change for held in (*plan.held, *plan.rejected))):
        if change.action in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS):
            counted.update((change.action, change.key, "user", key) for key in change.members)
            counted.update((change.action, change.key, "group", key) for key in change.subgroups)
            counted.update((change.action, change.key, "foreign", each.id) for each in change.foreign)
        else:
            counted[change.id,] += 1
    return counted


def nothing_is_made_twice(world: World, event: Event) -> None:
    """Invariant 4, of every run: no two accounts and no two groups for one key.

    Lucid shows nobody who is switched off: once the state file is lost, nobody can know of such an account.
    """
    hides = world.profile.startswith("lucid-")
    for what in (event.after.users, event.after.groups):
        marks = Counter(
            each.attributes["externalId"]
            for each in what.values()
            if each.managed and "externalId" in each.attributes and (each.active or not hides)
        )
        assert not [mark for mark, count in marks.items() if count > 1], f"made twice: {marks}"
    names = Counter(
        (each.space, each.name) for id_, each in event.after.groups.items() if id_ not in world.native_groups
    )
    wanted = Counter(("", name) for name in event.source.groups.values())
    assert all(count < 2 or wanted["", name] > 1 for (_, name), count in names.items() if name in world.group_names)


def the_plan_tells_the_truth(world: World, event: Event) -> None:
    """Invariant 6: each change has one outcome, in the plan's order; nothing is asked beyond what was announced."""
    if event.run is None or event.killed or event.run.error:
        return
    plan = event.run.plan
    assert [each.change.id for each in event.run.outcomes] == [change.id for change in plan.changes]
    undisturbed = not world.interfered and not world.broken
    if undisturbed and event.linked.keys() <= event.before.users.keys():
        results = [(each.change.action.value, each.change.key, each.detail) for each in event.run.outcomes]
        results = [each for each, o in zip(results, event.run.outcomes, strict=True) if o.result is not Result.APPLIED]
        expected = {"create_user", "create_group", "adopt_user", "adopt_group", "add_members", "update_user"}
        assert {action for action, _, _ in results} <= expected, results


def pending_is_respected(world: World, event: Event) -> None:
    """Invariant 7: who has not accepted is neither let in, nor invited again, nor counted as drift."""
    for id_, key in event.linked.items():
        if id_ not in world.invited or id_ not in event.before.users:
            continue
        person = event.source.people.get(key)
        if person is None or not person.external or key in event.source.torn:
            continue
        for request in _writes_of(event, id_):
            assert _says_active(request) is not True or world.profile == "lucidlink", (
                f"{key} was let in: {request.body}"
            )
        if world.profile == "lucidlink" and id_ in event.after.users:
            before, after = event.before.users[id_], event.after.users[id_]
            assert after.accepted is before.accepted
            assert after.invitations <= max(before.invitations, 1), f"{key} was invited again"
    if event.plan is not None:
        keys = {event.linked[id_] for id_ in world.invited & event.linked.keys()}
        activation = [each for each in event.plan.drift if each.class_ is DriftClass.USER_ACTIVATION]
        still = [each.key for each in activation if each.key in keys and each.key not in world.meddled]
        assert not still, f"pending, and reported as drift: {still}"


def _writes_of(event: Event, id_: str) -> Iterator[Entry]:
    return (each for each in event.writes if each.path == f"/Users/{id_}")


def _says_active(request: Entry) -> bool | None:
    """Return what a request makes of `active`, None for nothing."""
    body: Any = request.body
    if not isinstance(body, dict):
        return None
    if request.method == "PUT":
        return body.get("active")
    for operation in body.get("Operations", []):
        value = operation.get("value")
        if operation.get("path") == "active":
            return value is True
        if isinstance(value, dict) and "active" in value:
            return value["active"] is True
    return None


def secrets_stay_secret(world: World, event: Event) -> None:
    """Invariant 10: the token is in no log, plan, run, message and in nothing that is kept."""
    said: list[str] = [repr(event.log), str(event.error or ""), repr(event.error)]
    if event.plan is not None:
        said.append(orjson.dumps(event.plan.to_json()).decode())
    if event.run is not None:
        said += [orjson.dumps(event.run.to_json()).decode(), event.run.error]
    for text in said:
        assert TOKEN not in text, text
    for file in world.folder.iterdir():
        assert TOKEN.encode() not in file.read_bytes(), file.name


def order_is_kept(world: World, event: Event) -> None:
    """Invariant 11: who leaves goes first, groups are deleted last; never two requests for one resource at a time."""
    for request in event.requests:
        named = _RESOURCE.search(request.path)
        # What a client that gave up has left behind may still be served when it asks again.
        if named is not None and not any("delay" in each.faults for each in event.requests):
            assert request.in_flight_here == 1, f"{request.method} {request.path} beside another one"
    stages = [(stage, request) for request in event.writes if (stage := _stage(event, request)) is not None]
    for (earlier, first), (later, second) in pairwise(stages):
        assert earlier <= later, f"{first.method} {first.path} {first.body} before {second.method} {second.path}"


def _stage(event: Event, request: Entry) -> int | None:
    """Return when a request is due, None where it may be any time: what follows from a collision."""
    named = _RESOURCE.search(request.path)
    text = orjson.dumps(request.body).decode()
    if named is None:
        return 1 if request.path == "/Users" else 3
    kind = Kind.USER if named[1] == "Users" else Kind.GROUP
    if request.method == "DELETE":
        return 5
    if kind is Kind.USER:
        if _says_active(request) is False and event.before.is_on(named[2]) and named[2] in event.linked:
            return 0
        return 2 if '"manager"' in text or ":manager" in text else 1 if named[2] in event.linked else None
    if "members" not in text:
        return 3
    if '"remove"' in text and named[2] not in event.linked_groups:
        return None  # a group that was made with members is brought into line at once
    emptied = any(each.method == "DELETE" and each.path == request.path for each in event.requests)
    return 5 if emptied else 4


ALL = (
    native_is_never_written,
    nobody_is_removed_without_proof,
    nothing_is_made_twice,
    the_plan_tells_the_truth,
    pending_is_respected,
    secrets_stay_secret,
    order_is_kept,
)
