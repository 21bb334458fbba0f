"""The requests of syncd to a SCIM service provider, as methods. Answers are verified where real endpoints err."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote as percent
from urllib.parse import unquote, urlsplit

import orjson

from syncd.core.model import Flat, Json, Kind
from syncd.core.schema import quote
from syncd.errors import ScimError
from syncd.scim.bulk import Bulk
from syncd.scim.dialect import Dialect, Form, forms_of, member_form
from syncd.scim.listing import Listing
from syncd.scim.profiles import Profile
from syncd.scim.resources import (
    PATCH_SCHEMA,
    add_members,
    field,
    flatten,
    is_repeatable,
    merge,
    needs_reading,
    patch,
    remove_members,
    replace_members,
    resource,
    whole_attributes,
    with_members,
    without_paths,
)
from syncd.scim.transport import Answer, Transport

ENDPOINTS: Final = {Kind.USER: "Users", Kind.GROUP: "Groups"}
_CANT_FILTER: Final = (400, 403, 404, 500, 501)
"""Statuses for an unknown filter; some endpoints answer 404 where nothing matches, and others at any time. 403 comes of
firewalls that take a filter for an attack."""
_NAMES: Final = ("externalId", "userName", "displayName")
_NO_VERSION: Final = (412, 428)
"""Precondition failed (RFC 7644 section 3.14), precondition required (RFC 6585 section 3)."""
_MOST_MERGES: Final = 3
_CANT_CREATE: Final = (400, 422)
"""Statuses of endpoints that miss something in a create."""

Body = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Found:
    """A resource at the target: its id and its body as it was read."""

    id: str
    body: Body
    version: str = ""
    """Its version (RFC 7644 section 3.14), "" where the endpoint says none."""


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write: `status` 0 when no request was needed, `body` None when the answer has no resource."""

    id: str
    status: int
    body: Body | None = None
    at: datetime | None = dataclass_field(default=None, compare=False)
    """When a create was answered, by the endpoint's clock; None where the endpoint doesn't say."""


