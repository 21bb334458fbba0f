"""What people ask of syncd and tell it, from setup and state file to JSON: the same whether a command works on the
state file itself or asks the daemon that holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from syncd.core.model import Json
from syncd.operations import decisions, status
from syncd.operations.decisions import demand_not_paused
from syncd.operations.status import tally
from syncd.settings.build import Setup
from syncd.store import StateFile


@dataclass(frozen=True)
class OperationContext:
    """Where it is asked: what is configured, the open state file, who asks (a login name), and when."""

    setup: Setup
    state: StateFile
    by: str
    now: datetime


class Asking(BaseModel):
    """What every operation takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str | None = None
    """One target; None: all."""


class Counting(Asking):
    """Of how many."""

    count: Annotated[int, Field(ge=1, le=1000)] = 10


class Numbered(Asking):
    """Which run."""

    run: Annotated[int, Field(ge=1, lt=2**63)]


class Somebody(Asking):
    """Who: a userName, e-mail, group name or source key."""

    who: Annotated[str, Field(min_length=1)]


class Withheld(Asking):
    """Which holds: ids or their beginnings, limits' names, or `all`."""

    holds: Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked or told. `writes`: only whoever holds the lease may answer."""

    arguments: type[BaseModel]
    answer: Callable[[OperationContext, Any], Json]
    writes: bool = False


OPERATIONS: Final[dict[str, Operation]] = {
    "status": Operation(Asking, lambda at, asked: status.status(at.setup, at.state, asked.target)),
    "runs": Operation(Counting, lambda at, asked: status.runs(at.setup, at.state, asked.target, asked.count)),
    "show": Operation(Numbered, lambda at, asked: status.show(at.state, asked.run)),
    "explain": Operation(Somebody, lambda at, asked: status.explain(at.setup, at.state, asked.target, asked.who)),
    "holds": Operation(Asking, lambda at, asked: status.holds(at.setup, at.state, asked.target)),
    "approve": Operation(
        Withheld,
        lambda at, asked: decisions.approve(at.setup, at.state, asked.target, asked.holds, at.by, at.now),
        writes=True,
    ),
    "reject": Operation(
        Withheld,
        lambda at, asked: decisions.reject(at.setup, at.state, asked.target, asked.holds, at.by, at.now),
        writes=True,
    ),
    "accept": Operation(
        Somebody, lambda at, asked: decisions.accept(at.setup, at.state, asked.target, asked.who), writes=True
    ),
    "pause": Operation(
        Asking, lambda at, asked: decisions.pause(at.setup, at.state, asked.target, at.by, at.now), writes=True
    ),
    "resume": Operation(Asking, lambda at, asked: decisions.resume(at.setup, at.state, asked.target), writes=True),
}

__all__ = ["OPERATIONS", "Operation", "OperationContext", "demand_not_paused", "tally"]
