"""Commands that read source and targets, plan and push."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncd.cli.asking import ask, daemon_of, runs_of
from syncd.cli.reports import form_of, format_option, keys_option, output_option, rest_on_a_terminal, write, written
from syncd.cli.shared import (
    CHANGES,
    ERROR,
    FAILED,
    HELD,
    OK,
    answer,
    config_option,
    following,
    json_option,
    log_level_option,
    opened,
    pause_sentence,
    readable_state_of,
    relinked_sentences,
    show_lines,
    state_of,
    stop_sentence,
    target_option,
    user_option,
    worst,
)
from syncd.errors import PlanFileError, SyncdError

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.text import Text

    from syncd.core.model import Json
    from syncd.core.plan import Plan, Run
    from syncd.cycle.planned import Planned
    from syncd.store import StateFile

_full = click.option("--full", is_flag=True, help="Read the target too: what was changed there is shown as drift.")


@click.command(short_help="Is everything right, does everything answer?")
@config_option
@target_option
@click.option("--notices", is_flag=True, help="Also send a test notice by every way that is configured.")
@click.option("--relearn", is_flag=True, help="First forget what was learned of each endpoint: how it takes changes.")
@json_option
def check(config: Path, target: str | None, notices: bool, relearn: bool, as_json: bool) -> int:
    """Validate the configuration, reach source and targets, and print what each can do. Writes to neither."""
    from syncd.cli.check import check_all, check_notices, refused, with_forgotten
    from syncd.report.text import visible

    try:
        setup = opened(config)
        forgotten = ask(config, "relearn", target=target) if relearn else []
        with state_of(setup) as state:
            findings = check_all(setup, state, setup.chosen(target))
        with_forgotten(findings, forgotten)
        if notices:
            findings += check_notices(setup)
    except SyncdError as error:
        if as_json:
            answer([refused(error)])
        raise
    if as_json:
        answer(
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
                click.echo(f"    {visible(label):<14} {visible(text)}")
            for line in finding.error.splitlines():
                click.echo(f"    {visible(line)}")
    return ERROR if any(finding.error for finding in findings) else OK


# -- plan, review, apply -----------------------------------------------------------------------------


@click.command(short_help="The dry run: what would be done, and what would be held.")
@config_option
@target_option
@_full
@user_option
@format_option
@output_option
@keys_option
@json_option
@log_level_option
def plan(
    config: Path,
    target: str | None,
    full: bool,
    who: str | None,
    form: str,
    output: Path | None,
    keys: bool,
    as_json: bool,
    log_level: str,
) -> int:
    """The dry run: what would be done, and what would be held. Changes neither source nor target nor state file.

    A state file that may only be read is copied to the folder for temporary files ($TMPDIR).

    Exit code 0: nothing to do, 2: changes, 3: some are held, 1: a target could not be read (with --full).
    """
    from syncd.cycle.sync import make_plans

    form = form_of(form, as_json)
    setup = opened(config, log_level)
    with readable_state_of(setup) as state, following() as progress:
        targets = setup.chosen(target)
        planned = make_plans(setup, state, targets, progress, who, full=full)
        shown = [_shown(each, state, setup.settings.schedule.zone) for each in planned]
    return _show_plans(shown, output, form, keys=keys)


@dataclass(frozen=True)
class Shown:
    """A plan, with its notes."""

    plan: Plan
    failure: str = ""
    """Why nothing is planned."""
    remarks: Sequence[Text] = ()
    relinked: Json | None = None
    """Who is to be invited anew, and who is gone for good; of `relink` alone."""

    @classmethod
    def of_json(cls, data: Json) -> Shown:
        from rich.text import Text

        from syncd.core.plan import Plan
        from syncd.report.text import visible

        relinked = data.get("relinked")
        sentences = relinked_sentences(relinked, most=_NAMED) if relinked else ()
        remarks = [Text(f"  {visible(each)}", style="yellow") for each in sentences]
        return cls(Plan.trusted(data), data.get("error", ""), remarks, relinked)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON; a failed plan names the reason, and `apply` refuses a failed plan."""
        error = {"error": self.failure} if self.failure else {}
        return self.plan.to_json() | error | ({"relinked": self.relinked} if self.relinked else {})

    @property
    def code(self) -> int:
        if self.failure:
            return ERROR
        return HELD if self.plan.held else CHANGES if self.plan.changes else OK

    def summary(self) -> list[Text]:
        """Return the lines that are shown when the whole plan is written to a file."""
        return [*self.lines()[:_SUMMARY], *(self.remarks if self.relinked else ())]

    def lines(self, *, keys: bool = False) -> list[Text]:
        from rich.text import Text

        from syncd.report.text import plan_lines, visible

        if self.failure:
            lines = [visible(line) for line in self.failure.splitlines()]
            return [Text(f"{lines[0]}: nothing is planned", style="bold red"), *map(Text, lines[1:])]
        return [*plan_lines(self.plan, rest_on_a_terminal(), keys=keys), *self.remarks]