class Client:
    """One target's resources. `patch` says whether updates go by PATCH, as far as that is known; False: read, merge,
    PUT.
    """

    def __init__(
        self,
        transport: Transport,
        profile: Profile,
        *,
        patch: bool | None = None,
        etags: bool | None = None,
        dialect: Dialect | None = None,
        shows_members: bool = False,
    ) -> None:
        """`patch`, `etags`: what the endpoint announced; the profile takes precedence. `dialect`, `shows_members`: what
        it was seen to do.
        """
        self.transport = transport
        self.profile = profile
        self.dialect = dialect if dialect is not None else Dialect()
        self.patch = profile.patch if profile.patch is not None else patch is not False
        self.shows_members = shows_members
        """Whether groups were seen to show their members."""
        self.shows_marks: set[Kind] = set()
        """The kinds of which a resource was read that shows an externalId."""
        self.kinds_read: set[Kind] = set()
        """The kinds of which a resource was read by its id."""
        self.not_by_id: set[Kind] = set()
        """The kinds of which resources are listed that are answered 404 when they are asked for by id."""
        self.bulk: Bulk | None = None
        """Gathers concurrent writes; None: each write is sent alone."""
        self._etags = profile.etags if profile.etags is not None else etags is True

    def learn(self, *, patch: bool, etags: bool) -> None:
        """Apply the endpoint's announcement. The profile takes precedence over discovery."""
        self.patch = self.profile.patch if self.profile.patch is not None else patch
        self._etags = self.profile.etags if self.profile.etags is not None else etags

    async def create(self, kind: Kind, attributes: Flat) -> Written:
        """POST a resource; its id is the body's, or failing that Location's.

        A group is sent with an empty list of members where the endpoint demands one. Raises ScimError, with a status of
        success when neither says the id; OutcomeUnclear.
        """
        body = resource(kind, attributes)
        if kind is Kind.GROUP and self._lists_members:
            body["members"] = []
        try:
            answer = await self._write("POST", ENDPOINTS[kind], body, repeatable=False)
        except ScimError as error:
            if kind is not Kind.GROUP or "members" in body or not _asks_for_members(error):
                raise
            answer = await self._write("POST", ENDPOINTS[kind], {**body, "members": []}, repeatable=False)
            self.dialect.learn("groups.create", Form.LISTED)
        id_ = _id(answer.body) or _id_in_location(kind, answer.location)
        if not id_:
            raise ScimError(answer.status, "created, but neither body nor Location says the id")
        return Written(id_, answer.status, _whole(kind, answer.body), _moment(answer.date))

    @property
    def _lists_members(self) -> bool:
        """Whether a group is created with a list of members: as the profile says, or the endpoint has asked."""
        said = self.profile.group_members_required
        return said if said is not None else self.dialect.form("groups.create") is Form.LISTED

    async def read(self, kind: Kind, id_: str) -> Found:
        """GET one resource. Raises ScimError, 404 when it is not there."""
        answer = await self.transport.send("GET", _path(kind, id_))
        if not isinstance(answer.body, dict):
            raise ScimError(answer.status, "a resource was read, and the answer holds none")
        version = field(field(answer.body, "meta"), "version")
        self.kinds_read.add(kind)
        if field(answer.body, "externalId"):
            self.shows_marks.add(kind)
        return Found(_id(answer.body) or id_, answer.body, version if isinstance(version, str) else answer.etag)

    def forms(self, kind: Kind, path: str) -> tuple[Form, ...]:
        """Return the forms in which an attribute may be written, the first choice first."""
        return forms_of(kind, path, self.profile, patch=self.patch, dialect=self.dialect)

    async def update(
        self,
        kind: Kind,
        id_: str,
        before: Flat,
        after: Flat,
        owned: Flat,
        *,
        has_members: bool = False,
        form: Form | None = None,
    ) -> Written:
        """Change the paths of `after`, in one request. Raises ScimError, OutcomeUnclear.

        `owned`: all values that were written before. `has_members`: of a group, that it is known to have some. `form`:
        how all of it is written; None: each attribute in its first choice.
        """
        if not after:
            return Written(id_, 0)
        by_form: dict[Form, Flat] = {}
        for path, value in after.items():
            by_form.setdefault(form or self.forms(kind, path)[0], {})[path] = value
        if Form.PUT in by_form:
            return await self._put(kind, id_, lambda body: merge(kind, body, after, owned), has_members)
        by_path, wholes, objects = (by_form.get(each, {}) for each in (Form.PATH, Form.WHOLE, Form.OBJECT))
        reads = wholes or needs_reading(kind, objects)
        there = (await self.read(kind, id_)).body if reads else {}
        operations = [
            *patch(kind, before, by_path, owned),
            *whole_attributes(kind, there, wholes, owned),
            *without_paths(kind, there, objects, owned),
        ]
        return await self._patch(kind, id_, operations) if operations else Written(id_, 0)

    async def delete(self, kind: Kind, id_: str) -> int:
        """DELETE a resource; one that is gone already is a success. Returns the HTTP status. Raises ScimError."""
        try:
            return (await self._write("DELETE", _path(kind, id_), None, repeatable=True)).status
        except ScimError as error:
            if error.status != 404:
                raise
            return 404

    def member_form(self, *, adding: bool, learned: bool = True) -> Form:
        """Return the form in which members are added or removed: the learned one, else the profile's."""
        return member_form(self.profile, patch=self.patch, dialect=self.dialect, adding=adding, learned=learned)

    async def add_members(
        self,
        group: str,
        ids: Sequence[str],
        form: Form | None = None,
        *,
        has_members: bool,
        kinds: Mapping[str, Kind] | None = None,
        without: Container[str] = (),
    ) -> Written:
        """Add members in a form, as many as one request may hold. Raises ScimError, OutcomeUnclear.

        `has_members`: the group is known to have some already. `kinds`: the kinds of ids that are no users. `without`:
        ids that are left out of a whole list, since nobody has them any more.
        """
        form, kinds = form or self.member_form(adding=True), kinds or {}
        if form in (Form.WHOLE, Form.PUT):
            typed = kinds if self.profile.member_type else None
            return await self._put_members(
                group, form, lambda body: with_members(body, ids, (), typed, without), has_members
            )
        operations = add_members(ids, kinds if form is Form.TYPED else None, paths=self.profile.patch_paths)
        return await self._patch(Kind.GROUP, group, operations)

    async def remove_members(
        self, group: str, ids: Sequence[str], form: Form | None = None, *, without: Container[str] = ()
    ) -> Written:
        """Remove members in a form, as many as one request may hold. Raises ScimError, OutcomeUnclear."""
        form = form or self.member_form(adding=False)
        if form in (Form.WHOLE, Form.PUT):
            return await self._put_members(
                group, form, lambda body: with_members(body, (), ids, None, without), has_members=True
            )
        return await self._patch(Kind.GROUP, group, remove_members(ids, self.profile.member_removal))

    async def _put_members(self, group: str, form: Form, merged: Callable[[Body], Body], has_members: bool) -> Written:
        """Replace all members by the present ones, changed by `merged`: in a PATCH, or in a PUT of the group."""

        def checked(body: Body) -> Body:
            members = field(body, "members")
            if isinstance(members, list) and any(field(each, "value") in (None, "") for each in members):
                raise ScimError(200, "the endpoint shows members without their ids; a PUT would remove them")
            return merged(body)

        if form is Form.PUT:
            return await self._put(Kind.GROUP, group, checked, has_members)
        found = await self.read(Kind.GROUP, group)
        _refuse_to_lose_members(found.body, has_members)
        operations = replace_members(checked(found.body)["members"], paths=self.profile.patch_paths)
        return await self._patch(Kind.GROUP, group, operations)

    async def listed(self, kind: Kind, names: Container[str] | None = None) -> tuple[list[Found], str]:
        """Return all resources of a kind, and why there may be more, "" where there are none. Raises ScimError.

        `names`, in folded case: only those whose externalId, userName or displayName is one of them. Groups come
        without their members where the endpoint can leave them out.
        """
        query = {"excludedAttributes": "members"} if kind is Kind.GROUP else None
        listing = Listing(self.transport, ENDPOINTS[kind], self.profile, query)
        found = [
            Found(id_, body)
            async for page in listing.pages()
            for body in page
            if (id_ := _id(body))
            and (names is None or any(str(field(body, each)).casefold() in names for each in _NAMES))
        ]
        return found, listing.doubt

    async def first_page(self, kind: Kind) -> list[Found]:
        """Return the first resources of a list, one page of them. Raises ScimError."""
        query = {"excludedAttributes": "members"} if kind is Kind.GROUP else None
        async for page in Listing(self.transport, ENDPOINTS[kind], self.profile, query).pages():
            return [Found(id_, body) for body in page if (id_ := _id(body))]
        return []

    async def members_by_filter(self, group: str) -> tuple[list[str], str]:
        """Return the ids of the users in a group, as a list of users says it, and why some may be missing ("": none).

        For endpoints whose groups never show them (AWS: `groups.value eq`). Raises ScimError.
        """
        listing = Listing(
            self.transport, ENDPOINTS[Kind.USER], self.profile, {"filter": f"groups.value eq {quote(group)}"}
        )
        ids: list[str] = []
        doubt = ""
        async for page in listing.pages():
            for body in page:
                ids.append(_id(body))
                groups = field(body, "groups")
                shown = [field(each, "value") for each in groups] if isinstance(groups, list) else []
                if shown and group not in map(str, shown):
                    doubt = "the endpoint lists users who are not in the group that was asked for"
        return ids, doubt or listing.doubt

    async def find(self, kind: Kind, attribute: str, value: str, *, exact: bool) -> list[Found] | None:
        """Return the resources whose attribute has a value, checked again here: some endpoints ignore filters.

        None: the endpoint can't be asked by this attribute, or answers with others than it was asked for, or with no
        list. `exact` compares as is (externalId is caseExact, RFC 7643 section 3.1), else case is folded. Raises
        ScimError.
        """
        filters = self.profile.user_filters if kind is Kind.USER else self.profile.group_filters
        if filters is not None and attribute not in filters:
            return None
        query = {"filter": f"{attribute} eq {quote(value)}", "startIndex": "1", "count": "10"}
        try:
            answer = await self.transport.send("GET", ENDPOINTS[kind], query=query)
        except ScimError as error:
            if error.status not in _CANT_FILTER:
                raise
            return None
        listed, total = field(answer.body, "Resources"), field(answer.body, "totalResults")
        if not isinstance(listed, list):
            return [] if str(total) == "0" else None
        found: dict[str, Found] = {}
        for body in listed:
            id_ = _id(body)
            if id_ and has(body, attribute, value, exact=exact):
                found[id_] = Found(id_, body)
        return None if listed and not found else list(found.values())

    async def is_on_by_filter(self, name: str, id_: str) -> bool | None:
        """Return whether a filter over `active` finds an account among those that are on; None where it can't tell.

        For endpoints that don't show `active`. An endpoint that finds the account in both ways ignores the filter.
        Raises TargetError.
        """
        found = []
        for said in ("true", "false"):
            query = {"filter": f"userName eq {quote(name)} and active eq {said}", "startIndex": "1", "count": "10"}
            try:
                listed = field((await self.transport.send("GET", ENDPOINTS[Kind.USER], query=query)).body, "Resources")
            except ScimError:
                return None
            found.append(any(_id(each) == id_ for each in listed) if isinstance(listed, list) else False)
        on, off = found
        return on if on is not off else None

    async def service_provider_config(self) -> Json:
        """GET /ServiceProviderConfig (RFC 7644 section 4). Raises ScimError."""
        return (await self.transport.send("GET", "ServiceProviderConfig")).body

    async def discovery(self, endpoint: str) -> Json:
        """GET another discovery endpoint, `Schemas` or `ResourceTypes`. Raises ScimError."""
        return (await self.transport.send("GET", endpoint)).body

    async def count(self, kind: Kind) -> int:
        """Return the endpoint's own count of its resources, for people to read. Raises ScimError."""
        answer = await self.transport.send("GET", ENDPOINTS[kind], query={"startIndex": "1", "count": "1"})
        total = field(answer.body, "totalResults")
        if not isinstance(total, int | str) or not str(total).isdecimal():
            raise ScimError(answer.status, "the answer is no list of SCIM resources")
        return int(total)

    async def _patch(self, kind: Kind, id_: str, operations: list[dict[str, Json]]) -> Written:
        """PATCH; repeated with the present version, where the endpoint requires one (412)."""
        body = {"schemas": [PATCH_SCHEMA], "Operations": operations}
        repeatable = is_repeatable(operations)
        try:
            answer = await self._write("PATCH", _path(kind, id_), body, repeatable=repeatable)
        except ScimError as error:
            if error.status not in _NO_VERSION:
                raise
            version = (await self.read(kind, id_)).version
            if not version:
                raise error from None
            answer = await self.transport.send(
                "PATCH", _path(kind, id_), body=body, repeatable=repeatable, if_match=version
            )
        return Written(id_, answer.status, _whole(kind, answer.body))

    async def _write(self, method: str, path: str, body: Json, *, repeatable: bool) -> Answer:
        """Send a write, alone or with others. A write that is too large is not sent.

        The size of a PUT isn't checked: it depends on other people's content, and only the endpoint knows its limit.
        """
        size, most = len(orjson.dumps(body)), self.profile.body_bytes
        if size > most:
            raise ScimError(413, f"not sent: it takes {size:,} bytes, and body_bytes allows {most:,}")
        if self.bulk is not None:
            return await self.bulk.send(method, path, body, repeatable=repeatable)
        return await self.transport.send(method, path, body=body, repeatable=repeatable)

    async def _put(self, kind: Kind, id_: str, merged: Callable[[Body], Body], has_members: bool) -> Written:
        """Read a resource and PUT it back whole, changed: values that syncd doesn't own stay as they are.

        The request has the version that was read, where the endpoint knows versions: after a change in between, the
        resource is read and merged again.
        """
        for attempt in range(_MOST_MERGES):
            found = await self.read(kind, id_)
            _refuse_to_lose_members(found.body, has_members)
            version = found.version if self._etags or attempt else ""
            try:
                answer = await self.transport.send("PUT", _path(kind, id_), body=merged(found.body), if_match=version)
            except ScimError as error:
                if error.status not in _NO_VERSION or attempt == _MOST_MERGES - 1:
                    raise
            else:
                return Written(id_, answer.status, _whole(kind, answer.body))
        raise AssertionError


