"""Print a man page: `man_page.py syncd.1` from the commands, `man_page.py syncd.toml.5` from the settings.

Written with the macros of man(7), in ASCII. The day is that of $SOURCE_DATE_EPOCH, else today.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from syncd import __version__
from syncd.cli import cli, completing, shared
from syncd.errors import LeaseHeld

_DOCUMENTATION = "/opt/syncd/share/doc"

_EXIT_STATUS = {
    shared.OK: "Done. `syncd plan`: there is nothing to do.",
    shared.ERROR: "An error, and nothing was done: a bad configuration, a source that can't be read or is incomplete, "
    "a target that refuses the token.",
    shared.CHANGES: "`syncd plan`: there are changes.",
    shared.HELD: "Done, but something is held.",
    shared.FAILED: "Done, but some changes failed.",
    LeaseHeld.exit_code: "Another process holds the lease on the state file. Nothing was done.",
    shared.USAGE: "Wrong usage.",
    130: "Interrupted.",
}

_ENVIRONMENT = {
    "SYNCD_CONFIG": "The configuration, where `-c` names none.",
    "SYNCD__SECTION__KEY": "Any key of the configuration, as in `SYNCD__SOURCE__BIND_DN`. See syncd.toml(5).",
    "CREDENTIALS_DIRECTORY": 'Where `{ credential = "…" }` is looked for. systemd sets it for the service.',
    "SYNCD_DEBUG": "Where it is set, a fault of syncd itself is shown with its traceback.",
    "NO_COLOR": "Where it is set, nothing is coloured.",
    "SUDO_USER": "Whose decision it is, where root runs the command. sudo sets it.",
    "RUNTIME_DIRECTORY": "Where the daemon puts its socket. systemd sets it, as it sets `NOTIFY_SOCKET`, "
    "`WATCHDOG_USEC`, `WATCHDOG_PID` and `JOURNAL_STREAM`.",
}

_FILES = {
    "/etc/syncd/syncd.toml": "The configuration. See syncd.toml(5).",
    "/etc/syncd/credentials/": "Tokens and passwords, one file each, which the service reads as credentials.",
    str(completing.STATE): "The state file: what each target has acknowledged, runs, holds. Mode 0600.",
    str(completing.SOCKET): "The socket of the service, for root and the members of the group syncd.",
    f"{_DOCUMENTATION}/": "The documentation: operations.md, configuration.md, profiles.md and others.",
}


def main() -> None:
    pages = {"syncd.1": commands_page, "syncd.toml.5": settings_page}
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in pages:
        sys.exit(f"man_page.py: name the page: {' or '.join(pages)}")
    print(pages[name](), end="")


# -- text to roff ------------------------------------------------------------------------------------


def literal(text: str) -> str:
    """Return text that stands for itself: no character of it is an instruction or becomes another character."""
    special = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", '"': r"\(dq", "^": r"\(ha", "~": r"\(ti"}
    shown = "".join(special.get(each) or (each if each.isascii() else f"\\[u{ord(each):04X}]") for each in text)
    return rf"\&{shown}" if shown.startswith(".") else shown


def bold(text: str) -> str:
    return rf"\fB{literal(text)}\fR"


def prose(text: str) -> str:
    """Return Markdown's inline text: code is bold, a link is its text and the address, if that is on the web."""
    text = re.sub(r"\[([^]]*)\]\((https?://[^)]*)\)", r"\1 (\2)", " ".join(text.split()))
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    # The pattern has one group: every second part is code.
    return "".join(
        bold(part) if number % 2 else literal(part) for number, part in enumerate(re.split("`([^`]+)`", text))
    )


def item(tag: str, *texts: str) -> Iterator[str]:
    """Yield an item of a list; `tag` is roff."""
    yield from (".TP", tag, *texts)


def items(of: dict[str, str]) -> Iterator[str]:
    for name, text in of.items():
        yield from item(bold(name), prose(text))


def document(title: str, section: int, lines: Iterator[str]) -> str:
    """Return the page, its text in lines of 78 characters, none of which is taken for an instruction."""
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or datetime.now(UTC).timestamp())
    day = datetime.fromtimestamp(moment, UTC).date()
    page, tag = [f'.TH {title} {section} {day} "syncd {__version__}" "syncd"'], False
    for line in lines:
        if line.startswith(".") or tag:  # a tag is one line
            page.append(line)
        else:
            parts = textwrap.wrap(line, 78, break_long_words=False, break_on_hyphens=False)
            page += [rf"\&{part}" if part.startswith(".") else part for part in parts]
        tag = line == ".TP"
    return "\n".join([*page, ""])


# -- syncd(1) ----------------------------------------------------------------------------------------


def commands_page(group: click.Group = cli) -> str:
    """Return the page of the command and all of its commands."""
    return document("SYNCD", 1, _commands_page(group))


