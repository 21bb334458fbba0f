"""The parts of a person's explanation: each function answers one question, with None where there is no answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from syncd.compare.protection import protection
from syncd.core.drift import DriftClass, Reaction
from syncd.core.model import Flat, Json, Kind, Known, State
from syncd.core.plan import timestamp
from syncd.core.schema import MANAGER
from syncd.explain.circumstances import spoken
from syncd.explain.person import Person
from syncd.report.explanation import Part
from syncd.report.text import counted, label, value_text
from syncd.scim.dialect import Dialect
from syncd.store.lookup import groups_with

_GROUPS_SHOWN: Final = 20
_USER_DRIFT: Final = (DriftClass.USER_DELETED, DriftClass.USER_ACTIVATION, DriftClass.USER_ATTRIBUTES)


def parts_of(person: Person) -> Iterator[Part]:
    """Yield the answers, in the order of a reader's questions."""
    questions = (in_source, mapped, account, lock, pending, memberships, protected, shared_addresses)
    return (part for question in questions if (part := question(person)) is not None)


def in_source(person: Person) -> Part | None:
    """Return the source's entry of the person."""
    evaluation, gone = person.evaluation, person.gone
    if evaluation is None and not gone:
        return None
    sentences = [gone] if gone else []
    facts: dict[str, Json] = {"missing_since": None}
    if person.known is not None and person.known.missing_since is not None:
        facts["missing_since"] = timestamp(person.known.missing_since)
    if evaluation is not None:
        entry = evaluation.entry
        sentences.append(f"{entry.where}, as it was read on {spoken(evaluation.at)}, the last time that it differed:")
        sentences += [
            f"{name}: {', '.join(map(value_text, values))}" for name, values in sorted(entry.attributes.items())
        ]
        facts |= {"where": entry.where, "at": timestamp(evaluation.at), "attributes": entry.attributes}
    return Part("entry", "In the source", tuple(sentences), facts)


def mapped(person: Person) -> Part | None:
    """Return the result of today's configuration for the entry."""
    evaluation = person.evaluation
    if evaluation is None:
        return None
    sentences = [f"{label(path)}: {value_text(value)}" for path, value in evaluation.flat.items()]
    if evaluation.unusable:
        sentences.insert(0, f"{evaluation.problem}: left out, and nothing is changed")
    rulings = [ruling for ruling in (evaluation.active, evaluation.scope) if ruling is not None]
    sentences += [ruling.sentence() for ruling in rulings]
    if evaluation.external is not None:
        sentences.append(_domain(person, evaluation.flat, external=evaluation.external))
    wanted = evaluation.desired.state.value if evaluation.desired else None
    facts: dict[str, Json] = {
        "attributes": evaluation.flat,
        "state": wanted,
        "unusable": evaluation.unusable,
        "external": evaluation.external,
        **{ruling.name: ruling.to_json() for ruling in rulings},
    }
    return Part("mapping", "Mapped with today's configuration", tuple(sentences), facts)


def _domain(person: Person, flat: Flat, *, external: bool) -> str:
    if not person.target.selection.domains.patterns:
        return "no verified_domains are listed, so nobody is external"
    listed = ", ".join(person.target.selection.domains.patterns)
    address = person.source.users.email(flat)
    return f"{address} is {'outside' if external else 'inside'} the verified domains ({listed})"


def account(person: Person) -> Part | None:
    """Return the account as last acknowledged by the target, and the desired differences."""
    known = person.known
    if known is None:
        return None
    differences: dict[str, Json] = {
        path: {"is": change.before.get(path), "should_be": value}
        for change in person.changes
        for path, value in change.differences[1].items()
    }
    dropped = Dialect.known(person.snapshot.discovery, person.target.profile).dropped
    sentences = [
        _link(known),
        *(f"{label(path)}: {value_text(value)}" for path, value in known.attributes.items()),
        *(
            f"{label(path)} was not taken over by the target, which shows {value_text(value)}"
            for path, value in known.kept_as.items()
        ),
        *(
            f"{label(path)} is accepted by the endpoint and not kept, whoever it is sent for"
            for path in sorted(dropped & known.attributes.keys() - known.kept_as.keys())
        ),
        *(
            f"{label(path)} differs: {value_text(change.before.get(path))}, should be {value_text(value)}"
            for change in person.changes
            for path, value in change.differences[1].items()
        ),
        *filter(None, [_manager(person)]),
    ]
    facts: dict[str, Json] = {
        "id": known.id,
        "userName": known.name,
        "state": known.state.value,
        "since": timestamp(known.since) if known.since else None,
        "accepted": known.accepted,
        "lost": known.lost,
        "unmanaged": known.unmanaged,
        "attributes": known.attributes,
        "kept_as": known.kept_as,
        "differences": differences,
    }
    return Part("account", "At the target, as it last acknowledged", tuple(sentences), facts)