def _refuse_to_lose_members(body: Body, has_members: bool) -> None:
    """Raise ScimError where a group has members and shows none, as some endpoints (AWS): a PUT would remove them."""
    if has_members and not field(body, "members"):
        raise ScimError(200, "the group has members but the endpoint shows none; a PUT would remove them all")


def _asks_for_members(error: ScimError) -> bool:
    """Return whether an endpoint refuses a new group because the request lists no members."""
    return error.status in _CANT_CREATE and "member" in error.detail.casefold()


def has(body: Body, attribute: str, value: str, *, exact: bool) -> bool:
    """Return whether a resource's attribute has a value: as it is (`exact`), or in any case."""
    there = field(body, attribute)
    return there is not None and (there == value if exact else str(there).casefold() == value.casefold())


def chunks_of_members(profile: Profile, ids: Sequence[str], *, adding: bool) -> Iterator[Sequence[str]]:
    """Yield the ids of members in as few parts as fit into a request each, by number and by the body's size.

    An id that is too long alone is a part of its own, which is refused when it is to be sent.
    """
    part: list[str] = []
    empty = _body_bytes([], profile, adding=adding)
    size = empty - 1  # the first id has no comma before it
    for id_ in ids:
        added = _body_bytes([id_], profile, adding=adding) - empty + 1
        if part and (len(part) >= profile.members_per_patch or size + added > profile.body_bytes):
            yield part
            part, size = [], empty - 1
        part.append(id_)
        size += added
    if part:
        yield part


