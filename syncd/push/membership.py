"""Membership: one group's change of members, in the forms that endpoints take, and looked at.

Each form is sent in chunks. Members count as added or removed once an answer or a look shows it; the look is one read
of the group, after all chunks. An endpoint that has once been seen to add whom it says is believed about additions.

#  a form                                                    -> what follows
#  has its effect                                               it is remembered, for this ability alone
#  is answered with success, and a second look shows no effect  the next form
#  is refused as a form (405, 501, 500, invalidPath, ...)       the next form
#  is refused because of members                                it is halved, until the refused ones are alone
#  is refused, and what it asks for is so already               those members are done, and the others are sent again
#  names members that nobody has any more                       the whole list is sent without them
#  tells of another group that movers are in                    the others are sent without them; they are set aside

The forms are: the usual one, members with their type where the endpoint asks for it, the whole list in a PATCH, and a
PUT. A whole list is sent only where the group shows everybody who must be in it: no other member may be lost.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from syncd.compare.estimate import may_collide
from syncd.core.model import Kind
from syncd.errors import Ineffective, OutcomeUnclear, ScimError
from syncd.push.effects import NAMED, Answer
from syncd.push.gate import Gate, Link
from syncd.push.moves import tells_of_second_group
from syncd.push.roll import Roll, Seen, seen
from syncd.push.sending import Sending
from syncd.scim.client import chunks_of_members
from syncd.scim.dialect import Form
from syncd.scim.profiles import Profile
from syncd.store import Commits, Snapshot

Member = tuple[Kind, str]
"""A kind and a key: one key may be a person's and a group's."""

_ONE_OF_THEM: Final = (400, 403, 404)
"""Statuses of endpoints that refuse one of several members."""
_SO_ALREADY: Final = (409,)
"""Conflict: the status of endpoints that have one of the members already."""
_OF_MEMBERS: Final = (400, 403, 404, 409, 422, 424)
"""Statuses of endpoints that keep one of several members in a group."""
_OF_FORM: Final = (405, 500, 501)
"""Statuses of endpoints that don't know a form, or fail on it."""
_NO_PATCH: Final = 405
"""Method not allowed: RFC 9110 section 15.5.6."""
_NO_SUCH_FORM: Final = (405, 501)
_FORM_TYPES: Final = ("invalidpath", "invalidfilter", "invalidsyntax", "notarget")
"""The errors of RFC 7644 section 3.12 that are about a form, in folded case."""
_TOO_LARGE: Final = 413
"""Too large: RFC 9110 section 15.5.14, and RFC 7644 section 3.7.4."""
_REFUSED_MEMBERS: Final = 5
"""After more than this many refusals the members are not at fault, and no more are tried."""
_ASKED: Final = 10
"""The most members who are asked for by id, to find those that nobody has any more."""
_WHOLE: Final = (Form.WHOLE, Form.PUT)
_TYPE: Final = re.compile(r"\btype\b", re.IGNORECASE)
_UNSEEN: Final = "could not be looked at: the endpoint doesn't show all members of the group"


