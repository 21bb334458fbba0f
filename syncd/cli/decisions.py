"""Commands by which a person decides: what is held, releasing it, dropping it, and who has accepted an invitation.

A decision is about what was shown, is written down with who made it, and is carried out by the next run.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from syncd.cli.shared import (
    answer,
    config_option,
    decided_sentence,
    json_option,
    minute,
    opened,
    show_lines,
    state_of,
    tally,
    target_option,
)
from syncd.errors import SyncdError

if TYPE_CHECKING:
    from rich.text import Text

    from syncd.core.model import Known
    from syncd.store import Hold, StateFile

_ALL: Final = "all"
_LISTED: Final = 10
_SUGGESTED: Final = 4
_holds_argument = click.argument("wanted", metavar="HOLD...", nargs=-1, required=True)


@click.command(short_help="What is held, why, and since when.")
@config_option
@target_option
@json_option
def holds(config: Path, target: str | None, as_json: bool) -> None:
    """What is held and why, with what was decided. The first characters of its id say which to approve or reject."""
    from rich.text import Text

    from syncd.report.text import visible

    now = datetime.now(UTC)
    setup = opened(config)
    with state_of(setup) as state, state.explained():
        withheld = {each.name: state.holds(each.name).all() for each in setup.chosen(target)}
    if as_json:
        answer([{"target": name, "holds": [hold.to_json() for hold in found]} for name, found in withheld.items()])
        return
    for name, found in withheld.items():
        title = Text(visible(name), style="bold")
        title.append(f": {decided_sentence(tally(found, now)) or 'nothing is held'}", style="not bold")
        show_lines([title, *_lines(found)])
    if any(hold.decision is None for found in withheld.values() for hold in found):
        click.echo(
            "`syncd approve HOLD` releases exactly that, `syncd reject HOLD` drops it until the source changes; "
            "HOLD: an id, a limit's name, or all"
        )


def _lines(found: Sequence[Hold]) -> Iterator[Text]:
    """Yield holds as plans show them: each reason once, and below it whom it concerns."""
    from syncd.core.plan import Held
    from syncd.report.text import withheld_lines

    held, rejected = (
        tuple(Held(each.change, each.limit, _circumstances(each)) for each in found if _is_rejected(each) is which)
        for which in (False, True)
    )
    yield from withheld_lines(held, rejected)


def _circumstances(hold: Hold) -> str:
    """Return why something is held, since when, and what was decided."""
    since = f"since {minute(hold.since)}"
    if hold.decision is None or hold.decided is None:
        return f"{hold.reason} ({since})"
    decided = f"{hold.decision.value} by {hold.by} on {minute(hold.decided)}"
    if _is_rejected(hold):
        return decided
    if hold.expires is not None and hold.expires <= datetime.now(UTC):
        return f"{hold.reason} ({since}; {decided}, which was good until {minute(hold.expires)} and is no longer)"
    good = f", good until {minute(hold.expires)}" if hold.expires else ""
    return f"{hold.reason} ({since}; {decided}{good})"


@click.command(short_help="Release what is held: exactly that, once.")
@_holds_argument
@config_option
@target_option
@json_option
def approve(wanted: tuple[str, ...], config: Path, target: str | None, as_json: bool) -> None:
    """Release what is held: exactly what was shown, once, by the next run; the approval expires.

    HOLD: an id or its first four or more characters, a limit's name such as `deactivate`, or `all`.
    """
    now = datetime.now(UTC)
    setup = opened(config)
    with state_of(setup) as state, state.lease("approve"):
        targets = {each.name: each for each in setup.chosen(target)}
        meant = _meant(state, targets, wanted, rejected_too=False)
        refused = {name: [hold for hold in found if _never(hold)] for name, found in meant.items()}
        released = {name: [hold for hold in found if not _never(hold)] for name, found in meant.items()}
        never = [hold for found in refused.values() for hold in found]
        if not any(released.values()):
            raise _never_released(never)
        if named := [hold for hold in never if any(text == hold.limit or _is_id(text, hold) for text in wanted)]:
            raise _never_released(named)
        by, lasts = _person(), {name: targets[name].approval_lasts for name in released}
        with state.atomic():
            for name, found in released.items():
                ids = [hold.id for hold in found]
                state.holds(name).approve(ids, by, now, now + lasts[name])
        done = _again(state, released)
        awaited = {name: _awaited(found, _unapproved(state, name, now)) for name, found in done.items()}
    if as_json:
        answer(
            [
                {
                    "target": name,
                    "approved": [
                        hold.to_json() | {"waits_for": [each.id for each in awaited[name].get(hold.id, ())]}
                        for hold in found
                    ],
                    "not_approved": [hold.to_json() for hold in refused[name]],
                }
                for name, found in done.items()
            ]
        )
        return
    for name, found in done.items():
        if found:
            _say(name, f"{_counted(found)} approved by {by}, good until {minute(now + lasts[name])}", found)
        if refused[name]:
            _say(name, f"{_counted(refused[name])} not approved, for no approval releases that", refused[name])
        for id_, others in awaited[name].items():
            _say(name, f"{id_[:8]} waits until this is approved as well", others)
    if ready := [hold for name, found in done.items() for hold in found if hold.id not in awaited[name]]:
        click.echo(_what_does_it(ready))


def _unapproved(state: StateFile, target: str, now: datetime) -> list[Hold]:
    approved = state.holds(target).approved(now)
    return [hold for hold in state.holds(target).all() if hold.id not in approved]


def _awaited(found: Iterable[Hold], withheld: Iterable[Hold]) -> dict[str, list[Hold]]:
    """Return by id what some changes of members still wait for, of what is withheld: who keeps the account keeps the
    groups, and who has none yet, or a group that isn't there, can't be joined."""
    from syncd.core.plan import Action

    hindering = {
        Action.REMOVE_MEMBERS: ((Action.DEACTIVATE_USER, Action.DELETE_USER), (Action.DELETE_GROUP,)),
        Action.ADD_MEMBERS: ((Action.CREATE_USER, Action.ADOPT_USER), (Action.CREATE_GROUP, Action.ADOPT_GROUP)),
    }
    of = {(hold.change.action, hold.change.key): hold for hold in withheld}
    awaited = {}
    for hold in found:
        change = hold.change
        people, groups = hindering.get(change.action, ((), ()))
        hinders = [
            *((action, key) for action in people for key in change.members),
            *((action, key) for action in groups for key in (change.key, *change.subgroups)),
        ]
        if waiting := [of[each] for each in hinders if each in of]:
            awaited[hold.id] = waiting
    return awaited


def _what_does_it(approved: Sequence[Hold]) -> str:
    """Say which run carries out what was released: only a full resync sees whose account may be taken over."""
    from syncd.core.matching import ADOPT

    if any(hold.limit == ADOPT and hold.change.resource for hold in approved):
        return "the next full resync does it; `syncd resync` to do it now"
    return "the next run does it; `syncd sync` to do it now"


@click.command(short_help="Drop what is held, until the source changes.")
@_holds_argument
@config_option
@target_option
@json_option
def reject(wanted: tuple[str, ...], config: Path, target: str | None, as_json: bool) -> None:
    """Drop what is held: it is not done and not asked again, until the source changes.

    HOLD: an id or its first four or more characters, a limit's name such as `deactivate`, or `all`.
    """
    now = datetime.now(UTC)
    setup = opened(config)
    with state_of(setup) as state, state.lease("reject"):
        meant = _meant(state, [each.name for each in setup.chosen(target)], wanted, rejected_too=True)
        by = _person()
        with state.atomic():
            for name, found in meant.items():
                state.holds(name).reject([hold.id for hold in found], by, now)
        done = _again(state, meant)
    if as_json:
        answer([{"target": name, "rejected": [hold.to_json() for hold in found]} for name, found in done.items()])
        return
    for name, found in done.items():
        _say(name, f"{_counted(found)} rejected by {by}", found)
    click.echo("it stays as it is at the target; when the source changes, what follows then is asked anew")


def _never(hold: Hold) -> bool:
    from syncd.core.policy import NEVER_RELEASED

    return hold.limit in NEVER_RELEASED


def _never_released(holds: Sequence[Hold]) -> SyncdError:
    """Return the error that says why no approval releases something, and what does instead."""
    from syncd.core.policy import PROTECTED

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
    """Return what is meant at each target that has it. Raises SyncdError for what is unknown or could be several.

    `rejected_too`: a limit's name and `all` also mean what somebody rejected; an id always does.
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
                ids = ", ".join(f"{hold.id} ({hold.change.action.value} {hold.change.name})" for hold in found.values())
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
    from syncd.store import Decision

    return hold.decision is Decision.REJECTED


