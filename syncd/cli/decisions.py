"""Commands for decisions of a person: list, release and drop held changes, record accepted invitations, pause targets.

A decision applies to the changes shown, is recorded with the person's name, and is carried out by the next run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from syncd.cli.asking import answered, ask
from syncd.cli.reports import keys_option
from syncd.cli.shared import (
    answer,
    completed,
    config_option,
    decided_sentence,
    json_option,
    pause_sentence,
    people_argument,
    show_lines,
    target_option,
)

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.text import Text

    from syncd.store import Hold

_LISTED: Final = 10
_holds_argument = click.argument(
    "wanted", metavar="HOLD...", nargs=-1, required=True, shell_complete=completed("holds")
)


@click.command(short_help="What is held, why, and since when.")
@config_option
@target_option
@keys_option
@json_option
def holds(config: Path, target: str | None, keys: bool, as_json: bool) -> None:
    """What is held and why, with what was decided. The first characters of its id say which to approve or reject."""
    from rich.text import Text

    from syncd.operations import tally
    from syncd.report.text import visible
    from syncd.store import Hold

    withheld, zone = answered(config, "holds", target=target)
    if as_json:
        answer(withheld)
        return
    everything = {each["target"]: [Hold.from_json(hold) for hold in each["holds"]] for each in withheld}
    for name, found in everything.items():
        title = Text(visible(name), style="bold")
        counted = decided_sentence(tally(found, datetime.now(UTC)))
        title.append(f": {counted or 'nothing is held'}", style="not bold")
        show_lines([title, *_lines(found, zone, keys=keys)])
    undecided = [hold for found in everything.values() for hold in found if hold.decision is None]
    if undecided:
        names = ", ".join(sorted({hold.limit for hold in undecided}))
        click.echo(
            "`syncd approve HOLD` releases exactly that, `syncd reject HOLD` drops it until the source changes; "
            f"HOLD: an id, a limit's name ({names}), or all"
        )


def _lines(found: Sequence[Hold], zone: tzinfo, *, keys: bool) -> Iterator[Text]:
    """Yield holds as plans show them: each reason once, followed by the changes under that reason."""
    from syncd.core.plan import Held
    from syncd.report.text import withheld_lines

    held, rejected = (
        tuple(
            Held(each.change, each.limit, _circumstances(each, zone)) for each in found if _is_rejected(each) is which
        )
        for which in (False, True)
    )
    approved = {each.id for each in found if _is_approved(each)}
    yield from withheld_lines(held, rejected, approved=approved, keys=keys)


def _circumstances(hold: Hold, zone: tzinfo) -> str:
    """Return why a change is held, since when, and the decision."""
    from syncd.report.moments import localized, minute

    reason = localized(hold.reason, zone)
    since = f"since {minute(hold.since, zone)}"
    if hold.decision is None or hold.decided is None:
        return f"{reason} ({since})"
    decided = f"{hold.decision.value} by {hold.by} on {minute(hold.decided, zone)}"
    if _is_rejected(hold):
        return decided
    if hold.expires is not None and hold.expires <= datetime.now(UTC):
        return f"{reason} ({since}; {decided}, which was good until {minute(hold.expires, zone)} and is no longer)"
    good = f", good until {minute(hold.expires, zone)}" if hold.expires else ""
    return f"{reason} ({since}; {decided}{good})"


@click.command(short_help="Release what is held: exactly that, once.")
@_holds_argument
@config_option
@target_option
@json_option
def approve(wanted: tuple[str, ...], config: Path, target: str | None, as_json: bool) -> None:
    """Release what is held: exactly what was shown, once, by the next run; the approval expires.

    HOLD: an id or its first four or more characters, a limit's name such as `deactivate`, or `all`.
    """
    from syncd.core.limits import APPROVED_APART
    from syncd.report.moments import minute
    from syncd.store import Hold

    done, zone = answered(config, "approve", target=target, holds=wanted)
    if as_json:
        answer(done)
        return
    ready: list[Hold] = []
    for each in done:
        approved = {hold["id"]: Hold.from_json(hold) for hold in each["approved"]}
        awaited = {hold["id"]: Hold.from_json(hold) for hold in each["awaited"]}
        refused = [Hold.from_json(hold) for hold in each["not_approved"]]
        if found := list(approved.values()):
            good = f", good until {minute(found[0].expires, zone)}" if found[0].expires else ""
            _say(each["target"], f"{_counted(found)} approved by {found[0].by}{good}", found)
        if refused:
            _say(each["target"], f"{_counted(refused)} not approved, for no approval releases that", refused)
        for hold in each["approved"]:
            if others := [awaited[id_] for id_ in hold["waits_for"]]:
                _say(each["target"], f"{hold['id'][:8]} waits until this is approved as well", others)
            else:
                ready.append(approved[hold["id"]])
    if ready:
        click.echo(_what_does_it(ready))
    if without := [hold for each in done for hold in each["approved"] if hold["limit"] in APPROVED_APART]:
        people = "1 account is" if len(without) == 1 else f"{len(without):,} accounts are"
        click.echo(f"{people} then deleted though nothing has transferred the content first")


def _what_does_it(approved: Sequence[Hold]) -> str:
    """Name the run that carries out released changes: only a full resync sees accounts that may be taken over."""
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
    from syncd.store import Hold

    done = ask(config, "reject", target=target, holds=wanted)
    if as_json:
        answer(done)
        return
    for each in done:
        found = [Hold.from_json(hold) for hold in each["rejected"]]
        _say(each["target"], f"{_counted(found)} rejected by {found[0].by}", found)
    click.echo("it stays as it is at the target; when the source changes, what follows then is asked anew")


def _is_rejected(hold: Hold) -> bool:
    from syncd.store import Decision

    return hold.decision is Decision.REJECTED


def _is_approved(hold: Hold) -> bool:
    """Return whether a change was approved, and the approval is still valid."""
    from syncd.store import Decision

    expired = hold.expires is not None and hold.expires <= datetime.now(UTC)
    return hold.decision is Decision.APPROVED and not expired


def _counted(found: Sequence[Hold]) -> str:
    return f"{len(found)} change{'' if len(found) == 1 else 's'}"


def _say(target: str, sentence: str, found: Sequence[Hold]) -> None:
    """Print a sentence about some changes, and a list of the changes."""
    from syncd.report.words import key_shown, visible

    click.echo(visible(f"{target}: {sentence}"))
    for hold in found[:_LISTED]:
        change = hold.change
        shown = key_shown(change.key, change.name, keys=False)
        name = f"{change.name} ({shown})" if shown else change.name
        click.echo(f"  {hold.id[:8]}  {visible(change.action.of(name))}: {visible(change.reason)}")
    if len(found) > _LISTED:
        click.echo(f"  and {len(found) - _LISTED} more")


# -- invitations -------------------------------------------------------------------------------------


@click.command(short_help="Invited people have accepted (where the endpoint doesn't say so).")
@people_argument
@config_option
@target_option
@json_option
def accept(people: tuple[str, ...], config: Path, target: str | None, as_json: bool) -> None:
    """Say that people who were invited have accepted, for endpoints that don't say so themselves.

    WHO: a userName, e-mail or source key. The next run makes the accounts active.
    """
    from syncd.report.text import visible

    accepted = ask(config, "accept", target=target, who=people)
    if as_json:
        answer(accepted)
        return
    for each in accepted:
        called = f"{each['name']} ({each['key']})" if each["key"] != each["name"] else each["name"]
        click.echo(f"{visible(each['target'])}: {visible(called)} has accepted")
    made = "account" if len(accepted) == 1 else "accounts"
    click.echo(f"the next run makes the {made} active; `syncd sync` to do it now")


# -- pausing targets --------------------------------------------------------------------------------


@click.command(short_help="Send nothing to a target, or to any, until `resume`.")
@config_option
@target_option
@json_option
def pause(config: Path, target: str | None, as_json: bool) -> None:
    """Send nothing to a target, or to any, until `syncd resume`; also across restarts.

    A push that goes on is brought to an end: what is in flight is finished, the rest is left for later.
    """
    from syncd.report.text import visible

    paused, zone = answered(config, "pause", target=target)
    if as_json:
        answer(paused)
        return
    for each in paused:
        by, since = each["paused"]["by"], datetime.fromisoformat(each["paused"]["since"])
        click.echo(visible(f"{each['target']}: {pause_sentence(by, since, zone)}"))


@click.command(short_help="Let a paused target be written to again.")
@config_option
@target_option
@json_option
def resume(config: Path, target: str | None, as_json: bool) -> None:
    """Let a paused target, or all, be written to again."""
    from syncd.report.moments import minute
    from syncd.report.text import visible

    resumed, zone = answered(config, "resume", target=target)
    if as_json:
        answer(resumed)
        return
    for each in resumed:
        was = each["was"]
        since = f"paused since {minute(datetime.fromisoformat(was['since']), zone)} by {was['by']}" if was else ""
        click.echo(visible(f"{each['target']}: {f'goes on; it was {since}' if was else 'was not paused'}"))


__all__ = ["accept", "approve", "holds", "pause", "reject", "resume"]
