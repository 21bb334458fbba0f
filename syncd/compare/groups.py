"""The fifth step: the groups that a target wants, those that are to go, and their members."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from syncd.compare.absence import Missing
from syncd.compare.accounts import Accounts
from syncd.compare.adoption import GroupAdoption, Members
from syncd.compare.comparison import Comparison, SourceReading
from syncd.compare.members import Memberships, crowded_users, crowding, desired_members
from syncd.compare.moves import doubtful_users
from syncd.compare.rules import TargetRules
from syncd.compare.unclaimed import unclaimed_groups
from syncd.core.diff import group_changes
from syncd.core.mapping import EntryUnusable
from syncd.core.matching import Doubt
from syncd.core.model import Evidence, Flat, GroupEntry, Kind, KnownGroup, ObservedGroup
from syncd.core.ownership import Ownership
from syncd.core.plan import Change, Trouble
from syncd.scim.profiles import Profile


@dataclass(frozen=True)
class GroupDifferences:
    """The consequences for groups and their members, by key."""

    missing: Missing
    changes: list[Change] = field(default_factory=list)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    """Reasons why a person decides about a group that would be made or taken over."""
    back: list[str] = field(default_factory=list)
    """Groups that were missing and are not any more."""
    forgotten: list[str] = field(default_factory=list)
    """Groups that are neither wanted nor at the target any more."""
    found_in: dict[tuple[Kind, str], list[str]] = field(default_factory=dict)
    """By kind and key of a user or group that is taken over: the linked groups that it is a member of already."""
    problems: list[Trouble] = field(default_factory=list)
    crowded: dict[str, list[str]] = field(default_factory=dict)
    """Keys of users whom the source has in several groups where the target has room for one, with the groups' names."""


def unread_groups(known: Mapping[str, KnownGroup], groups: Collection[str]) -> list[str]:
    """Return the keys of the managed groups that the source didn't return: the source is asked for these directly."""
    return [key for key, group in known.items() if key not in groups and not group.lost]


def compare_groups(
    comparison: Comparison,
    reading: SourceReading,
    accounts: Accounts,
    gone: Collection[str],
    adopted: Mapping[str, str],
) -> GroupDifferences:
    """Compare all groups, once everybody has been seen.

    `gone`: keys of users whose absence is proven. `adopted`: ids of accounts that are taken over, each with its key.
    """
    source, target, known = comparison.source, comparison.target, comparison.known_groups
    result = GroupDifferences(Missing(comparison.now))
    # A group that is not wanted leaves; one that was not seen only with proof.
    mapped, unusable = _wanted(comparison, reading.groups)
    result.problems.extend(unusable.values())
    kept = mapped.keys() | unusable.keys() | {key for problem in reading.problems for key in problem.protected}
    leaving = known.keys() - kept
    if target.selection.wants_groups:
        unproven = _unproven(leaving, known, reading)
        leaving -= unproven
        result.problems.extend(_unproven_problem(unproven, reading.evidence))
    result.back.extend(key for key in known.keys() & kept if known[key].missing_since is not None)
    # A group that is at the target already may be taken over; a target may have room for one group a person.
    adoption = _adoption(comparison, mapped, adopted)
    staying = _staying(comparison, mapped, reading.groups, leaving) if target.room.one_group else []
    crowded = crowded_users(mapped, reading.groups, source.nesting, target.room, accounts, staying)
    result.problems.extend(crowding(crowded, target.profile.name))
    result.problems.extend(_default_group_problem(target, mapped))
    result.crowded.update(crowded)
    # Each group is compared, then its members; those that leave come last.
    remaining = (known.keys() - leaving) | mapped.keys()
    owned = target.owned_of_groups(source.groups)
    doubtful = doubtful_users(comparison.snapshot, target.room) - crowded.keys()
    memberships = Memberships(
        comparison.snapshot, reading.groups, source.nesting, remaining, accounts, gone, crowded, doubtful
    )
    for key, wanted in mapped.items():
        entry, before = reading.groups[key], known.get(key)
        found = adoption.found.get(key) if adoption is not None else None
        flat = _with_a_name_it_may_have(wanted, before, found, target.profile)
        result.problems.extend(_rename_problem(entry, wanted, flat, target.profile))
        changes = group_changes(key, flat, before, owned, found)
        members: Members | None = None
        if found is not None and adoption is not None:
            members = adoption.members(found)
            changes = [_with_members_before(change, members) for change in changes]
        elif before is None or before.lost:
            members = set(), set()
        elif adoption is not None:
            members = _with_newcomers(before, adoption.newcomers(before), comparison, result)
        result.changes.extend(changes)
        result.changes.extend(memberships.changes(entry, str(flat["displayName"]), before, members))
    for key in leaving:
        selected = key not in reading.groups and target.selection.wants_groups
        _let_go(known[key], owned, result, selected=selected, moved=reading.found[Kind.GROUP].get(key) is True)
    if adoption is None:
        return result
    result.problems.extend(unclaimed_groups(comparison, adoption.claimed))
    return replace(result, doubts=adoption.doubts)


