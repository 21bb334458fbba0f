"""What a removal of SSO at a target still asks of people: whom to invite anew; and whose account is gone for good."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.core.model import Json, Known
from syncd.core.plan import timestamp
from syncd.store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Relinked:
    """The users concerned, each list by name."""

    invite: tuple[Known, ...]
    """Pending until an administrator of the target invites them anew, and they accept."""
    gone: tuple[Known, ...]
    """Off before, and deleted for good; those who come back get new accounts."""

    def to_json(self) -> Json:
        return {
            "invite": [_named(each) | {"since": timestamp(each.since) if each.since else None} for each in self.invite],
            "gone": [_named(each) for each in self.gone],
        }


def relinked(snapshot: Snapshot) -> Relinked:
    """Read from the state file whom a removal of SSO still concerns."""
    return Relinked(tuple(snapshot.to_invite()), tuple(snapshot.gone_with_sso()))


def _named(user: Known) -> dict[str, Json]:
    return {"key": user.key, "name": user.name}
