"""Nested groups, flattened."""

from __future__ import annotations

import pytest

from syncd.core.groups import flattened
from syncd.core.model import GroupEntry
from tests.world import group


def directory(*groups: GroupEntry) -> dict[str, GroupEntry]:
    return {entry.key: entry for entry in groups}


@pytest.mark.parametrize(
    ("groups", "members", "incomplete"),
    [
        pytest.param([group("a", members=["1", "2", "1"])], {"1", "2"}, False, id="plain"),
        pytest.param([group("a")], set(), False, id="empty"),
        pytest.param(
            [
                group("a", members=["1"], subgroups=["b"]),
                group("b", members=["2"], subgroups=["c"]),
                group("c", "", ["3"]),
            ],
            {"1", "2", "3"},
            False,
            id="chain",
        ),
        pytest.param([group("a", members=["1"], subgroups=["a"])], {"1"}, False, id="itself"),
        pytest.param(
            [group("a", members=["1"], subgroups=["b"]), group("b", members=["2"], subgroups=["a"])],
            {"1", "2"},
            False,
            id="circle",
        ),
        pytest.param(
            [
                group("a", subgroups=["b", "c"]),
                group("b", members=["1"], subgroups=["d"]),
                group("c", members=["2"], subgroups=["d"]),
                group("d", members=["1", "3"]),
            ],
            {"1", "2", "3"},
            False,
            id="diamond",
        ),
        pytest.param([group("a", members=["1"], subgroups=["zzz"])], {"1"}, True, id="unknown subgroup"),
        pytest.param([group("a", members=["1"], incomplete=True)], {"1"}, True, id="incomplete"),
        pytest.param(
            [group("a", members=["1"], subgroups=["b"]), group("b", members=["2"], incomplete=True)],
            {"1", "2"},
            True,
            id="incomplete below",
        ),
        pytest.param(
            [group("a", subgroups=["b"]), group("b", subgroups=["zzz"]), group("c", incomplete=True)],
            set(),
            True,
            id="unknown far below",
        ),
        pytest.param([group("a", members=["1"]), group("c", incomplete=True)], {"1"}, False, id="incomplete elsewhere"),
    ],
)
def test_who_is_below_a_group(groups: list[GroupEntry], members: set[str], incomplete: bool) -> None:
    assert flattened("a", directory(*groups)) == (members, incomplete)


def test_a_chain_of_thousands_is_no_deeper_than_one() -> None:
    chain = [group(str(n), members=[f"u{n}"], subgroups=[str(n + 1)]) for n in range(5_000)]
    members, incomplete = flattened("0", directory(*chain, group("5000")))
    assert (len(members), incomplete) == (5_000, False)
