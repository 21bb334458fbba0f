"""Foreign members: the members of linked groups that no key of the source is linked to (`compare/foreign.py`).

#  a member's id is                                          -> the member is
#  linked to a user or group                                    managed
#  linked to one that is gone, and nobody else's                nobody: its account is made anew
#  that of a user or group which was read                       foreign
#  in no list, and a read by id shows it, under this very id    foreign
#  anything else                                                a doubt: named, and left as it is

Some endpoints show other values than ids; an id that nobody is known by proves no stranger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from syncd.core.model import Kind
from syncd.errors import ScimError
from syncd.observe.asking import side_by_side
from syncd.observe.bodies import id_of, observed_group, observed_user
from syncd.observe.model import NAMED, Reading, Subject
from syncd.store import Observation, Snapshot

_ASKED: Final = 100
"""The most ids that one reading asks for: an endpoint that shows other values than ids costs no more."""


async def ask_for_unknown_members(subject: Subject, reading: Reading) -> None:
    """Ask by id for members whom no list showed, and who are not linked. Raises TargetError.

    Not where a group shows nobody who is known: its values are no ids, which is a doubt of its own.
    """
    unknown: dict[str, None] = {}
    for known in subject.groups():
        seen = subject.observation.groups([known.id]).get(known.id)
        if seen is None or not seen.members or len(unknown) >= _ASKED:
            continue
        expected = subject.snapshot.ids_to_be_shown(known.key)
        ids = _unknown([id_ for id_ in seen.members if id_ not in expected], subject.snapshot, subject.observation)
        if not expected or len(ids) < len(seen.members):
            unknown |= dict.fromkeys(ids)

    async def ask(id_: str) -> None:
        await _observe(id_, subject, reading)

    await side_by_side(ask, list(unknown)[:_ASKED], subject.concurrency)


def _unknown(ids: Sequence[str], snapshot: Snapshot, observation: Observation) -> list[str]:
    """Return the ids that are neither linked, now or formerly, nor those of anything that was read."""
    if not ids:
        return []
    known = {id_ for kind in Kind for id_ in snapshot.keys_of(kind, ids)}
    known.update(observation.users(ids), observation.groups(ids))
    return [id_ for id_ in ids if id_ not in known]


async def _observe(id_: str, subject: Subject, reading: Reading) -> None:
    """Read a user or group that has an id; an answer about another id shows nobody."""
    for kind in Kind:
        try:
            body = (await subject.client.read(kind, id_)).body
        except ScimError as error:
            if error.status == 404:
                continue
            return
        if id_of(body) != id_:
            return
        if kind is Kind.USER:
            subject.observation.put_users([observed_user(body, subject.owned[kind].paths, reading)])
        else:
            subject.observation.put_groups([observed_group(body, subject.owned[kind].paths, subject.profile, reading)])
        return


def doubt_unknown_members(unknown: Iterable[tuple[str, str]], reading: Reading) -> None:
    """Add a doubt that names members who are nobody that was read; each with the name and key of its group."""
    some = [f"{member} in {group}" for member, group in unknown]
    if not some:
        return
    more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
    them = "a member of a managed group is" if len(some) == 1 else f"{len(some):,} members of managed groups are"
    reading.doubts.append(
        f"{them} neither managed nor found by id ({', '.join(some[:NAMED])}{more}): left there; take out at the target "
        "whoever doesn't belong"
    )


__all__ = ["ask_for_unknown_members", "doubt_unknown_members"]
