"""A state file with incidents, and the notices that follow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.foreign import ForeignMember, as_part
from syncd.core.model import Kind, Known, State
from syncd.core.plan import Action, Change, Held, Plan, Result
from syncd.notify.notice import Notice
from syncd.notify.watch import Concerns, TargetConcern, watch
from syncd.store import Correction, StateFile, Stop
from tests.world import NOON

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def deactivation(key: str, name: str = "") -> Change:
    return Change(
        Action.DEACTIVATE_USER, key, name or f"u{key}", {"active": True}, {"active": False}, "gone", State.DEACTIVATED
    )


class House:
    """One state file, a clock that is set by hand, and two targets: `lucid` and `link`."""

    def __init__(self, folder: Path, now: datetime = NOON) -> None:
        self.file = folder / "syncd.db"
        self.now = now
        self.expires: date | None = None
        with StateFile(self.file) as state:
            for name in ("lucid", "link"):
                state.snapshot(name)

    def concerns(self, **facts: Any) -> Concerns:
        targets = (TargetConcern("lucid", self.expires), TargetConcern("link"))
        return Concerns(**{"targets": targets, "hostname": "id1.example.com", **facts})

    def told(self, **facts: Any) -> list[Notice]:
        """Watch once, a second later; return what is new in the outbox, which is empty then."""
        self.now += timedelta(seconds=1)
        with StateFile(self.file) as state:
            count = watch(state, self.concerns(**facts), self.now)
            notices = [Notice.from_json(each) for each in state.outbox().all()]
            with state.atomic():
                state.outbox().clear([])
        assert len(notices) == count
        return notices

    def events(self, after: timedelta = timedelta(), **facts: Any) -> list[str]:
        """Return what people are told of after a while."""
        self.now += after
        return [notice.kind for notice in self.told(**facts)]

    def stop(self, cause: Any, target: str = "lucid") -> None:
        with StateFile(self.file) as state, state.atomic():
            state.snapshot(target).set_stop(Stop(cause, f"because it is {cause}", self.now) if cause else None)

    def run(self, error: str = "", target: str = "lucid", *, ends: bool = True) -> None:
        with StateFile(self.file) as state, state.atomic():
            journal = state.journal(target)
            number = journal.begin(Plan(target, "sync", self.now, 0, ()), self.now)
            if ends:
                journal.end(number, self.now, 1, 0.5, error)

    def hold(self, *changes: Change, limit: str = "deactivate", target: str = "lucid") -> None:
        """Let the last plan hold these, and nothing else."""
        held = tuple(Held(change, limit, "too many") for change in changes)
        with StateFile(self.file) as state, state.atomic():
            state.holds(target).refresh(Plan(target, "sync", self.now, 0, (), held=held), self.now)

    def undone(self, *keys: str, target: str = "lucid") -> None:
        """Let full resyncs have found these people switched on again, and nothing else."""
        with StateFile(self.file) as state, state.atomic():
            put_back = state.put_back(target)
            put_back.keep_returned([])
            for key in keys:
                change = deactivation(key)
                drift = Drift(
                    DriftClass.USER_ACTIVATION, Kind.USER, key, change.name, {"active": False}, {"active": True}
                )
                put_back.add(Correction(drift, change, 1, self.now, self.now, "it was on again"))

    def resync(self, *foreign: tuple[str, str], reaction: Reaction = Reaction.ENFORCE, target: str = "lucid") -> None:
        """Let a full resync find members whom nobody manages, each by its group and its id, which is its name too."""
        drift = tuple(
            Drift(
                DriftClass.FOREIGN_MEMBER,
                Kind.GROUP,
                group,
                f"Group {group}",
                {},
                as_part([ForeignMember(id_, id_)]),
                reaction,
            )
            for group, id_ in foreign
        )
        with StateFile(self.file) as state, state.atomic():
            journal = state.journal(target)
            number = journal.begin(Plan(target, "resync", self.now, 0, (), drift=drift), self.now)
            journal.end(number, self.now, 1, 0.5, "")

    def ignored(self, *keys: str, target: str = "lucid") -> None:
        """Let the target have ignored these deactivations, and no others."""
        with StateFile(self.file) as state, state.atomic():
            quarantine = state.quarantine(target)
            quarantine.refresh(())
            for key in keys:
                quarantine.failed(deactivation(key), 204, "still active", self.now, Result.INEFFECTIVE)

    def invite(self, key: str, since: datetime, *, state: State = State.PENDING, name: str = "", **facts: Any) -> None:
        with StateFile(self.file) as file, file.atomic():
            known = Known(key, f"id-{key}", name or f"u{key}", state, {}, b"", accepted=False, since=since)
            for fact, value in facts.items():
                setattr(known, fact, value)
            file.snapshot("lucid").put_user(known)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
