"""The operations of people: questions (`status`, `holds`, `explain`, …) and decisions (`approve`, `pause`, …).

Each operation goes from setup and state file to JSON. A command that works on the state file itself and a daemon that
holds the lease call the same function. An operation uses no network, and renders nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from syncd.core.model import Json
from syncd.operations import decisions, learned, status
from syncd.operations.decisions import demand_not_paused
from syncd.operations.status import tally
from syncd.settings.build import Setup
from syncd.store import StateFile


@dataclass(frozen=True)
class OperationContext:
    """The context of every operation: setup, the open state file, a person's login name, and the time."""

    setup: Setup
    state: StateFile
    by: str
    now: datetime


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class TargetArguments(BaseModel):
    """The argument that every operation takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str | None = None
    """One target; None: all."""


class CountArguments(TargetArguments):
    """Number of rows wanted."""

    count: Annotated[int, Field(ge=1, le=1000)] = 10


class RunArguments(TargetArguments):
    """The number of a run."""

    run: Annotated[int, Field(ge=1, lt=2**63)]


class WhoArguments(TargetArguments):
    """A user or group, by userName, e-mail, group name or source key."""

    who: Annotated[str, Field(min_length=1)]


class PeopleArguments(TargetArguments):
    """Some users, each as of `WhoArguments`; a single one may stand without a list."""

    who: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1), BeforeValidator(_as_list)]


class HoldArguments(TargetArguments):
    """Holds, by ids or their beginnings, names of limits, or `all`."""

    holds: Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class Operation:
    """One operation. `writes`: only the process that holds the lease may answer."""

    arguments: type[BaseModel]
    answer: Callable[[OperationContext, Any], Json]
    writes: bool = False


OPERATIONS: Final[dict[str, Operation]] = {
    "status": Operation(TargetArguments, lambda at, asked: status.status(at.setup, at.state, asked.target)),
    "runs": Operation(CountArguments, lambda at, asked: status.runs(at.setup, at.state, asked.target, asked.count)),
    "show": Operation(RunArguments, lambda at, asked: status.show(at.state, asked.run)),
    "explain": Operation(WhoArguments, lambda at, asked: status.explain(at.setup, at.state, asked.target, asked.who)),
    "holds": Operation(TargetArguments, lambda at, asked: status.holds(at.setup, at.state, asked.target)),
    "approve": Operation(
        HoldArguments,
        lambda at, asked: decisions.approve(at.setup, at.state, asked.target, asked.holds, at.by, at.now),
        writes=True,
    ),
    "reject": Operation(
        HoldArguments,
        lambda at, asked: decisions.reject(at.setup, at.state, asked.target, asked.holds, at.by, at.now),
        writes=True,
    ),
    "accept": Operation(
        PeopleArguments, lambda at, asked: decisions.accept(at.setup, at.state, asked.target, asked.who), writes=True
    ),
    "pause": Operation(
        TargetArguments, lambda at, asked: decisions.pause(at.setup, at.state, asked.target, at.by, at.now), writes=True
    ),
    "resume": Operation(
        TargetArguments, lambda at, asked: decisions.resume(at.setup, at.state, asked.target), writes=True
    ),
    "relearn": Operation(
        TargetArguments, lambda at, asked: learned.relearn(at.setup, at.state, asked.target), writes=True
    ),
}

__all__ = ["OPERATIONS", "Operation", "OperationContext", "demand_not_paused", "tally"]
