"""The parts of every table of the configuration: the table itself, durations, rules and names."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from syncd.core.rules import Rule, RuleError
from syncd.settings.values import duration, positive_duration, some_name


def _rule(text: str) -> str:
    try:
        Rule(text)
    except RuleError as error:
        raise ValueError(str(error)) from None
    return text


def between(shortest: str, longest: str) -> AfterValidator:
    """Return a check that a duration is neither shorter nor longer."""
    low, high = duration(shortest), duration(longest)

    def check(value: timedelta) -> timedelta:
        if not low <= value <= high:
            raise ValueError(f"between {shortest} and {longest} is wanted")
        return value

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(duration)]
PositiveDuration = Annotated[timedelta, BeforeValidator(positive_duration)]
RuleText = Annotated[str, AfterValidator(_rule)]
Name = Annotated[str, AfterValidator(some_name)]


class Section(BaseModel):
    """A table of the configuration. Unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True, defer_build=True
    )


__all__ = ["Duration", "Name", "PositiveDuration", "RuleText", "Section", "between"]