def _is_id(text: str, hold: Hold) -> bool:
    return text != _ALL and text != hold.limit and hold.id.startswith(text.lower())


def _there_is(withheld: Mapping[str, Sequence[Hold]]) -> str:
    """Say what could have been meant."""
    from syncd.report.text import visible

    everything = [hold for found in withheld.values() for hold in found]
    limits = sorted({hold.limit for hold in everything})
    shown = [f"{hold.id[:8]} ({hold.change.action.value} {visible(hold.change.name)})" for hold in everything]
    more = f" and {len(shown) - _SUGGESTED} more (`syncd holds`)" if len(shown) > _SUGGESTED else ""
    return (
        f"there is {', '.join(shown[:_SUGGESTED])}{more}; or by a limit's name: {', '.join(limits)}; or {_ALL}\n"
        "  what only a plan has shown is known here once a run has met it: `syncd sync`"
    )


def _again(state: StateFile, meant: Mapping[str, Sequence[Hold]]) -> dict[str, list[Hold]]:
    """Return the same holds as they are now."""
    ids = {name: {hold.id for hold in found} for name, found in meant.items()}
    return {name: [hold for hold in state.holds(name).all() if hold.id in ids[name]] for name in meant}


def _counted(found: Sequence[Hold]) -> str:
    return f"{len(found)} change{'' if len(found) == 1 else 's'}"


