"""What every command owes to whoever types it: several targets, files that are no plans, output that nobody reads."""

from __future__ import annotations

import json

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
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("explain", ""), "it is empty, and would mean nobody"),
        (("accept", " "), "it is empty, and would mean nobody"),
        (("sync", "--user", ""), "it is empty, and would mean nobody"),
        (("explain", "caf\udce9"), "argument 2 is not text in UTF-8: 'caf\\udce9'"),
        (("plan", "--user", "\udcff"), "argument 3 is not text in UTF-8: '\\udcff'"),
    ],
)
def test_a_name_that_can_be_nobody_s_is_wrong_usage(admin: Administrator, command: tuple[str, ...], said: str) -> None:
    done = admin.syncd(*command)
    assert (done.code, said in done.err) == (64, True), done.err


@pytest.mark.parametrize("command", [("apply", "/dev/zero"), ("diff", "/dev/zero"), ("check", "-c", "/dev/zero")])
def test_a_device_that_never_ends_is_not_read(admin: Administrator, command: tuple[str, ...]) -> None:
    done = admin.syncd(*command)
    assert (done.code, "/dev/zero: " in done.err, "not a file" in done.err) == (1, True, True)
