"""Each rule that protects people is switched off in turn, in a copy of the product: some test must fail then.

That all tests pass with every rule on is what the rest of the suite says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.switches import RULES, Rule

ROOT = Path(__file__).parents[2]
_FAILED = 1
"""pytest's exit code where tests failed; anything above is a mistake of the switch."""


_NOTICED = ("AssertionError", "assert ", "Failed: DID NOT RAISE", "sqlite3.IntegrityError")
"""How a test says that something is not as it expects, or the state file that nobody has two accounts; anything else
is a switch that broke the product."""


def switched_off(rule: Rule, folder: Path) -> None:
    """Copy the product and its tests, compiled as they are, without the rule."""
    for part in ("syncd", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("invariants", "rules", "bench"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    path = folder / "syncd" / rule.file
    text = path.read_text(encoding="utf-8")
    assert text.count(rule.line) == 1, f"{rule.file} has this line {text.count(rule.line)} times:\n{rule.line}"
    path.write_text(text.replace(rule.line, rule.without), encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_without_it_a_test_fails(rule: Rule, tmp_path: Path) -> None:
    switched_off(rule, tmp_path)
    # Whether it fails is asked, not the shortest example that does.
    options = ("-q", "-x", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "--hypothesis-profile=brief")
    command = [sys.executable, "-m", "pytest", *options, *rule.noticed_by]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    # The processes that tests start are of the copy too; lines of the summary are not cut.
    environment |= {"PYTHONPATH": str(tmp_path), "COLUMNS": "250", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == _FAILED, done.stdout[-3000:] + done.stderr[-2000:]
    (failed,) = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    assert failed.partition(" - ")[2].startswith(_NOTICED), done.stdout[-3000:]


def test_no_two_rules_have_one_name() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
