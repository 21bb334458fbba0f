"""The command line. Every command imports what it needs when it runs: `syncd --help` must be quick.

Results go to stdout, logs and progress to stderr; an error is a sentence, never a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from syncd import __version__
from syncd.errors import PlanFileError, SyncdError
from syncd.sandbox.command import sandbox

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from syncd.core.plan import Plan, Run
    from syncd.setup import Setup
    from syncd.store import StateFile
    from syncd.sync import Progress

OK: Final = 0
ERROR: Final = 1
CHANGES: Final = 2
HELD: Final = 3
FAILED: Final = 4
USAGE: Final = 64
_WORST_FIRST: Final = (ERROR, FAILED, HELD, CHANGES)


def worst(codes: Sequence[int]) -> int:
    """Return the exit code that counts when several apply: 1, then 4, then 3, then 2."""
    return next((code for code in _WORST_FIRST if code in codes), OK)


class Commands(click.Group):
    """The commands in the order in which one meets them, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def main() -> NoReturn:
    """Run the command line and exit with the contract's codes."""
    try:
        code = cli.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        code = USAGE
    except click.Abort:
        click.echo("syncd: interrupted", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = ERROR
    except SyncdError as error:
        from syncd.report.text import visible

        text = "\n".join(visible(line) for line in str(error).splitlines())
        click.echo(click.style("syncd: ", fg="red", bold=True) + text, err=True)
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ERROR
    except Exception as error:
        if os.environ.get("SYNCD_DEBUG"):
            raise
        click.echo(f"syncd: a fault of syncd itself: {type(error).__name__}: {error}", err=True)
        click.echo("  please report it with what SYNCD_DEBUG=1 prints in addition", err=True)
        code = ERROR
    sys.exit(code if isinstance(code, int) else OK)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="syncd")
def cli() -> None:
    """Keep SCIM 2.0 endpoints in step with LDAP, Active Directory or CSV.

    Begin with `syncd demo`, or with `syncd init`.
    """


def _config(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="SYNCD_CONFIG",
        default=Path("/etc/syncd/syncd.toml"),
        show_default=True,
        help="The configuration (or $SYNCD_CONFIG).",
    )(function)


_target = click.option("--target", metavar="NAME", help="Only this target; else all.")
_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON on stdout.")
_log_level = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="What to log on stderr.",
)
_user = click.option("--user", "who", metavar="WHO", help="Only this person: a key, userName or e-mail.")


def _setup(config: Path, log_level: str = "warning") -> Setup:
    from syncd import log
    from syncd.setup import read

    log.configure(log_level)
    return read(config)


def _state(setup: Setup) -> StateFile:
    from syncd.store import StateFile

    return StateFile(setup.state)


def _show(lines: Sequence[Text | Table]) -> None:
    """Print lines, coloured and wrapped on a terminal, as they are elsewhere."""
    from syncd.report.text import render

    terminal = sys.stdout.isatty()
    width = os.get_terminal_size().columns if terminal else 0
    click.echo(render(lines, width=width, color=terminal and not os.environ.get("NO_COLOR")), nl=False)


def _answer(values: Sequence[Any]) -> None:
    """Print JSON: one object for one target, a list for several."""
    from syncd.core.plan import dump

    click.echo(dump(values[0] if len(values) == 1 else list(values)), nl=False)


def _progress() -> Progress:
    from syncd.progress import TerminalProgress
    from syncd.sync import Progress

    return TerminalProgress() if sys.stderr.isatty() else Progress()


# -- to begin with -----------------------------------------------------------------------------------


@cli.command(short_help="Write a starter configuration and sample files.")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(directory: Path) -> None:
    """Write a commented configuration and sample CSV files into DIRECTORY; nothing is overwritten."""
    from syncd.starter import write

    for path, written in write(directory):
        click.echo(f"{'wrote' if written else 'kept '} {path}")
    config = directory / "syncd.toml"
    click.echo(
        f"\nNext: in one terminal  `syncd sandbox`   (a SCIM endpoint on this machine to try against)\n"
        f"      in another       `export SYNCD_TOKEN=sandbox-token`, then `syncd plan -c {config}`"
    )