def _commands_page(group: click.Group) -> Iterator[str]:
    context = click.Context(group, info_name="syncd", **group.context_settings)
    first, *more = _paragraphs(group.help)
    commands = {name: group.commands[name] for name in group.list_commands(context)}
    common = _common(context, commands)
    yield from (".SH NAME", rf"syncd \- {prose(first[0].lower() + first[1:].rstrip('.'))}")
    yield from (".SH SYNOPSIS", rf"{bold('syncd')} \fIcommand\fR [\fIoptions\fR] [\fIarguments\fR]", ".br")
    yield rf"{bold('syncd')} [{bold('--version')}] [{bold('--help')}]"
    yield from (".SH DESCRIPTION", prose(first))
    for paragraph in more:
        yield from (".PP", prose(paragraph))
    yield from (".PP", "These options are taken by several commands:")
    for tag, text in common.items():
        yield from item(tag, text)
    yield ".SH COMMANDS"
    for name, command in commands.items():
        within = click.Context(command, info_name=name, parent=context)
        yield from (f".SS syncd {literal(name)}", _usage(name, within))
        for paragraph in _paragraphs(command.help):
            yield from (".PP", prose(paragraph))
        for option in _options(within):
            tag, text = _described(option, within)
            if common.get(tag) != text:
                yield from item(tag, text)
    yield from (".SH EXIT STATUS", "Where several apply: 1, then 4, then 3, then 2.")
    yield from items({str(code): text for code, text in _EXIT_STATUS.items()})
    yield from (".SH ENVIRONMENT", *items(_ENVIRONMENT))
    yield from (".SH FILES", *items(_FILES))
    yield from (".SH SEE ALSO", r"\fBsyncd.toml\fR(5), \fBsystemctl\fR(1), \fBsystemd.exec\fR(5)")


def _paragraphs(text: str | None) -> list[str]:
    return [paragraph for paragraph in re.split(r"\n\s*\n", (text or "").strip()) if paragraph.strip()]


def _options(context: click.Context) -> list[click.Option]:
    return [each for each in context.command.get_params(context) if isinstance(each, click.Option) and not each.hidden]


def _common(context: click.Context, commands: dict[str, click.Command]) -> dict[str, str]:
    """Return the text about the options that several commands share with one meaning."""
    counts: Counter[tuple[str, str]] = Counter()
    for name, command in commands.items():
        within = click.Context(command, info_name=name, parent=context)
        counts.update(_described(option, within) for option in _options(within))
    return dict(sorted(said for said, count in counts.items() if count >= 3))


def _value(option: click.Option, context: click.Context) -> str:
    """Return an option's placeholder, "" for a flag."""
    if option.is_flag or option.count:
        return ""
    shown = option.get_help_record(context)
    assert shown is not None
    value = shown[0].split(max(option.opts, key=len), 1)[1].strip()
    return value[1:-1] if value.startswith("[") and value.endswith("]") else value


def _described(option: click.Option, context: click.Context) -> tuple[str, str]:
    """Return an option's names with its value, and its meaning, as roff."""
    shown = option.get_help_record(context)
    assert shown is not None
    value = _value(option, context)
    names = ", ".join(bold(name) for name in sorted(option.opts, key=len))
    return names + (rf" \fI{literal(value)}\fR" if value else ""), prose(shown[1])


def _usage(name: str, context: click.Context) -> str:
    """Return a command's line with all its options and arguments."""
    parts = [bold(f"syncd {name}")]
    for option in _options(context):
        value = _value(option, context)
        shown = bold(min(option.opts, key=len)) + (rf"\~\fI{literal(value)}\fR" if value else "")
        parts.append(f"[{shown}]" + ("..." if option.multiple else ""))
    parts += [rf"\fI{literal(piece)}\fR" for piece in context.command.collect_usage_pieces(context)[1:]]
    return " ".join(parts)


# -- syncd.toml(5) -----------------------------------------------------------------------------------


def settings_page() -> str:
    """Return the page of the configuration: docs/configuration.md as a man page."""
    from configuration_reference import reference

    return document("SYNCD.TOML", 5, _settings_page(reference()))


def _settings_page(markdown: str) -> Iterator[str]:
    yield from (".SH NAME", r"syncd.toml \- the configuration of syncd(1)", ".SH DESCRIPTION")
    follows_heading = True
    for block in markdown.strip().split("\n\n")[1:]:
        if block.startswith("## "):
            yield f".SH {prose(block.removeprefix('## '))}"
            follows_heading = True
            continue
        if block.startswith("|"):
            for row in block.splitlines()[2:]:
                key, takes, *default, meaning = [cell.strip() for cell in row.strip("|").split(" | ")]
                said = (
                    f"{takes}; {'default: ' if default[0].startswith('`') else ''}{default[0]}"
                    if any(default)
                    else takes
                )
                yield from item(f"{prose(key)} ({prose(said)})", *([prose(meaning)] if meaning else []))
        elif not block.startswith("This page is made"):
            yield from ([prose(block)] if follows_heading else [".PP", prose(block)])
        follows_heading = False
    yield from (".SH FILES", *items({name: text for name, text in _FILES.items() if name.startswith("/etc")}))
    yield from (".SH SEE ALSO", r"\fBsyncd\fR(1)", ".PP", f"Profiles: {bold(f'{_DOCUMENTATION}/profiles.md')}")


if __name__ == "__main__":
    main()
