"""The gate: the only way to write to a target. The gate checks that a resource is linked to a key of the source.

A write needs a `Link`, and only the gate makes one: of a resource that the snapshot links, that a create has just
answered with, or that a change takes over. Nothing else at the target can be named. The gate never switches a protected
account off, whatever a plan says.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final
from uuid import uuid4

from syncd.core.model import Flat, Json, Kind
from syncd.core.plan import Change, Result
from syncd.errors import ScimError
from syncd.push.presence import Lost, Presence
from syncd.push.refusal import Refusal, expect
from syncd.push.roll import Roll, roll_of
from syncd.scim.client import Body, Client, Found, Written, has
from syncd.scim.dialect import Dialect, Form
from syncd.scim.resources import field
from syncd.store import Snapshot

_SEAL: Final = object()
_WHAT: Final = {Kind.USER: "account", Kind.GROUP: "group"}


class Taken(ScimError):
    """A resource that belongs to somebody else."""

    def __init__(self, detail: str) -> None:
        super().__init__(409, detail)


class Link:
    """The right to write to one resource. Only the gate makes it."""

    __slots__ = ("former", "id", "key", "kind")

    def __init__(self, kind: Kind, key: str, id_: str, seal: object, former: str = "") -> None:
        """`former` is the key that a person takes the account from; "" where it was nobody's."""
        if seal is not _SEAL:
            raise TypeError("only the gate links a resource")
        self.kind, self.key, self.id, self.former = kind, key, id_, former


