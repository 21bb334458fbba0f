"""Print docs/profiles.md: every profile with every value and where it comes from. `make docs` writes it, a test
compares it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from docstrings import below_fields

from syncd.scim import profiles
from syncd.scim.profiles import NAMES, PROFILES, Profile

_INTRODUCTION = """\
# Profiles

A profile holds what is known of a kind of endpoint before it is asked: `profile = "…"` in a
[`[[target]]`](configuration.md). Its values take precedence over what the endpoint announces in its
ServiceProviderConfig, because announced capabilities were found wrong in both directions. `generic` is for every
endpoint without a profile of its own; its open values follow from what the endpoint announces and does.

This page is made from the program (`make docs`).

## Where an endpoint differs from its profile

Every value in the table below can be overridden for one target:

```toml
[[target]]
name = "intranet"
profile = "generic"
base_url = "https://intranet.example.com/scim/v2"
token = { env = "INTRANET_TOKEN" }

[target.profile_overrides]
patch = false               # it announces PATCH, and takes none
members_per_patch = 20
members_read = "nothing"    # its groups never show who is in them
```

Overrides take precedence over the profile, and so over what is announced. Overrides that can't be true of an endpoint
are refused (`patch = false` with `put_groups = false`: groups could never be changed). `syncd check` shows the profile,
the overrides, what the endpoint announces, and where the two differ. The keys are described in
[configuration.md](configuration.md#targetprofile_overrides).
"""

_VALUES = """\
## Every value

–: as the endpoint announces it, or shows by what it does; of rates, that only the rate of all requests counts; of
filters, that all are tried. In bold what differs from `generic`.
"""


def main() -> None:
    print(reference(), end="")


def reference() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, _VALUES, _table(), "## Where the values come from\n", *_sources()])


def _table() -> str:
    """Return all values: a row for each field, a column for each profile."""
    meanings = below_fields(profiles)
    names = [field.name for field in fields(Profile) if field.name not in NAMES]
    rows = [
        f"| | {' | '.join(f'`{name}`' for name in PROFILES)} | |",
        f"|---|{'---|' * len(PROFILES)}---|",
        *(f"| `{name}` | {' | '.join(_values(name))} | {meanings['Profile', name]} |" for name in names),
    ]
    return "\n".join(rows) + "\n"


def _values(field: str) -> Iterator[str]:
    usual = getattr(PROFILES["generic"], field)
    for profile in PROFILES.values():
        value = getattr(profile, field)
        yield _shown(value) if value == usual else f"**{_shown(value)}**"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return f'`"{value}"`'
        case tuple():
            return ", ".join(map(_shown, value))
        case _:
            return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _sources() -> list[str]:
    """Return a paragraph for each profile: the comments that stand above its values in the program."""
    path = Path(profiles.__file__)
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    bases: dict[str, list[str]] = {}
    said: dict[str, list[str]] = {}
    for statement in ast.parse(text).body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id="PROFILES"), value=ast.DictComp(generators=[generator])):
                for call in _calls(generator.iter):
                    base = bases.get(call.args[0].id, []) if isinstance(call.args[0], ast.Name) else []
                    said[_name(call)] = [*base, *_comment_above(lines, call.lineno)]
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call()):
                bases[name] = _comment_above(lines, statement.lineno)
    usual = ["The defaults of RFC 7643 and RFC 7644, and nothing taken for granted beyond them."]
    return [f"- `{name}`: {' '.join(said[name] or usual)}" for name in PROFILES] + [""]


def _calls(node: ast.expr) -> Iterable[ast.Call]:
    return (each for each in node.elts if isinstance(each, ast.Call)) if isinstance(node, ast.Tuple) else ()


def _name(call: ast.Call) -> str:
    """Return the profile's name: of `replace(base, name="…")` the keyword's, of `Profile("…")` the first argument's."""
    named = next((each.value for each in call.keywords if each.arg == "name"), call.args[0])
    return str(ast.literal_eval(named))


def _comment_above(lines: list[str], number: int) -> list[str]:
    """Return the comment right above a line, counted from 1."""
    found: list[str] = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#"):
            break
        found.insert(0, line.strip().removeprefix("#").strip())
    return found


if __name__ == "__main__":
    main()
