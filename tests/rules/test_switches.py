"""Each rule that protects people is switched off in turn, in a copy of the product: some test must fail then.

The rest of the suite proves that all tests pass with every rule on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rules.switches import RULES, Rule

ROOT = Path(__file__).parents[2]
_FAILED = 1
"""pytest's exit code where tests failed; anything above is a mistake of the switch."""


_NOTICED = ("AssertionError", "assert ", "Failed: DID NOT RAISE", "sqlite3.IntegrityError")
"""How a test says that something is not as it expects, or the state file that nobody has two accounts; anything else
is a switch that broke the product."""


Born = Callable[..., int]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the product and its tests, compiled as they are."""
    folder = tmp_path_factory.mktemp("copy")
    for part in ("syncd", "tests"):
        ignored = shutil.ignore_patterns("invariants", "rules", "bench", "node_modules")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def bear(copy: Path) -> Iterator[Born]:
    """Yield what runs tests of the copy, each time in a process of its own, and says how that ended."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    # The processes that tests start are of the copy too; lines of the summary are not cut.
    environment |= {"PYTHONPATH": str(copy), "COLUMNS": "250", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with subprocess.Popen(
        [sys.executable, "-P", Path(__file__).with_name("nursery.py")],
        cwd=copy,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def one(**order: object) -> int:
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()
            return int(stdout.readline())

        yield one
        stdin.close()


@contextmanager
def switched_off(rule: Rule, copy: Path) -> Iterator[None]:
    """Let the copy be without the rule."""
    path = copy / "syncd" / rule.file
    text = path.read_text(encoding="utf-8")
    assert text.count(rule.line) == 1, f"{rule.file} has this line {text.count(rule.line)} times:\n{rule.line}"
    path.write_text(text.replace(rule.line, rule.without), encoding="utf-8")
    _forget_compiled(path)
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")
        _forget_compiled(path)


def _forget_compiled(path: Path) -> None:
    """A file that was changed within the second, and is as long as before, would be taken for unchanged."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_without_it_a_test_fails(rule: Rule, copy: Path, bear: Born, tmp_path: Path) -> None:
    # Whether it fails is asked, not the shortest example that does.
    options = ("-q", "-x", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "--hypothesis-profile=brief")
    output = tmp_path / "output"
    with switched_off(rule, copy):
        code = bear(options=[*options, *rule.noticed_by], output=str(output), seconds=240)
    said = output.read_text(encoding="utf-8")
    assert code == _FAILED, said[-3000:]
    (failed,) = [line for line in said.splitlines() if line.startswith("FAILED ")]
    assert failed.partition(" - ")[2].startswith(_NOTICED), said[-3000:]


def test_no_two_rules_have_one_name() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
