"""Why a group is in its state.

A group's entry isn't kept, so the source's word about a group is the last run's.
"""

from __future__ import annotations

from collections.abc import Iterator

from syncd.compare.rules import TargetRules
from syncd.core.drift import DriftClass, Reaction
from syncd.core.model import Json, Kind, KnownGroup
from syncd.core.plan import timestamp
from syncd.explain.circumstances import Circumstances, doing, spoken
from syncd.report.drifts import foreign_names
from syncd.report.explanation import Explanation, Part
from syncd.report.text import counted, label, value_text
from syncd.report.words import shortened
from syncd.settings.build import Target
from syncd.store import Snapshot, StateFile
from syncd.store.lookup import groups_with

_GROUP_DRIFT = (
    DriftClass.GROUP_DELETED,
    DriftClass.GROUP_RENAMED,
    DriftClass.MEMBER_ADDED,
    DriftClass.MEMBER_REMOVED,
    DriftClass.FOREIGN_MEMBER,
)


def explain_group(circumstances: Circumstances, state: StateFile, target: Target) -> Explanation:
    """Explain one group at one target."""
    snapshot = state.snapshot(target.name)
    known = snapshot.group(circumstances.key)
    name = known.name if known else circumstances.name()
    parts = (*_parts(circumstances, snapshot, target.rules, known, name), *circumstances.parts())
    verdict = f"{_called(name, circumstances.key)} {_state(circumstances, snapshot, target.rules, known, name)}."
    return Explanation(target.name, Kind.GROUP, circumstances.key, name, verdict, parts)


def _called(name: str, key: str) -> str:
    return f"The group {name} ({key})" if name not in ("", key) else f"The group {key}"


def _state(
    circumstances: Circumstances, snapshot: Snapshot, target: TargetRules, known: KnownGroup | None, name: str
) -> str:
    """Return the verdict without its subject."""
    held = circumstances.own_holds
    if known is None or known.lost:
        base, unseen = f"is not linked to a group at {target.name}", circumstances.not_looked_for()
        if known is not None:
            base, unseen = f"is gone from {target.name}, deleted there", ""
        if name and not target.selection.wants_group(name):
            return f"{base}: {_unselected(target)}{unseen}"
        subject = doing(held[0].change) if held else "making the group"
        return f"{base}: {subject} {circumstances.hindrance(None)}{unseen}"
    people, groups = snapshot.members(known.key)
    members = counted(len(people), "person", "people") + (
        f" and {counted(len(groups), 'group', 'groups')}" if groups else ""
    )
    base = f"is at {target.name} with {members}"
    if known.missing_since is not None:
        base = f"{base}, although the source has not had it since {spoken(known.missing_since)}"
    elif not target.selection.wants_group(name):
        base = f"{base}, although {_unselected(target)}"
    elif circumstances.problems:
        return f"{base}, and left as it is for a problem in the source: {circumstances.problems[0].problem}"
    elif not circumstances.holds and not circumstances.quarantined and circumstances.stop is None:
        if failure := circumstances.failure:
            return f"{base}: the last change {failure}"
        return f"{base}, as the source had it in run {circumstances.last.run}" if circumstances.last else base
    waiting = [*circumstances.own_holds, *circumstances.holds]
    if waiting:
        return f"{base}: {doing(waiting[0].change)} {circumstances.hindrance_of(waiting[0])}"
    leaving = known.missing_since is not None or not target.selection.wants_group(name)
    return f"{base}: {'deleting it' if leaving else 'the change'} {circumstances.hindrance(None)}"


def _unselected(target: TargetRules) -> str:
    patterns = target.selection.groups
    if not patterns:
        return "no groups are pushed (groups = [])"
    return f"`groups` doesn't select it ({', '.join(patterns)})"


def _parts(
    circumstances: Circumstances, snapshot: Snapshot, target: TargetRules, known: KnownGroup | None, name: str
) -> Iterator[Part]:
    if known is not None:
        yield _group(known, target)
        yield _members(circumstances, snapshot, known)
        if parents := groups_with(snapshot, Kind.GROUP, known.key):
            sentence = f"in {counted(len(parents), 'group', 'groups')}: {', '.join(each[1] for each in parents)}"
            facts = {"groups": [{"key": key, "name": name} for key, name in parents]}
            yield Part("memberships", "Memberships", (sentence,), facts)
        if not known.lost:
            yield _lock(target)
    if name:
        selected = target.selection.wants_group(name)
        patterns = target.selection.groups
        why = "`groups` isn't set: all are" if patterns is None else f"`groups`: {', '.join(patterns) or 'none'}"
        sentence = f"{'selected' if selected else 'not selected'} ({why})"
        yield Part("selection", "Selection", (sentence,), {"selected": selected, "groups": list(patterns or ())})


def _group(known: KnownGroup, target: TargetRules) -> Part:
    link = f"linked to the group {known.id}"
    if known.lost:
        link = f"the group {known.id} is gone, deleted there and not by syncd"
    elif target.profile.group_suffix:
        link += f"; the target may show its name with the suffix `{target.profile.group_suffix}`"
    sentences = [link, *(f"{label(path)}: {value_text(value)}" for path, value in known.attributes.items())]
    sentences += [
        f"{label(path)} was not taken over by the target, which shows {value_text(value)}"
        for path, value in known.kept_as.items()
    ]
    if known.missing_since is not None:
        sentences.append(f"missing from the source since {spoken(known.missing_since)}")
    facts: dict[str, Json] = {
        "id": known.id,
        "displayName": known.name,
        "attributes": known.attributes,
        "lost": known.lost,
        "missing_since": timestamp(known.missing_since) if known.missing_since else None,
    }
    return Part("group", "At the target, as it last acknowledged", tuple(sentences), facts)


def _members(circumstances: Circumstances, snapshot: Snapshot, known: KnownGroup) -> Part:
    people, groups = snapshot.members(known.key)
    pending = sorted(people.intersection(snapshot.pending_keys()))
    sentences = [f"{counted(len(people), 'person', 'people')} and {counted(len(groups), 'group', 'groups')}"]
    if pending:
        sentences.append(
            f"{len(pending)} of them pending: {', '.join(pending[:8])}{' and more' if len(pending) > 8 else ''}"
        )
    facts: dict[str, Json] = {"people": len(people), "groups": len(groups), "pending": len(pending)}
    held = [hold.change for hold in circumstances.holds if hold.change.key == known.key]
    sentences += [
        f"{counted(len(each.members), 'person', 'people')} held: {each.action.label}" for each in held if each.members
    ]
    for each in held:
        if each.foreign:
            sentences.append(f"nobody manages {shortened(foreign_names(each.before))}: held: {each.action.label}")
    return Part("members", "Members", tuple(sentences), facts)


def _lock(target: TargetRules) -> Part:
    reported = [each.value for each in _GROUP_DRIFT if target.drift.to(each) is Reaction.REPORT]
    sentence = "managed: the source alone decides about its name and its members; what is changed at the target is put"
    sentence += " back by a full resync, which takes out whoever nobody manages"
    if reported:
        sentence += f", but for {', '.join(reported)}, only reported"
    return Part("lock", "Lock", (sentence,), {"managed": True, "reported": reported})
