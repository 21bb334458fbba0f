"""Schedules as crontab(5) has them, and across the hours that come twice or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from syncd.daemon.schedule import trigger


def fires(schedule: str, zone: str, begin: datetime, times: int, jitter: int = 0) -> list[datetime]:
    """Return when a schedule is due from a moment on, as the scheduler finds out: one after the other, in UTC."""
    found: list[datetime] = []
    alarm, previous, now = trigger(schedule, zone, timedelta(seconds=jitter)), None, begin
    for _ in range(times):
        previous = alarm.get_next_fire_time(previous, now)
        found.append(previous.astimezone(UTC))
        now = previous.astimezone(UTC) + timedelta(milliseconds=5)
    return found


def days(schedule: str, times: int) -> list[str]:
    """Return the days from Sunday, the first of November 2026 on."""
    return [f"{each:%a %d}" for each in fires(schedule, "UTC", datetime(2026, 11, 1, tzinfo=UTC), times)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 0 * * 0", ["Sun 01", "Sun 08", "Sun 15"]),
        ("0 0 * * 7", ["Sun 01", "Sun 08", "Sun 15"]),
        ("0 0 * * 1", ["Mon 02", "Mon 09", "Mon 16"]),
        ("0 0 * * SUN", ["Sun 01", "Sun 08", "Sun 15"]),
        ("0 0 * * 5-7", ["Sun 01", "Fri 06", "Sat 07", "Sun 08"]),
        ("0 0 * * mon-wed", ["Mon 02", "Tue 03", "Wed 04", "Mon 09"]),
        ("0 0 * * */2", ["Sun 01", "Tue 03", "Thu 05", "Sat 07", "Sun 08"]),
        ("0 0 * * 1-5/2", ["Mon 02", "Wed 04", "Fri 06", "Mon 09"]),
        ("0 0 * * */7", ["Sun 01", "Sun 08"]),
        ("0 0 * * 0-7", ["Sun 01", "Mon 02"]),
        # A step beyond the field's end leaves its beginning.
        ("*/60 */24 */31 * *", ["Sun 01", "Tue 01"]),
        ("0-30/45 0 1-2/7 * *", ["Sun 01", "Tue 01"]),
        ("0 0 29 2 *", ["Tue 29", "Sun 29"]),
        ("0 0 1,15 * *", ["Sun 01", "Sun 15", "Tue 01"]),
        # Both restricted: either is enough.
        ("0 0 13 * 5", ["Fri 06", "Fri 13", "Fri 20", "Fri 27", "Fri 04", "Fri 11", "Sun 13"]),
        # One begins with a star: both are wanted.
        ("0 0 */10 * 1", ["Mon 21", "Mon 11"]),
        # There is no 31st of April, but there are Mondays in it.
        ("0 0 31 4 1", ["Mon 05", "Mon 12"]),
        ("0 0 * jan-mar mon", ["Mon 04", "Mon 11"]),
    ],
)
def test_days_are_those_of_cron(schedule: str, expected: list[str]) -> None:
    assert days(schedule, len(expected)) == expected


def test_hours_are_those_of_the_time_zone() -> None:
    (first, second) = fires("17 2 * * *", "Europe/Berlin", datetime(2026, 7, 1, tzinfo=UTC), 2)
    assert [first, second] == [datetime(2026, 7, 1, 0, 17, tzinfo=UTC), datetime(2026, 7, 2, 0, 17, tzinfo=UTC)]


def test_an_hour_that_comes_twice_brings_no_storm() -> None:
    # On 2026-10-25 at 03:00 CEST the clock goes back to 02:00.
    begin = datetime(2026, 10, 24, 23, 50, tzinfo=UTC)
    halves = fires("*/30 * * * *", "Europe/Berlin", begin, 8)
    assert [f"{each:%H:%M}" for each in halves] == "00:00 00:30 01:00 01:30 02:00 02:30 03:00 03:30".split()
    nightly = fires("17 2 * * *", "Europe/Berlin", begin, 4)
    assert [f"{each:%d %H:%M}" for each in nightly] == ["25 00:17", "25 01:17", "26 01:17", "27 01:17"]


def test_an_hour_that_does_not_come_loses_no_run() -> None:
    # On 2026-03-29 at 02:00 CET the clock goes forward to 03:00.
    nightly = fires("17 2 * * *", "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), 3)
    assert [f"{each:%d %H:%M}" for each in nightly] == ["29 01:17", "30 00:17", "31 00:17"]


def test_a_duration_is_between_runs() -> None:
    one, two, three = fires("1h30m", "UTC", datetime.now(UTC), 3)
    assert [two - one, three - two] == [timedelta(minutes=90)] * 2


def test_jitter_delays_and_never_hurries() -> None:
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    for number, each in enumerate(fires("*/10 * * * *", "UTC", begin, 50, jitter=60)):
        exactly = begin + timedelta(minutes=10 * number)
        assert exactly <= each <= exactly + timedelta(seconds=60)
