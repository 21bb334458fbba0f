"""News for people: the beginning and the end of each incident once, and nothing of passing faults."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from syncd.core.model import State
from syncd.errors import StateError
from syncd.notify.watch import Concerns, TargetConcern, unwritable, watch, writable
from syncd.store import Incident, StateFile
from syncd.store.outbox import Outbox
from tests.notify.watching import DAY, HOUR, MINUTE, House, deactivation, utc
from tests.world import NOON


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


DOWN = "ldaps://dc1: no answer"


def test_moments_are_said_in_the_configured_zone_and_told_to_programs_in_utc(house: House) -> None:
    zone = ZoneInfo("Europe/Berlin")
    reason = "the last good reading was at 2026-11-22 11:00 UTC"
    (down,) = house.told(source=reason, zone=zone)
    assert down.lines[0] == "the last good reading was at 2026-11-22 12:00 CET"
    assert down.facts["reason"] == reason
    house.now += 5 * HOUR
    (recovered,) = house.told(source="", zone=zone)
    assert recovered.lines == ("It lasted from 2026-11-22 13:00 CET to 2026-11-22 18:00 CET (5 hours).",)
    assert recovered.facts["since"] == "2026-11-22T12:00:01Z"


# -- a source that is down ---------------------------------------------------------------------------


def test_a_source_that_is_down_is_told_of_once_and_once_when_it_recovers(house: House) -> None:
    assert house.events(source=DOWN) == ["source_down"]
    for _ in range(20):
        assert house.events(15 * MINUTE, source=DOWN) == []
    (recovered,) = house.told(source="")
    assert recovered.kind == "source_recovered"
    assert recovered.lines == ("It lasted from 2026-11-22 12:00 UTC to 2026-11-22 17:00 UTC (5 hours).",)
    for _ in range(20):
        assert house.events(15 * MINUTE, source="") == []


def test_the_notice_says_what_happened_and_what_comes_of_it(house: House) -> None:
    (notice,) = house.told(source=f"{DOWN}\n  tried in turn")
    assert (notice.title, notice.target) == ("the source can't be read", "")
    assert notice.lines == (
        DOWN,
        "tried in turn",
        "Nothing is changed anywhere until it can be read again; it is tried at each run.",
    )
    assert notice.facts == {
        "reason": f"{DOWN}\n  tried in turn",
        "since": "2026-11-22T12:00:01Z",
        "host": "id1.example.com",
    }
    assert re.fullmatch("[0-9a-f]{32}", notice.id)


def test_a_source_that_nobody_tried_is_neither_down_nor_well(house: House) -> None:
    assert house.events(source=None) == []
    assert house.events(source=DOWN) == ["source_down"]
    assert house.events(source=None) == []
    assert house.events(source="") == ["source_recovered"]


def test_another_reason_is_the_same_incident(house: House) -> None:
    assert house.events(source=DOWN) == ["source_down"]
    assert house.events(source="ldaps://dc2: no answer") == []
    with StateFile(house.file) as state:
        (incident,) = state.incidents().lasting()
    assert incident.detail["reason"] == "ldaps://dc2: no answer"


def test_a_source_that_is_down_every_second_time_does_not_ring_for_ever(house: House) -> None:
    told = []
    for tick in range(4 * 24 * 4):  # four days, every quarter of an hour
        told += [(tick, event) for event in house.events(15 * MINUTE, source="" if tick % 2 else DOWN)]
    assert told == [(0, "source_down"), (1, "source_recovered"), (2, "source_down")]
    # A while after it has become well for good.
    told = [house.events(15 * MINUTE, source="") for _ in range(8)]
    assert [event for events in told for event in events] == ["source_recovered"]


@pytest.mark.parametrize("every", [MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 12 * HOUR])
def test_nothing_that_comes_and_goes_rings_more_than_twice_a_day_in_the_long_run(
    house: House, every: timedelta
) -> None:
    for _ in range(40):  # until it is known for what it is
        house.events(every, source=DOWN)
        house.events(every, source="")
    begun, count = house.now, 0
    while house.now - begun < 10 * DAY:
        count += len(house.events(max(every, HOUR), source=DOWN))
        count += len(house.events(max(every, HOUR), source=""))
    assert count <= 2 * 10


def test_what_comes_back_says_so_and_what_to_expect(house: House) -> None:
    house.told(source=DOWN)
    house.events(10 * MINUTE, source="")
    house.now += 20 * MINUTE
    (again,) = house.told(source=DOWN)
    assert again.title == "the source can't be read, again"
    assert again.lines[-1] == (
        "It was well again only 20 minutes. If it goes on to come and go, the next notice comes when it has been well"
        " for 1 hour."
    )
    assert house.events(10 * MINUTE, source="") == []
    assert house.events(59 * MINUTE, source="") == []
    assert house.events(1 * MINUTE, source="") == ["source_recovered"]


def test_a_day_later_it_is_another_incident(house: House) -> None:
    house.told(source=DOWN)
    assert house.events(source="") == ["source_recovered"]
    assert house.events(DAY, source="") == []
    (notice,) = house.told(source=DOWN)
    assert notice.title == "the source can't be read"
    assert house.events(source="") == ["source_recovered"]


# -- a target that is stopped ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "title"),
    [
        ("gone", "lucid is stopped: everything that is managed there is gone"),
        ("refused", "lucid is stopped: it refuses the token"),
        ("failing", "lucid is stopped: it keeps failing"),
    ],
)
def test_a_stopped_target_is_told_of_once_and_that_it_goes_on(house: House, cause: str, title: str) -> None:
    house.stop(cause)
    (notice,) = house.told()
    assert (notice.kind, notice.target, notice.title) == ("target_stopped", "lucid", title)
    assert notice.lines[0] == f"because it is {cause}"
    assert notice.facts["cause"] == cause
    assert house.events(HOUR) == []
    house.stop(None)
    assert house.events() == ["target_recovered"]
    assert house.events(HOUR) == []


def test_another_cause_is_another_notice_and_each_cause_is_told_once(house: House) -> None:
    house.stop("failing")
    assert house.events() == ["target_stopped"]
    house.stop("refused")
    assert house.events() == ["target_stopped"]
    house.stop("failing")
    assert house.events() == []
    house.stop("gone")
    assert house.events() == ["target_stopped"]
    house.stop(None)
    assert house.events() == ["target_recovered"]


def test_each_target_has_incidents_of_its_own(house: House) -> None:
    house.stop("refused", "lucid")
    house.stop("refused", "link")
    assert [notice.target for notice in house.told()] == ["lucid", "link"]
    house.stop(None, "link")
    assert [(notice.kind, notice.target) for notice in house.told()] == [("target_recovered", "link")]


def test_a_target_that_is_no_longer_configured_is_nobodys_concern(house: House) -> None:
    house.stop("refused", "link")
    house.stop("refused", "lucid")
    house.told()
    alone = (TargetConcern("lucid"),)
    assert house.events(targets=alone) == []
    with StateFile(house.file) as state:
        assert [(each.target, each.kind) for each in state.incidents().lasting()] == [("lucid", "stopped")]


# -- runs that fail for another reason ----------------------------------------------------------------


def test_a_run_that_failed_is_told_of_once_and_that_runs_go_through_again(house: House) -> None:
    house.run("lucid: no address is known\n  check base_url")
    (notice,) = house.told()
    assert (notice.kind, notice.target, notice.title) == ("run_failed", "lucid", "a run to lucid failed")
    assert notice.lines == ("lucid: no address is known", "check base_url")
    house.run("lucid: no address is known")
    assert house.events(HOUR) == []
    house.run(ends=False)  # it goes on
    assert house.events(HOUR) == []
    house.run()
    assert house.events() == ["run_recovered"]


def test_runs_that_were_killed_say_nothing(house: House) -> None:
    house.run("refused")
    assert house.events() == ["run_failed"]
    for _ in range(9):
        house.run(ends=False)
    assert house.events() == []


def test_a_run_that_ended_with_the_stop_is_told_as_the_stop(house: House) -> None:
    house.run("lucid: no answer")
    assert house.events() == ["run_failed"]
    house.run("lucid: refuses the token")
    house.stop("refused")
    assert house.events() == ["target_stopped"]
    house.stop(None)
    house.run()
    assert house.events() == ["target_recovered"]


def test_relinking_makes_no_run_and_the_last_one_before_it_is_no_failure(house: House) -> None:
    house.run("lucid: everything is gone")
    house.stop("gone")
    assert house.events() == ["target_stopped"]
    house.stop(None)
    assert house.events() == ["target_recovered"]
    assert house.events(HOUR) == []
    assert house.events(3 * DAY) == []
    house.run("lucid: no answer")
    assert house.events() == ["run_failed"]


def test_a_cycle_that_failed_by_itself_is_told_of(house: House) -> None:
    (notice,) = house.told(fault="syncd.db: database or disk is full")
    assert (notice.kind, notice.target, notice.title) == ("run_failed", "", "a run failed")
    assert house.events(HOUR, fault="syncd.db: database or disk is full") == []
    assert house.events(HOUR, fault=None) == []
    assert house.events(HOUR, fault="") == ["run_recovered"]


def test_what_keeps_each_of_several_targets_from_running_is_told_of_by_itself(house: House) -> None:
    def targets(lucid: str, link: str) -> tuple[TargetConcern, ...]:
        return TargetConcern("lucid", fault=lucid), TargetConcern("link", fault=link)

    (notice,) = house.told(targets=targets("token: gone", ""))
    assert (notice.kind, notice.target, notice.lines) == ("run_failed", "lucid", ("token: gone",))
    (notice,) = house.told(targets=targets("token: gone", "token: not readable"))
    assert (notice.kind, notice.target, notice.lines) == ("run_failed", "link", ("token: not readable",))
    assert house.events(targets=targets("token: gone", "token: not readable")) == []
    house.run()
    (notice,) = house.told(targets=targets("", "token: not readable"))
    assert (notice.kind, notice.target) == ("run_recovered", "lucid")
    house.run("link: no answer", "link")
    assert house.events(targets=targets("", "")) == [], "people know that it fails"
    house.run(target="link")
    (notice,) = house.told(targets=targets("", ""))
    assert (notice.kind, notice.target) == ("run_recovered", "link")


# -- changes without effect ----------------------------------------------------------------------------


def test_changes_without_effect_are_told_of_once_and_once_when_it_is_over(house: House) -> None:
    house.undone("1")
    house.now += MINUTE
    house.ignored("2")
    (notice,) = house.told()
    assert (notice.kind, notice.target) == ("changes_ineffective", "lucid")
    assert notice.title == "lucid: 2 changes have no effect"
    assert notice.lines[:2] == ("deactivate u1 (1): it was on again", "deactivate u2 (2): still active")
    assert "`syncd explain WHO`" in notice.lines[2]
    assert notice.facts["count"] == 2
    for _ in range(5):
        house.undone("1")
        assert house.events(DAY) == []
    house.undone()
    assert house.events() == [], "one of them lasts"
    house.ignored()
    (notice,) = house.told()
    assert (notice.kind, notice.title) == ("changes_recovered", "lucid: no change is without effect any more")
    assert house.events(2 * DAY) == []


def test_a_further_change_without_effect_is_news_and_the_same_one_is_not(house: House) -> None:
    house.undone("1")
    assert house.events() == ["changes_ineffective"]
    house.ignored("1")
    assert house.events(HOUR) == [], "the same change of the same person"
    house.undone("1", "2")
    (notice,) = house.told()
    assert notice.title == "lucid: 2 changes have no effect"
    house.undone("1")
    assert house.events(HOUR) == []
    house.undone("1", "2")
    assert house.events(HOUR) == [], "people know"


def test_many_changes_without_effect_are_one_notice(house: House) -> None:
    house.undone(*(f"{number:02}" for number in range(30)))
    (notice,) = house.told()
    assert notice.title == "lucid: 30 changes have no effect"
    assert notice.lines[9].startswith("deactivate u09 (09)")
    assert notice.lines[10] == "and 20 more"
    assert len(notice.facts["first"]) == 10


def test_each_target_has_changes_without_effect_of_its_own(house: House) -> None:
    house.undone("1", target="link")
    (notice,) = house.told()
    assert notice.target == "link"
    house.ignored("1")
    assert [each.target for each in house.told()] == ["lucid"]


# -- held changes --------------------------------------------------------------------------------------


def test_many_held_changes_are_one_notice(house: House) -> None:
    house.hold(*(deactivation(f"{number:02}", f"p{number}@example.com") for number in range(41)))
    (notice,) = house.told()
    assert notice.kind == "changes_held"
    assert notice.title == "lucid: 41 changes are held, and wait for somebody to decide"
    assert notice.lines == (
        "41 changes wait for approval (limit for deactivations)",
        *(f"  deactivate p{number}@example.com ({number:02})" for number in range(10)),
        "  and 31 more",
        "`syncd holds --target lucid` shows them all; `syncd approve` or `syncd reject` decides.",
    )
    assert (notice.facts["count"], notice.facts["limits"]) == (41, {"deactivate": 41})
    assert [each["key"] for each in notice.facts["first"]] == [f"{number:02}" for number in range(10)]


def test_a_hold_is_told_of_once(house: House) -> None:
    a, b, c = map(deactivation, "abc")
    house.hold(a, b)
    assert house.told()[0].facts["count"] == 2
    house.hold(a, b)
    assert house.told() == []
    house.hold(a, b, c)
    (notice,) = house.told()
    assert [each["key"] for each in notice.facts["first"]] == ["c"]
    assert notice.lines[:2] == ("1 change waits for approval (limit for deactivations)", "  deactivate uc (c)")


def test_a_hold_that_comes_and_goes_is_told_of_once_a_day_at_most(house: House) -> None:
    a = deactivation("a")
    told = []
    for _ in range(10):
        house.hold(a)
        told += house.events(HOUR)
        house.hold()
        told += house.events(HOUR)
    assert told == ["changes_held"]
    assert house.events(DAY) == []
    house.hold(a)
    assert house.events() == ["changes_held"]


@pytest.mark.parametrize("limit", ["missing_grace", "quarantine"])
def test_what_is_held_for_a_time_is_told_of_only_when_it_comes_to_wait_for_a_person(house: House, limit: str) -> None:
    house.hold(deactivation("a"), limit=limit)
    assert house.events() == []
    house.hold(deactivation("a"), limit="deactivate")
    assert house.events() == ["changes_held"]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("before_delete", "1 change waits for `before_delete` to succeed (it failed)"),
        ("moves_content", "1 change waits for approval (moves content)"),
    ],
)
def test_what_no_earlier_approval_covers_is_told_of_though_the_change_was(house: House, limit: str, said: str) -> None:
    house.hold(deactivation("a"), limit="delete")
    assert house.events() == ["changes_held"]
    house.hold(deactivation("a"), limit=limit)
    (notice,) = house.told()
    assert notice.lines[0] == said
    house.hold(deactivation("a"), limit=limit)
    assert house.events() == []


def test_what_somebody_has_decided_is_not_told_of(house: House) -> None:
    a, b = map(deactivation, "ab")
    house.hold(a, b)
    with StateFile(house.file) as state, state.atomic():
        state.holds("lucid").approve([a.id], "ada", house.now, house.now + HOUR)
        state.holds("lucid").reject([b.id], "ada", house.now)
    assert house.events() == []


def test_each_target_has_holds_of_its_own(house: House) -> None:
    house.hold(deactivation("a"), target="lucid")
    house.hold(deactivation("a"), target="link")
    assert [(each.target, each.facts["count"]) for each in house.told()] == [("lucid", 1), ("link", 1)]
    assert house.told() == []


# -- invitations ---------------------------------------------------------------------------------------


def test_who_is_pending_for_too_long_is_told_of_once(house: House) -> None:
    house.invite("a", house.now - 14 * DAY + HOUR)
    house.invite("b", house.now - 20 * DAY, name="bob@partner.example")
    (notice,) = house.told()
    assert notice.kind == "invitations_pending"
    assert notice.title == "lucid: 1 person has not accepted the invitation for 14 days"
    assert notice.lines[0] == "  bob@partner.example, invited on 2026-11-02"
    assert house.events(30 * MINUTE) == []
    house.now += 30 * MINUTE
    (notice,) = house.told()
    assert [each["key"] for each in notice.facts["first"]] == ["a"]
    assert house.events(100 * DAY) == []


def test_people_who_must_be_invited_anew_are_told_of_as_such(house: House) -> None:
    house.invite("a", house.now - 15 * DAY, uninvited=True)
    (notice,) = house.told()
    assert notice.title == "lucid: 1 person has been pending for 14 days"
    assert notice.lines[0].startswith("  ua, to be invited anew by an administrator there since ")
    assert [each["uninvited"] for each in notice.facts["first"]] == [True]


def test_many_overdue_people_are_one_notice(house: House) -> None:
    for number in range(12):
        house.invite(f"{number}", house.now - 15 * DAY)
    (notice,) = house.told()
    assert (notice.facts["count"], len(notice.lines)) == (12, 10 + 2)
    assert notice.lines[10] == "  and 2 more"


def test_who_is_invited_again_is_told_of_again(house: House) -> None:
    house.invite("a", house.now - 15 * DAY)
    assert house.events() == ["invitations_pending"]
    house.invite("a", house.now, state=State.ACTIVE)
    assert house.events() == []
    assert house.events(2 * DAY) == []
    house.invite("a", house.now)
    assert house.events(13 * DAY) == []
    assert house.events(1 * DAY) == ["invitations_pending"]


@pytest.mark.parametrize("facts", [{"accepted": True}, {"lost": True}, {"state": State.DEACTIVATED}, {"since": None}])
def test_who_waits_for_something_else_is_not_told_of(house: House, facts: dict[str, object]) -> None:
    house.invite("a", house.now - 15 * DAY)
    house.invite("a", **{"since": house.now - 15 * DAY, **facts})  # type: ignore[arg-type]
    assert house.events() == []


def test_how_long_is_too_long_is_configured(house: House) -> None:
    house.invite("a", house.now - 3 * DAY)
    assert house.events() == []
    assert house.events(pending_after=2 * DAY) == ["invitations_pending"]


# -- tokens --------------------------------------------------------------------------------------------


def test_a_token_is_told_of_30_7_and_1_days_before_its_end_and_then(tmp_path: Path) -> None:
    house = House(tmp_path, utc("2026-10-01T08:00"))
    house.expires = date(2026, 12, 1)
    told = []
    while house.now < utc("2026-12-20T00:00"):
        told += [(f"{house.now:%m-%d}", notice.kind, notice.title) for notice in house.told()]
        house.now += 6 * HOUR
    assert told == [
        ("11-01", "token_expires", "lucid: the token expires in 30 days, on 2026-12-01"),
        ("11-24", "token_expires", "lucid: the token expires in 7 days, on 2026-12-01"),
        ("11-30", "token_expires", "lucid: the token expires in 1 day, on 2026-12-01"),
        ("12-01", "token_expired", "lucid: the token has expired, on 2026-12-01"),
    ]


def test_a_token_of_which_syncd_hears_late_is_told_of_once(house: House) -> None:
    house.expires = date(2026, 11, 25)  # in three days
    assert house.events() == ["token_expires"]
    assert house.events(HOUR) == []


def test_a_new_token_is_another_matter(house: House) -> None:
    house.expires = date(2026, 11, 25)
    assert house.events() == ["token_expires"]
    house.expires = date(2027, 11, 25)
    assert house.events() == []
    house.expires = date(2026, 11, 26)
    assert house.events() == ["token_expires"]
    house.expires = None
    assert house.events() == []
    with StateFile(house.file) as state:
        assert state.incidents().lasting() == []


# -- all or nothing ------------------------------------------------------------------------------------


def test_no_incident_is_written_without_its_notice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.stop("refused")

    def broken(outbox: Outbox, notice: object, now: object) -> None:
        raise RuntimeError("killed here")

    with StateFile(house.file) as state:
        with monkeypatch.context() as patch:
            patch.setattr(Outbox, "put", broken)
            with pytest.raises(RuntimeError):
                watch(state, house.concerns(source=DOWN), house.now)
        assert state.incidents().lasting() == []
        assert state.outbox().all() == []
    assert house.events(source=DOWN) == ["source_down", "target_stopped"]


def test_a_state_file_that_cannot_be_written_is_the_callers_to_tell(house: House) -> None:
    with StateFile(house.file) as state:
        state.db.conn.execute("PRAGMA query_only = ON")
        with pytest.raises(StateError):
            watch(state, house.concerns(source=DOWN), house.now)
    notice = unwritable("syncd.db: database or disk is full\n  check free space", "id1", house.now)
    assert notice.lines[:2] == ("syncd.db: database or disk is full", "check free space")
    assert (notice.kind, notice.at) == ("state_unwritable", house.now)
    # One a day, whatever is said the next time.
    assert unwritable("locked", "id1", house.now + HOUR).id == notice.id
    assert unwritable("locked", "id1", house.now + DAY).id != notice.id
    assert writable("id1", house.now).kind == "state_recovered"


def test_a_files_name_in_any_bytes_can_be_told_of(house: House) -> None:
    name = b"/srv/caf\xe9.csv".decode(errors="surrogateescape")
    (notice,) = house.told(source=f"{name}: no such file")
    assert notice.lines[0] == "/srv/caf\\udce9.csv: no such file"


def test_what_is_wrong_can_be_asked_for(house: House) -> None:
    house.stop("refused")
    house.hold(deactivation("a"))
    house.told(source="")
    with StateFile(house.file) as state:
        (incident,) = state.incidents().lasting()
    assert incident == Incident(
        "lucid",
        "stopped",
        NOON,
        detail={"reason": "because it is refused", "told": ["refused"], "relapses": 0, "recovered": False},
    )
    assert incident.to_json()["since"] == "2026-11-22T12:00:00Z"


def test_nothing_is_wrong_and_nothing_is_said(house: House) -> None:
    assert house.events(source="", fault="") == []
    with StateFile(house.file) as state:
        assert watch(state, Concerns(()), house.now) == 0
