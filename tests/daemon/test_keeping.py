"""The reports that the daemon keeps."""

from __future__ import annotations

import stat

from tests.daemon.running import Running
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person


def test_what_changes_or_holds_something_is_kept_and_the_oldest_go(admin: Administrator, sandbox: Sandbox) -> None:
    folder = admin.folder / "reports"
    admin.people(person(key) for key in range(1, 31))
    with Running(admin, SYNCD__SCHEDULE__SYNC="100d", SYNCD__REPORTS__KEEP="3") as running:
        running.do("sync")
        running.do("sync")  # quiet, as is one of the first two
        # The daemon's own first run may be the one that is kept, and nobody who asks waits for its report.
        running.until(lambda _: "event=report_kept" in running.logged())
        (first,) = folder.iterdir()
        assert stat.S_IMODE(first.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert "p30@example.com" in first.read_text(encoding="utf-8")
        admin.people(person(key, status="left" if key <= 9 else "active") for key in range(1, 31))
        (held,) = running.do("sync")
        running.do("sync")  # the same is held: no news
        assert {path.name for path in folder.iterdir()} == {first.name, f"sandbox-{held['run']:06}.html"}
        for title in ("one", "two"):
            admin.people(person(key, status="left" if key <= 9 else "active", title=title) for key in range(1, 31))
            (last,) = running.do("sync")
        kept = sorted(path.name for path in folder.iterdir())
        assert len(kept) == 3
        assert kept[-1] == f"sandbox-{last['run']:06}.html"
        assert first.name not in kept
        assert "event=report_kept" in running.logged()


def test_a_report_that_can_not_be_kept_stops_nothing(admin: Administrator, sandbox: Sandbox) -> None:
    admin.write("reports", "a file")
    with Running(admin, SYNCD__SCHEDULE__SYNC="100d") as running:
        running.do("sync")
        admin.people(person(key) for key in range(1, 9))
        (run,) = running.do("sync")
        assert run["results"]["applied"] == 3
        running.do("sync")
        assert "event=report_not_kept" in running.logged()
