"""Search entries are decoded exactly, and damaged ones are refused, never misread or fallen over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.sources.ldap import ber
from tests.servers import ldap_wire as wire

_NAMES = st.text(st.sampled_from("abcxyzAZ09-;"), min_size=1, max_size=20)
_VALUES = st.lists(st.binary(max_size=300), max_size=5)
_REQUEST = wire.Request(7, wire.SEARCH, b"")


def decoded(message: bytes) -> tuple[int, int, bytes, ber.RawAttributes]:
    assert ber.end_of_message(message, 0) == len(message)
    number, tag, position, stop = ber.operation(message, 0)
    return (number, tag, *ber.entry(message, position, stop))


@given(st.text(max_size=200), st.dictionaries(_NAMES, _VALUES, max_size=8))
def test_an_entry_is_decoded_as_it_was_encoded(dn: str, attributes: dict[str, list[bytes]]) -> None:
    assert decoded(wire.entry(_REQUEST, dn, attributes)) == (
        7,
        ber.SEARCH_ENTRY,
        dn.encode(),
        {name.encode(): values for name, values in attributes.items()},
    )


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_lengths_are_read_in_their_short_and_long_forms(length: int) -> None:
    value = b"x" * length
    assert decoded(wire.entry(_REQUEST, "cn=a", {"a": [value, value]}))[3] == {b"a": [value, value]}


_VALID = wire.entry(_REQUEST, "cn=ada,dc=example", {"cn": [b"ada", b"x" * 200], "mail": [], "sn": [b"king"]})


@given(st.integers(0, len(_VALID) - 1), st.integers(0, 255))
def test_a_damaged_octet_is_refused_or_decoded_but_never_crashes(position: int, octet: int) -> None:
    damaged = _VALID[:position] + bytes([octet]) + _VALID[position + 1 :]
    try:
        if ber.end_of_message(damaged, 0) == len(damaged):
            decoded(damaged)
    except ber.NotLdap:
        pass


@pytest.mark.parametrize("length", range(len(_VALID)))
def test_an_entry_cut_short_is_not_taken_for_whole(length: int) -> None:
    end = ber.end_of_message(_VALID[:length], 0)
    assert end is None or end > length


_DN = wire.ber(0x04, b"cn=a")
_VALUE = wire.ber(0x04, b"v")
_SN = wire.ber(0x04, b"sn")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(wire.ber(0x0A, b"cn=a") + wire.ber(0x30, b""), id="a name that is no string"),
        pytest.param(_DN + wire.ber(0x31, b""), id="attributes that are no sequence"),
        pytest.param(_DN + wire.ber(0x30, b"") + _VALUE, id="something after the attributes"),
        pytest.param(_DN + b"\x30\x7f", id="attributes longer than the entry"),
        pytest.param(_DN + wire.ber(0x30, _SN), id="an attribute that is no sequence"),
        pytest.param(_DN + wire.ber(0x30, wire.ber(0x30, wire.ber(0x31, b""))), id="an attribute without a name"),
        pytest.param(_DN + wire.ber(0x30, wire.ber(0x30, _SN + _VALUE)), id="values that are no set"),
        pytest.param(
            _DN + wire.ber(0x30, wire.ber(0x30, _SN + wire.ber(0x31, b"\x02\x01\x00"))), id="a number for a value"
        ),
        pytest.param(_DN + wire.ber(0x30, wire.ber(0x30, _SN + b"\x31\x02\x04\x05")), id="a value longer than its set"),
        pytest.param(
            _DN + wire.ber(0x30, wire.ber(0x30, _SN + wire.ber(0x31, _VALUE) + _VALUE)), id="something after a set"
        ),
        pytest.param(
            _DN + wire.ber(0x30, wire.ber(0x30, _SN + b"\x31\x7f" + _VALUE)), id="a set longer than its attribute"
        ),
        pytest.param(_DN + wire.ber(0x30, b"\x30\x7f" + _SN), id="an attribute longer than the entry"),
        pytest.param(_DN + wire.ber(0x30, wire.ber(0x30, _SN + b"\x31\x80" + _VALUE)), id="an indefinite length"),
    ],
)
def test_lengths_and_tags_that_contradict_each_other_are_refused(content: bytes) -> None:
    with pytest.raises(ber.NotLdap):
        decoded(wire.message(7, wire.ber(ber.SEARCH_ENTRY, content)))


def references(content: bytes) -> list[bytes]:
    raw = wire.message(7, wire.ber(ber.SEARCH_REFERENCE, content))
    return ber.references(raw, *ber.operation(raw, 0)[2:])


def test_a_reference_names_every_server_that_holds_a_part() -> None:
    long = b"ldap://b.example.com/" + b"x" * 300
    assert references(wire.ber(0x04, b"ldap://a") + wire.ber(0x04, long)) == [b"ldap://a", long]
    assert references(b"") == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(wire.ber(0x0A, b"ldap://a"), id="no string"),
        pytest.param(b"\x04\x09ldap://a", id="longer than the message"),
        pytest.param(b"\x04", id="no length"),
    ],
)
def test_a_reference_that_is_no_list_of_urls_is_refused(content: bytes) -> None:
    with pytest.raises(ber.NotLdap):
        references(content)