def _say(target: str, sentence: str, found: Sequence[Hold]) -> None:
    """Print a sentence about some changes, and which those are."""
    from syncd.report.text import visible

    click.echo(visible(f"{target}: {sentence}"))
    for hold in found[:_LISTED]:
        change = hold.change
        key = f" ({visible(change.key)})" if change.key != change.name else ""
        click.echo(f"  {hold.id[:8]}  {change.action.value} {visible(change.name)}{key}: {visible(change.reason)}")
    if len(found) > _LISTED:
        click.echo(f"  and {len(found) - _LISTED} more")


def _person() -> str:
    """Return the login name of whoever runs this: of the person behind sudo, else of the process."""
    user = os.getuid()
    if user == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


# -- invitations -------------------------------------------------------------------------------------


@click.command(short_help="An invited person has accepted (where the endpoint doesn't say so).")
@click.argument("who", metavar="WHO")
@config_option
@target_option
@json_option
def accept(who: str, config: Path, target: str | None, as_json: bool) -> None:
    """Say that somebody invited has accepted, for endpoints that don't say so themselves.

    WHO: a userName, e-mail or source key. The next run makes the account active.
    """
    setup = opened(config)
    with state_of(setup) as state, state.lease("accept"):
        names = [each.name for each in setup.chosen(target)]
        found = {name: _invited(state, name, who) for name in names}
        accepted = {name: user for name, user in found.items() if user is not None}
        if not accepted:
            raise _nobody_pending(state, names, who)
        with state.atomic():
            for name, user in accepted.items():
                snapshot = state.snapshot(name)
                snapshot.accept(user.key, seen=False)
                snapshot.bump()
    if as_json:
        answer([{"target": name, "key": user.key, "name": user.name} for name, user in accepted.items()])
        return
    from syncd.report.text import visible

    for name, user in accepted.items():
        click.echo(f"{visible(name)}: {visible(_called(user))} has accepted")
    click.echo("the next run makes the account active; `syncd sync` to do it now")


def _invited(state: StateFile, target: str, who: str) -> Known | None:
    """Return the one pending user who is meant, None where there is none. Raises SyncdError for several."""
    from syncd.core.model import State

    pending = [user for user in state.snapshot(target).find(who) if user.state is State.PENDING and not user.lost]
    if len(pending) > 1:
        people = ", ".join(map(_called, pending[:_LISTED]))
        raise SyncdError(
            f"{target}: `{who}` may mean {len(pending)} invited people: {people}; nothing was done",
            hint="give the source's key",
        )
    return pending[0] if pending else None


def _nobody_pending(state: StateFile, targets: Iterable[str], who: str) -> SyncdError:
    """Return the error that says in which state everybody is who could be meant."""
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


__all__ = ["accept", "approve", "holds", "reject"]
