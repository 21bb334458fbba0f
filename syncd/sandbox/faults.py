"""The rules in force, read from JSON, and the vocabulary of the rules that let requests fail.

Does nothing to a request itself: see `interference`. The other rules are `deviations`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from syncd.errors import ConfigurationError, Fault
from syncd.sandbox.deviations import AnyDeviation
from syncd.sandbox.habits import NO_BULK, rules_of
from syncd.sandbox.rules import Positive, Request, Rule

Milliseconds = Annotated[int, Field(ge=0, le=600_000)]


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
    retry_after_form: Literal["seconds", "date", "epoch"] = "seconds"
    retry_after_header: Literal["Retry-After", "RateLimit-Reset", "X-RateLimit-Reset"] = "Retry-After"
    body: Literal["scim", "html", "empty"] = "scim"
    scim_type: str = ""
    detail: str = ""
    """The error in words; the sandbox's own if empty."""
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
    Delay
    | Status
    | Reset
    | Truncated
    | NotJson
    | Empty
    | RepeatedRow
    | OmittedRow
    | PageCap
    | Stale
    | Unauthorized
    | AnyDeviation
)
_RULES: TypeAdapter[list[AnyFault]] = TypeAdapter(list[Annotated[AnyFault, Field(discriminator="fault")]])


def parse(value: Any, origin: str) -> list[AnyFault]:
    """Return the rules in a JSON value: a list, or an object with the list under `faults`.

    `{"habit": NAME}` in the list stands for the rules of that habit. Raises ConfigurationError, which names `origin`,
    the rule by its number and the key.
    """
    listed = value.get("faults") if isinstance(value, dict) and "faults" in value else value
    try:
        if isinstance(listed, list):
            listed = _expanded(listed, origin)
        return _RULES.validate_python(listed)
    except ValidationError as error:
        raise ConfigurationError(origin, [_fault(each) for each in error.errors()]) from error


def _expanded(listed: list[Any], origin: str) -> list[Any]:
    """Return a list of rules in which each habit is replaced by its rules. Raises ConfigurationError."""
    rules: list[Any] = []
    for each in listed:
        names_habit = isinstance(each, dict) and list(each) == ["habit"]
        rules += rules_of(str(each["habit"]), origin) if names_habit else [each]
    return [rule for number, rule in enumerate(rules) if rule != NO_BULK or NO_BULK not in rules[:number]]


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

    def met(self, request: Request) -> list[AnyFault]:
        """Return the rules that affect a request, in their order, and count them."""
        return [rule for rule in self.rules if rule.meets(request)]
