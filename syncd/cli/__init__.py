"""The command line. Every command imports what it needs when it runs: `syncd --help` must start quickly.

Results go to stdout, logs and progress to stderr; an error is a sentence, never a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from syncd import __version__, loading
from syncd.cli import decisions, running, status, trying, working
from syncd.cli.output import prepare
from syncd.cli.shared import ERROR, OK, USAGE
from syncd.errors import SyncdError
from syncd.sandbox.command import sandbox


class Commands(click.Group):
    """The commands in the order of first use, not of the alphabet.

    An option of the command may also stand before its name: `syncd -c FILE check`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        leading = _leading_options(args)
        if leading and len(leading) >= len(args):
            raise click.UsageError(f"{' '.join(args)}: of which command? `syncd --help` lists them", ctx)
        if leading:
            args = [args[len(leading)], *leading, *args[len(leading) + 1 :]]
        return super().parse_args(ctx, args)


_WITH_A_VALUE: Final = ("-c", "--config", "--target", "--log-level", "--log-format")
_FLAGS: Final = ("--json",)


def _leading_options(arguments: Sequence[str]) -> Sequence[str]:
    """Return the options of a command, with their values, that stand before anything else."""
    end = 0
    while end < len(arguments):
        name, equals, _ = arguments[end].partition("=")
        if name in _WITH_A_VALUE:
            end += 1 if equals else 2
        elif name in _FLAGS or (name.startswith("-c") and not name.startswith("--")):
            end += 1
        else:
            break
    return arguments[:end]


def main() -> NoReturn:
    """Run the command line and exit with the contract's codes."""
    loading.begin()
    if instruction := os.environ.get("_SYNCD_COMPLETE"):
        from syncd.cli.completing import answer_shell

        sys.exit(answer_shell(cli, instruction))
    answers = prepare()
    try:
        _refuse_bytes(sys.argv[1:])
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
        from syncd.redaction import redact
        from syncd.report.text import visible

        text = "\n".join(visible(line) for line in redact(str(error)).splitlines())
        click.echo(click.style("syncd: ", fg="red", bold=True) + text, err=True)
        code = error.exit_code
    except Exception as error:
        from syncd.redaction import redact

        if os.environ.get("SYNCD_DEBUG"):
            import traceback

            click.echo(redact(traceback.format_exc()), err=True)
        if isinstance(error, OSError) and error.strerror:  # a full disk, say
            named = f"{error.filename}: " if error.filename else ""
            click.echo(redact(f"syncd: {named}{error.strerror}"), err=True)
            click.echo("  see to that and run it again; SYNCD_DEBUG=1 prints where it came from", err=True)
        else:
            click.echo(redact(f"syncd: a fault of syncd itself: {type(error).__name__}: {error}"), err=True)
            click.echo("  please report it with what SYNCD_DEBUG=1 prints in addition", err=True)
        code = ERROR
    sys.stdout.flush()
    if answers.failure is not None:
        click.echo(f"syncd: the answer could not be written: {answers.failure.strerror}", err=True)
        code = ERROR
    sys.exit(code if isinstance(code, int) else OK)


def _refuse_bytes(arguments: Sequence[str]) -> None:
    """Refuse arguments that are not text: such an argument matches nobody and can't be printed. Raises UsageError."""
    for number, argument in enumerate(arguments, start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"argument {number} is not text in UTF-8: {argument!a}") from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="syncd")
def cli() -> None:
    """Keep SCIM 2.0 endpoints in step with LDAP, Active Directory or CSV.

    Begin with `syncd demo`, or with `syncd init`.
    """


for command in (
    trying.init,
    working.check,
    working.plan,
    working.diff,
    working.apply,
    working.sync,
    status.status,
    status.explain,
    status.runs,
    status.show,
    decisions.holds,
    decisions.approve,
    decisions.reject,
    decisions.accept,
    working.resync,
    working.relink,
    running.run,
    decisions.pause,
    decisions.resume,
    running.reload,
    sandbox,
    trying.demo,
    trying.completion,
):
    cli.add_command(command)
