"""The demo, as `make demo` shows it: every step ends with the exit code that it should."""

from __future__ import annotations

from pathlib import Path

from tests.system.commands import Administrator


def test_the_demo_goes_to_its_end(tmp_path: Path) -> None:
    done = Administrator(tmp_path).syncd("demo", "--no-pause", "--keep", "shown")
    assert done.code == 0, done.out + done.err
    assert "Every step went as it should." in done.out
    assert (tmp_path / "shown" / "syncd.db").exists()
