"""`[mapping.user]` and `[mapping.group]`: every line is compiled when it is read, and every fault is named."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field, ValidationError, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError

from syncd.core.mapping import KEYS, MappingFault, Spec, compile_assignment, conflicts
from syncd.core.model import Kind
from syncd.settings.sections import Section


def _lines(kind: Kind) -> WrapValidator:
    """Compile every line of a mapping and report every fault with its path."""

    def check(value: Any, handler: Any) -> dict[str, Spec]:
        if not isinstance(value, dict):
            raise PydanticCustomError("mapping", "a table is wanted: SCIM paths on the left, templates on the right")
        faults: list[InitErrorDetails] = []
        assignments = []

        def fault(path: str, problem: str) -> None:
            error = PydanticCustomError("mapping", "{problem}", {"problem": problem})
            faults.append(InitErrorDetails(type=error, loc=(path,), input=None))

        for path, spec in value.items():
            if isinstance(spec, dict) and not any(map(_like_a_key, spec)):
                fault(path, f'a path with a dot needs quotes: "{path}.{next(iter(spec), "…")}" = …')
            elif not _is_spec(spec):
                fault(path, 'wanted: a template "{mail}", a list of them, true or false, or { cel = "…" }')
            else:
                try:
                    assignments.append(compile_assignment(path, spec, kind))
                except MappingFault as error:
                    fault(path, str(error))
        for path, problem in conflicts(assignments):
            fault(path, problem)
        if kind is Kind.USER and not any(path.casefold() == "username" for path in value):
            fault("userName", "must be mapped: every SCIM user has one (RFC 7643 section 4.1.1)")
        if faults:
            raise ValidationError.from_exception_data("mapping", faults)
        return value

    return WrapValidator(check)


def _like_a_key(key: str) -> bool:
    return bool(get_close_matches(key, KEYS, n=1))


def _is_spec(spec: Any) -> bool:
    if isinstance(spec, list):
        return all(isinstance(item, str) for item in spec)
    return isinstance(spec, str | bool | dict)


class MappingSettings(Section):
    """`[mapping.user]` and `[mapping.group]`: SCIM path to template."""

    user: Annotated[dict[str, Any], _lines(Kind.USER)]
    """SCIM path to template, list of templates (the first that is not empty), true or false, or `{ cel = "…" }`.
    `userName` is needed; `externalId` is the key unless mapped. While the source has no value at a mapped path, the
    target's is removed; `{ template = "…", when_empty = "keep", apply = "create" }` says otherwise (see below)."""
    group: Annotated[dict[str, Any], _lines(Kind.GROUP)] = Field(default_factory=dict)
    """The same for groups. `displayName` is the group's name unless mapped."""


__all__ = ["MappingSettings"]