@dataclass
class Fit:
    """What one run finds out for all its groups: the largest number of members that may fit into one request."""

    members: int
    doubt: asyncio.Event | None = None
    """Set once additions were sent in another form, since a new group showed nobody: once in a run is enough. None:
    no group has done so yet.
    """
    trial: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held during a look that may show that the endpoint adds whom it says."""


@dataclass(frozen=True)
class Tools:
    """The parts that a change of members needs."""

    gate: Gate
    sending: Sending
    commits: Commits
    snapshot: Snapshot
    profile: Profile
    fits: Fit


class Membership:
    """Adds or removes members of one group."""

    def __init__(
        self,
        tools: Tools,
        link: Link,
        group: str,
        members: Mapping[str, Member],
        *,
        has_members: bool,
        adding: bool,
        movers: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`members`: those to add or remove, by id. `has_members`: the group is known to have some.

        `movers`: those of them who are in another group, where the target has room for one; each with the names by
        which a refusal may call it.
        """
        self.status = 0
        """The last HTTP status of a change that was accepted."""
        self.reached = 0
        """How many members are as wanted since."""
        self.remark = ""
        self.set_aside: list[str] = []
        """Keys of the movers, once the endpoint has refused them a second group."""
        self._tools = tools
        self._link = link
        self._group = group
        self._members = members
        self._has_members = has_members
        self._adding = adding
        self._ability = "members.add" if adding else "members.remove"
        self._dialect = tools.gate.dialect
        self._movers = movers or {}
        self._waiting = list(members)
        """Ids that are not known to be as wanted."""
        self._refused: dict[str, ScimError] = {}
        self._failure: ScimError | None = None
        """Why the first form had no effect."""
        self._dead: set[str] = set()
        self._partly = False
        """Whether a form had an effect on some of the members that were sent in one request."""
        self._over = False
        """Whether no other form is tried, since no form is at fault."""
        self._hidden = False
        """Whether a new group shows nobody: the endpoint adds nobody, or it never shows members."""
        self._misread: dict[str, ScimError] = {}
        self._known_ids: set[str] | None = None
        self._roll: Roll | None = None
        """The group's members as they were last read, None where that was before the last request."""

    async def carry_out(self) -> None:
        """Do the change as far as the endpoint lets it be done. Raises Lost, ScimError for the members that remain."""
        try:
            await self._carry_out()
        finally:
            if self._hidden and self._tools.fits.doubt is not None:
                self._tools.fits.doubt.set()

    @property
    def blames_members(self) -> bool:
        """Whether some members were refused alone, so that the others may be tried."""
        return 0 < len(self._refused) <= _REFUSED_MEMBERS

    async def _carry_out(self) -> None:
        if self._adding:
            await self._leave_out_misread()
        usual, *others = self._tools.gate.member_forms(adding=self._adding)
        if self._waiting:
            await self._try(usual)
        for form in others:
            if self._waiting and not self._over and await self._may_try(form):
                await self._try(form)
        if self._waiting and not self._adding and not self._refused:
            await self._divide(usual)
        if self._hidden and self._waiting and not (self._roll or await self._look() or Roll({}, believed=False)).shown:
            await self._take_at_its_word(self._waiting)
        self._raise_failure()

    # -- forms -------------------------------------------------------------------------------------

    async def _may_try(self, form: Form) -> bool:
        """Return whether a form may be tried after another one had no effect."""
        if form is Form.TYPED:
            return self._failure is not None and bool(_TYPE.search(self._failure.detail))
        if form is Form.WHOLE and self._failure is not None and self._failure.status == _NO_PATCH:
            return False
        if form in _WHOLE:
            return await self._shows_everybody(form) and bool(self._waiting)
        return True

    async def _try(self, form: Form) -> None:
        """Send the change in one form, and look. Raises Lost, OutcomeUnclear."""
        error = await self._send(form, self._waiting, halving=self._adding or self._is_proven(form))
        so_already = _SO_ALREADY if self._adding else _OF_MEMBERS
        if error is not None and error.status in so_already:
            left = len(self._waiting)
            await self._shows_everybody(form)  # those who are as wanted already are no longer waited for
            if len(self._waiting) < left:
                error = await self._send(form, self._waiting, halving=self._is_proven(form))
        if self._refused:
            self._over = await self._are_at_fault(form)
        elif error is not None:
            self._failure = self._failure or error
            self._over = not (self._is_of_form(error, form) or (not self._adding and error.status in _ONE_OF_THEM))

    async def _divide(self, form: Form) -> None:
        """Send a removal that no form could do as a whole in parts: some endpoints do the first operation alone, and
        some refuse all members because of one.
        """
        if self._partly:
            for id_ in list(self._waiting):
                await self._send(form, [id_], halving=False)
        elif len(self._waiting) > 1 and self._failure is not None and self._failure.status in _OF_MEMBERS:
            await self._send(form, self._waiting, halving=True)

    async def _send(self, form: Form, ids: Sequence[str], *, halving: bool) -> ScimError | None:
        """Send members in chunks and look; returns the error of the endpoint that concerns the form. Raises Lost,
        ScimError.

        `halving`: a chunk that is refused is halved, which takes two more requests each time.
        """
        self._roll = None
        chunks = _Chunks(list(reversed(list(chunks_of_members(self._tools.profile, ids, adding=self._adding)))))
        sent: list[str] = []
        error: ScimError | None = None
        while chunks.waiting and len(self._refused) <= _REFUSED_MEMBERS:
            chunk = chunks.waiting.pop()
            chunk = [id_ for id_ in chunk if id_ in self._waiting] if self.set_aside else chunk
            if not chunk:
                continue
            if len(chunk) > self._tools.fits.members:
                chunks.put_back(chunk, self._tools.fits.members)
                continue
            try:
                answer = await self._tools.sending.change_members(
                    self._link,
                    chunk,
                    form,
                    adding=self._adding,
                    has_members=self._has_members and not self._hidden,
                    kinds={id_: Kind.GROUP for id_ in chunk if self._members[id_][0] is Kind.GROUP},
                    without=self._dead,
                )
            except ScimError as refusal:
                if await self._goes_on(chunks, chunk, refusal, form, halving=halving):
                    continue
                error = refusal
                break
            self.status = answer.status or self.status
            self._has_members = True
            if self._is_shown(chunk, answer, form):
                await self._acknowledge(chunk, form)
            else:
                sent += chunk
        if sent:
            await self._look_at(sent, form)
        if isinstance(error, OutcomeUnclear) and error.status not in _OF_FORM:
            raise error
        return error

    async def _goes_on(
        self, chunks: _Chunks, chunk: Sequence[str], error: ScimError, form: Form, *, halving: bool
    ) -> bool:
        """Divide a chunk that was refused, or note its only member as refused; returns whether the form goes on."""
        middle = len(chunk) // 2
        if isinstance(error, OutcomeUnclear):
            return False
        if error.status == _TOO_LARGE and middle:
            self._tools.fits.members = min(self._tools.fits.members, middle)
            chunks.waiting.append(chunk)
            return True
        if self._adding and await self._refuses_second_group(chunk, error):
            chunks.waiting.append([id_ for id_ in chunk if id_ in self._waiting])
            return True
        if form in _WHOLE and error.status in _OF_MEMBERS and await self._finds_dead(error):
            chunks.waiting.append(chunk)
            return True
        of_members = _ONE_OF_THEM if self._adding else _OF_MEMBERS
        if not halving or error.status not in of_members or self._is_of_form(error, form):
            return False
        if middle:
            chunks.put_back(chunk, middle)
        else:
            self._refused[chunk[0]] = error
        return True

    async def _refuses_second_group(self, chunk: Sequence[str], error: ScimError) -> bool:
        """Set all movers aside where a refusal tells of a second group, unless it is about those who are in already."""
        moving = [id_ for id_ in chunk if id_ in self._movers]
        called = [text for id_ in moving for text in self._movers[id_]]
        if not moving or not tells_of_second_group(error, called):
            return False
        look = self._judge(await self._look(), chunk)
        if look.reached:
            await self._acknowledge(look.reached, None)
        else:
            self.set_aside = [self._members[id_][1] for id_ in self._waiting if id_ in self._movers]
            self._waiting = [id_ for id_ in self._waiting if id_ not in self._movers]
        return True

    def _is_of_form(self, error: ScimError, form: Form) -> bool:
        """Return whether a refusal is about the form, and no member is at fault."""
        if self._is_proven(form):
            return error.status in _NO_SUCH_FORM
        asks_for_type = self._adding and form is Form.PATH and bool(_TYPE.search(error.detail))
        return error.status in _OF_FORM or error.scim_type.casefold() in _FORM_TYPES or asks_for_type

    def _is_proven(self, form: Form) -> bool:
        """Return whether this form was seen to have an effect."""
        return self._ability in self._dialect.truthful and form is self._tools.gate.member_forms(adding=self._adding)[0]

    async def _are_at_fault(self, form: Form) -> bool:
        """Return whether members that were refused alone are at fault, and not the form.

        Members who are in the group already are done. Where nobody is added because of a member whom nobody has any
        more, the whole list is tried.
        """
        look = self._judge(self._roll or await self._look(), list(self._refused))
        await self._acknowledge(look.reached, None)
        self._refused = {id_: error for id_, error in self._refused.items() if id_ not in look.reached}
        if self._refused and self._adding and len(self._waiting) == len(self._members) and form not in _WHOLE:
            error = next(iter(self._refused.values()))
            if await self._finds_dead(error):
                self._refused, self._failure = {}, self._failure or error
                return False
        return True

    async def _leave_out_misread(self) -> None:
        """Leave out groups whose ids are accounts' ids as well: endpoints that number both apart take every member for
        an account. An id that is drawn at random is nobody else's. Raises ScimError where the endpoint doesn't say.
        """
        for id_ in [id_ for id_ in self._waiting if self._members[id_][0] is Kind.GROUP and may_collide(id_)]:
            account = self._tools.snapshot.key_of(Kind.USER, id_)
            if account is not None or await self._tools.gate.is_there(Kind.USER, id_):
                whose = f"of {account}" if account is not None else "of nobody managed"
                problem = f"an account {whose} has the id of this group at the target ({id_}), and could be put in"
                self._misread[id_] = ScimError(409, f"not sent: {self._members[id_][1]}: {problem}")
                self._waiting.remove(id_)

    # -- looks -------------------------------------------------------------------------------------

    def _is_shown(self, chunk: Sequence[str], answer: Answer, form: Form) -> bool:
        """Return whether a change of members has its effect, as far as its answer tells."""
        if isinstance(answer, OutcomeUnclear):
            return True  # a look has shown it
        roll = self._tools.gate.roll_in(answer.body) if answer.body is not None else None
        if roll is not None and not roll.shown and not self._answers_show_members():
            roll = None
        look = self._judge(roll, chunk)
        if self._adding and self._is_proven(form):
            if look.left:  # believed, unless its own answer says otherwise
                self._dialect.distrust(self._ability)
            return not look.left
        shown = len(look.reached) == len(chunk)
        if shown:
            self._dialect.note_answer(self._ability, shown=True)
        return shown

    def _answers_show_members(self) -> bool:
        """Return whether this endpoint's answers are known to show members: one without any is an empty group's."""
        return "members.add" in self._dialect.truthful and "members.add" not in self._dialect.silent

    async def _look_at(self, sent: Sequence[str], form: Form) -> None:
        """Look at members that were sent in one form; a second time before it counts as without effect.

        Where the endpoint doesn't show them it is taken at its word. Raises OutcomeUnclear where the look fails.
        """
        try:
            look = await self._first_look(sent, form)
            if look.left:
                await self._tools.gate.back_off(1)  # some endpoints show a slightly older state
                look = self._judge(await self._look(), sent)
            if look.unknown and await self._others_have_told():
                look = self._judge(await self._look(), sent)
            if look.left and await self._tools.gate.shows_anybody_as_member():
                look = Seen([], [], list(sent))
        except ScimError as why:
            raise OutcomeUnclear(self.status, "was answered with success").unseen(why) from None
        await self._acknowledge(look.reached, form)
        if not look.left:
            self._dialect.note_answer(self._ability, shown=False)
        if not look.left and look.unknown and self._may_be_ignored():
            self._hidden, self._tools.fits.doubt = True, asyncio.Event()
            look = Seen(look.reached, look.unknown, [])
        if not look.left and look.unknown:
            await self._take_at_its_word(look.unknown)
        elif look.left:
            self._partly = self._partly or len(look.left) < len(sent)
            self._failure = self._failure or Ineffective(self.status, "")

    async def _first_look(self, sent: Sequence[str], form: Form) -> Seen:
        """Look at members once. Of many groups that get members at the same time one is looked at, where its look shows
        that the endpoint is true.
        """
        if not self._adding:
            return self._judge(await self._look(), sent)
        async with self._tools.fits.trial:
            look = Seen(list(sent), [], []) if self._is_proven(form) else self._judge(await self._look(), sent)
            if len(look.reached) == len(sent):
                await self._acknowledge(look.reached, form)
        return look

    def _may_be_ignored(self) -> bool:
        """Return whether other forms can tell why a group shows nobody: one that was made in this run has no others."""
        return self._shows_nobody and self._tools.fits.doubt is None

    async def _others_have_told(self) -> bool:
        """Wait while another new group is sent in other forms; returns whether that may tell about this one.

        Not in a bulk, whose requests wait for every worker.
        """
        doubt = self._tools.fits.doubt
        if doubt is None or not self._shows_nobody or self._hidden or self._tools.gate.in_bulk:
            return False
        await doubt.wait()
        return True

    @property
    def _shows_nobody(self) -> bool:
        return self._roll is not None and not self._roll.shown and self._adding and self._is_new

    @property
    def _is_new(self) -> bool:
        return self._link.id in self._tools.sending.made_groups

    async def _take_at_its_word(self, ids: Sequence[str]) -> None:
        """Record members whom the endpoint doesn't show."""
        await self._acknowledge(list(ids), None)
        self.remark = "" if self._tools.profile.members_read == "nothing" else _UNSEEN

    async def _shows_everybody(self, form: Form) -> bool:
        """Look at the group; return whether it shows everybody who must be in it. Members as wanted are done.

        A group that is not known to have members may be PUT with the first ones.
        """
        roll = self._roll or await self._look()
        look = self._judge(roll, self._waiting)
        others = self._others(self._waiting)
        await self._acknowledge(look.reached, None)
        if roll is None:
            return False
        is_new = self._hidden or (not self._has_members and form is Form.PUT)
        is_empty = not roll.shown and self._adding and is_new
        return is_empty or (not look.unknown and roll.is_whole(others))

    async def _look(self) -> Roll | None:
        """Read the group's members. Raises ScimError."""
        self._roll = await self._tools.gate.roll(self._link.id)
        return self._roll

    def _judge(self, roll: Roll | None, ids: Sequence[str]) -> Seen:
        if roll is None:
            return seen(None, dict.fromkeys(ids, ""), (), adding=self._adding)
        others = self._others(ids)
        look = seen(roll, self._names_at_target(ids), others, adding=self._adding)
        if not roll.shown.keys().isdisjoint(others.union(ids)):
            self._tools.gate.note_members_shown()
        return look

    def _others(self, ids: Sequence[str]) -> set[str]:
        """Return the ids that the group must have beside these."""
        if self._known_ids is None:
            self._known_ids = self._tools.snapshot.ids_to_be_shown(self._group)
        return self._known_ids.difference(ids)

    def _names_at_target(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the names of ids, which some endpoints show in the place of ids; "" for groups."""
        return names_of(self._tools.snapshot, {id_: self._members[id_] for id_ in ids})

    async def _finds_dead(self, error: ScimError) -> bool:
        """Look for members of the group whom nobody has any more; returns whether there are some new ones.

        Asked for by id are those that a refusal names, and those that are not managed. Raises ScimError.
        """
        roll = None if self._dead else self._roll or await self._look()
        if roll is None:
            return False
        managed = self._others([])
        there = [id_ for id_ in roll.shown if id_ not in self._members]
        asked = [id_ for id_ in there if id_ in error.detail]
        asked += [id_ for id_ in there if id_ not in managed and id_ not in asked]
        for id_ in asked[:_ASKED]:
            if not any([await self._tools.gate.is_there(kind, id_) for kind in Kind]):
                self._dead.add(id_)
        return bool(self._dead)

    # -- results -----------------------------------------------------------------------------------

    async def _acknowledge(self, ids: Sequence[str], form: Form | None) -> None:
        """Record members that are as wanted. `form`: the form that had this effect; None: it was so already."""
        done = set(ids).intersection(self._waiting)
        if not done:
            return
        self._waiting = [id_ for id_ in self._waiting if id_ not in done]
        self.reached += len(done)
        if self._known_ids is not None:
            self._known_ids = self._known_ids | done if self._adding else self._known_ids - done
        if form is not None:
            self._tools.gate.prove_members(form, adding=self._adding)
        reached = [self._members[id_] for id_ in ids if id_ in done]
        await self._tools.commits.write(
            partial(acknowledge_members, self._tools.snapshot, self._group, reached, adding=self._adding)
        )

    def _raise_failure(self) -> None:
        """Raise why members are not as wanted, and which."""
        if self._misread and not self._refused and self._failure is None:
            raise next(iter(self._misread.values()))
        if self._refused:
            error = next(iter(self._refused.values()))
            left = len(self._waiting) - len(self._refused)
            rest = f"; {left} more were not tried" if left else ""
            names = ", ".join(self._members[id_][1] for id_ in self._refused)
            raise ScimError(
                error.status, f"refuses {len(self._refused)} of the members ({names}): {error.detail}{rest}"
            )
        if self._waiting and isinstance(self._failure, Ineffective):
            where = "not in the group" if self._adding else "still in the group"
            count = f"{len(self._waiting)} of {len(self._members)}"
            names = self._names(self._waiting)
            raise Ineffective(self._failure.status, f"was answered with success, and {count} are {where} ({names})")
        if self._waiting and self._failure is not None:
            raise self._failure

    def _names(self, ids: Sequence[str]) -> str:
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        return ", ".join(self._members[id_][1] for id_ in ids[:NAMED]) + more


@dataclass(slots=True)
class _Chunks:
    """The chunks of one form: ids that wait, the next chunk at the end."""

    waiting: list[Sequence[str]] = field(default_factory=list)

    def put_back(self, chunk: Sequence[str], size: int) -> None:
        """Put a chunk back in two parts, the first of this size."""
        self.waiting += [chunk[size:], chunk[:size]]


def names_of(snapshot: Snapshot, members: Mapping[str, Member]) -> dict[str, str]:
    """Return the userNames of members, by id; "" for groups."""
    users = snapshot.users([key for kind, key in members.values() if kind is Kind.USER])
    return {id_: users[key].name if kind is Kind.USER and key in users else "" for id_, (kind, key) in members.items()}


def ids_of(snapshot: Snapshot, members: Sequence[Member]) -> dict[Member, str]:
    """Return the ids of members; members without an account are left out."""
    return {
        (kind, key): id_
        for kind in Kind
        for key, id_ in snapshot.ids(kind, [key for each, key in members if each is kind]).items()
    }


def acknowledge_members(snapshot: Snapshot, group: str, members: Sequence[Member], *, adding: bool) -> None:
    """Record added or removed members; belongs inside the state file's `atomic()`."""
    for kind in Kind:
        keys = [key for each, key in members if each is kind]
        if keys:
            added, removed = (keys, []) if adding else ([], keys)
            snapshot.change_members(group, kind, added, removed)
    snapshot.bump()


__all__ = ["Fit", "Member", "Membership", "Tools", "acknowledge_members", "ids_of", "names_of"]
