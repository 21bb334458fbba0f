"""From a file and the environment to checked settings: every fault is found at once, and named by its key."""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from syncd.errors import ConfigurationError, Fault
from syncd.settings.configuration import Settings
from syncd.settings.environment import PREFIX, Override
from syncd.settings.messages import explained

DEFAULT_FILE: Final = Path("/etc/syncd/syncd.toml")


def load(file: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the configuration. Raises ConfigurationError with every fault there is."""
    data = _read(file)
    override = Override(data)
    for name in sorted(environment):
        if name.startswith(PREFIX):
            override.put(name, environment[name])
    faults = override.faults + _called_alike(data)
    # pydantic-settings takes names with `_` in front for options of its own.
    faults += [Fault(key, "no such key") for key in data if key.startswith("_")]
    settings = None
    try:
        settings = Settings(**{key: value for key, value in data.items() if not key.startswith("_")})
    except ValidationError as error:
        faults += [override.traced(each, explained(each, data, Settings)) for each in error.errors()]
    if settings is None or faults:
        raise ConfigurationError(str(file), faults)
    return settings


def _read(file: Path) -> dict[str, Any]:
    """Return the file's content as tables. Raises ConfigurationError."""
    try:
        if file.is_char_device():  # some of which never end
            raise ConfigurationError(str(file), [Fault("", "not a file")])
        content = file.read_bytes()
    except OSError as error:
        hint = _instead(file) if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError(str(file), [Fault("", f"{error.strerror}{hint}")]) from None
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"line {line}: not text in UTF-8 (byte 0x{content[error.start]:02x})"
        raise ConfigurationError(str(file), [Fault("", problem)]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(file), [Fault("", f"not valid TOML: {error}")]) from None


def _instead(missing: Path) -> str:
    """Return what to do where there is no such file. A file that nobody named is never read by itself."""
    here = Path(DEFAULT_FILE.name)
    if missing == DEFAULT_FILE and here.is_file():
        return f"; there is a {here} in this folder: name it with `-c {here}`"
    return "; `syncd init` writes one to start from"


def _called_alike(data: Mapping[str, Any]) -> list[Fault]:
    targets = data.get("target")
    names = [item.get("name") for item in targets if isinstance(item, dict)] if isinstance(targets, list) else []
    counts = Counter(name for name in names if isinstance(name, str))
    return [Fault("target", f"{count} targets are called `{name}`") for name, count in counts.items() if count > 1]


__all__ = ["DEFAULT_FILE", "load"]
