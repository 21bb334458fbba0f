"""Tables whose keys are declared elsewhere: each field of a dataclass is a key of the table.

A new field is a new key, with the type, the checks and the default of the field. The dataclass is in a package below
the settings, and does not import them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from types import UnionType
from typing import Annotated, Any, ClassVar, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import pydantic

from syncd.settings.secrets import NamedSecret
from syncd.settings.sections import PositiveDuration, Section
from syncd.sources.options import Reveal

_WRITTEN: Final[dict[Any, Any]] = {timedelta: PositiveDuration, Reveal: NamedSecret}
"""By the type of a field: the type of its key, where a configuration writes the value in another form."""


class Declared(Section):
    """A table whose keys are the fields of a dataclass."""

    declaration: ClassVar[type[Any]]


Table = TypeVar("Table", bound=Declared)


def keys_of(
    declaration: type[Any], *, but: Collection[str] = (), all_optional: bool = False
) -> Callable[[type[Table]], type[Table]]:
    """Add a key for each field of a dataclass to the table. `all_optional`: a key that is not given is None."""
    hints = get_type_hints(declaration, include_extras=True)

    def completed(table: type[Table]) -> type[Table]:
        keys: dict[str, Any] = {}
        for each in fields(declaration):
            if each.name not in but:
                type_ = written(hints[each.name])
                keys[each.name] = (_union(type_, None), None) if all_optional else (type_, _default(each))
        made = pydantic.create_model(
            table.__name__, __base__=table, __module__=table.__module__, __doc__=table.__doc__, **keys
        )
        made.declaration = declaration
        return made

    return completed


def written(type_: Any) -> Any:
    """Return the type that a value of some type has in a configuration."""
    if type_ in _WRITTEN:
        return _WRITTEN[type_]
    if get_origin(type_) is Annotated:
        subscripted: Any = Annotated
        return subscripted[(written(get_args(type_)[0]), *get_args(type_)[1:])]
    if get_origin(type_) is tuple:
        # Not a tuple: where all items of a tuple are wrong, pydantic adds the error that the tuple is too short.
        item: Any = get_args(type_)[0]
        return Annotated[list[item], pydantic.AfterValidator(tuple)]
    if get_origin(type_) in (Union, UnionType):
        return _union(*map(written, get_args(type_)))
    return type_


def _union(*types: Any) -> Any:
    subscripted: Any = Union
    return subscripted[types]


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return pydantic.Field(default_factory=field.default_factory)
    return ... if field.default is MISSING else field.default


__all__ = ["Declared", "keys_of", "written"]
