"""Fault rules: which requests fail and how, read from JSON, with the count of matched requests.

Owns the vocabulary and the selection of rules. Does nothing to a request itself: see `interference`.
"""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError

from syncd.errors import ConfigurationError, Fault

Positive = Annotated[int, Field(ge=1)]
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]


class Rule(BaseModel):
    """The requests that a fault affects: all matching requests, unless the rule has a selection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str | list[str] = "*"
    path: str = "*"
    """Glob over the path below the SCIM base URL, `*` matching slashes too: `/Users*`, `/Groups/*`."""
    contains: str = ""
    """Text that the query or the body must contain."""
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

    def concerns(self, method: str, path: str, text: str) -> bool:
        """Whether a request matches this rule, apart from the selection."""
        methods = [self.method] if isinstance(self.method, str) else self.method
        return (
            any(each == "*" or each.upper() == method for each in methods)
            and fnmatchcase(path, self.path)
            and self.contains in text
        )

    def meets(self, method: str, path: str, text: str) -> bool:
        """Count this request, and return whether the fault affects the request."""
        if not self.concerns(method, path, text):
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


class Delay(Rule):
    """The response is delayed."""

    fault: Literal["delay"]
    milliseconds: Milliseconds
    applied: bool = False
    """True: the change takes effect before the delay."""


class Status(Rule):
    """The response is an error."""

    fault: Literal["status"]
    status: Annotated[int, Field(ge=400, le=599)]
    retry_after: Annotated[float, Field(ge=0)] | None = None
    """Seconds; None: no Retry-After header."""
    retry_after_form: Literal["seconds", "date"] = "seconds"
    body: Literal["scim", "html", "empty"] = "scim"
    applied: bool = False
    """True: the change took effect despite the error."""


class Reset(Rule):
    """The connection is reset instead of a response."""

    fault: Literal["reset"]
    applied: bool = False
    """True: the reset comes after the change took effect."""


class Truncated(Rule):
    """The body ends in the middle of the JSON."""

    fault: Literal["truncated"]


class NotJson(Rule):
    """The body is a page of HTML, with the status of the original response."""

    fault: Literal["not_json"]


class Empty(Rule):
    """The status without a body, such as 201."""

    fault: Literal["empty"]
    location: bool = True
    """Whether the Location header stays."""


class RepeatedRow(Rule):
    """A page of a list repeats the page's first resource at the end."""

    fault: Literal["repeated_row"]


class OmittedRow(Rule):
    """A page of a list lacks the page's last resource, which is on no other page."""

    fault: Literal["omitted_row"]


class PageCap(Rule):
    """The pages of a list are smaller than requested."""

    fault: Literal["page_cap"]
    size: Positive


class Stale(Rule):
    """Reads return the state before a write for a while, as lagging replicas do."""

    fault: Literal["stale"]
    milliseconds: Milliseconds


class Unauthorized(Rule):
    """The token is not accepted."""

    fault: Literal["unauthorized"]


AnyFault = (
    Delay | Status | Reset | Truncated | NotJson | Empty | RepeatedRow | OmittedRow | PageCap | Stale | Unauthorized
)
_RULES: TypeAdapter[list[AnyFault]] = TypeAdapter(list[Annotated[AnyFault, Field(discriminator="fault")]])


def parse(value: Any, origin: str) -> list[AnyFault]:
    """Return the rules in a JSON value: a list, or an object with the list under `faults`.

    Raises ConfigurationError, which names `origin`, the rule by its number and the key.
    """
    listed = value.get("faults") if isinstance(value, dict) and "faults" in value else value
    try:
        return _RULES.validate_python(listed)
    except ValidationError as error:
        raise ConfigurationError(origin, [_fault(each) for each in error.errors()]) from error


def _fault(error: Any) -> Fault:
    """Return one of pydantic's errors as a fault: `rule 2, status: …`."""
    location = list(error["loc"])
    where = f"rule {location.pop(0) + 1}" if location and isinstance(location[0], int) else "faults"
    keys = [str(part) for part in location[1:]]
    return Fault(f"{where}, {'.'.join(keys)}" if keys else where, str(error["msg"]))


def load(file: Path) -> list[AnyFault]:
    """Return the rules in a JSON file. Raises ConfigurationError."""
    try:
        return parse(orjson.loads(file.read_bytes()), str(file))
    except OSError as error:
        problem = f"can't be read: {error.strerror}; name a JSON file with a list of faults"
        raise ConfigurationError(str(file), [Fault("", problem)]) from error
    except orjson.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        raise ConfigurationError(str(file), [Fault("", problem)]) from error


class Faults:
    """The rules in force."""

    def __init__(self, rules: list[AnyFault]) -> None:
        self.rules = rules

    def met(self, method: str, path: str, text: str) -> list[AnyFault]:
        """Return the faults that affect a request, in the order of the rules, and count these faults."""
        return [rule for rule in self.rules if rule.meets(method, path, text)]