def _wanted(comparison: Comparison, groups: Mapping[str, GroupEntry]) -> tuple[dict[str, Flat], dict[str, Trouble]]:
    """Return the groups that the target wants, mapped; and by key the problems of those that can't be mapped."""
    target, mapped, unusable = comparison.target, dict[str, Flat](), dict[str, Trouble]()
    if not target.selection.wants_groups:
        return mapped, unusable
    for key, entry in groups.items():
        try:
            flat = comparison.source.groups.flat(entry)
        except EntryUnusable as error:
            unusable[key] = Trouble(key, str(error), entry.where, Kind.GROUP.value)
            continue
        if not target.profile.group_external_id:
            flat.pop("externalId", None)
        if target.selection.wants_group(flat["displayName"]):
            mapped[key] = flat
    return mapped, unusable


def _staying(
    comparison: Comparison, mapped: Mapping[str, Flat], groups: Mapping[str, GroupEntry], leaving: Collection[str]
) -> list[tuple[str, Collection[str]]]:
    """Return the groups that nobody is taken out of, since the source's list of members is incomplete, unusable or
    was not read: names, each with the users whom the snapshot has in it.
    """
    nesting, staying = comparison.source.nesting, list[tuple[str, Collection[str]]]()
    for key, known in comparison.known_groups.items():
        if key in mapped:
            if not desired_members(groups[key], groups, nesting, ())[2]:
                continue
        elif key in leaving or known.lost:
            continue
        name = str(mapped[key]["displayName"]) if key in mapped else known.name
        staying.append((name, comparison.snapshot.members(key)[0]))
    return staying


def _default_group_problem(target: TargetRules, mapped: Mapping[str, Flat]) -> list[Trouble]:
    """Report a default group that the source doesn't have under this name; not one that `groups` leaves out."""
    name, names = target.default_group, sorted(str(flat["displayName"]) for flat in mapped.values())
    alike = next((f"; there is `{each}`" for each in names if each.casefold() == name.casefold()), "")
    if not name or not names or name in names or not (alike or target.selection.wants_group(name)):
        return []
    problem = (
        f"no group that is pushed is called `{name}`, as `default_group` says{alike}: mend the name, or leave it out"
    )
    return [Trouble("", problem, target.name, "target")]


def _unproven(leaving: Collection[str], known: Mapping[str, KnownGroup], reading: SourceReading) -> set[str]:
    """Return the leaving groups whose absence is not proven; a group that is in the source and not selected may go."""
    absent = {key for key in leaving if key not in reading.groups and not known[key].lost}
    if not reading.evidence.absence:
        return absent
    found = reading.found[Kind.GROUP]
    return {key for key in absent if found.get(key, False) is None}


