"""Plans and runs in the requested form: on the terminal, or in a file whose ending names the form."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from syncd.errors import SyncdError

if TYPE_CHECKING:
    from syncd.core.plan import Plan, Run

FORMS: Final = ("text", "json", "markdown", "html", "csv")
_ENDINGS: Final = {".txt": "text", ".json": "json", ".md": "markdown", ".html": "html", ".csv": "csv"}


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--format`."""
    return click.option("--format", "form", type=click.Choice(FORMS), default="text", help="How to print it.")(function)


def form_of(form: str, as_json: bool) -> str:
    """Return the form to print in. Raises UsageError where `--json` and `--format` ask for two."""
    given = click.get_current_context().get_parameter_source("form") is not ParameterSource.DEFAULT
    if as_json and given and form != "json":
        raise click.UsageError(f"--json and --format {form} ask for two forms of one answer: leave one of them out")
    return "json" if as_json else form


def keys_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--keys`."""
    return click.option("--keys", is_flag=True, help="Show long keys too, such as UUIDs.")(function)


def output_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-o FILE`, whose ending is checked at once."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_checked,
        help="Write it to FILE: .html, .md, .csv, .txt, or .json (a plan for apply).",
    )(function)


def _checked(context: click.Context, parameter: click.Parameter, output: Path | None) -> Path | None:
    if output is not None and output.suffix.lower() not in _ENDINGS:
        raise click.UsageError(f"{output}: the ending says the format, and can be {', '.join(_ENDINGS)}")
    if output is not None and output.suffix.lower() == ".csv" and not _may_be_replaced(output):
        raise click.UsageError(
            f"{output}: is there already, and no report (a source?): name another file, or remove it"
        )
    return output


def _may_be_replaced(output: Path) -> bool:
    """Return whether a CSV file is a report, empty or absent: a source file with people has the same ending."""
    from syncd.report.csv import COLUMNS

    try:
        with output.open(encoding="utf-8-sig") as file:
            start = file.readline()
    except UnicodeDecodeError:
        return False
    except OSError:  # absent; or writing reports the error
        return True
    return not start or start.startswith(f'"{COLUMNS[0]}","{COLUMNS[1]}"')


def written(form: str, subjects: Sequence[Plan | Run], *, keys: bool = False) -> str:
    """Return plans or runs as a text of that form; the terminal's form is complete and without colours.

    `keys`: text and Markdown show long keys too; every other form always shows long keys.
    """
    if form == "json":
        from syncd.core.plan import dump

        values = [each.to_json() for each in subjects]
        return dump(values[0] if len(values) == 1 else values)
    if form == "html":
        from syncd.report.html import page

        return page(subjects)
    if form == "markdown":
        from syncd.report.markdown import document

        return document(subjects, keys=keys)
    if form == "csv":
        from syncd.report import csv

        return csv.document(subjects)
    from syncd.core.plan import Plan
    from syncd.report.text import plan_lines, render, run_lines

    return render(
        [
            line
            for each in subjects
            for line in (plan_lines(each, keys=keys) if isinstance(each, Plan) else run_lines(each, keys=keys))
        ]
    )


def write(path: Path, subjects: Sequence[Plan | Run], *, keys: bool = False) -> None:
    """Write plans or runs to a file, whole or not at all, in the form that its ending names; `keys` as of `written`.

    Raises SyncdError.
    """
    form = _ENDINGS[path.suffix.lower()]
    text = written(form, subjects, keys=keys)
    # Spreadsheets read a file without a byte order mark in the machine's local encoding.
    content = text.encode("utf-8-sig" if form == "csv" else "utf-8")
    draft = path.with_name(path.name + ".draft")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise SyncdError(f"{path}: {error.strerror}", hint="nothing was written") from None


def rest_on_a_terminal() -> int | None:
    """Return how many usual changes a terminal shows; None: redirected output is complete."""
    from syncd.report.text import REST_ON_A_TERMINAL

    return REST_ON_A_TERMINAL if sys.stdout.isatty() else None
