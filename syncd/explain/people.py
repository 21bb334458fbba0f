"""Explains a person's state: the verdict in one sentence, and the parts that support the verdict."""

from __future__ import annotations

from syncd.compare.rules import SourceRules
from syncd.core.model import Kind, Known, State
from syncd.core.plan import Action
from syncd.explain.circumstances import Circumstances, doing
from syncd.explain.parts import parts_of
from syncd.explain.person import Person
from syncd.report.explanation import Explanation
from syncd.report.text import label
from syncd.settings.build import Target
from syncd.store import StateFile


def explain_user(circumstances: Circumstances, state: StateFile, source: SourceRules, target: Target) -> Explanation:
    """Explain one person at one target."""
    person = Person.of(circumstances, state.snapshot(target.name), source, target.rules)
    parts = (*parts_of(person), *circumstances.parts())
    return Explanation(target.name, Kind.USER, person.key, person.name, _verdict(person), parts)


def _verdict(person: Person) -> str:
    called = f"{person.name} ({person.key})" if person.name not in ("", person.key) else person.key
    known = person.known
    state = _absent(person) if known is None or known.lost else _present(person, known)
    undone = [each.detail for each in person.circumstances.undone if each.change.action.about_user]
    return f"{called} {state}{f', but {undone[0]}' if undone else ''}."


def _absent(person: Person) -> str:
    """Return why no account is linked. Only a full resync has looked whether there is one all the same.

    #  the source says          -> the reason is
    #  the entry can't be used     the problem of the entry
    #  off, or gone                the rule that says so
    #  wanted, or not known        the hindrance that keeps the account from being made
    """
    lost = person.known is not None
    went = "went with SSO, as those that are off do" if person.known and person.known.is_gone_with_sso else ""
    base = (
        f"is gone from {person.target.name}: the account {went or 'was deleted there'}"
        if lost
        else f"is not linked to an account at {person.target.name}"
    )
    colon = ";" if lost else ":"
    unseen = "" if lost else person.circumstances.not_looked_for()
    return f"{base}{colon} {_why_absent(person)}{unseen}"


def _why_absent(person: Person) -> str:
    evaluation = person.evaluation
    if evaluation is not None and evaluation.unusable:
        return evaluation.problem
    if person.off:
        return f"{person.off}, and a person who is off gets no account"
    held = person.circumstances.own_holds
    change = held[0].change if held else person.changes[0] if person.changes else None
    subject = doing(change) if change else "creating the account"
    return f"{subject} {person.circumstances.hindrance(change)}"


def _present(person: Person, known: Known) -> str:
    """Return the account's state, and the desired state where the two differ."""
    is_ = _state(known, person.target.name)
    change = next(iter(person.changes), None)
    if person.evaluation is not None and person.evaluation.unusable and not person.gone:
        return f"{is_}, and left as it is: {person.evaluation.problem}"
    if change is None:
        if known.state is State.DEACTIVATED and person.off:
            return f"{is_} because {person.off}"
        if person.circumstances.problems:
            return f"{is_}, and left as it is for a problem in the source: {person.circumstances.problems[0].problem}"
        if known.state is not State.ACTIVE or person.evaluation is None:
            return is_
        if known.kept_as:
            kept = ", ".join(map(label, known.kept_as))
            return f"{is_}, as the source has it but for {kept}, which the target keeps otherwise or not at all"
        return f"{is_}, as the source has it"
    hindrance = f"{doing(change)} {person.circumstances.hindrance(change)}"
    if person.off:
        return f"{is_}, although {person.off}: {hindrance}"
    if change.action is Action.REACTIVATE_USER:
        return f"{is_}, although the source has them active: {hindrance}"
    if known.state is State.PENDING and change.state is State.ACTIVE:
        return f"{is_.partition(',')[0]}, but {change.reason}: {hindrance}"
    if known.unmanaged:
        return f"{is_}, and not managed there since SSO was removed: {hindrance}"
    differing = ", ".join(label(path) for path in change.after)
    return f"{is_}, but not quite as the source has it ({differing} differs): {hindrance}"


def _state(known: Known, place: str) -> str:
    """Return the account's state as a clause."""
    match known.state:
        case State.ACTIVE:
            return f"is active at {place}"
        case State.PENDING if known.accepted:
            return f"is pending at {place}, has accepted"
        case State.PENDING if known.uninvited:
            since = f" on {known.since:%Y-%m-%d}" if known.since else ""
            return (
                f"is pending at {place}: SSO was removed there (seen{since}), and an administrator of {place} has to "
                "invite them anew"
            )
        case State.PENDING:
            invited = f"invited on {known.since:%Y-%m-%d}" if known.since else "invited"
            return f"is pending at {place}: {invited}, has not accepted"
        case State.DEACTIVATED:
            since = f" since {known.since:%Y-%m-%d}" if known.since else ""
            return f"is switched off at {place}{since}"
