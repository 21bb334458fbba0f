"""Loaded modules are exempt from garbage collection, and nothing else is. Unused modules are not loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(code: str) -> str:
    """Run code in a process of its own, for what it does to the garbage collector would stay."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_while_a_process_loads_garbage_waits_and_is_not_forgotten() -> None:
    code = """
import gc, weakref
from syncd import loading
loading.begin()
class Ring: pass
ring = Ring(); ring.self = ring; lost = weakref.ref(ring); del ring
others = [[] for _ in range(50_000)]
print(gc.isenabled(), lost() is not None)
others += [[] for _ in range(100_000)]
print(lost() is not None)
"""
    assert printed(code).split() == ["True", "True", "False"]


def test_what_is_loaded_is_left_alone_and_what_comes_is_collected_as_usual() -> None:
    code = """
import gc
usual = gc.get_threshold()
from syncd import loading
loading.begin()
import syncd.settings.configuration
loading.end()
print(gc.get_freeze_count() > 10_000, gc.isenabled(), gc.get_threshold() == usual)
"""
    assert printed(code).split() == ["True", "True", "True"]


def test_a_command_that_has_read_its_configuration_has_loaded(tmp_path: Path) -> None:
    code = f"""
import gc, sys
import syncd.settings.build
usual = gc.get_threshold()
def read(config):
    print(gc.get_threshold() == usual)
syncd.settings.build.read = read
import syncd.store
def opened(path):
    print(gc.get_freeze_count() > 10_000, gc.get_threshold() == usual)
    sys.stdout.flush()
    raise SystemExit
import syncd.cli.working
syncd.cli.working.state_of = opened
sys.argv = ["syncd", "check", "-c", {str(tmp_path / "syncd.toml")!r}]
syncd.cli.main()
"""
    (tmp_path / "syncd.toml").touch()
    assert printed(code).split() == ["False", "True", "True"]


def test_a_command_loads_no_library_that_it_does_not_use() -> None:
    code = """
import sys
from syncd import loading
loading.begin()
import httpx, structlog, syncd.cycle.jobs
print([name for name in sys.modules if name.startswith(("pygments", "rich.progress"))])
"""
    assert printed(code) == "[]\n"
