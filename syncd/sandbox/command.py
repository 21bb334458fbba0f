"""The command `syncd sandbox`, also run by `python -m syncd.sandbox`. Importing this module loads no SCIM library."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from syncd import loading
from syncd.errors import ConfigurationError, Fault
from syncd.sandbox.habits import HABITS
from syncd.sandbox.options import DEFAULT_PORT, DEFAULT_TOKEN, SandboxOptions

NAMES = "generic, lucidlink, lucid-admin, lucid-content, aws-identity-center or okta-style"
LIST = "list"


def _completed(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name, help=each.sentence) for name, each in HABITS.items() if name.startswith(incomplete)]


@click.command("sandbox")
@click.option("--profile", default="generic", show_default=True, help=f"Which service it behaves like: {NAMES}.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="The port; 0 picks a free one.",
)
@click.option("--state", type=click.Path(path_type=Path), help="SQLite file; without it, state is temporary.")
@click.option("--token", "tokens", multiple=True, help=f"A bearer token it accepts. [default: {DEFAULT_TOKEN}]")
@click.option(
    "--verified-domain",
    "verified_domains",
    multiple=True,
    metavar="DOMAIN",
    help="A verified SSO domain; *.example.com for subdomains. Others are external.",
)
@click.option("--faults", type=click.Path(path_type=Path), help="JSON file with the faults to begin with.")
@click.option(
    "--habit",
    "habits",
    multiple=True,
    metavar="NAME",
    shell_complete=_completed,
    help="A habit of real endpoints to rehearse; the name list shows them all.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=ANSWER", help="An open point of the profile's documents."
)
def sandbox(
    profile: str,
    host: str,
    port: int,
    state: Path | None,
    tokens: tuple[str, ...],
    verified_domains: tuple[str, ...],
    faults: Path | None,
    habits: tuple[str, ...],
    settings: tuple[str, ...],
) -> None:
    """Run a local SCIM service provider to try against."""
    if LIST in habits:
        click.echo(listed())
        return
    loading.begin()
    from syncd.sandbox.server import serve

    loading.end()
    serve(
        SandboxOptions(
            profile=profile,
            host=host,
            port=port,
            state=state,
            tokens=tokens or (DEFAULT_TOKEN,),
            verified_domains=verified_domains,
            faults=faults,
            habits=habits,
            settings=dict(_setting(text) for text in settings),
        )
    )


def listed() -> str:
    """Return the habits, a line or two each."""
    width = max(map(len, HABITS))
    return "\n".join(f"{name:{width}}  {each.sentence}" for name, each in HABITS.items())


def _setting(text: str) -> tuple[str, str]:
    name, equals, answer = text.partition("=")
    if not equals:
        raise ConfigurationError("sandbox", [Fault("--set", f"{text!r} is not NAME=ANSWER")])
    return name, answer
