"""docs/sandbox.md names everything that can be chosen."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from syncd.sandbox.command import NAMES, sandbox
from syncd.sandbox.faults import AnyFault
from syncd.sandbox.habits import HABITS
from syncd.sandbox.profiles import PROFILES

TEXT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()


@pytest.mark.parametrize(
    ("profile", "name"), [(profile, name) for profile in PROFILES for name in PROFILES[profile].choices]
)
def test_every_open_question_is_there_with_its_answers(profile: str, name: str) -> None:
    choice = PROFILES[profile].choices[name]
    answers = ", ".join(f"`{answer}`" for answer in choice.answers)
    assert f"| `{name}` | {answers}" in TEXT


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_there_and_in_the_commands_help(profile: str) -> None:
    assert f"**`{profile}`**" in TEXT
    assert profile in NAMES


def test_every_habit_is_there_with_its_sentence() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `") and line.split("`")[1] in HABITS]
    assert rows == [f"| `{name}` | {habit.sentence} |" for name, habit in HABITS.items()]


def test_every_option_and_every_fault_is_there() -> None:
    options = [option for parameter in sandbox.params for option in parameter.opts]
    faults = [get_args(fault.model_fields["fault"].annotation)[0] for fault in get_args(AnyFault)]
    assert len(faults) == 24
    assert [option for option in options if f"`{option} " not in TEXT] == []
    assert [fault for fault in faults if f"`{fault}`" not in TEXT] == []
