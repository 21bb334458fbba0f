"""Common behaviour of all commands: several targets, files that are no plans, closed output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person


@pytest.fixture
def two(admin: Administrator, sandbox: Sandbox) -> Administrator:
    """A second target, which wants nobody but Engineering, where only the first person is."""
    people = [person(1), *(person(key, department="Sales") for key in range(2, 6))]
    admin.people(people)
    text = (admin.folder / "syncd.toml").read_text()
    table = f'[[target]]\nname = "second"\nbase_url = "{sandbox.base_url}"\ntoken = {{ env = "SYNCD_TOKEN" }}\n'
    admin.write("syncd.toml", f"{text}\n{table}scope = 'department == \"Engineering\"'\n")
    return admin


def test_one_person_is_synced_to_whichever_target_wants_them(two: Administrator) -> None:
    plans = two.syncd("plan", "--user", "P2@example.com", "--json").json
    assert [(plan["target"], [change["key"] for change in plan["changes"]]) for plan in plans] == [
        ("sandbox", ["2"]),
        ("second", []),
    ]
    nobody = two.syncd("plan", "--user", "nobody")
    assert (nobody.code, "nobody has that key, userName or e-mail (sandbox, second)" in nobody.err) == (1, True)


def test_two_plans_for_one_target_are_refused_before_anything_is_sent(admin: Administrator, sandbox: Sandbox) -> None:
    assert admin.syncd("plan", "-o", "plan.json").code == 2
    plan = json.loads((admin.folder / "plan.json").read_text())
    admin.write("twice.json", json.dumps([plan, plan]))
    for command in (("apply", "twice.json"), ("diff", "twice.json"), ("diff", "plan.json", "twice.json")):
        done = admin.syncd(*command)
        assert done.code == 1
        assert "twice.json: holds 2 plans for the target `sandbox`" in done.err
    assert {each["method"] for each in sandbox.requests()} == {"GET"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("explain", ""), "it is empty, and would mean nobody"),
        (("accept", " "), "it is empty, and would mean nobody"),
        (("show", "9" * 30), "is not in the range"),
        (("runs", "1001"), "1001 is not in the range"),
        (("sync", "--user", ""), "it is empty, and would mean nobody"),
        (("explain", "caf\udce9"), "argument 2 is not text in UTF-8: 'caf\\udce9'"),
        (("plan", "--user", "\udcff"), "argument 3 is not text in UTF-8: '\\udcff'"),
    ],
)
def test_what_can_mean_nothing_is_wrong_usage(admin: Administrator, command: tuple[str, ...], said: str) -> None:
    done = admin.syncd(*command)
    assert (done.code, said in done.err) == (64, True), done.err


@pytest.mark.parametrize(
    "command",
    [
        ("plan", "--format", "html", "--json"),
        ("plan", "--json", "--format", "text"),
        ("diff", "plan.json", "--json", "--format", "markdown"),
        ("show", "1", "--json", "--format", "csv"),
    ],
)
def test_two_forms_of_one_answer_are_wrong_usage(admin: Administrator, command: tuple[str, ...]) -> None:
    done = admin.syncd(*command)
    assert (done.code, done.out) == (64, "")
    assert "ask for two forms of one answer: leave one of them out" in done.err
    assert admin.syncd("plan", "--json", "--format", "json").json["format"] == 1


@pytest.mark.parametrize(
    "command",
    [
        ("-c", "{config}", "status", "--json"),
        ("--config={config}", "--json", "status"),
        ("-c{config}", "--target", "sandbox", "--json", "status"),
    ],
)
def test_options_of_a_command_may_stand_before_its_name(admin: Administrator, command: tuple[str, ...]) -> None:
    config = str(admin.folder / "syncd.toml")
    done = admin.syncd(*(each.format(config=config) for each in command), environment={"SYNCD_CONFIG": "/nowhere"})
    assert (done.code, done.json["target"]) == (0, "sandbox"), done.err


def test_options_without_a_command_are_wrong_usage(admin: Administrator) -> None:
    done = admin.syncd("-c", "syncd.toml")
    assert (done.code, "-c syncd.toml: of which command?" in done.err) == (64, True), done.err


@pytest.mark.parametrize("command", [("apply", "/dev/zero"), ("diff", "/dev/zero"), ("check", "-c", "/dev/zero")])
def test_a_device_that_never_ends_is_not_read(admin: Administrator, command: tuple[str, ...]) -> None:
    done = admin.syncd(*command)
    assert (done.code, "/dev/zero: " in done.err, "not a file" in done.err) == (1, True, True)


# -- what is printed -----------------------------------------------------------------------------------


def test_an_answer_that_nobody_reads_changes_neither_work_nor_exit_code(admin: Administrator, sandbox: Sandbox) -> None:
    assert _shell(admin, 'syncd plan --json | head -c 1; echo " ${PIPESTATUS[0]}"') == ("{ 2\n", "")
    assert _shell(admin, "syncd plan >&- 2>&- <&-; echo $?") == ("2\n", "")
    assert _shell(admin, 'syncd sync --json | head -c 1; echo " ${PIPESTATUS[0]}"') == ("{ 0\n", "")
    assert len(sandbox.users()) == 5


def test_an_answer_that_can_t_be_written_is_an_error(admin: Administrator) -> None:
    said = "syncd: the answer could not be written: No space left on device\n"
    assert _shell(admin, "syncd plan > /dev/full; echo $?") == ("1\n", said)


def _shell(admin: Administrator, line: str) -> tuple[str, str]:
    commands = Path(sys.executable).parent
    environment = admin.environment | {"PATH": f"{commands}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=admin.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout, done.stderr


def test_a_report_never_takes_the_place_of_a_source(admin: Administrator) -> None:
    before = (admin.folder / "people.csv").read_bytes()
    done = admin.syncd("plan", "-o", "people.csv")
    assert (done.code, "people.csv: is there already, and no report" in done.err) == (64, True)
    assert (admin.folder / "people.csv").read_bytes() == before
    for _ in range(2):
        assert admin.syncd("plan", "-o", "report.csv").code == 2


def test_a_report_that_can_t_be_written_leaves_nothing_behind(admin: Administrator) -> None:
    (admin.folder / "report.html").mkdir()
    (admin.folder / "report.html.draft").symlink_to("/dev/full")
    assert admin.syncd("plan", "-o", "report.html").code == 64
    (admin.folder / "report.html").rmdir()
    done = admin.syncd("plan", "-o", "report.html")
    assert (done.code, done.err) == (1, "syncd: report.html: No space left on device\n  nothing was written\n")
    assert not (admin.folder / "report.html.draft").is_symlink()


def test_what_the_operating_system_refuses_is_no_fault_of_syncd(admin: Administrator) -> None:
    program = (
        "import syncd.cli\n"
        "def full(**_): raise OSError(28, 'No space left on device', '/tmp/x')\n"
        "syncd.cli.cli.main = full\n"
        "syncd.cli.main()\n"
    )
    admin.write("full.py", program)
    out, err = _shell(admin, f"{sys.executable} full.py; echo $?")
    assert (out, err.splitlines()[0]) == ("1\n", "syncd: /tmp/x: No space left on device")


def test_what_init_wrote_and_kept_is_told_to_programs(admin: Administrator) -> None:
    (admin.folder / "new").mkdir()
    admin.write("new/people.csv", "mine\n")
    answer = admin.syncd("init", "new", "--json").json
    assert answer == {
        "wrote": ["new/syncd.toml", "new/groups.csv", "new/members.csv"],
        "kept": ["new/people.csv"],
    }
    assert (admin.folder / "new/people.csv").read_text() == "mine\n"
