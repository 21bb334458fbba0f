"""Find one-time news: changes that wait for a decision, members whom nobody manages, invitations that nobody accepts,
tokens that expire.

Each function also records the notice as sent; the caller holds the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta
from typing import Final

from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.foreign import foreign_in
from syncd.core.limits import PASSING, called, waiting
from syncd.core.plan import Change, timestamp
from syncd.notify.lasting import MEMORY
from syncd.notify.notice import Composer, Notice
from syncd.notify.wording import counted, named, span_of
from syncd.report.moments import day
from syncd.store import Incident, Incidents
from syncd.store.incidents import FOREIGN, Waiting
from syncd.store.journal import PastPlan

TOKEN: Final = "token"  # noqa: S105
_SHOWN: Final = 10


def held_changes(incidents: Incidents, target: str, composer: Composer) -> Iterator[Notice]:
    """Tell of changes that are held and that nobody was told of."""
    new = incidents.held_anew(target, sorted(PASSING), _SHOWN, composer.now, MEMORY)
    count = sum(new.limits.values())
    if not count:
        return
    lines = [f"{waiting(limit, number, own=False)} ({called(limit)})" for limit, number in new.limits.items()]
    lines += [f"  {change.action.of(named(change))}{_whom(change)}" for change in new.first]
    if count > len(new.first):
        lines.append(f"  and {count - len(new.first)} more")
    lines.append(f"`syncd holds --target {target}` shows them all; `syncd approve` or `syncd reject` decides.")
    title = f"{target}: {counted(count, 'change is', 'changes are')} held, and wait for somebody to decide"
    first = [{"id": each.id, "action": each.action.value, "key": each.key, "name": each.name} for each in new.first]
    yield composer.notice("changes_held", target, title, lines, {"count": count, "limits": new.limits, "first": first})


def _whom(change: Change) -> str:
    """Return the foreign members that a change takes out, whom no key names."""
    names = [each.called for each in change.foreign]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f": {', '.join(names[:_SHOWN])}{more}" if names else ""


def foreign_members(incidents: Incidents, last: PastPlan | None, target: str, composer: Composer) -> Iterator[Notice]:
    """Tell of members whom nobody manages in managed groups, once each as long as full resyncs find them.

    `last`: the plan of the last full resync.
    """
    drift = [each for each in (last.drift if last else ()) if each.class_ is DriftClass.FOREIGN_MEMBER]
    found = {f"{each.key} {member.id}": (each, member) for each in drift for member in foreign_in(each.found)}
    known = incidents.get(target, FOREIGN)
    told = set(known.detail["found"]) if known is not None else set()
    if found and found.keys() != told:
        incidents.put(Incident(target, FOREIGN, composer.now, detail={"found": sorted(found)}))
    elif not found and known is not None:
        incidents.forget(target, FOREIGN)
    new = [found[each] for each in found.keys() - told]
    if not new:
        return
    new.sort(key=lambda each: (each[0].name, each[1].name, each[1].id))
    lines = [f"  {member.called} in {each.name}{_left(each)}" for each, member in new[:_SHOWN]]
    if len(new) > _SHOWN:
        lines.append(f"  and {len(new) - _SHOWN} more")
    lines.append(
        "The full resync takes them out of the groups, within the limits, but for those that are only reported; their "
        "accounts are never changed. `syncd show RUN` has the whole run."
    )
    members = "1 member whom nobody manages is" if len(new) == 1 else f"{len(new)} members whom nobody manages are"
    title = f"{target}: {members} in managed groups"
    first = [
        {"group": each.key, "name": each.name, "member": member.to_json(), "reaction": each.reaction.value}
        for each, member in new[:_SHOWN]
    ]
    yield composer.notice("foreign_members", target, title, lines, {"count": len(new), "first": first})


def _left(drift: Drift) -> str:
    return " (only reported, and left there)" if drift.reaction is Reaction.REPORT else ""


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


__all__ = ["TOKEN", "expiring_token", "foreign_members", "held_changes", "overdue_invitations"]
