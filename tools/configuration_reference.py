"""Print docs/configuration.md: every key, from the settings themselves. `make docs` writes it, a test compares it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from docstrings import below_fields
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from syncd.core.policy import DEFAULT_LIMITS
from syncd.core.templates import FILTERS
from syncd.settings import configuration, daemon, hooks, mapping, notify, secrets, target
from syncd.settings.declared import Declared
from syncd.settings.sources import KINDS

_INTRODUCTION = """\
# The configuration

One TOML file, `-c FILE`, else `$SYNCD_CONFIG`, else `/etc/syncd/syncd.toml`. It is checked whole before anything
runs; every fault is listed at once, and an unknown key is one. Relative paths are relative to the file.

Any key can be set from the environment: `SYNCD__SOURCE__BIND_DN=…`. Lists and tables are written as in TOML or JSON
(`SYNCD__SOURCE__URLS=["ldaps://a"]`), a target is named by its name or number, from 0
(`SYNCD__TARGET__LUCID__RATE=5`); the next number is a new one.

Durations are written `30s`, `15m`, `24h`, `90d`.

This page is made from the program (`make docs`).
"""

_OVERRIDES = """\
Unset keys take the [profile's](profiles.md) value. Overrides take precedence over what the endpoint announces;
`syncd check` shows both.
"""

_TEMPLATES = """\
## Templates

`"{{mail|lower}}"`: text with attributes of the source in braces, each with filters behind it. An attribute that an
entry lacks is empty; a template whose attributes are all empty is empty itself. `{{{{` and `}}}}` are the braces
themselves. At a path with several values (`roles`, `emails`) a template gives one for each value; elsewhere it takes
the first. Filters: {filters}. `default`, `join`, `remove`, `prefix` and `suffix` take a text behind a colon
(`{{title|default:Staff}}`), `truncate` a number.

## Empty values, and values that are written once

A path that the mapping names is the source's to decide, also while the source has no value for somebody. The target's
value is then removed: by the next sync where the source had one before, by the next full resync where somebody set it
at the target, and when an account is taken over. A path that no line names is the target's own. A line may say
otherwise:

```toml
title = {{ template = "{{title}}", when_empty = "keep" }}          # an empty title leaves the target's alone
preferredLanguage = {{ template = "{{lang}}", apply = "create" }}  # with a new account, and never again
nickName = {{ cel = 'preferred', when_empty = "keep" }}          # both keys go with a rule as well
```

`when_empty` is `"clear"` (the default) or `"keep"`, `apply` is `"always"` (the default) or `"create"`. `roles` and
`entitlements` are like any other path: what is not in the source is removed unless the mapping keeps it. `userName`,
`externalId` and a group's `displayName` are always written: by these, syncd finds what is its own.

## Rules

`active`, `scope` and `{{ cel = "…" }}` are written in CEL, the
[Common Expression Language](https://github.com/google/cel-spec). A rule sees each attribute by its name, as a string
(its first value, or `""`), and `attrs`, the map of all values as lists: `attrs["employee-type"].exists(t, t == "x")`.

## Secrets

`token = {{ credential = "lucid-token" }}`, `{{ env = "NAME" }}` or `{{ file = "PATH" }}`: where the secret is, never
the secret itself. A file that others can read is refused; so is one that its group can read, unless root owns it.
"""


def main() -> None:
    print(reference(), end="")


def reference() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    parts += _section(
        "The top",
        configuration.Settings,
        skip={"source", "mapping", "target", "schedule", "notify", "control", "metrics", "reports"},
    )
    for kind, source in KINDS.items():
        parts += _section(f'`[source]` with `type = "{kind}"`', source)
    parts += _section("`[mapping]`", mapping.MappingSettings)
    parts += _section("`[[target]]`", target.TargetSettings)
    parts += _section("`[target.profile_overrides]`", target.ProfileOverrides, defaults=False)
    parts.append(_OVERRIDES)
    parts += _section("`[target.limits]`: a table for each class", target.LimitSettings)
    limits = [
        f"`{class_.value} = {{ {', '.join(_limit(limit.percent, limit.count, limit.base))} }}`"
        for class_, limit in DEFAULT_LIMITS.items()
    ]
    parts.append("Defaults: " + ", ".join(limits) + ".\n")
    parts += _section("`[target.before_delete]`", hooks.BeforeDeleteSettings)
    parts += _section("`[target.before_delete.webhook]`", hooks.HookWebhookSettings)
    parts += _section('`[target.drift]`: `"enforce"` (put it back) or `"report"`', target.DriftSettings)
    parts += _section("`[target.schedule]`", daemon.TargetScheduleSettings, defaults=False)
    parts += _section("`[schedule]`: when the daemon synchronises", daemon.ScheduleSettings)
    parts += _section("`[control]`: the daemon's socket", daemon.ControlSettings)
    parts += _section("`[metrics]`: figures for Prometheus", daemon.MetricsSettings)
    parts += _section("`[reports]`: the reports that the daemon keeps", daemon.ReportsSettings)
    parts += _section("`[notify]`: notices", notify.NotifySettings)
    parts += _section("`[notify.webhook]`", notify.WebhookSettings)
    parts += _section("`[notify.email]`", notify.EmailSettings)
    parts.append(_TEMPLATES.format(filters=", ".join(f"`{name}`" for name in FILTERS)))
    return "\n".join(parts)


def _limit(percent: float | None, count: int | None, base: int) -> list[str]:
    shown = []
    if percent is not None:
        shown += [f"percent = {percent:g}", f"from = {base}"]
    if count is not None:
        shown.insert(1 if percent is not None else 0, f"count = {count}")
    return shown


def _section(title: str, model: type[BaseModel], skip: Collection[str] = (), *, defaults: bool = True) -> list[str]:
    rows = ["| key | takes | default | |", "|---|---|---|---|"] if defaults else ["| key | takes | |", "|---|---|---|"]
    # The keys that are needed come first.
    for name, field in sorted(model.model_fields.items(), key=lambda each: not each[1].is_required()):
        if name in skip:
            continue
        required = field.is_required()
        default = "needed" if required else _default(field.get_default(call_default_factory=True))
        cells = [f"`{field.alias or name}`", _type(field.annotation), *([default] if defaults else [])]
        rows.append(f"| {' | '.join([*cells, _meaning(model, name)])} |")
    return [f"## {title}\n", "\n".join(rows) + "\n"]


def _meaning(model: type[BaseModel], field: str) -> str:
    """Return the text below a field, in the class that declares it."""
    declarations = [model.declaration] if issubclass(model, Declared) else []
    for class_ in [*declarations, *model.__mro__]:
        if text := _texts(class_.__module__).get((class_.__name__, field)):
            return text
    raise LookupError(f"{model.__name__}.{field} has no text below it")


@cache
def _texts(module: str) -> dict[tuple[str, str], str]:
    return below_fields(sys.modules[module])


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{_quoted(value)}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(argument) for argument in arguments if argument is not NoneType)
    if origin is list:
        return f"list of {_type(arguments[0])}s" if _type(arguments[0]).isalpha() else f"list of {_type(arguments[0])}"
    if origin in (dict, Mapping):
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f'`"{member.value}"`' for member in annotation)
    if annotation is secrets.Secret:
        return "secret"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    words = {
        str: "text",
        int: "number",
        float: "number",
        bool: "`true` or `false`",
        Path: "path",
        timedelta: "duration",
        date: "date",
    }
    return words.get(annotation, "value")


def _quoted(value: Any) -> str:
    return '"' + str(value).replace("\t", "\\t") + '"'


def _default(value: Any) -> str:
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if isinstance(value, timedelta):
        return f'`"{_duration(value)}"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Enum):
        return f'`"{value.value}"`'
    if isinstance(value, str | Path):
        return f'`"{value}"`' if str(value) else ""
    if isinstance(value, list | dict):
        return "" if not value else f"`{value}`"
    return f"`{value}`"


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0 and (unit != "d" or seconds > 86400):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


if __name__ == "__main__":
    main()
