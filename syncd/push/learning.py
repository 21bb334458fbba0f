"""Learning: records facts about the endpoint for the next run, and for estimates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from syncd.compare.estimate import asks_first
from syncd.core.model import Json, Kind, State
from syncd.core.place import announcement_mark, moved
from syncd.errors import ScimError, TargetError
from syncd.place.looking import MARKS, NOT_BY_ID, demand, look_at
from syncd.push.predating import Habits
from syncd.push.presence import Lost
from syncd.scim.client import Client
from syncd.scim.discovery import announced
from syncd.store import Snapshot, StateFile


class Learning:
    """Records the facts that one run learns about one target."""

    def __init__(self, state: StateFile, snapshot: Snapshot, client: Client) -> None:
        self._state = state
        self._snapshot = snapshot
        self._client = client
        self._shows_members = client.shows_members
        self._glanced = Kind.USER in client.kinds_read

    async def ask_first(self) -> TargetError | None:
        """Read the endpoint's announcement once, where the profile leaves a capability open.

        Returns why the target as a whole can't be reached, or may be another place; None where it can be written to.
        """
        if not asks_first(self._client.profile, self._snapshot.discovery):
            return None
        try:
            config = await self._client.service_provider_config()
        except ScimError:
            config = None  # many have no such endpoint: try PATCH, and learn from the answer
        except TargetError as error:
            return error
        if (elsewhere := await self._note_announcement(announcement_mark(config))) is not None:
            return elsewhere
        facts = announced(config).facts({})
        self._client.learn(patch=facts["patch"], etags=facts["etag"])
        self._discover(**facts)
        return None

    async def _note_announcement(self, mark: str) -> TargetError | None:
        """Record how the endpoint describes itself; where that has changed, once a sample was seen there.

        Returns why the target can't be written to.
        """
        before = self._snapshot.place
        if before is None or not mark or mark == before.announcement:
            return None
        now = replace(before, announcement=mark)
        if why := moved(before, now):
            try:
                await demand(self._client, self._snapshot, self._client.profile, why)
            except TargetError as error:
                return error
        with self._state.atomic():
            self._snapshot.set_place(now)
        return None

    def note_creates(self, habits: Habits) -> None:
        """Record what was seen of creates."""
        if habits != Habits():
            self._discover(creates=habits.to_json())

    def note_dialect(self) -> None:
        """Record what the endpoint was seen to do, and that its groups show their members."""
        if self._client.shows_members and not self._shows_members:
            self._shows_members = True
            self._discover(shows_members=True)
        if self._client.dialect.news:
            self._discover(dialect=self._client.dialect.to_json(self._client.profile))

    async def look_at_marks(self) -> None:
        """Read one account, once, to see whether the endpoint shows marks, where removing SSO removes them.

        Raises TargetError.
        """
        if not self._client.profile.sso_removal or MARKS in self._snapshot.discovery:
            return
        if not self._glanced:
            for user in self._snapshot.sample_users([State.ACTIVE], 1):
                await look_at(self._client, self._snapshot, user)

    def note_marks(self) -> None:
        """Record of which kinds resources were seen to show an externalId, and of which none is shown by its id."""
        if unreadable := {kind.value for kind in self._client.not_by_id}:
            self._discover(**{NOT_BY_ID: sorted(unreadable | set(self._snapshot.discovery.get(NOT_BY_ID) or ()))})
        known = set(self._snapshot.discovery.get(MARKS) or ())
        shown = known | {kind.value for kind in self._client.shows_marks}
        if shown != known or (Kind.USER in self._client.kinds_read and MARKS not in self._snapshot.discovery):
            self._discover(**{MARKS: sorted(shown)})

    def note_lost(self, lost: Iterable[Lost]) -> None:
        """Record the resources that are no longer at the target: the next run creates these again."""
        if each_lost := list(lost):
            with self._state.atomic():
                for each in each_lost:
                    self._snapshot.lose(each.kind, each.key)
                self._snapshot.bump()

    def _discover(self, **facts: Json) -> None:
        discovery = self._snapshot.discovery
        if any(discovery.get(name) != fact for name, fact in facts.items()):
            with self._state.atomic():
                self._snapshot.discover({**discovery, **facts})
