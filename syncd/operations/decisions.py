"""The decisions of people: to approve or reject holds, to accept an invitation, to pause a target.

A decision about a hold concerns exactly the change that was shown. The decision is recorded with the person's name, and
the next run carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final

from syncd.core.model import Json, Known, State
from syncd.core.policy import NEVER_RELEASED, PROTECTED
from syncd.errors import SyncdError, TargetPaused
from syncd.report.moments import minute
from syncd.report.text import visible
from syncd.settings.build import Setup
from syncd.store import Decision, Hold, Pause, StateFile
from syncd.store.lookup import awaited, unapproved

_ALL: Final = "all"
_LISTED: Final = 10
_SUGGESTED: Final = 4


def approve(
    setup: Setup, state: StateFile, target: str | None, wanted: Sequence[str], by: str, now: datetime
) -> list[Json]:
    """Approve holds: exactly the changes shown, once, until the approval expires.

    `wanted`: ids or their beginnings, limits, or `all`. Returns for each target the approved holds (`waits_for`: holds
    that have to be approved as well before the change can be done) and the holds that can't be approved. Raises
    SyncdError; nothing is written then.
    """
    targets = {each.name: each for each in setup.chosen(target)}
    with state.atomic():
        meant = _meant(state, targets, wanted, rejected_too=False)
        refused = {name: [hold for hold in found if _never(hold)] for name, found in meant.items()}
        released = {name: [hold for hold in found if not _never(hold)] for name, found in meant.items()}
        never = [hold for found in refused.values() for hold in found]
        if not any(released.values()):
            raise _never_released(never)
        if named := [hold for hold in never if any(text == hold.limit or _is_id(text, hold) for text in wanted)]:
            raise _never_released(named)
        for name, found in released.items():
            state.holds(name).approve([hold.id for hold in found], by, now, now + targets[name].approval_lasts)
        done = _again(state, released)
        waiting = {name: awaited(found, unapproved(state.holds(name), now)) for name, found in done.items()}
    return [
        {
            "target": name,
            "approved": [
                hold.to_json() | {"waits_for": [each.id for each in waiting[name].get(hold.id, ())]} for hold in found
            ],
            "awaited": [each.to_json() for each in _each_once(waiting[name].values())],
            "not_approved": [hold.to_json() for hold in refused[name]],
        }
        for name, found in done.items()
    ]


def _each_once(lists: Iterable[Iterable[Hold]]) -> Iterable[Hold]:
    return {hold.id: hold for holds in lists for hold in holds}.values()


def reject(
    setup: Setup, state: StateFile, target: str | None, wanted: Sequence[str], by: str, now: datetime
) -> list[Json]:
    """Reject holds until the source changes. `wanted` as for `approve`. Raises SyncdError."""
    with state.atomic():
        meant = _meant(state, [each.name for each in setup.chosen(target)], wanted, rejected_too=True)
        for name, found in meant.items():
            state.holds(name).reject([hold.id for hold in found], by, now)
        done = _again(state, meant)
    return [{"target": name, "rejected": [hold.to_json() for hold in found]} for name, found in done.items()]


def _never(hold: Hold) -> bool:
    return hold.limit in NEVER_RELEASED


def _never_released(holds: Sequence[Hold]) -> SyncdError:
    """Return the error with the reason why these holds can't be approved, and with the way to end them."""
    reasons = sorted({hold.reason for hold in holds})
    protected = any(hold.limit == PROTECTED for hold in holds)
    hint = (
        "whoever is meant to lose access has to leave `protect` first; a token's own account and the account's owner "
        "never do"
        if protected
        else "mend the source: what is held then follows from what it says"
    )
    more = f" (and {len(reasons) - _LISTED} more)" if len(reasons) > _LISTED else ""
    return SyncdError(
        f"no approval releases this: {'; '.join(reasons[:_LISTED])}{more}", hint=f"{hint}; nothing was approved"
    )


def _meant(
    state: StateFile, targets: Iterable[str], wanted: Iterable[str], *, rejected_too: bool
) -> dict[str, list[Hold]]:
    """Return the holds that are meant, by target. Raises SyncdError for a text that means none, or several by one id.

    `rejected_too`: the name of a limit and `all` include rejected holds; an id always does.
    """
    withheld = {name: state.holds(name).all() for name in targets}
    if not any(withheld.values()):
        raise SyncdError(
            f"nothing is held at {', '.join(withheld)}; nothing was done",
            hint="what a plan holds is written down when a run meets it: `syncd sync`, then `syncd holds`",
        )
    chosen: set[str] = set()
    for text in wanted:
        found = {hold.id: hold for name in withheld for hold in state.holds(name).find(text)}
        if not found:
            raise SyncdError(f"nothing that is held is called `{text}`; nothing was done", hint=_there_is(withheld))
        if all(_is_id(text, hold) for hold in found.values()):
            if len(found) > 1:
                ids = ", ".join(f"{hold.id} ({hold.change.action.of(hold.change.name)})" for hold in found.values())
                raise SyncdError(f"`{text}` may mean {len(found)}: {ids}; nothing was done", hint="give more of the id")
        elif not rejected_too:
            found = {id_: hold for id_, hold in found.items() if not _is_rejected(hold)}
            if not found:
                raise SyncdError(
                    f"all that `{text}` means was rejected; nothing was done",
                    hint="to release it after all, give the ids: `syncd holds`",
                )
        chosen |= found.keys()
    meant = {name: [hold for hold in held if hold.id in chosen] for name, held in withheld.items()}
    return {name: found for name, found in meant.items() if found}