@cli.command(short_help="Is everything right, does everything answer?")
@_config
@_target
@_json
def check(config: Path, target: str | None, as_json: bool) -> int:
    """Validate the configuration, reach source and targets, and print what each can do. Writes to neither."""
    from syncd.check import check_all

    setup = _setup(config)
    with _state(setup) as state:
        findings = check_all(setup, state, setup.chosen(target))
    if as_json:
        _answer(
            [
                {
                    finding.what: finding.facts | ({"error": finding.error} if finding.error else {})
                    for finding in findings
                }
            ]
        )
    else:
        for finding in findings:
            mark = click.style("FAILED", fg="red", bold=True) if finding.error else click.style("ok", fg="green")
            click.echo(f"{finding.what}: {mark}")
            for label, text in finding.facts.items():
                click.echo(f"    {label:<14} {text}")
            if finding.error:
                click.echo("    " + finding.error.replace("\n", "\n    "))
    return ERROR if any(finding.error for finding in findings) else OK


# -- plan, review, apply -----------------------------------------------------------------------------


@cli.command()
@_config
@_target
@_user
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it to FILE: .json (for apply) or .txt.",
)
@_json
@_log_level
def plan(
    config: Path, target: str | None, who: str | None, form: str, output: Path | None, as_json: bool, log_level: str
) -> int:
    """The dry run: what would be done, and what would be held. Exit code 0: nothing, 2: changes, 3: some are held."""
    from syncd.core.plan import dump
    from syncd.report.text import plan_lines, render
    from syncd.sync import make_plans

    if output is not None and output.suffix not in (".json", ".txt"):
        raise click.UsageError(f"{output}: the ending says the format, and can be .json or .txt")
    setup = _setup(config, log_level)
    with _state(setup) as state, _progress() as progress:
        plans = [planned.plan for planned in make_plans(setup, state, setup.chosen(target), progress, who)]
    if as_json or form == "json":
        _answer([each.to_json() for each in plans])
    elif output is None:
        _show([line for each in plans for line in plan_lines(each)])
    if output is not None:
        if output.suffix == ".json":
            values = [each.to_json() for each in plans]
            text = dump(values[0] if len(values) == 1 else values)
        else:
            text = render([line for each in plans for line in plan_lines(each)])
        _write(output, text)
        if not as_json and form != "json":
            for each in plans:
                _show([next(plan_lines(each))])
            click.echo(f"written to {output}")
    return worst([HELD if each.held else CHANGES if each.changes else OK for each in plans])


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(path.name + ".draft")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise SyncdError(f"{path}: {error.strerror}", hint="nothing was written") from None


@cli.command()
@click.argument("plan_file", metavar="PLAN.json", type=click.Path(path_type=Path, dir_okay=False))
@_config
@_json
@_log_level
def apply(plan_file: Path, config: Path, as_json: bool, log_level: str) -> int:
    """Carry out a reviewed plan: those changes and no others. What no longer holds is refused one by one."""
    from syncd.sync import carry_out, saved_plan

    plans = _read_plans(plan_file)
    setup = _setup(config, log_level)
    ready = [saved_plan(setup, each, plan_file.name) for each in plans]
    with _state(setup) as state, state.lease("apply"), _progress() as progress:
        runs = [carry_out(planned, state, progress) for planned in ready]
    return _report(runs, as_json)


def _read_plans(file: Path) -> list[Plan]:
    """Read one plan, or a list of them. Raises PlanFileError."""
    import orjson

    from syncd.core.plan import Plan

    try:
        data = orjson.loads(file.read_bytes())
    except OSError as error:
        raise PlanFileError(f"{file}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise PlanFileError(
            f"{file}: not JSON, or cut short: {error}", hint="make it anew with `syncd plan -o`"
        ) from None
    return [Plan.from_json(each, file.name) for each in (data if isinstance(data, list) else [data])]


@cli.command(short_help="Plan and push in one go.")
@_config
@_target
@_user
@_json
@_log_level
def sync(config: Path, target: str | None, who: str | None, as_json: bool, log_level: str) -> int:
    """Plan and push in one go."""
    from syncd.sync import carry_out, make_plans

    setup = _setup(config, log_level)
    targets = setup.chosen(target)
    for each in targets:
        each.token()  # before anything is done
    with _state(setup) as state, state.lease("sync"), _progress() as progress:
        plans = make_plans(setup, state, targets, progress, who)
        runs = [carry_out(planned, state, progress) for planned in plans]
    return _report(runs, as_json)


def _report(runs: Sequence[Run], as_json: bool) -> int:
    from syncd.report.text import run_lines

    if as_json:
        _answer([run.to_json() for run in runs])
    else:
        _show([line for run in runs for line in run_lines(run)])
    return worst([code for run in runs for code in _codes(run)])


