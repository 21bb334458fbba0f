"""The man pages agree with commands and settings, and roff interprets no text as an instruction."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from syncd.cli import cli
from syncd.errors import LeaseHeld
from tools.man_page import commands_page

ROOT = Path(__file__).parents[2]
MACROS = {".TH", ".SH", ".SS", ".PP", ".TP", ".br"}
ESCAPES = {r"\e": "\\", r"\-": "-", r"\(aq": "'", r"\(ga": "`", r"\(dq": '"', r"\(ha": "^", r"\(ti": "~", r"\~": " "}
DAY = "1790000000"


def written(page: str) -> str:
    done = subprocess.run(
        [sys.executable, "tools/man_page.py", page],
        cwd=ROOT,
        env=os.environ | {"SOURCE_DATE_EPOCH": DAY},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def shown(page: str) -> str:
    """Return what a reader sees of a page, on one line. Fails where it has an escape that is not ours."""
    lines = []
    for line in page.splitlines():
        macro, _, rest = line.partition(" ") if line.startswith((".", "'")) else ("", "", line)
        assert macro in MACROS | {""}, line
        lines.append(rest)

    def character(found: re.Match[str]) -> str:
        escape = found[0]
        if escape in (r"\&", r"\fB", r"\fI", r"\fR"):
            return ""
        return chr(int(escape[3:-1], 16)) if escape.startswith(r"\[u") else ESCAPES[escape]

    return " ".join(re.sub(r"\\(\(..|\[u[0-9A-F]+\]|f.|.)", character, " ".join(lines)).split())


@pytest.fixture(scope="module")
def commands() -> str:
    return written("syncd.1")


def test_every_command_is_there_with_every_option_and_argument(commands: str) -> None:
    head, *sections = re.split(r"^\.SS syncd ", commands, flags=re.MULTILINE)
    told = {shown(section.partition("\n")[0]): section.partition("\n")[2] for section in sections}
    context = click.Context(cli, info_name="syncd", **cli.context_settings)
    assert list(told) == cli.list_commands(context)
    for name, section in told.items():
        command = cli.commands[name]
        within = click.Context(command, info_name=name, parent=context)
        assert command.help is not None
        assert " ".join(command.help.replace("`", "").split()) in shown(section)
        for parameter in command.get_params(within):
            if isinstance(parameter, click.Option):
                record = parameter.get_help_record(within)
                assert record is not None
                assert min(parameter.opts, key=len) in shown(section)
                assert shown(section + head).count(" ".join(record[1].split())) >= 1, (name, record)
                for option in parameter.opts:
                    assert option in shown(head + section), (name, option)
            else:
                assert parameter.make_metavar(within).strip("[]") in shown(section)


def test_every_exit_code_and_every_variable_that_is_read_is_there(commands: str) -> None:
    codes = re.findall(r"^([A-Z]+): Final = (\d+)$", (ROOT / "syncd/cli/shared.py").read_text(), re.MULTILINE)
    for code in [*(number for _, number in codes), str(LeaseHeld.exit_code)]:
        assert re.search(rf"^\.TP\n\\fB{code}\\fR$", commands, re.MULTILINE), code
    assert len(codes) == 6
    source = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("syncd/**/*.py"))
    variables = set(re.findall(r'environ(?:ment)?(?:\.get\(|\[)"([A-Z_]+)"', source))
    assert {"SYNCD_DEBUG", "CREDENTIALS_DIRECTORY"} < variables
    private = {"_SYNCD_COMPLETE", "COMP_WORDS", "COMP_CWORD"}  # between completion scripts and the command
    text = shown(commands)
    for variable in {each for each in variables - private if not each.startswith("SYNCD__")}:
        assert variable in text, variable


def test_every_key_of_the_configuration_is_in_the_second_page() -> None:
    page = written("syncd.toml.5")
    reference = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    keys = re.findall(r"^\| `([a-z_0-9]+)` \|", reference, re.MULTILINE)
    assert len(keys) > 100
    tags = [found.split()[0] for found in re.findall(r"^\.TP\n(.+)$", page, re.MULTILINE)]
    assert [shown(tag) for tag in tags if not tag.startswith(r"\fB/")] == keys
    assert "Cron (*/15 * * * *: minute, hour, day, month, weekday)" in shown(page)
    assert "](" not in page


@pytest.mark.parametrize("name", ["syncd.1", "syncd.toml.5"])
def test_a_page_is_ascii_in_short_lines_and_of_the_day_that_is_named(name: str) -> None:
    page = written(name)
    assert page.isascii()
    assert " 2026-09-21 " in page.splitlines()[0]
    lines = page.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        assert line == line.rstrip() != "", "an empty or open line"
        assert len(line) <= 80 or before == ".TP" or line.startswith(".S"), line


def test_text_is_never_taken_for_an_instruction() -> None:
    hostile = r""".TH of \fBno\fR \n[.f] 'quoted' "twice" ^caret ~tilde — \(dq and \\ ends"""
    dots = " ".join(["word .SH", "'br"] * 60)  # some of which begin a line, however the text is wrapped

    @click.group()
    def group() -> None: ...

    group.help = f"A name. Begins with {hostile}\n\n{hostile}\n\n.SH\n\n{dots}"

    @group.command("run", help=f"{hostile}\n\n'br")
    @click.option("--dots", metavar=".X\\", help=f"{dots} {hostile}")
    def run(dots: str) -> None: ...

    text = shown(commands_page(group))
    assert text.count(hostile) == 5
    assert text.count(dots) == 2
    assert "--dots .X\\ " in text


def test_an_unknown_page_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "tools/man_page.py", "syncd.8"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "man_page.py: name the page: syncd.1 or syncd.toml.5\n")