def _unproven_problem(unproven: Collection[str], evidence: Evidence) -> list[Trouble]:
    if not unproven:
        return []
    doubt = (
        "the source doesn't say whether they are there: none of them counts as gone"
        if evidence.absence
        else "an entry without a readable key was: no group counts as gone"
    )
    problem = f"{len(unproven)} managed groups were not seen, but {doubt}"
    return [Trouble("", problem, evidence.source, Kind.GROUP.value)]


def _adoption(
    comparison: Comparison, mapped: Mapping[str, Flat], adopted_users: Mapping[str, str]
) -> GroupAdoption | None:
    """Look at the target for every group that is not linked; None where the target was not read."""
    if comparison.observation is None:
        return None
    adoption = GroupAdoption(comparison.target, comparison.snapshot, comparison.observation, adopted_users)
    for key, flat in mapped.items():
        before = comparison.known_groups.get(key)
        if before is None or before.lost:
            adoption.look_for(key, flat)
    return adoption


def _with_members_before(change: Change, members: Members) -> Change:
    """Return the change of a group that is taken over, with the members it was found with."""
    there = {part: sorted(keys) for part, keys in zip(("members", "groups"), members, strict=True) if keys}
    return replace(change, before={**change.before, **there})


def _with_newcomers(
    group: KnownGroup, newcomers: Members, comparison: Comparison, result: GroupDifferences
) -> Members | None:
    """Return the members of a linked group with those that are taken over now; None where there are none of these."""
    if not any(newcomers):
        return None
    for kind, keys in zip((Kind.USER, Kind.GROUP), newcomers, strict=True):
        for key in keys:
            result.found_in.setdefault((kind, key), []).append(group.key)
    people, groups = comparison.snapshot.members(group.key)
    return people | newcomers[0], groups | newcomers[1]


def _with_a_name_it_may_have(
    wanted: Flat, before: KnownGroup | None, found: ObservedGroup | None, profile: Profile
) -> Flat:
    """Keep the name that a group has at the target, where groups can't be renamed there."""
    there = str(wanted["displayName"])
    if found is not None:
        there = found.name
    elif before is not None and not before.lost:
        there = str(before.attributes.get("displayName", before.name))
    if profile.group_rename or there == wanted["displayName"]:
        return wanted
    return {**wanted, "displayName": there}


def _rename_problem(entry: GroupEntry, wanted: Flat, flat: Flat, profile: Profile) -> list[Trouble]:
    """Report a group that keeps another name than the source's; not where the endpoint takes both for the same."""
    name, kept = str(wanted["displayName"]), str(flat["displayName"])
    if kept == name or (not profile.group_name_case and kept.casefold() == name.casefold()):
        return []
    problem = f"this endpoint can't rename groups: the group stays `{kept}`, and is not called `{name}`"
    return [Trouble(entry.key, problem, entry.where, Kind.GROUP.value)]


def _let_go(known: KnownGroup, owned: Ownership, result: GroupDifferences, *, selected: bool, moved: bool) -> None:
    """Note the deletion of a group that the target no longer wants, or that there is nothing to delete.

    #  at the target   selected   in the source, elsewhere   -> result
    #  lost                                                     forgotten
    #  there           no                                       deleted at once: the configuration says so
    #  there           yes        yes                           deleted at once, as one that is not selected
    #  there           yes        no                            deleted, subject to the grace: it is gone

    `selected`: whether it would be wanted if the source returned it. `moved`: whether the source has it all the same.
    """
    changes = group_changes(known.key, None, known, owned)
    if not changes:
        result.forgotten.append(known.key)
    elif not selected:
        changes = [replace(change, reason="no longer selected by `groups`") for change in changes]
    elif moved:
        reason = "the source has the group, and no longer among those it returns (moved, or filtered out)"
        changes = [replace(change, reason=reason) for change in changes]
    else:
        result.missing.note(known)
    result.changes.extend(changes)
