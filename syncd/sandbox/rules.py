"""Which requests a rule affects: a request as rules see it, and the matching and selecting keys of every rule.

Owns the counts of matched and affected requests. Does nothing to a request: see `interference` and `behaviour`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

Positive = Annotated[int, Field(ge=1)]


def no_resource() -> str:
    """Return the text of a resource that isn't there."""
    return ""


@dataclass
class Request:
    """One request, with what rules look at; what few rules look at is read when it is asked for."""

    method: str
    path: str
    """Below the SCIM base URL."""
    query: str = ""
    body: bytes = b""
    read_stored: Callable[[], str] = no_resource

    @cached_property
    def text(self) -> str:
        """The query and the body."""
        return self.query + self.body.decode(errors="replace")

    @cached_property
    def stored(self) -> str:
        """The resource that the path names, as JSON, before the request takes effect; empty if there is none."""
        return self.read_stored()

    @cached_property
    def operations(self) -> list[tuple[str, str]]:
        """The operations of a PATCH as pairs of op (lower case) and path (empty: without a path)."""
        try:
            return [
                (str(each["op"]).lower(), str(each.get("path") or "")) for each in orjson.loads(self.body)["Operations"]
            ]
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            return []


class Rule(BaseModel):
    """The requests that a rule affects: all matching requests, unless the rule has a selection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str | list[str] = "*"
    path: str = "*"
    """Glob over the path below the SCIM base URL, `*` matching slashes too: `/Users*`, `/Groups/*`."""
    contains: str = ""
    """Text that the query or the body must contain."""
    lacks: str = ""
    """Text that neither the query nor the body may contain."""
    of: str = ""
    """Text that the stored resource, as JSON, must contain before the request takes effect."""
    op: Literal["", "add", "remove", "replace"] = ""
    """An operation of the PATCH must have this op, and the `op_path`."""
    op_path: str | None = None
    """Text that the path of an operation must contain. An empty text requires an operation without a path."""
    operations: Positive | None = None
    """The PATCH must have this many operations, or more."""

    nth: Positive | list[Positive] | None = None
    """The n-th matching request, or several of them."""
    since: Positive | None = Field(None, alias="from")
    """The n-th matching request and every later one."""
    every: Positive | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int = 0
    times: Positive | None = None
    """Affect at most this many requests."""

    _seen: int = PrivateAttr(0)
    _met: int = PrivateAttr(0)
    _random: random.Random = PrivateAttr(default_factory=random.Random)

    def model_post_init(self, context: Any, /) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - reproducible on purpose

    def concerns(self, request: Request) -> bool:
        """Whether a request matches this rule, apart from the selection."""
        methods = [self.method] if isinstance(self.method, str) else self.method
        return (
            any(each == "*" or each.upper() == request.method for each in methods)
            and fnmatchcase(request.path, self.path)
            and self.contains in request.text
            and not (self.lacks and self.lacks in request.text)
            and self._concerns_operations(request)
            and (not self.of or self.of in request.stored)
        )

    def _concerns_operations(self, request: Request) -> bool:
        if self.operations is not None and len(request.operations) < self.operations:
            return False
        if not self.op and self.op_path is None:
            return True
        return any(self.op in ("", op) and self._concerns_path(path) for op, path in request.operations)

    def _concerns_path(self, path: str) -> bool:
        if not self.op_path:
            return self.op_path is None or not path
        return self.op_path in path

    def meets(self, request: Request) -> bool:
        """Count this request, and return whether the rule affects the request."""
        if not self.concerns(request):
            return False
        self._seen += 1
        if not self._selected() or (self.times is not None and self._met >= self.times):
            return False
        self._met += 1
        return True

    def _selected(self) -> bool:
        nth = [self.nth] if isinstance(self.nth, int) else self.nth
        return (
            (nth is None or self._seen in nth)
            and (self.since is None or self._seen >= self.since)
            and (self.every is None or self._seen % self.every == 0)
            and (self.probability is None or self._random.random() < self.probability)
        )

    def report(self) -> dict[str, Any]:
        """Return the rule as given, with the numbers of matched and affected requests."""
        return {**self.model_dump(exclude_unset=True, by_alias=True), "seen": self._seen, "met": self._met}