def _link(known: Known) -> str:
    since = f" since {spoken(known.since)}" if known.since else ""
    if known.lost:
        return f"the account {known.id} is gone, deleted there and not by syncd; it was {known.state.value}{since}"
    return f"linked to the account {known.id}; {known.state.value}{since}"


def _manager(person: Person) -> str:
    """Return the manager that the source names, and whether the target can be given this manager."""
    attributes = person.evaluation.flat if person.evaluation else {}
    key = attributes.get(MANAGER)
    if not key:
        return ""
    manager = person.snapshot.user(key)
    if manager is None or manager.lost:
        return f"the manager {key} is not linked to an account here: the reference follows as soon as they are"
    return f"the manager is {manager.name} ({key}), account {manager.id}"


def lock(person: Person) -> Part | None:
    """Return whether the account is managed, and which drift is only reported."""
    known = person.known
    if known is None or known.lost:
        return None
    if known.unmanaged:
        sentence = "not managed since SSO was removed at the target, until everything is sent once more"
        return Part("lock", "Lock", (sentence,), {"managed": False, "reported": []})
    reactions = person.target.drift
    reported = [each.value for each in _USER_DRIFT if reactions.to(each) is Reaction.REPORT]
    sentence = "managed: the source alone decides; what is changed at the target is put back by a full resync"
    if reported:
        sentence += f", but for {', '.join(reported)}, only reported"
    return Part("lock", "Lock", (sentence,), {"managed": True, "reported": reported})


def pending(person: Person) -> Part | None:
    """Return whether the person has an open invitation, and whether endpoint or syncd keeps the person out."""
    known = person.known
    if known is None or known.lost or known.state is not State.PENDING:
        return None
    keeps = (
        "the target itself keeps them out until they accept; a full resync sees when they have"
        if person.target.profile.pending_by_endpoint
        else "syncd keeps the account off until `syncd accept` says that they accepted"
    )
    sentences = [keeps]
    if known.uninvited and not known.accepted:
        sentences.insert(0, "they signed in by SSO before it was removed, and have no way in but a new invitation")
    if not person.target.profile.pending_memberships:
        sentences.append("they join their groups when they have accepted")
    facts = {
        "since": timestamp(known.since) if known.since else None,
        "accepted": known.accepted,
        "uninvited": known.uninvited,
        "by_endpoint": person.target.profile.pending_by_endpoint,
    }
    return Part("pending", "Pending", tuple(sentences), facts)


def memberships(person: Person) -> Part | None:
    """Return the person's groups."""
    groups = groups_with(person.snapshot, Kind.USER, person.key)
    if not groups:
        return None
    names = ", ".join(name for _, name in groups[:_GROUPS_SHOWN])
    more = f" and {len(groups) - _GROUPS_SHOWN} more" if len(groups) > _GROUPS_SHOWN else ""
    sentence = f"in {counted(len(groups), 'group', 'groups')}: {names}{more}"
    facts = {"count": len(groups), "groups": [{"key": key, "name": name} for key, name in groups]}
    return Part("memberships", "Memberships", (sentence,), facts)


def protected(person: Person) -> Part | None:
    """Return why the account is never switched off."""
    known = person.known
    if known is None:
        return None
    reason = protection(person.target.protect, person.snapshot, person.key, known.id, known)
    if not reason:
        return None
    return Part("protection", "Protected", (f"never switched off: {reason}",), {"reason": reason})


def shared_addresses(person: Person) -> Part | None:
    """Return the other people with the same address."""
    addresses = set(person.known.addresses) if person.known else set()
    if person.evaluation is not None and person.evaluation.flat:
        flat = person.evaluation.flat
        addresses |= {str(flat["userName"]).casefold(), person.source.users.email(flat).casefold()}
    shared = sorted(
        (address, key, state)
        for address, key, state in person.snapshot.claimants(sorted(addresses - {""}))
        if key != person.key
    )
    if not shared:
        return None
    sentences = tuple(f"{address} is that of {key} ({state.value}) as well" for address, key, state in shared)
    facts = {"shared": [{"address": each[0], "key": each[1], "state": each[2].value} for each in shared]}
    return Part("addresses", "Somebody else has the same address", sentences, facts)