def _body_bytes(ids: Sequence[str], profile: Profile, *, adding: bool) -> int:
    if adding:
        operations = add_members(ids, {} if profile.member_type else None, paths=profile.patch_paths)
    else:
        operations = remove_members(ids, profile.member_removal)
    return len(orjson.dumps({"schemas": [PATCH_SCHEMA], "Operations": operations}))


def _whole(kind: Kind, body: Json) -> Body | None:
    """Return an answer if it is a resource that can be compared; some answer with nothing but an id."""
    name = field(body, "userName" if kind is Kind.USER else "displayName")
    return body if isinstance(body, dict) and _id(body) and name else None


def _path(kind: Kind, id_: str) -> str:
    """Return a resource's path; the id is the endpoint's and may hold anything. Raises ScimError."""
    if id_ in ("", ".", ".."):
        # `Users/..` is another address (RFC 3986 section 5.2.4): a DELETE would go to another resource.
        raise ScimError(0, f"not sent: the id `{id_}` can't be part of an address")
    return f"{ENDPOINTS[kind]}/{percent(id_, safe='')}"


def _id(body: Json) -> str:
    """Return a resource's id, "" where there is none; a number counts as its digits."""
    id_ = field(body, "id")
    return str(id_) if isinstance(id_, str | int) and not isinstance(id_, bool) else ""


def _moment(date: str) -> datetime | None:
    """Return the moment that a Date header names (RFC 9110 section 6.6.1), None where there is none."""
    try:
        return parsedate_to_datetime(date)
    except ValueError:
        return None


def _id_in_location(kind: Kind, location: str) -> str:
    """Return the id at the end of a resource's address, "" where it is not one of this kind (RFC 7644 section 3.1)."""
    try:
        collection, _, last = urlsplit(location).path.rstrip("/").rpartition("/")
    except ValueError:
        return ""
    return unquote(last) if collection.rpartition("/")[2].casefold() == ENDPOINTS[kind].casefold() else ""


__all__ = ["ENDPOINTS", "Body", "Client", "Found", "Written", "chunks_of_members", "flatten", "has"]
