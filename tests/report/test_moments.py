"""Moments as people read them: in the configured zone, with its abbreviation."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from syncd.report.moments import day, localized, minute, second, time_of_day

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
WINTER = datetime(2026, 11, 22, 23, 30, 15, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


def test_a_moment_has_the_abbreviation_of_its_zone_and_season() -> None:
    assert minute(WINTER, UTC) == "2026-11-22 23:30 UTC"
    assert minute(WINTER, BERLIN) == "2026-11-23 00:30 CET"
    assert second(SUMMER, BERLIN) == "2026-07-01 14:00:00 CEST"
    assert second(WINTER, NEW_YORK) == "2026-11-22 18:30:15 EST"
    assert minute(WINTER, ZoneInfo("UTC")) == "2026-11-22 23:30 UTC"


def test_a_zone_without_an_abbreviation_has_its_offset() -> None:
    assert minute(WINTER, ZoneInfo("America/Sao_Paulo")) == "2026-11-22 20:30 -03"


def test_the_day_is_the_zones() -> None:
    assert str(day(WINTER, UTC)) == "2026-11-22"
    assert str(day(WINTER, BERLIN)) == "2026-11-23"


@pytest.mark.parametrize(
    ("zone", "shown"), [(UTC, "23:30:15 UTC"), (NEW_YORK, "18:30:15 EST"), (BERLIN, "2026-11-23 00:30:15 CET")]
)
def test_the_day_is_left_out_where_it_is_today_in_the_zone(zone: ZoneInfo, shown: str) -> None:
    assert time_of_day(WINTER, zone, datetime(2026, 11, 22, 9, tzinfo=UTC)) == shown


def test_a_sentence_that_was_kept_is_shown_in_a_zone() -> None:
    kept = "missing from the source since 2026-11-22 12:00 UTC; waits until 2026-11-22 23:30 UTC"
    assert localized(kept, UTC) == kept
    assert localized(kept, BERLIN) == (
        "missing from the source since 2026-11-22 13:00 CET; waits until 2026-11-23 00:30 CET"
    )


@pytest.mark.parametrize(
    "text", ["9999-12-31 23:30 UTC", "2026-13-40 12:00 UTC", "2026-11-22T12:00:00Z", "12026-11-22 12:00 UTC", ""]
)
def test_what_is_no_moment_of_ours_stays(text: str) -> None:
    assert localized(text, BERLIN) == text
