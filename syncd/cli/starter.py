"""The files of `syncd init`: a commented configuration and sample files, ready for a trial with the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from syncd.errors import SyncdError

SAMPLES = ("syncd.toml", "people.csv", "groups.csv", "members.csv")


def write(directory: Path) -> Iterator[tuple[Path, bool]]:
    """Write each sample that doesn't exist yet; yields the path and whether the file is new. Raises SyncdError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in SAMPLES:
            path = directory / name
            content = files("syncd.cli").joinpath("samples", name).read_bytes()
            try:
                with path.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                yield path, False
            else:
                yield path, True
    except OSError as error:
        raise SyncdError(f"{error.filename or directory}: {error.strerror}") from None
