"""A target that shows less than it has, and a state file that was in line with it, for tests of full resyncs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from syncd.core.digest import NO_MEMBERS
from syncd.core.drift import Drift, Reactions
from syncd.core.model import Flat, Kind, Known, KnownGroup, Observed, ObservedGroup, State
from syncd.core.ownership import Ownership
from syncd.core.schema import MANAGER
from syncd.observe.reading import Reading, read_target
from syncd.observe.reconciling import reconcile
from syncd.scim.client import Client
from syncd.scim.pace import Pace
from syncd.scim.profiles import Profile
from syncd.scim.resources import resource
from syncd.scim.transport import Transport
from syncd.store import Observation, Snapshot, StateFile
from tests.endpoints import TOKEN, Endpoint, Reply, Request, error
from tests.scim.asking import IMPATIENT
from tests.world import WORK_MAIL, target_rules

Json = Any
OWNED = {
    Kind.USER: Ownership(frozenset({"userName", "title", WORK_MAIL, MANAGER})),
    Kind.GROUP: Ownership(frozenset({"displayName", "externalId"})),
}
PROFILE = Profile("test")
NAME = "target"
FAST = 10_000
PATIENCE = replace(IMPATIENT, longest_pause=0.05)
"""One answer of 429 after another is waited out for minutes, in earnest."""


class Hiding(Endpoint):
    """An endpoint that hides things.

    `unlisted`: ids that lists leave out. `off`: where accounts that are off are to be seen: "everywhere", "by id"
    (Lucid) or "nowhere" (Atlassian). `members`: where members are: "everywhere", "by id" or "nowhere".
    `listed_members`: how many of them a list shows. `by_id`: what is answered for an id instead. `me`: what /Me says.
    `knows_excluded`: whether it takes `excludedAttributes`. `members_total`: how many users it says that a filter by
    group finds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.knows_excluded = True
        self.members_total: int | None = None
        self.unlisted: set[str] = set()
        self.off = "everywhere"
        self.members_in = "everywhere"
        self.listed_members: int | None = None
        self.by_id: dict[str, Reply] = {}
        self.me = error(404, "no such endpoint")

    def _route(self, request: Request) -> Reply:
        collection, _, id_ = request.path.removeprefix("/scim/v2/").partition("/")
        if collection == "Me":
            return self.me
        if id_ in self.by_id:
            return self.by_id[id_]
        if self.off == "nowhere" and self.users.get(id_, {}).get("active") is False:
            return error(404, "not there")
        return super()._route(request)

    def _list(self, held: dict[str, dict[str, Json]], request: Request) -> Reply:
        if "excludedAttributes" in request.query and not self.knows_excluded:
            return error(400, "excludedAttributes is not supported")
        group = re.fullmatch('groups.value eq "(.*)"', request.query.get("filter", ""))
        if group and self.filters == "work":
            return self._users_of(group[1])
        shown = {
            id_: self._in_a_list(body)
            for id_, body in held.items()
            if id_ not in self.unlisted and (self.off == "everywhere" or body.get("active") is not False)
        }
        return super()._list(shown, request)

    def _users_of(self, group: str) -> Reply:
        members = [each["value"] for each in self.groups.get(group, {}).get("members", [])]
        found = [self.users[id_] for id_ in members if id_ in self.users]
        return Reply(200, {"totalResults": self.members_total or len(found), "Resources": found})

    def _in_a_list(self, body: dict[str, Json]) -> dict[str, Json]:
        if "members" not in body:
            return body
        if self.members_in == "by id":
            return {name: value for name, value in body.items() if name != "members"}
        return {**body, "members": body["members"][: self.listed_members]}

    def _shown(self, resource: dict[str, Json]) -> dict[str, Json]:
        self.shows_members = self.members_in != "nowhere"
        return super()._shown(resource)

    def asked(self) -> list[str]:
        """Return what was asked for beside the lists and /Me, in order."""
        return [text for text in self.log() if text.count("/") > 1]


@dataclass
class Found:
    """What a reading found, and what the scratch snapshot says then."""

    reading: Reading
    drift: list[Drift]
    accepted: list[str]
    snapshot: Snapshot
    observation: Observation

    def said(self) -> list[tuple[str, str, Flat, Flat]]:
        """Return class, key, what was expected and what was found."""
        return [(each.class_.value, each.key, each.expected, each.found) for each in self.drift]

    def classes(self) -> list[str]:
        return [f"{each.class_.value} {each.key}" for each in self.drift]

    def user(self, id_: str) -> Observed:
        return self.observation.users([id_])[id_]

    def group(self, id_: str) -> ObservedGroup:
        return self.observation.groups([id_])[id_]


