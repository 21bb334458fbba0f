"""From a file and the environment to checked settings. Every fault is found at once, with its key and its line.

Reads no file that nobody named, except the default one.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from syncd.errors import ConfigurationError, Fault
from syncd.settings.configuration import Settings
from syncd.settings.environment import PREFIX, Override
from syncd.settings.lines import Lines
from syncd.settings.messages import explained

DEFAULT_FILE: Final = Path("/etc/syncd/syncd.toml")


def load(file: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the configuration. Raises ConfigurationError with every fault there is."""
    text = _text(file)
    data, lines = _tables(file, text), Lines(text)
    override = Override(data)
    for name in sorted(environment):
        if name.startswith(PREFIX):
            override.put(name, environment[name])
    faults = override.faults + _called_alike(data, lines)
    # pydantic-settings takes names that begin with `_` for its own options.
    faults += [Fault(key, "no such key", lines.of((key,))) for key in data if key.startswith("_")]
    settings = None
    try:
        settings = Settings(**{key: value for key, value in data.items() if not key.startswith("_")})
    except ValidationError as error:
        faults += [override.traced(each, explained(each, data, Settings), lines) for each in error.errors()]
    if settings is None or faults:
        raise ConfigurationError(str(file), faults)
    return settings


def _text(file: Path) -> str:
    """Return the file's content. Raises ConfigurationError."""
    try:
        if file.is_char_device():  # reading /dev/zero never ends
            raise ConfigurationError(str(file), [Fault("", "not a file")])
        content = file.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        hint = _instead(file) if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError(str(file), [Fault("", f"{error.strerror}{hint}")]) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"line {line}: not text in UTF-8 (byte 0x{content[error.start]:02x})"
        raise ConfigurationError(str(file), [Fault("", problem, line)]) from None


def _tables(file: Path, text: str) -> dict[str, Any]:
    """Parse the file's text. Raises ConfigurationError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line (\d+)", str(error))
        fault = Fault("", f"not valid TOML: {error}", int(line[1]) if line else None)
        raise ConfigurationError(str(file), [fault]) from None


def _instead(missing: Path) -> str:
    """Return a hint for a missing file. A file in the current folder is named, and never read without `-c`."""
    here = Path(DEFAULT_FILE.name)
    if missing == DEFAULT_FILE and here.is_file():
        return f"; there is a {here} in this folder: `syncd -c {here} …`"
    return "; `syncd init` writes one to start from"


def _called_alike(data: Mapping[str, Any], lines: Lines) -> list[Fault]:
    targets = data.get("target")
    places: dict[str, list[int]] = {}
    for index, target in enumerate(targets if isinstance(targets, list) else []):
        if isinstance(target, dict) and isinstance(name := target.get("name"), str):
            places.setdefault(name, []).append(index)
    return [
        Fault("target", f"{len(indexes)} targets are called `{name}`", lines.of(("target", indexes[-1], "name")))
        for name, indexes in places.items()
        if len(indexes) > 1
    ]


__all__ = ["DEFAULT_FILE", "load"]
