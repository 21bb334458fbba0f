"""Changes, held changes and the plan of one target, as values; and the plan's JSON (`format: 1`).

A plan is complete in itself: exactly the plan's changes are applied, whatever has happened since. A change whose
precondition (`before`) no longer holds is refused at that time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

import orjson

from syncd.core.actions import Action, Phase
from syncd.core.context import Context
from syncd.core.digest import fingerprint
from syncd.core.drift import Drift
from syncd.core.model import Evidence, Flat, Json, State
from syncd.core.room import ANY_NUMBER, Room
from syncd.core.schema import MANAGER
from syncd.errors import PlanFileError

FORMAT: Final = 1
_NO_PART: Final = ("fingerprint", "relinked")
"""Keys beside a plan's: its fingerprint, and what `relink` says of people."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one resource.

    `before` and `after` hold what differs and nothing else: SCIM paths for a user or group (None: not there),
    `members` (keys of users) and `groups` (keys of groups) for a membership change. For an adoption, both hold
    every path that syncd writes from now on; an adopted group's `before` also holds the members that it was found with.
    """

    action: Action
    key: str
    name: str
    before: Flat
    after: Flat
    reason: str
    state: State | None = None
    digest: str = ""
    """The source entry's digest, hexadecimal, where this change brings the target completely in line."""
    resource: str = ""
    """The id at the target of an adopted resource; the snapshot holds the id of every other resource."""
    found_in: tuple[str, ...] = ()
    """Keys of the linked groups that an adopted resource is a member of at the target already."""
    first: str = ""
    """What must succeed before the change is sent, without its secret parts; "": nothing."""
    _id: str = field(default="", init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The same change has the same id in every plan."""
        if not self._id:
            content = [self.action, self.key, self.before, self.after, self.state]
            id_ = fingerprint([*content, self.resource] if self.resource else content).hex()
            object.__setattr__(self, "_id", id_)  # computed once: slow, and of immutable input
        return self._id

    @property
    def takes_over(self) -> bool:
        """Whether the change adopts an account or a group that doesn't carry our mark yet.

        An account that is only to be off is adopted by its mark alone.
        """
        if self.state is State.DEACTIVATED:
            return False
        mark = self.after.get("externalId")
        return self.action.adopts and (mark is None or self.before.get("externalId") != mark)

    @property
    def shuts_out(self) -> bool:
        """Whether the change takes a person's access away."""
        return self.action.leaves or self.after.get("active") is False

    @property
    def is_everything(self) -> bool:
        """Whether the change sends everything that the source decides of a linked account: the name is among it."""
        return self.action.alters and not self.action.leaves and "userName" in self.after

    @property
    def differences(self) -> tuple[Flat, Flat]:
        """`before` and `after` without the paths at which there is nothing to do (and an adopted group's members)."""
        before = self.before
        if self.action is Action.ADOPT_GROUP:
            before = {path: value for path, value in before.items() if path not in ("members", "groups")}
        paths = [path for path in {**before, **self.after} if before.get(path) != self.after.get(path)]
        return {path: self.before.get(path) for path in paths}, {path: self.after.get(path) for path in paths}

    @property
    def phase(self) -> Phase:
        """The phase of the change: references to managers come after all creations of managers."""
        if self.action is Action.UPDATE_USER and MANAGER in self.after:
            return Phase.MANAGERS
        if self.action is Action.ADOPT_USER and self.state is State.DEACTIVATED:
            return Phase.DEACTIVATE
        return self.action.phase

    @property
    def members(self) -> list[str]:
        """The users that a membership change adds or removes."""
        return list((self.after or self.before).get("members", []))

    @property
    def subgroups(self) -> list[str]:
        return list((self.after or self.before).get("groups", []))

    @classmethod
    def of_members(cls, action: Action, key: str, name: str, members: list[str], subgroups: list[str]) -> Self:
        """Return a membership change of one group; its reason counts them."""
        content = {part: keys for part, keys in (("members", members), ("groups", subgroups)) if keys}
        counted = _counted(members, "person", "people"), _counted(subgroups, "group", "groups")
        who = " and ".join(filter(None, counted))
        if action.adds:
            return cls(action, key, name, {}, content, f"{who} new in the group")
        return cls(action, key, name, content, {}, f"{who} no longer in the group")

    def with_members(self, members: list[str], subgroups: list[str]) -> Change:
        """Return the same membership change for fewer members."""
        return self.of_members(self.action, self.key, self.name, members, subgroups)

    def to_json(self) -> Json:
        data: dict[str, Json] = {
            "id": self.id,
            "action": self.action.value,
            "key": self.key,
            "name": self.name,
            "state": self.state.value if self.state else None,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
        }
        if self.digest:
            data["digest"] = self.digest
        if self.resource:
            data["resource"] = self.resource
        if self.found_in:
            data["found_in"] = list(self.found_in)
        if self.first:
            data["first"] = self.first
        return data

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read a change from JSON. Raises KeyError, TypeError or ValueError for malformed input."""
        state = data["state"]
        change = cls(
            Action(data["action"]),
            _text(data["key"]),
            _text(data["name"]),
            _table(data["before"]),
            _table(data["after"]),
            _text(data["reason"]),
            State(state) if state is not None else None,
            _text(data.get("digest", "")),
            _text(data.get("resource", "")),
            tuple(map(_text, data.get("found_in", ()))),
            _text(data.get("first", "")),
        )
        if change.id != data["id"]:
            raise ValueError(f"the change {data['id']} is not what its id says")
        return change


def _counted(keys: list[str], one: str, several: str) -> str:
    return f"{len(keys)} {one if len(keys) == 1 else several}" if keys else ""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _table(value: Any) -> Flat:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an object")
    return value


@dataclass(frozen=True)
class Held:
    """A change that policy withholds. `limit` names the rule, `reason` says it in a sentence."""

    change: Change
    limit: str
    reason: str
    stored: bool = field(default=True, compare=False)
    """Whether a run has stored the held change: only a stored one can be approved or rejected."""

    @property
    def id(self) -> str:
        return self.change.id

    def to_json(self) -> Json:
        # The key is written only where the hold is not stored: the JSON of plans with stored holds stays as before.
        unstored = {} if self.stored else {"stored": False}
        return {"id": self.id, "change": self.change.to_json(), "limit": self.limit, "reason": self.reason, **unstored}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read a held change from JSON. Raises KeyError, TypeError or ValueError for malformed input."""
        stored = data.get("stored", True) is not False
        return cls(Change.from_json(data["change"]), _text(data["limit"]), _text(data["reason"]), stored)


@dataclass(frozen=True)
class Trouble:
    """A problem as a plan shows it: the part left out, the people concerned and the place to correct."""

    key: str
    problem: str
    where: str = ""
    kind: str = "user"

    def to_json(self) -> Json:
        return {"key": self.key, "problem": self.problem, "where": self.where, "kind": self.kind}


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of carrying out the changes."""

    requests: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """All changes of one target in order of execution, and all withheld changes with their reasons."""

    target: str
    kind: str
    created: datetime
    base_serial: int
    """Serial of the snapshot that the plan was made from."""
    changes: tuple[Change, ...]
    held: tuple[Held, ...] = ()
    rejected: tuple[Held, ...] = ()
    """Rejected changes: not carried out, and no longer offered for approval."""
    drift: tuple[Drift, ...] = ()
    accepted: tuple[str, ...] = ()
    """Keys of invited people whom the target shows as accepted."""
    problems: tuple[Trouble, ...] = ()
    estimate: Estimate = Estimate(0, 0.0)
    managed: int = 0
    """Number of users managed before: the base of all percentages."""
    evidence: Evidence | None = None
    """The evidence of the source's reading; None where nothing had to be read."""
    context: Context = field(default_factory=Context)
    """Additional information for the plan's reader."""
    scheme: str = field(default="", repr=False)
    """Hexadecimal fingerprint of the mapping that it was made with: `digest`s mean nothing under another one."""

    @property
    def summary(self) -> dict[str, int]:
        """Counts by action, and counts of withheld changes, drift and problems."""
        counts = Counter(change.action for change in self.changes)
        by_action = {action.value: counts[action] for action in Action if counts[action]}
        return {**by_action, "held": len(self.held), "drift": len(self.drift), "problems": len(self.problems)}

    def to_json(self) -> dict[str, Json]:
        data = {**self.head(), "changes": [change.to_json() for change in self.changes]}
        return {"fingerprint": fingerprint(data).hex(), **data}

    def head(self) -> dict[str, Json]:
        """Return the plan as JSON with its changes counted, not listed."""
        # A missing value has no key: the JSON of a plan that was saved without the key stays the same.
        context = {"context": self.context.to_json()} if self.context != Context() else {}
        return {
            "format": FORMAT,
            "target": self.target,
            "kind": self.kind,
            "created": timestamp(self.created),
            "base_serial": self.base_serial,
            "scheme": self.scheme,
            "managed": self.managed,
            "summary": self.summary,
            "estimate": {"requests": self.estimate.requests, "seconds": self.estimate.seconds},
            "changes": [],
            "held": [held.to_json() for held in self.held],
            "rejected": [held.to_json() for held in self.rejected],
            "drift": [drift.to_json() for drift in self.drift],
            "accepted": list(self.accepted),
            "evidence": asdict(self.evidence) if self.evidence else None,
            "problems": [problem.to_json() for problem in self.problems],
            **context,
        }

    @classmethod
    def from_json(cls, data: Any, name: str) -> Self:
        """Read a saved plan back; `name` is the file's, for messages. Raises PlanFileError."""
        again = "make it anew with `syncd plan -o`"
        if not isinstance(data, dict) or "format" not in data:
            raise PlanFileError(f"{name}: not a plan of syncd", hint=again)
        if data["format"] != FORMAT:
            raise PlanFileError(f"{name}: a plan of format {data['format']!r}; this syncd reads {FORMAT}", hint=again)
        claimed = data.get("fingerprint")
        if claimed != fingerprint({name: value for name, value in data.items() if name not in _NO_PART}).hex():
            raise PlanFileError(f"{name}: the plan was changed after it was made, or is cut short", hint=again)
        try:
            return cls.trusted(data)
        except (KeyError, TypeError, ValueError) as error:
            raise PlanFileError(f"{name}: not a plan that syncd could have made: {error}", hint=again) from None

    @classmethod
    def trusted(cls, data: Json) -> Self:
        """Read the result of `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            target=_text(data["target"]),
            kind=_text(data["kind"]),
            created=datetime.fromisoformat(data["created"]),
            base_serial=int(data["base_serial"]),
            changes=tuple(Change.from_json(change) for change in data["changes"]),
            held=tuple(map(Held.from_json, data["held"])),
            rejected=tuple(map(Held.from_json, data.get("rejected", ()))),
            drift=tuple(map(Drift.from_json, data["drift"])),
            accepted=tuple(map(_text, data.get("accepted", ()))),
            evidence=Evidence(**evidence) if (evidence := data.get("evidence")) else None,
            problems=tuple(Trouble(**problem) for problem in data["problems"]),
            estimate=Estimate(**data["estimate"]),
            managed=int(data["managed"]),
            scheme=_text(data["scheme"]),
            context=Context.from_json(context) if (context := data.get("context")) else Context(),
        )


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 text in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ordered(changes: Iterable[Change], room: Room = ANY_NUMBER) -> tuple[Change, ...]:
    """Return changes in order of execution: by place, then by name and key, so that equal plans are equal texts.

    `room`: the target's room for a person, which decides the place of each phase.
    """

    def turn(change: Change) -> str:
        return f"{room.place(change.phase, change.name):02d}{change.name.casefold()}\0{change.key}"

    return tuple(sorted(changes, key=turn))


class Result(StrEnum):
    """The result of a change."""

    APPLIED = "applied"
    FAILED = "failed"
    INEFFECTIVE = "ineffective"
    """Answered with success, and not so when looked at."""
    SKIPPED = "skipped"
    """Not tried, because of an earlier event in the run."""
    REFUSED = "refused"
    """Not tried, because its precondition no longer holds."""

    @property
    def words(self) -> str:
        """The result as reports say it."""
        return _RESULTS.get(self, self.value)

    @property
    def is_failure(self) -> bool:
        """Whether the change was tried, and is not done."""
        return self in (Result.FAILED, Result.INEFFECTIVE)


_RESULTS: Final = {Result.APPLIED: "done", Result.INEFFECTIVE: "without effect", Result.SKIPPED: "not tried"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one change. `status` is the target's last HTTP status, 0 where there was none."""

    change: Change
    result: Result
    status: int = 0
    detail: str = ""
    finished: bool = True
    """Whether an applied change is complete."""
    open: bool = False
    """Whether the effect of the change is unknown: the next run recovers it."""
    unprepared: bool = False
    """Whether what must come first failed: nothing was sent to the target."""

    def to_json(self) -> Json:
        return {
            "id": self.change.id,
            "action": self.change.action.value,
            "key": self.change.key,
            "name": self.change.name,
            "result": self.result.value,
            "status": self.status,
            "detail": self.detail,
        }


UNPREPARED: Final = "before_delete: "
"""The beginning of the detail of a deletion before which what must succeed first failed."""
LOST: Final = "the target no longer has it; the next run makes it anew"
"""The detail of a change to a linked resource that was not at the target."""
REST_DONE: Final = "; done: "
"""In the detail of a change of which a part was refused: what stands before the names of the rest."""
UNRECOVERED: Final = (
    "an earlier create was never answered, and nobody can tell yet whether it was done: `syncd resync` goes by all "
    "that is there"
)
"""The detail of a create that is not tried while an earlier create is open."""


@dataclass(frozen=True)
class Run:
    """One finished cycle for one target."""

    number: int
    plan: Plan
    started: datetime
    outcomes: tuple[Outcome, ...]
    requests: int
    """All that was sent to the target, what was sent again included: to recover, to read it whole, and to push."""
    seconds: float
    error: str = ""
    """Why the run ended early; None where it did not."""
    retries: int = 0
    """Requests that were sent again."""
    waited: float = 0.0
    """Seconds that requests waited for their turn, all together."""
    reads: int | None = None
    """How many of the requests only read; None for a run of an earlier version, which counted those of the push."""

    @property
    def writes(self) -> int | None:
        """The number of requests that may write; None where reads were not counted apart."""
        return None if self.reads is None else self.requests - self.reads

    @property
    def results(self) -> Mapping[Result, int]:
        return Counter(outcome.result for outcome in self.outcomes)

    def to_json(self) -> dict[str, Json]:
        return {
            "run": self.number,
            **self.plan.to_json(),
            "started": timestamp(self.started),
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "results": {result.value: self.results[result] for result in Result},
            "requests": self.requests,
            "reads": self.reads,
            "writes": self.writes,
            "seconds": round(self.seconds, 3),
            "retries": self.retries,
            "waited_seconds": round(self.waited, 3),
            "error": self.error,
        }

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Read what `to_json` gave. Raises KeyError, TypeError or ValueError for anything else."""
        plan = Plan.trusted(data)
        changes = {change.id: change for change in plan.changes}
        return cls(
            data["run"],
            plan,
            datetime.fromisoformat(data["started"]),
            tuple(
                Outcome(changes[each["id"]], Result(each["result"]), each["status"], each["detail"])
                for each in data["outcomes"]
            ),
            data["requests"],
            data["seconds"],
            data["error"],
            data["retries"],
            data["waited_seconds"],
            data.get("reads"),
        )


def dump(value: Json) -> str:
    """Return JSON for people and programs: indented, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"


__all__ = [
    "FORMAT",
    "LOST",
    "REST_DONE",
    "UNPREPARED",
    "UNRECOVERED",
    "Action",
    "Change",
    "Estimate",
    "Held",
    "Outcome",
    "Phase",
    "Plan",
    "Result",
    "Run",
    "Trouble",
    "dump",
    "ordered",
    "timestamp",
]