@dataclass
class Managed:
    """A target and the state file that belongs to it. The id of key `1` is `id-1` unless `ids` says otherwise."""

    scim: Hiding
    state: StateFile
    stack: ExitStack
    profile: Profile = PROFILE
    reactions: Reactions = field(default_factory=Reactions)
    owned: dict[Kind, Ownership] = field(default_factory=lambda: dict(OWNED))
    concurrency: int = 4

    @property
    def snapshot(self) -> Snapshot:
        return self.state.snapshot(NAME)

    def user(self, key: str, state: State = State.ACTIVE, *, accepted: bool = True, **attributes: Json) -> str:
        """Link a user to an account that is just as it was acknowledged; returns the id."""
        switched = {"active": attributes.pop("active", state is not State.DEACTIVATED)}
        flat: Flat = {"userName": f"u{key}", WORK_MAIL: f"u{key}@example.com", **attributes, **switched}
        known = Known(key, f"id-{key}", f"u{key}", state, flat, b"in line", accepted=accepted)
        with self.state.atomic():
            self.snapshot.put_user(known)
        there = {**flat, MANAGER: f"id-{flat[MANAGER]}"} if MANAGER in flat else flat
        self.scim.users[known.id] = {**resource(Kind.USER, there), "id": known.id, "externalId": key}
        return known.id

    def users(self, *keys: str) -> None:
        for key in keys:
            self.user(key)

    def group(self, key: str, members: Sequence[str] = (), subgroups: Sequence[str] = (), name: str = "") -> str:
        """Link a group to one that is just as it was acknowledged; returns the id."""
        name = name or f"Group {key}"
        known = KnownGroup(key, f"id-{key}", name, {"displayName": name}, NO_MEMBERS)
        with self.state.atomic():
            self.snapshot.put_group(known)
            self.snapshot.change_members(key, Kind.USER, added=list(members))
            self.snapshot.change_members(key, Kind.GROUP, added=list(subgroups))
        values = [{"value": f"id-{each}"} for each in (*members, *subgroups)]
        body = {**resource(Kind.GROUP, {"displayName": name + self.profile.group_suffix}), "id": known.id}
        self.scim.groups[known.id] = {**body, "members": values} if values else body
        return known.id

    def goes(self, *keys: str) -> None:
        """Let accounts and groups be deleted at the target."""
        for key in keys:
            self.scim.users.pop(f"id-{key}", None)
            self.scim.groups.pop(f"id-{key}", None)

    def is_lost(self, kind: Kind, key: str) -> None:
        """Let it be known that an account or group is gone."""
        with self.state.atomic():
            self.snapshot.lose(kind, key)

    def discovered(self, **facts: Json) -> None:
        with self.state.atomic():
            self.snapshot.discover(facts)

    def read(self, *, expect_gone: bool = False) -> Found:
        """Read the target whole beside a scratch copy of the snapshot, as a full resync does."""
        scratch = self.stack.enter_context(self.state.scratch())
        snapshot, observation = scratch.snapshot(NAME), scratch.observation(NAME)
        rules = replace(target_rules(NAME, profile=self.profile), drift=self.reactions)

        async def read() -> Reading:
            pace = Pace(self.profile, rate=FAST)
            async with Transport(NAME, self.scim.url, TOKEN, pace=pace, patience=PATIENCE) as transport:
                client = Client(transport, self.profile, patch=True)
                return await read_target(
                    client,
                    rules,
                    self.owned,
                    snapshot,
                    observation,
                    concurrency=self.concurrency,
                    expect_gone=expect_gone,
                )

        with scratch.atomic():
            reading = asyncio.run(read())
            drift, accepted = reconcile(rules, reading, snapshot, observation)
        return Found(reading, drift, accepted, snapshot, observation)


@contextmanager
def managed(folder: Path) -> Iterator[Managed]:
    """Yield a target of which nothing is managed yet."""
    with Hiding() as scim, StateFile(folder / "syncd.db") as state, ExitStack() as stack:
        yield Managed(scim, state, stack)