def _show_plans(shown: Sequence[Shown], output: Path | None, form: str, *, keys: bool = False) -> int:
    """Print plans, or write them to a file; return the exit code. `keys`: with long keys too."""
    from syncd.report.text import render

    usable = [each.plan for each in shown if not each.failure]
    if form == "json":
        answer([each.to_json() for each in shown])
    elif output is not None:
        show_lines([line for each in shown for line in each.summary()])
    elif form == "text":
        show_lines([line for each in shown for line in each.lines(keys=keys)])
    else:
        if usable:
            click.echo(written(form, usable, keys=keys), nl=False)
        for each in shown:
            if each.failure:
                click.echo(render(each.lines()), nl=False, err=True)
    if output is not None:
        if usable:
            write(output, usable, keys=keys)
        if form != "json":
            click.echo(f"written to {output}" if usable else f"{output} was not written")
    return worst([each.code for each in shown])


_NAMED = 40
"""People named by `relink`; its JSON, and that of `status`, name all of them."""
_SUMMARY = 1
"""Lines of a plan that are shown when the whole plan is written to a file."""


def _shown(planned: Planned, state: StateFile, zone: tzinfo) -> Shown:
    """Return a plan with the notes from the state file."""
    from rich.text import Text

    from syncd.cycle.planned import with_what_is_stored
    from syncd.report.text import visible

    name = planned.plan.target
    remarks = []
    if count := len(state.journal(name).intents()):
        what = "change that was" if count == 1 else "changes that were"
        said = f"of {count} {what} sent nobody knows what came: `syncd sync` looks first, and may find them done"
        remarks.append(Text(f"  {said}", style="yellow"))
    stop, paused = state.snapshot(name).stop, state.snapshot(name).paused
    if stop is not None and planned.discovered is None:
        remarks.append(Text(f"  {visible(stop_sentence(stop.cause, stop.reason, stop.since, zone))}", style="bold red"))
    if paused is not None:
        remarks.append(Text(f"  {visible(pause_sentence(paused.by, paused.since, zone))}", style="bold red"))
    plan = with_what_is_stored(planned.plan, state)
    return Shown(plan, str(planned.failure) if planned.failure else "", remarks)


