"""Commands for first steps and for trials."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from syncd.cli.shared import answer, json_option

_WRITTEN: Final = {"wrote": True, "kept": False}


@click.command(short_help="Write a starter configuration and sample files.")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
@json_option
def init(directory: Path, as_json: bool) -> None:
    """Write a commented configuration and sample CSV files into DIRECTORY; nothing is overwritten."""
    from syncd.cli.starter import write

    if as_json:
        files = list(write(directory))
        answer([{word: [str(path) for path, new in files if new is is_new] for word, is_new in _WRITTEN.items()}])
        return
    for path, written in write(directory):
        click.echo(f"{'wrote' if written else 'kept '} {path}")
    config = directory / "syncd.toml"
    click.echo(
        f"\nNext: in one terminal  `syncd sandbox`   (a SCIM endpoint on this machine to try against)\n"
        f"      in another       `export SYNCD_TOKEN=sandbox-token`, then `syncd plan -c {config}`"
    )


@click.command(short_help="See the whole thing at work on this machine.")
@click.option("--no-pause", is_flag=True, help="Don't wait for a key between the steps.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Work in DIR, and leave it there.")
def demo(no_pause: bool, keep: Path | None) -> None:
    """The whole thing on this machine: sandbox, sample CSV, plan, apply, a change, a held removal that a person
    decides about, a full resync that puts back what somebody changed, a quiet run."""
    from syncd.cli.demo import run

    run(pause=not no_pause and sys.stdin.isatty(), keep=keep)


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: `source <(syncd completion bash)`."""
    from syncd.cli import cli
    from syncd.cli.completing import script

    click.echo(script(cli, shell), nl=False)