class Gate:
    """All reads and writes of one run at one target."""

    def __init__(
        self,
        client: Client,
        snapshot: Snapshot,
        protected: Callable[[str, str], str] = lambda key, id_: "",
    ) -> None:
        """`protected` returns why the account of a key, with an id, is never switched off; "" where it may be."""
        self._client = client
        self._snapshot = snapshot
        self._protected = protected
        self._claimed: dict[tuple[Kind, str], str] = {}
        self._presence = Presence(client, snapshot, self._claimed)

    @property
    def dialect(self) -> Dialect:
        """What the endpoint was seen to do."""
        return self._client.dialect

    @property
    def in_bulk(self) -> bool:
        """Whether writes are sent many in one request."""
        return self._client.bulk is not None

    def forms(self, kind: Kind, path: str) -> tuple[Form, ...]:
        """Return the forms in which an attribute may be written, the first choice first."""
        return self._client.forms(kind, path)

    @property
    def attempts(self) -> int:
        """Number of attempts of a write whose outcome is unclear while a look finds no effect."""
        return self._client.transport.attempts

    async def back_off(self, attempt: int) -> None:
        """Wait before a look at a write that was sent `attempt` times."""
        await self._client.transport.back_off(attempt)

    # -- links -----------------------------------------------------------------------------------

    def linked(self, kind: Kind, key: str) -> Link:
        """Return the link of a key that the snapshot knows. Raises Refusal; Lost for a resource that is gone by now."""
        known = self._snapshot.user(key) if kind is Kind.USER else self._snapshot.group(key)
        if known is None:
            article = "an" if kind is Kind.USER else "a"
            raise Refusal(Result.REFUSED, f"no longer linked to {article} {_WHAT[kind]}")
        if known.lost:
            raise Refusal(Result.REFUSED, f"the target no longer has the {_WHAT[kind]}")
        if self._presence.is_lost((kind, known.id)):
            raise Lost(kind, key)
        return Link(kind, key, known.id, _SEAL)

    def adopted(self, change: Change) -> Link:
        """Link the resource that a change takes over, unless it belongs to another key. Raises Refusal.

        An account that is linked to another key belonged to somebody who was hired again, and a person handed it over.
        That holds as long as the snapshot says of it what the change expects. An account that carries our mark is never
        handed over.
        """
        kind, id_ = change.action.kind, change.resource
        if not id_:
            raise Refusal(Result.REFUSED, f"the change names no {_WHAT[kind]} to take over")
        owner, former = self._snapshot.key_of(kind, id_), ""
        if kind is Kind.USER and change.takes_over and owner not in (None, change.key):
            account = self._snapshot.user(owner or "")
            assert account is not None
            expect(change, account.attributes)
            former = account.key
        try:
            self._claim(kind, id_, change.key, former)
        except Taken as error:
            raise Refusal(Result.REFUSED, error.detail) from None
        return Link(kind, change.key, id_, _SEAL, former)

    def collided(self, kind: Kind, found: Found, key: str, external_id: str) -> Link:
        """Link the resource that a create collided with. Raises Taken when it has another key or another mark."""
        mark = field(found.body, "externalId")
        if mark not in (None, "", external_id):
            raise Taken(f"the {_WHAT[kind]} carries another externalId ({mark})")
        self._claim(kind, found.id, key)
        return Link(kind, key, found.id, _SEAL)

    def relinked(self, lost: Lost, found: Found) -> Link:
        """Link a key whose resource is gone to the one that carries its mark now. Raises Taken."""
        self._claim(lost.kind, found.id, lost.key)
        self._presence.forget(lost)
        return Link(lost.kind, lost.key, found.id, _SEAL)

    def _claim(self, kind: Kind, id_: str, key: str, former: str = "") -> None:
        """Reserve a resource for a key: two entries may match one account at the same moment. Raises Taken."""
        owner = self._owner(kind, id_)
        if owner in (None, key, former):
            owner = self._claimed.setdefault((kind, id_), key)
        if owner != key:
            raise Taken(f"the {_WHAT[kind]} belongs to the source's key {owner}")

    def _owner(self, kind: Kind, id_: str) -> str | None:
        """Return the key that a resource is linked to; a key that has lost it owns it no longer."""
        owner = self._snapshot.key_of(kind, id_)
        known = self._snapshot.user(owner or "") if kind is Kind.USER else self._snapshot.group(owner or "")
        return None if known is None or known.lost else owner

    # -- asking ----------------------------------------------------------------------------------

    async def find(self, kind: Kind, attribute: str, value: str, *, exact: bool) -> list[Found] | None:
        """Return the resources whose attribute has a value, None where the endpoint can't say. Raises ScimError."""
        return await self._client.find(kind, attribute, value, exact=exact)

    async def read(self, kind: Kind, id_: str) -> Found:
        """Return one resource. Raises ScimError."""
        return await self._client.read(kind, id_)

    async def listed(self, kind: Kind, names: Container[str] | None = None) -> tuple[list[Found], str]:
        """Return all resources of a kind (`names`: of these names), and why there may be more. Raises ScimError."""
        return await self._client.listed(kind, names)

    async def roll(self, group: str) -> Roll | None:
        """Return the members that a group shows, None where the endpoint can't say. Raises ScimError."""
        how = self._client.profile.members_read
        if how == "nothing":
            return None
        if how == "filter":
            ids, doubt = await self._client.members_by_filter(group)
            return None if doubt else Roll(dict.fromkeys(ids, ""), believed=True)
        return self.roll_in((await self._client.read(Kind.GROUP, group)).body)

    def roll_in(self, body: Body) -> Roll:
        """Return the members that a group's body shows."""
        shows_members = self._client.shows_members or self._client.profile.members_read == "group"
        return roll_of(body, believed=shows_members)

    async def members_of(self, group: str) -> set[str] | None:
        """Return the ids of a group's members, None where the endpoint doesn't show them. Raises ScimError."""
        roll = await self.roll(group)
        return set(roll.shown) if roll is not None and (roll.shown or roll.believed) else None

    async def shows_anybody_as_member(self) -> bool:
        """Return whether the endpoint shows members of a group that doesn't exist: it ignores the filter. Raises
        ScimError.
        """
        if self._client.profile.members_read != "filter":
            return False
        roll = await self.roll(str(uuid4()))
        return roll is None or bool(roll.shown)

    def note_members_shown(self) -> None:
        """Remember that groups show their members: one that shows none has none."""
        self._client.shows_members = True

    async def is_there(self, kind: Kind, id_: str) -> bool:
        """Return whether a resource may be at the target: False where the endpoint says that it isn't."""
        try:
            await self._client.read(kind, id_)
        except ScimError as error:
            return error.status != 404
        return True

    # -- the endpoint's dialect ------------------------------------------------------------------

    def member_forms(self, *, adding: bool) -> list[Form]:
        """Return the forms in which members are added or removed, in the order in which they are tried."""
        usual = self._client.member_form(adding=adding, learned=False)
        forms = [self._client.member_form(adding=adding), usual]
        if usual is not Form.PUT:
            forms += [*([Form.TYPED] if adding else []), Form.WHOLE]
            forms += [Form.PUT] if self._client.profile.put_groups else []
        return list(dict.fromkeys(forms))

    def prove_members(self, form: Form, *, adding: bool) -> None:
        """Remember that members were seen to be added or removed in a form."""
        ability = "members.add" if adding else "members.remove"
        self.dialect.trust(ability)
        if form is not self._client.member_form(adding=adding, learned=False):
            self.dialect.learn(ability, form)
        else:
            self.dialect.unlearn(ability)

    async def is_on_by_filter(self, name: str, id_: str) -> bool | None:
        """Return whether a filter finds an account among those that are on; None where that can't be told."""
        return await self._client.is_on_by_filter(name, id_)

    # -- writing ---------------------------------------------------------------------------------

    async def create(self, kind: Kind, key: str, attributes: Flat) -> tuple[Link, Written]:
        """Create a resource; returns its link and the endpoint's answer.

        Raises ScimError, with a status of success where the answer is about another resource or says no id.
        """
        await self._presence.settled()
        written = await self._client.create(kind, attributes)
        other = f"the endpoint answered with another {_WHAT[kind]}"
        if written.body is not None and _is_anothers(kind, written.body, attributes):
            raise ScimError(written.status, f"{other} ({field(written.body, 'externalId')})")
        try:
            self._claim(kind, written.id, key)
        except Taken as error:
            raise ScimError(written.status, f"{other}; {error.detail}") from None
        return Link(kind, key, written.id, _SEAL), written

    async def update(
        self,
        link: Link,
        before: Flat,
        after: Flat,
        owned: Flat,
        *,
        has_members: bool = False,
        form: Form | None = None,
    ) -> Written:
        """Change the paths of `after`; returns the endpoint's answer, status 0 when no request was needed.

        Raises Refusal, Lost, ScimError.
        """
        if any(_switches_off(path, value) for path, value in after.items()):
            self._refuse_protected(link)
        await self._presence.settled()
        try:
            written = await self._client.update(
                link.kind, link.id, before, after, owned, has_members=has_members, form=form
            )
        except ScimError as error:
            raise await self.lost_or(link, error) from None
        if written.status:
            self._note_there(link)
        return written

    async def delete(self, link: Link) -> Written:
        """Delete a resource; one that is gone already (404) is as wanted, unless everything is gone.

        Raises Refusal, ScimError, TargetGone.
        """
        self._refuse_protected(link)
        await self._presence.settled()
        status = await self._client.delete(link.kind, link.id)
        if status == 404:
            await self._presence.missed((link.kind, link.id), link.key)
        else:
            self._note_there(link)
        return Written(link.id, status)

    async def add_members(
        self,
        link: Link,
        ids: Sequence[str],
        form: Form,
        *,
        has_members: bool,
        kinds: Mapping[str, Kind],
        without: Container[str] = (),
    ) -> Written:
        """Add members to a group. Raises Lost when the group is gone, ScimError."""
        await self._presence.settled()
        try:
            written = await self._client.add_members(
                link.id, ids, form, has_members=has_members, kinds=kinds, without=without
            )
        except ScimError as error:
            raise await self.lost_or(link, error) from None
        self._note_there(link)
        return written

    async def remove_members(
        self, link: Link, ids: Sequence[str], form: Form, *, without: Container[str] = ()
    ) -> Written:
        """Remove members from a group. Raises Lost when the group is gone, ScimError."""
        await self._presence.settled()
        try:
            written = await self._client.remove_members(link.id, ids, form, without=without)
        except ScimError as error:
            raise await self.lost_or(link, error) from None
        self._note_there(link)
        return written

    def _refuse_protected(self, link: Link) -> None:
        if link.kind is Kind.USER and (reason := self._protected(link.key, link.id)):
            raise Refusal(Result.REFUSED, f"protected: {reason}")

    # -- presence --------------------------------------------------------------------------------

    @property
    def lost(self) -> Sequence[Lost]:
        """The resources that turned out to be gone, each once."""
        return self._presence.lost

    async def lost_or(self, link: Link, error: ScimError) -> Exception:
        """Return Lost where the linked resource is gone, else the error: its cause is another part of the request.

        Raises TargetGone when all resources that the run wrote to are gone.
        """
        return await self._presence.lost_or((link.kind, link.id), link.key, error)

    def _note_there(self, link: Link) -> None:
        self._presence.note((link.kind, link.id))


def _is_anothers(kind: Kind, body: Body, attributes: Flat) -> bool:
    """Return whether a resource carries another mark than it was sent, and another name as well: some endpoints have
    marks of their own, and some rewrite names."""
    mark, sent = field(body, "externalId"), attributes.get("externalId")
    name = "userName" if kind is Kind.USER else "displayName"
    marked = bool(mark) and bool(sent) and str(mark).casefold() != str(sent).casefold()
    return marked and not has(body, name, str(attributes.get(name)), exact=False)


def _switches_off(path: str, value: Json) -> bool:
    """Return whether writing this keeps somebody out; names are without case (RFC 7643 section 2.1)."""
    return path.rpartition(":")[2].casefold() == "active" and value is not True
