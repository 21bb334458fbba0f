"""Digests: equal where nothing differs that counts, different where anything does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.digest import NO_MEMBERS, entry_digest, fingerprint, member_numbers, members_changed, members_digest
from syncd.core.model import Kind

KEYS = st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), max_size=12)
ONE, OTHER = fingerprint("mapping 1"), fingerprint("mapping 2")


def digest_of(*keys: str, kind: Kind = Kind.USER) -> bytes:
    return members_digest(member_numbers(kind, keys).values())


def test_a_fingerprint_stands_for_a_value_whatever_the_order_of_its_keys() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1, "b": [1, 2]}) != fingerprint({"a": 1, "b": [2, 1]})
    assert fingerprint(1) != fingerprint("1") != fingerprint(["1"])
    assert len(fingerprint(None)) == 16


def test_an_entry_differs_when_any_value_or_the_mapping_does() -> None:
    ada = {"uid": ["ada"], "mail": ["a@x", "b@x"]}
    digest = entry_digest(ada, ONE)
    assert digest == entry_digest({"uid": ["ada"], "mail": ["a@x", "b@x"]}, ONE)
    assert len(digest) == 16
    others = [
        entry_digest(ada, OTHER),
        entry_digest({"uid": ["ada"], "mail": ["b@x", "a@x"]}, ONE),
        entry_digest({"uid": ["ada"], "mail": ["a@x"]}, ONE),
        entry_digest({"uid": ["ada"], "mail": ["a@xb@x"]}, ONE),
        entry_digest({"uid": ["ada"]}, ONE),
        entry_digest({"uid": ["ada"], "Mail": ["a@x", "b@x"]}, ONE),
    ]
    assert len({digest, *others}) == 7


def test_a_person_and_a_group_with_the_same_key_are_different_members() -> None:
    assert digest_of("7", kind=Kind.USER) != digest_of("7", kind=Kind.GROUP)


def test_no_members_have_a_digest_like_any_other_set() -> None:
    assert NO_MEMBERS == members_digest([]) == bytes(16)
    assert digest_of("1") != NO_MEMBERS


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), unique=True), st.randoms())
def test_the_order_of_members_is_irrelevant(keys: list[str], random: object) -> None:
    shuffled = list(keys)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest_of(*shuffled) == digest_of(*keys)


@given(KEYS, KEYS)
def test_different_sets_have_different_digests(some: set[str], others: set[str]) -> None:
    assert (digest_of(*some) == digest_of(*others)) is (some == others)


@given(KEYS, KEYS, KEYS)
def test_members_come_and_go_by_the_difference(before: set[str], come: set[str], go: set[str]) -> None:
    come, go = come - before, go & before
    digest = members_changed(
        digest_of(*before), member_numbers(Kind.USER, come).values(), member_numbers(Kind.USER, go).values()
    )
    assert digest == digest_of(*(before | come) - go)


@given(KEYS, KEYS)
def test_what_came_and_went_again_left_no_trace(before: set[str], come: set[str]) -> None:
    numbers = list(member_numbers(Kind.USER, come).values())
    digest = digest_of(*before)
    assert members_changed(members_changed(digest, added=numbers), removed=numbers) == digest
