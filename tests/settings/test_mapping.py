"""Lines of a mapping that are tables: what they mean for every target, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.core.ownership import Ownership
from syncd.settings.build import Setup, compile_settings
from tests.configurations import SOURCE, TARGET, faults, loaded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.toml"


def mapping(lines: str) -> str:
    return f'{SOURCE}[mapping.user]\nuserName = "{{mail}}"\n{lines}\n{TARGET}'


def compiled(file: Path, lines: str) -> Setup:
    return compile_settings(loaded(file, mapping(lines)), file)


def test_a_table_says_what_is_kept_and_what_is_written_once(file: Path) -> None:
    setup = compiled(
        file,
        'title = { template = ["{title}", "{job}"], when_empty = "keep" }\n'
        "nickName = { cel = 'preferred', when_empty = \"clear\" }\n"
        'locale = { template = "{lang}", apply = "create" }',
    )
    owned = Ownership(
        frozenset({"userName", "externalId", "active", "title", "nickName"}),
        frozenset({"title"}),
        frozenset({"locale"}),
    )
    assert (setup.rules.users.ownership, setup.targets[0].owned) == (owned, owned)
    assert setup.wanted.user == {"mail", "title", "job", "preferred", "lang"}


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ('title = { template = "{title}" }', 'title = { template = "{title}", when_empty = "keep" }'),
        ('title = { template = "{title}" }', 'title = { template = "{title}", apply = "create" }'),
        ("title = { cel = 'title' }", "title = { cel = 'title', when_empty = \"keep\" }"),
    ],
)
def test_another_treatment_of_empty_values_compares_everybody_again(file: Path, line: str, other: str) -> None:
    (before,), (after,) = compiled(file, line).targets, compiled(file, other).targets
    assert before.rules.mapping_fingerprint != after.rules.mapping_fingerprint


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('title = { templat = "{x}" }', "no such key in the table: `templat`; did you mean `template`?"),
        ('title = { template = "{x}", aply = "create" }', "no such key in the table: `aply`; did you mean `apply`?"),
        ("title = { cel = 'x', when_empty = \"no\" }", '`when_empty` must be "clear" or "keep"'),
        ('title = { when_empty = "keep" }', "a table takes one of `template` and `cel`"),
        ('title = { template = 7 }', '`template` takes a template "{mail}", or a list of them'),
        ('title = { colour = "red" }', 'a path with a dot needs quotes: "title.colour" = …'),
        ("title = {}", 'a path with a dot needs quotes: "title.…" = …'),
    ],
)  # fmt: skip
def test_a_wrong_table_is_named(file: Path, line: str, problem: str) -> None:
    assert faults(file, mapping(line)) == {"mapping.user.title": problem}


def test_the_name_of_a_group_has_no_such_keys(file: Path) -> None:
    text = mapping("") + '[mapping.group]\ndisplayName = { template = "{name}", when_empty = "keep" }\n'
    assert faults(file, text) == {
        "mapping.group.displayName": "`displayName` is how syncd finds what is its own: it is always written"
    }
