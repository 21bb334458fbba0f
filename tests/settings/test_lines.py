"""Every fault of a configuration is found on its line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import ConfigurationError
from syncd.settings import load
from syncd.settings.lines import Lines

FAULTY = """\
stat = "x"
[source]
type = "csv"
users = "people.csv"
kye = "id"  # a comment with a = sign

[mapping.user]
userName = \"\"\"
[target]
titel = {mail}\"\"\"
displayName = [
  "{a}",
  # titel = "{x}"
  "{b}",
]
titel = "{title}"
"name.givenNam" = "{first}"

[[target]]
name = "a"
base_url = "https://scim.example.com"
token = { env = "A", file = "b" }
limits.deactivat = { count = 1 }
[target.drift]
defualt = "report"
[[target]]
name = "a"
token = { env = "A" }
[target.profile_overrides]
user_filters = ["userName", "username"]
"""


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "syncd.toml"
    file.write_text(FAULTY, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(file, {"SYNCD__TARGET__1__RTE": "5"})
    assert {fault.key: fault.line for fault in caught.value.faults} == {
        "target": 27,
        "stat": 1,
        "source.key": 2,
        "source.kye": 5,
        "mapping.user.titel": 16,
        'mapping.user."name.givenNam"': 17,
        "target[a].token": 22,
        "target[a].limits.deactivat": 23,
        "target[a].drift.defualt": 25,
        "target[a].base_url": 26,
        "target[a].profile_overrides.user_filters[1]": 30,
        "target[a].rte (from SYNCD__TARGET__1__RTE)": None,
    }


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"a = 1\nb = \n", 2), (b"a = 1\n\nb = 'Zo\xeb'\n", 3), (b"a = 1\nb = [", None)],
)
def test_a_file_that_is_no_toml_is_wrong_on_the_line_that_is_named(
    tmp_path: Path, content: bytes, line: int | None
) -> None:
    file = tmp_path / "syncd.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    assert [fault.line for fault in caught.value.faults] == [line]


def test_tables_below_an_array_of_tables_belong_to_the_last_one() -> None:
    lines = Lines("[[a]]\n[a.b]\nc = 1\n[[a.d]]\n[[a.d]]\ne = 1\n[[a]]\n[a.b]\nc = 2\n[[a.d]]\ne = 2\n")
    assert [lines.of(path) for path in (("a", 0, "b", "c"), ("a", 0, "d", 1, "e"), ("a", 1, "d", 0, "e"))] == [3, 6, 11]
    assert (lines.of(("a", 1, "b", "nothing")), lines.of(("nothing",))) == (8, None)


_KEYS = st.sampled_from(["a", "b-c", "d e", 'f"g', "h.i", "j\\k", "l'm", "n=o", "[p]"])
_VALUES = st.recursive(
    st.integers(0, 9) | st.booleans() | st.text(alphabet="ab \"\\\n#=[]{}'", max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _written(value: Any, *, long: bool) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() if long:
            text = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"""\n{text}"""'
        case str():
            return _quoted(value)
        case list():
            separator = ",\n  # a = [\n  " if long else ", "
            return (
                f"[{separator.join(_written(each, long=long) for each in value)}{', # ]' if long and value else ''}"
                + ("\n]" if long else "]")
            )
        case _:
            return str(value)


@given(st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=4), st.booleans())
def test_the_line_of_each_key_is_the_one_that_begins_with_it(tables: dict[str, dict[str, Any]], long: bool) -> None:
    text, expected = "", {}
    for table, keys in tables.items():
        text += f"[{_quoted(table)}]\n"
        expected[table,] = text.count("\n")
        for key, value in keys.items():
            expected[table, key] = text.count("\n") + 1
            text += f" {_quoted(key)} = {_written(value, long=long)} # x = 1\n"
    assert tomllib.loads(text) == tables
    lines = Lines(text)
    assert {path: lines.of(path) for path in expected} == expected