def _is_rejected(hold: Hold) -> bool:
    return hold.decision is Decision.REJECTED


def _is_id(text: str, hold: Hold) -> bool:
    return text != _ALL and text != hold.limit and hold.id.startswith(text.lower())


def _there_is(withheld: Mapping[str, Sequence[Hold]]) -> str:
    """Return a hint that names some holds and all limits."""
    everything = [hold for found in withheld.values() for hold in found]
    limits = sorted({hold.limit for hold in everything})
    shown = [f"{hold.id[:8]} ({hold.change.action.of(visible(hold.change.name))})" for hold in everything]
    more = f" and {len(shown) - _SUGGESTED} more (`syncd holds`)" if len(shown) > _SUGGESTED else ""
    return (
        f"there is {', '.join(shown[:_SUGGESTED])}{more}; or by a limit's name: {', '.join(limits)}; or {_ALL}\n"
        "  what only a plan has shown is known here once a run has met it: `syncd sync`"
    )


def _again(state: StateFile, meant: Mapping[str, Sequence[Hold]]) -> dict[str, list[Hold]]:
    """Return the same holds as the state file has them now."""
    ids = {name: {hold.id for hold in found} for name, found in meant.items()}
    return {name: [hold for hold in state.holds(name).all() if hold.id in ids[name]] for name in meant}


# -- invitations -------------------------------------------------------------------------------------


def accept(setup: Setup, state: StateFile, target: str | None, people: Sequence[str]) -> list[Json]:
    """Write down that invited people have accepted, for endpoints that don't say so; all of them, or nobody.

    Raises SyncdError.
    """
    names = [each.name for each in setup.chosen(target)]
    with state.atomic():
        accepted = {
            (name, user.key): user for who in dict.fromkeys(people) for name, user in _invited_at(state, names, who)
        }
        for name, key in accepted:
            snapshot = state.snapshot(name)
            snapshot.accept(key, seen=False)
            snapshot.bump()
    return [{"target": name, "key": user.key, "name": user.name} for (name, _), user in accepted.items()]


def _invited_at(state: StateFile, targets: Iterable[str], who: str) -> list[tuple[str, Known]]:
    """Return, by target, the pending user that `who` means. Raises SyncdError where there is none, or several."""
    found = [(name, _invited(state, name, who)) for name in targets]
    pending = [(name, user) for name, user in found if user is not None]
    if not pending:
        raise _nobody_pending(state, targets, who)
    return pending


def _invited(state: StateFile, target: str, who: str) -> Known | None:
    """Return the pending user that `who` means; None where there is none. Raises SyncdError for several."""
    pending = [user for user in state.snapshot(target).find(who) if user.state is State.PENDING and not user.lost]
    pending = [user for user in pending if user.key == who] or pending
    if len(pending) > 1:
        people = ", ".join(map(_called, pending[:_LISTED]))
        raise SyncdError(
            f"{target}: `{who}` may mean {len(pending)} invited people: {people}; nothing was done",
            hint="give the source's key",
        )
    return pending[0] if pending else None


def _nobody_pending(state: StateFile, targets: Iterable[str], who: str) -> SyncdError:
    """Return the error that names the state of everybody whom `who` could mean."""
    states = []
    for target in targets:
        for user in state.snapshot(target).find(who):
            what = "gone from the target, and invited again only by a person" if user.lost else user.state.value
            states.append(f"{_called(user)} is {what} at {target}")
    if not states:
        return SyncdError(
            f"nobody is known as `{who}`; nothing was done", hint="give a userName, an e-mail or the source's key"
        )
    return SyncdError(
        f"`{who}` has no invitation to accept: {'; '.join(states)}; nothing was done",
        hint="`syncd explain " + who + "` says why",
    )


def _called(user: Known) -> str:
    return f"{user.name} ({user.key})" if user.key != user.name else user.name


# -- pausing targets ---------------------------------------------------------------------------------


def pause(setup: Setup, state: StateFile, target: str | None, by: str, now: datetime) -> list[Json]:
    """Pause a target, or all targets, until `resume`. An existing pause is kept."""
    with state.atomic():
        paused = []
        for each in setup.chosen(target):
            snapshot = state.snapshot(each.name)
            found = snapshot.paused or Pause(by, now)
            snapshot.set_paused(found)
            paused.append({"target": each.name, "paused": found.to_json()})
    return paused


def resume(setup: Setup, state: StateFile, target: str | None) -> list[Json]:
    """End the pause of a target, or of all targets; return the pause of each (`was`)."""
    with state.atomic():
        resumed = []
        for each in setup.chosen(target):
            snapshot = state.snapshot(each.name)
            resumed.append({"target": each.name, "was": snapshot.paused.to_json() if snapshot.paused else None})
            snapshot.set_paused(None)
    return resumed


def demand_not_paused(state: StateFile, targets: Iterable[str], zone: tzinfo) -> None:
    """Raise TargetPaused where one of these targets is paused. `zone`: the time zone of the moment in the message."""
    with state.explained():
        for name in targets:
            if paused := state.snapshot(name).paused:
                raise TargetPaused(
                    name,
                    f"paused since {minute(paused.since, zone)} by {paused.by}: nothing is sent",
                    hint=f"`syncd resume --target {name}` lets it go on",
                )
