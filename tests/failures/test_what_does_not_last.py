"""People at the endpoint undo what a full resync put back: each time it is put back, told of, and no success."""

from __future__ import annotations

from pathlib import Path

from tests.failures.house import House, house

SAID = "1 change has no effect: remove members from the group Sales (sent again by each full resync)"


def rejoins(home: House, group: str, key: int) -> None:
    """Let the endpoint's support put a person into a group by hand."""
    (found,) = [each["id"] for each in home.sandbox.admin("GET", "/groups") if each["name"] == group]
    home.support("PUT", f"/groups/{found}/members/{home.user(key)['id']}")


def test_a_member_who_is_put_back_by_hand_is_taken_out_each_time_and_told_of(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        rejoins(home, "Sales", 1)
        assert home.syncd("resync").code == 0
        for _ in range(2):
            rejoins(home, "Sales", 1)
            done = home.syncd("resync")
            assert done.code == 4, done.out
            assert "1 WITHOUT EFFECT" in done.out
            assert "1 was taken out at " in done.out
            assert home.resource(1)["id"] not in [each["id"] for each in home.group("Sales")["members"]]
            assert home.syncd("sync").code == 0
            assert SAID in home.syncd("status").out
        explained = home.syncd("explain", home.rows[1]["mail"]).out
        assert "Without effect: what is put back doesn't last" in explained
        assert "and was in again: the endpoint, or somebody there, undoes it" in explained
        assert home.syncd("resync").code == 0
        assert "no effect" not in home.syncd("status").out