def _codes(run: Run) -> list[int]:
    from syncd.core.plan import Result

    codes = []
    if run.error and not run.results[Result.APPLIED]:
        codes.append(ERROR)
    if any(outcome.result is not Result.APPLIED for outcome in run.outcomes):
        codes.append(FAILED)
    if run.plan.held:
        codes.append(HELD)
    return codes


# -- where things stand ------------------------------------------------------------------------------


@cli.command(short_help="Where things stand.")
@_config
@_target
@_json
def status(config: Path, target: str | None, as_json: bool) -> None:
    """Where things stand: who is managed, and how the last run went. Needs no network."""
    from syncd.report.text import table

    setup = _setup(config)
    rows: list[dict[str, Any]] = []
    with _state(setup) as state, state.explained():
        for each in setup.chosen(target):
            snapshot, heads = state.snapshot(each.name), state.journal(each.name).heads(1)
            rows.append(
                {
                    "target": each.name,
                    "users": {state_.value: count for state_, count in snapshot.counts().items()},
                    "groups": len(snapshot.groups()),
                    "memberships": snapshot.count_members(),
                    "serial": snapshot.serial,
                    "last_run": heads[0].to_json() if heads else None,
                }
            )
    if as_json:
        _answer(rows)
        return
    cells = [
        (
            row["target"],
            *row["users"].values(),
            row["groups"],
            row["memberships"],
            _run_sentence(row["last_run"]),
        )
        for row in rows
    ]
    _show([table(("target", "active", "pending", "deactivated", "groups", "memberships", "last run"), cells)])


def _run_sentence(run: dict[str, Any] | None) -> str:
    if run is None:
        return "never"
    if run["finished"] is None:
        return f"run {run['run']} began {run['started'][:19]} and has not ended"
    results = ", ".join(f"{count} {result}" for result, count in run["results"].items()) or "nothing to do"
    held = f", {run['summary']['held']} held" if run["summary"]["held"] else ""
    problems = f", {run['summary']['problems']} problems" if run["summary"]["problems"] else ""
    error = f"; stopped: {run['error'].splitlines()[0]}" if run["error"] else ""
    return f"run {run['run']}, {run['started'][:19]}: {results}{held}{problems}{error}"


@cli.command()
@click.argument("count", metavar="[N]", type=click.IntRange(1), default=10)
@_config
@_target
@_json
def runs(count: int, config: Path, target: str | None, as_json: bool) -> None:
    """The last N runs of each target, the newest first."""
    from syncd.report.text import table

    setup = _setup(config)
    with _state(setup) as state, state.explained():
        heads = {each.name: state.journal(each.name).heads(count) for each in setup.chosen(target)}
    if as_json:
        _answer([[head.to_json() for head in found] for found in heads.values()])
        return
    cells = [
        (
            head.number,
            head.target,
            head.kind,
            f"{head.started:%Y-%m-%d %H:%M:%S}",
            ", ".join(f"{number} {result}" for result, number in head.results.items()) or "nothing to do",
            head.summary["held"],
            head.summary["problems"],
            head.requests,
            f"{head.seconds:.1f} s",
            head.error.splitlines()[0] if head.error else "" if head.finished else "not ended",
        )
        for found in heads.values()
        for head in found
    ]
    headings = ("run", "target", "kind", "started (UTC)", "outcomes", "held", "problems", "requests", "took", "error")
    _show([table(headings, cells)])


@cli.command()
@click.argument("number", metavar="RUN", type=int)
@_config
@_json
def show(number: int, config: Path, as_json: bool) -> None:
    """One run with its outcomes."""
    from syncd.report.text import run_lines

    setup = _setup(config)
    with _state(setup) as state, state.explained():
        name = state.target_of_run(number)
        run = state.journal(name).run(number) if name is not None else None
    if run is None:
        raise SyncdError(f"there is no run {number}", hint="`syncd runs` lists them")
    if as_json:
        _answer([run.to_json()])
    else:
        _show(list(run_lines(run)))


# -- to try things out -------------------------------------------------------------------------------


cli.add_command(sandbox)


@cli.command(short_help="See the whole thing at work on this machine.")
@click.option("--no-pause", is_flag=True, help="Don't wait for a key between the steps.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Work in DIR, and leave it there.")
def demo(no_pause: bool, keep: Path | None) -> None:
    """The whole thing on this machine: sandbox, sample CSV, plan, apply, a change, a held removal, a quiet run."""
    from syncd.demo import run

    run(pause=not no_pause and sys.stdin.isatty(), keep=keep)


@cli.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: `source <(syncd completion bash)`."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "syncd", "_SYNCD_COMPLETE").source())