@click.command(short_help="Carry out a reviewed plan: those changes and no others.")
@click.argument("plan_file", metavar="PLAN.json", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@target_option
@json_option
@log_level_option
def apply(plan_file: Path, config: Path, target: str | None, as_json: bool, log_level: str) -> int:
    """Carry out a reviewed plan: those changes and no others. What no longer holds is refused one by one."""
    from syncd.cycle.jobs import Job

    plans = _read_plans(plan_file)
    setup = opened(config, log_level)
    return _report(runs_of(setup, Job(kind="apply", target=target, plans=plans, file=plan_file.name)), as_json)


def _read_plans(file: Path) -> list[dict[str, Any]]:
    """Read one plan, or a list of plans, and check their form. Raises PlanFileError."""
    import orjson

    from syncd.core.plan import Plan

    try:
        if file.is_char_device():  # some devices never end
            raise PlanFileError(f"{file}: not a file")
        data = orjson.loads(file.read_bytes())
    except OSError as error:
        raise PlanFileError(f"{file}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise PlanFileError(
            f"{file}: not JSON, or cut short: {error}", hint="make it anew with `syncd plan -o`"
        ) from None
    plans = data if isinstance(data, list) else [data]
    for each in plans:
        Plan.from_json(each, file.name)
    if not plans:
        raise PlanFileError(f"{file}: holds no plan")
    return plans


@click.command(short_help="Plan and push in one go.")
@config_option
@target_option
@_full
@user_option
@json_option
@log_level_option
def sync(config: Path, target: str | None, full: bool, who: str | None, as_json: bool, log_level: str) -> int:
    """Plan and push in one go. --user: one person, at once, also when their change is quarantined."""
    return _sync(config, target, who, full=full, as_json=as_json, log_level=log_level)


@click.command(short_help="A full resync now: read the targets whole, put back what was changed there.")
@config_option
@target_option
@json_option
@log_level_option
def resync(config: Path, target: str | None, as_json: bool, log_level: str) -> int:
    """A full resync now: read source and targets whole, and put back what was changed behind our back.

    Links accounts that are there already instead of making them twice; with the state file lost, links everything.
    """
    return _sync(config, target, None, full=True, as_json=as_json, log_level=log_level)


def _sync(config: Path, target: str | None, who: str | None, *, full: bool, as_json: bool, log_level: str) -> int:
    from syncd.cycle.jobs import Job

    setup = opened(config, log_level)
    return _report(runs_of(setup, Job(kind="resync" if full else "sync", target=target, who=who)), as_json)


def _report(runs: Sequence[Run], as_json: bool) -> int:
    from syncd.report.text import run_lines

    if as_json:
        answer([run.to_json() for run in runs])
    else:
        show_lines([line for run in runs for line in run_lines(run, rest_on_a_terminal())])
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


# -- changes since the review ------------------------------------------------------------------------


@click.command(short_help="What changed since a plan was reviewed.")
@click.argument("plan_file", metavar="PLAN.json", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("other", metavar="[OTHER.json]", type=click.Path(path_type=Path, dir_okay=False), required=False)
@config_option
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", help="How to print it."
)
@json_option
@log_level_option
def diff(plan_file: Path, other: Path | None, config: Path, form: str, as_json: bool, log_level: str) -> int:
    """What changed since a plan was reviewed: between it and another one, or one that is made now.

    Exit code 0: nothing, 2: something.
    """
    from syncd.report import difference

    form = form_of(form, as_json)
    old = _plans_in(plan_file)
    new = _made_now(config, log_level, old) if other is None else _plans_in(other)
    if missing := old.keys() ^ new.keys():
        raise PlanFileError(
            f"{', '.join(sorted(missing))}: in one of the plans alone", hint="compare plans of one kind"
        )
    found = [difference.compare(plan, new[target], keys=form == "json") for target, plan in old.items()]
    if form == "json":
        answer([each.to_json() for each in found])
    elif form == "markdown":
        click.echo("\n".join(difference.markdown(each) for each in found), nl=False)
    else:
        show_lines([line for each in found for line in difference.lines(each)])
    return OK if all(each.is_none for each in found) else CHANGES


def _plans_in(file: Path) -> dict[str, Plan]:
    """Read plans by target. Raises PlanFileError."""
    from syncd.core.plan import Plan
    from syncd.cycle.jobs import once_each

    plans = [Plan.from_json(each, file.name) for each in _read_plans(file)]
    return {plan.target: plan for plan in once_each(plans, file.name)}


def _made_now(config: Path, log_level: str, old: Mapping[str, Plan]) -> dict[str, Plan]:
    """Make plans of the same kind for the same targets. Raises SyncdError."""
    from syncd.cycle.sync import make_plans

    setup = opened(config, log_level)
    targets = [target for name in old for target in setup.chosen(name)]
    full = frozenset(name for name, plan in old.items() if plan.kind == "resync")
    if people := [name for name, plan in old.items() if plan.kind == "user"]:
        raise PlanFileError(
            f"{', '.join(people)}: a plan for one person can't be made again from the file",
            hint="make it with `syncd plan --user WHO -o OTHER.json`, and compare the two",
        )
    with readable_state_of(setup) as state, following() as progress:
        planned = make_plans(setup, state, targets, progress, full=full)
    for each in planned:
        if each.failure is not None:
            raise each.failure
    return {each.target.name: each.plan for each in planned}


# -- after SSO or SCIM was removed -------------------------------------------------------------------


@click.command(short_help="After SSO or SCIM was removed at a target: match again, show the plan.")
@config_option
@target_option
@output_option
@json_option
@log_level_option
def relink(config: Path, target: str | None, output: Path | None, as_json: bool, log_level: str) -> int:
    """After SSO or SCIM was removed at a target and set up again: forget dead links, match again, show the plan.

    Names the people who need a new invitation, and those whose account is gone. Reads the target and writes nothing to
    it. Exit codes as `plan`.
    """
    from syncd.cycle.jobs import Job, perform
    from syncd.cycle.planned import Planned

    setup = opened(config, log_level)
    job = Job(kind="relink", target=target)
    if daemon := daemon_of(setup):
        with following() as progress:
            shown = daemon.follow(job.model_dump(), progress)
    else:
        with state_of(setup) as state, state.lease("relink"), following() as progress:
            shown = [each.to_json() for each in perform(job, setup, state, progress) if isinstance(each, Planned)]
    code = _show_plans([Shown.of_json(each) for each in shown], output, "json" if as_json else "text")
    if code in (CHANGES, HELD):
        is_plan = output is not None and output.suffix.lower() == ".json"
        saved = f", or `syncd apply {output}` for exactly what was saved" if is_plan else ""
        click.echo(f"nothing was sent; `syncd resync` carries it out{saved}", err=True)
    return code
