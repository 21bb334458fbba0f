"""Variables of the environment, merged into the configuration before it is checked."""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from syncd.errors import Fault
from syncd.settings.lines import Lines
from syncd.settings.messages import nearest
from syncd.settings.sources import KINDS

PREFIX: Final = "SYNCD__"
_WAYS: Final = frozenset({"credential", "env", "file"})
"""A secret has exactly one of these keys."""


class Override:
    """Puts `SYNCD__SOURCE__BIND_DN=…` into its place; a target is named by its number, from 0, or by its name.

    Lists and tables are written as in TOML or JSON: `SYNCD__SOURCE__URLS=["ldaps://a"]`. The number after the last
    target's makes a new one.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._origins: dict[tuple[str | int, ...], str] = {}
        self.faults: list[Fault] = []
        """One for each variable without a place in the configuration."""

    def put(self, name: str, text: str) -> None:
        """Set one key from the environment variable of that name."""
        *steps, last = name[len(PREFIX) :].lower().split("__")
        place: Any = self._data
        path: list[str | int] = []
        for step in steps:
            if isinstance(place, list) and step == str(len(place)):
                self._origins[(*path, len(place))] = name
                place.append({})
            part = _part(place, step)
            if part is None:
                return self._refuse(name, path, step)
            path.append(part)
            if isinstance(place, dict) and part not in place:
                place[part] = [] if path == ["target"] else {}
                self._origins[tuple(path)] = name
            place = place[part]
        part = _part(place, last)
        if part is None:
            return self._refuse(name, path, last)
        if last in _WAYS and isinstance(place, dict):  # the variable replaces the file's way to name the secret
            for way in _WAYS & place.keys():
                if (*path, way) not in self._origins:
                    del place[way]
        place[part] = _value(text)
        self._origins[(*path, part)] = name
        return None

    def _refuse(self, name: str, path: list[str | int], step: str) -> None:
        if path == ["target"]:
            names = [_in_environment(item) or str(index) for index, item in enumerate(self._data["target"])]
            self.faults.append(Fault(name, f"no target is called `{step}`{nearest(step, names)}"))
        else:
            self.faults.append(Fault(name, f"`{'.'.join(map(str, path))}` is no table: `{step}` has no place in it"))

    def traced(self, finding: Any, fault: Fault, lines: Lines) -> Fault:
        """Add the place of one of pydantic's findings to its fault: the variable, or the line of the file."""
        path = tuple(part for part in finding["loc"] if finding["loc"][:1] != ("source",) or part not in KINDS)
        if finding["type"] == "union_tag_invalid":
            path += ("type",)
        for end in range(len(path), 0, -1):
            if path[:end] in self._origins:
                return Fault(f"{fault.key} (from {self._origins[path[:end]]})", fault.problem)
        return replace(fault, line=lines.of(path))


def _part(place: Any, step: str) -> str | int | None:
    """Return the key or index for one step of a variable's name; None where nothing has that name."""
    if isinstance(place, dict):
        return next((key for key in place if key.lower() == step), step)
    if isinstance(place, list):
        return next((index for index, item in enumerate(place) if step in (str(index), _in_environment(item))), None)
    return None


def _in_environment(target: Any) -> str:
    """Return a target's name as it can stand in a variable's name: `lucid-content` as `lucid_content`."""
    return re.sub(r"\W", "_", str(target.get("name", ""))).lower() if isinstance(target, dict) else ""


def _value(text: str) -> Any:
    """Parse a list or table in TOML or JSON. Any other text, such as a template, is returned unchanged."""
    if text.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return tomllib.loads(f"value = {text}")["value"]
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


__all__ = ["PREFIX", "Override"]
