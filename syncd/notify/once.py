"""Find one-time news: changes that wait for a decision, invitations that nobody accepts, tokens that expire.

Each function also records the notice as sent; the caller holds the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta
from typing import Final

from syncd.core.limits import PASSING, called, waiting
from syncd.core.plan import timestamp
from syncd.notify.lasting import MEMORY
from syncd.notify.notice import Composer, Notice
from syncd.notify.wording import counted, named, span_of
from syncd.report.moments import day
from syncd.store import Incident, Incidents
from syncd.store.incidents import Waiting

TOKEN: Final = "token"  # noqa: S105
_SHOWN: Final = 10


def held_changes(incidents: Incidents, target: str, composer: Composer) -> Iterator[Notice]:
    """Tell of changes that are held and that nobody was told of."""
    new = incidents.held_anew(target, sorted(PASSING), _SHOWN, composer.now, MEMORY)
    count = sum(new.limits.values())
    if not count:
        return
    lines = [f"{waiting(limit, number, own=False)} ({called(limit)})" for limit, number in new.limits.items()]
    lines += [f"  {change.action.of(named(change))}" for change in new.first]
    if count > len(new.first):
        lines.append(f"  and {count - len(new.first)} more")
    lines.append(f"`syncd holds --target {target}` shows them all; `syncd approve` or `syncd reject` decides.")
    title = f"{target}: {counted(count, 'change is', 'changes are')} held, and wait for somebody to decide"
    first = [{"id": each.id, "action": each.action.value, "key": each.key, "name": each.name} for each in new.first]
    yield composer.notice("changes_held", target, title, lines, {"count": count, "limits": new.limits, "first": first})


def overdue_invitations(incidents: Incidents, target: str, after: timedelta, composer: Composer) -> Iterator[Notice]:
    """Tell of people whose invitation has been open for longer than `after`, and of whom nobody was told."""
    new = incidents.overdue_anew(target, composer.now - after, _SHOWN, composer.now, MEMORY)
    if not new.count:
        return
    lines = [f"  {each.name}, {_waits(each)} {day(each.since, composer.zone)}" for each in new.first]
    if new.count > len(new.first):
        lines.append(f"  and {new.count - len(new.first)} more")
    lines.append("`syncd explain WHO` says what each of them waits for; `syncd accept WHO` if they have accepted.")
    people = "1 person has" if new.count == 1 else f"{new.count} people have"
    title = f"{target}: {people} not accepted the invitation for {span_of(after)}"
    if any(each.uninvited for each in new.first):
        title = f"{target}: {people} been pending for {span_of(after)}"
    first = [
        {"key": each.key, "name": each.name, "since": timestamp(each.since), "uninvited": each.uninvited}
        for each in new.first
    ]
    yield composer.notice("invitations_pending", target, title, lines, {"count": new.count, "first": first})


def _waits(person: Waiting) -> str:
    return "to be invited anew by an administrator there since" if person.uninvited else "invited on"


def expiring_token(
    incidents: Incidents, target: str, expires: date | None, steps: Sequence[int], composer: Composer
) -> Iterator[Notice]:
    """Tell of a token's approaching expiry: once for each step, and of the last step alone where several passed.

    `expires`: the first day (UTC) on which the token is no longer good. `steps`: days before it.
    """
    known = incidents.get(target, TOKEN)
    if expires is None:
        if known is not None:
            incidents.forget(target, TOKEN)
        return
    left = (expires - composer.now.astimezone(UTC).date()).days
    step = min((days for days in (*steps, 0) if left <= days), default=None)
    told = known.detail["step"] if known is not None and known.detail["expires"] == expires.isoformat() else None
    if step is None:
        if known is not None:
            incidents.forget(target, TOKEN)  # the token was replaced
        return
    if told is not None and told <= step:
        return
    incidents.put(Incident(target, TOKEN, composer.now, detail={"expires": expires.isoformat(), "step": step}))
    if left > 0:
        event = "token_expires"
        title = f"{target}: the token expires in {counted(left, 'day', 'days')}, on {expires}"
    else:
        event, title = "token_expired", f"{target}: the token has expired, on {expires}"
    hint = "Have the target issue another one, put it in place of the old, and set `token_expires` to its date."
    yield composer.notice(event, target, title, [hint], {"expires": expires.isoformat(), "days": left})


__all__ = ["TOKEN", "expiring_token", "held_changes", "overdue_invitations"]
