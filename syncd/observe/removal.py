"""Removal: whether SSO was removed at the endpoint and set up again, and what that left of the managed users.

LucidLink: "Understanding SCIM Integration in LucidLink" (support.lucidlink.com, article 38861860730637), "Removing the
SSO Integration": managed groups and accounts that are off are deleted for good; all others stay, unmanaged, and those
without a password are pending until they are invited anew. Whether syncd's marks stay isn't documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from syncd.core.model import Flat, Kind, Known, Release, State, is_on
from syncd.observe.model import Reading, Subject
from syncd.store import Observation, Snapshot

_MARK: Final = "externalId"


@dataclass
class _Traces:
    """The linked resources of one sort that a removal takes away: how many are gone, and how many are there."""

    gone: int = 0
    there: int = 0

    @property
    def most_are_gone(self) -> bool:
        return self.gone > self.there


def sso_was_removed(subject: Subject, reading: Reading) -> bool:
    """Return whether what a removal of SSO takes away is gone. A person who relinks says that something was removed.

    #  of what a removal takes                                                 -> SSO was removed
    #  most groups are gone                                                       yes
    #  most marks of accounts that are there are gone                             yes
    #  there are no groups, and most accounts that were off are gone              yes
    #  there are no groups, and most other accounts are gone                      yes: those that nobody manages may
    #                                                                             be hidden, until they are sent
    #  there are no groups and none that was off, and the token was refused       yes
    #  anything else                                                              no
    """
    if not subject.profile.sso_removal:
        return False
    groups, marks, off, others = _Traces(), _Traces(), _Traces(), _Traces()
    for group in subject.groups():
        _note(groups, gone=group.key in reading.gone[Kind.GROUP])
    for users in subject.snapshot.all_users():
        seen = subject.observation.users([known.id for known in users])
        for known in users:
            # What an earlier `relink` knew already says nothing about another removal.
            if known.lost or known.unmanaged:
                continue
            _note(off if _is_off(known) else others, gone=known.key in reading.gone[Kind.USER])
            if not _is_off(known) and known.id in seen and known.attributes.get(_MARK) and _MARK not in known.kept_as:
                _note(marks, gone=not seen[known.id].external_id)
    if groups.most_are_gone or marks.most_are_gone:
        return True
    if groups.there:
        return False
    stop = subject.snapshot.stop
    return off.most_are_gone or others.most_are_gone or (not off.there and stop is not None and stop.cause == "refused")


def _note(traces: _Traces, *, gone: bool) -> None:
    traces.gone += gone
    traces.there += not gone


def released(
    reading: Reading, snapshot: Snapshot, observation: Observation, is_external: Callable[[Flat], bool]
) -> Iterator[Release]:
    """Yield what the removal of SSO left of each linked user. `is_external` is given the acknowledged attributes.

    #  the account was                       -> is now
    #  off                                      gone for good, or the Owner's: nobody manages it
    #  active, of a person who signs in by SSO  not managed, pending until they are invited anew
    #  active, of an outsider, or the Owner's   not managed, active: they have a password
    #  pending                                  not managed, pending as before
    """
    for users in snapshot.all_users():
        seen = observation.users([known.id for known in users])
        for known in users:
            if known.lost or known.unmanaged:
                continue
            by_sso = known.id not in reading.protected and not is_external(known.attributes)
            uninvited = known.state is State.ACTIVE and not _is_off(known) and by_sso
            mark_gone = known.id in seen and not seen[known.id].external_id
            yield Release(known.key, uninvited=uninvited, mark_gone=mark_gone)


def _is_off(known: Known) -> bool:
    return known.state is State.DEACTIVATED or not is_on(known.attributes.get("active"))
