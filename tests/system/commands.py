"""Run the installed `syncd` as an administrator does: a process of its own, its exit code, its output."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# ldap3 imports names that pyasn1 has deprecated; every other warning is an error.
_WARNINGS = "error,ignore:tagMap is deprecated,ignore:typeMap is deprecated"

PATIENCE_SECONDS = 600
"""Only a command that hangs takes so long; the demo takes minutes on a busy machine."""


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Administrator:
    """A folder with a configuration, and the commands run in it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD")}
        self.environment = {**kept, "SYNCD_CONFIG": "syncd.toml", "PYTHONWARNINGS": _WARNINGS, **environment}

    def syncd(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Done:
        """Run `syncd` to its end; nothing it prints may be a traceback."""
        command = [str(Path(sys.executable).with_name("syncd")), *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | dict(environment or {}),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert "a fault of syncd itself" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def people(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Write people.csv with the columns of the sample."""
        columns = ["employee_id", "first", "last", "display", "mail", "status", "department", "title", "manager_id"]
        with (self.folder / "people.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def members(self, rows: Iterable[tuple[str, str]]) -> None:
        self.write("members.csv", "group,member\n" + "".join(f"{group},{member}\n" for group, member in rows))


def person(key: int, **changes: str) -> dict[str, str]:
    """Return a row of people.csv; the same key makes the same person."""
    row = {
        "employee_id": str(key),
        "first": f"First{key}",
        "last": f"Last{key}",
        "mail": f"p{key}@example.com",
        "status": "active",
        "department": "Engineering",
        "title": "Engineer",
    }
    return row | changes
