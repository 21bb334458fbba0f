"""`python -m syncd.sandbox`: the sandbox without the rest of syncd."""

from __future__ import annotations

import sys

import click

from syncd.errors import SyncdError
from syncd.sandbox.command import sandbox


def main() -> None:
    """Run the command; an error is one message on stderr and its exit code."""
    try:
        sandbox(prog_name="python -m syncd.sandbox")
    except SyncdError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
