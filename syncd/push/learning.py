"""Learning: records facts about the endpoint for the next run, and for estimates."""

from __future__ import annotations

from collections.abc import Iterable

from syncd.compare.estimate import asks_first
from syncd.core.model import Json
from syncd.errors import ScimError, TargetError
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

    async def ask_first(self) -> TargetError | None:
        """Read the endpoint's announcement once, where the profile leaves a capability open.

        Returns why the target as a whole can't be reached; None where it can be.
        """
        if not asks_first(self._client.profile, self._snapshot.discovery):
            return None
        try:
            config = await self._client.service_provider_config()
        except ScimError:
            config = None  # many have no such endpoint: try PATCH, and learn from the answer
        except TargetError as error:
            return error
        facts = announced(config).facts({})
        self._client.learn(patch=facts["patch"], etags=facts["etag"])
        self._discover(**facts)
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
