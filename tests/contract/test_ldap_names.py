"""Two DNs name the same entry, or they don't; members find their keys."""

from __future__ import annotations

import unicodedata
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.dn import escape_rdn

from syncd.sources.ldap.entries import AttributeReader, KeyAttribute, KeyUnreadable
from syncd.sources.ldap.names import AMBIGUOUS, DnTable, UidTable, is_below, is_dn, normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("uid=ada,dc=example", "UID=Ada,DC=Example", id="case"),
        pytest.param("uid=ada,dc=example", " uid = ada , dc=example ", id="spaces around"),
        pytest.param("cn=Ada  King,dc=example", "cn=Ada King,dc=example", id="spaces within"),
        pytest.param(r"cn=King\, Ada,dc=example", r"cn=King\2c Ada,dc=example", id="escaped comma"),
        pytest.param(r"cn=King\, Ada,dc=example", 'cn="King, Ada",dc=example', id="quotes of RFC 2253"),
        pytest.param("cn=ada,dc=example", "cn=ada;dc=example", id="semicolon of RFC 2253"),
        pytest.param(r"cn=a\+b,dc=example", r"cn=a\2Bb,dc=example", id="escaped plus"),
        pytest.param(r"cn=\#1,dc=example", r"cn=\231,dc=example", id="leading number sign"),
        pytest.param(r"cn=say \"hi\",dc=example", r"cn=say \22hi\22,dc=example", id="quotes in a value"),
        pytest.param(r"cn=Zo\c3\ab,dc=example", "cn=zoë,dc=example", id="hexadecimal UTF-8"),
        pytest.param("cn=Zoe\u0308,dc=example", "cn=ZOË,dc=example", id="composed and decomposed"),
        pytest.param("cn=Straße,dc=example", "cn=STRASSE,dc=example", id="case folding"),
        pytest.param("cn=ada+uid=7,dc=example", "UID=7+CN=Ada,dc=example", id="order in an RDN"),
        pytest.param("oid.2.5.4.3=ada,dc=example", "2.5.4.3=ada,dc=example", id="OID prefix"),
        pytest.param("cn=#04024869,dc=example", "cn=#04024869 ,dc=example", id="hexadecimal value"),
        pytest.param(r"cn=ada\ ,dc=example", "cn=ada,dc=example", id="escaped space at the end"),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    assert normal(one.encode()) == normal(other.encode())
    table = DnTable()
    table.add(one.encode(), "7")
    assert table.find(other.encode()) == "7"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(r"cn=a\,b,dc=example", "cn=a,b=,dc=example", id="escaped comma"),
        pytest.param(r"cn=a\+uid=b,dc=example", "cn=a+uid=b,dc=example", id="escaped plus"),
        pytest.param("cn=a+uid=b,dc=example", "cn=a,uid=b,dc=example", id="one RDN or two"),
        pytest.param("cn=a b,dc=example", "cn=ab,dc=example", id="a space that counts"),
        pytest.param(r"cn=\#04024869,dc=example", "cn=#04024869,dc=example", id="text or hexadecimal"),
        pytest.param(r"cn=a\\,dc=example", "cn=a,dc=example", id="escaped backslash"),
        pytest.param("cn=a,dc=example", "cn=a,dc=example,dc=com", id="base"),
    ],
)
def test_other_names_stay_apart(one: str, other: str) -> None:
    assert normal(one.encode()) != normal(other.encode())


def _hexadecimal(text: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in text.encode())


_VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: text.strip() == text)


@given(_VALUES, _VALUES)
def test_however_a_value_is_escaped_the_name_is_the_same(first: str, second: str) -> None:
    plain = f"cn={escape_rdn(first)},ou={escape_rdn(second)}".encode()
    escaped = f"CN = {_hexadecimal(first)} , OU={_hexadecimal(second)}".encode()
    form = normal(plain)
    assert form is not None
    assert form == normal(escaped)
    assert normal(form) == form


@given(st.text(max_size=40), st.text(max_size=40))
def test_names_are_equal_only_where_their_values_are(one: str, other: str) -> None:
    def prepared(text: str) -> str:
        return " ".join(text.casefold().split())

    first, second = (normal(f"cn={_hexadecimal(text)},dc=x".encode()) for text in (one, other))
    if first == second:
        # NFKC makes more equal than case folding alone; nothing may be equal that differs after it.
        assert prepared(unicodedata.normalize("NFKC", one)) == prepared(unicodedata.normalize("NFKC", other))


@pytest.mark.parametrize("text", ["ada", "=ada", "cn=ada,", ",cn=ada", "cn=ada,,dc=x", 'cn="ada', "cn=a+", "cn=ada\\"])
def test_what_is_no_dn_is_none(text: str) -> None:
    assert not is_dn(text)


@pytest.mark.parametrize(
    "text", ["", "dc=example,dc=com", "cn=a+b=c,o=x", "o=a=b", "2.5.4.3=x", "cn=,o=x", r"cn=\,,o=x"]
)
def test_what_is_a_dn_is_one(text: str) -> None:
    assert is_dn(text)


def test_a_long_run_of_spaces_takes_no_longer_than_other_text() -> None:
    # Quadratic, this would take minutes.
    assert is_dn("cn=a" + " " * 1_000_000 + "b,dc=example")
    assert not is_dn("cn=" + " " * 1_000_000 + '"')


@pytest.mark.parametrize(
    ("dn", "base", "below"),
    [
        ("ou=People, DC=Example,dc=com", "dc=example,dc=com", True),
        ("dc=example,dc=com", "DC=example,DC=com", True),
        ("dc=com", "dc=example,dc=com", False),
        ("ou=x,dc=anexample,dc=com", "dc=example,dc=com", False),
        # The comma belongs to a value: this is an entry of dc=com.
        ("ou=x\\,dc=example,dc=com", "dc=example,dc=com", False),
        ("dc=com", "", True),
        ("", "dc=com", False),
    ],
)
def test_what_lies_below_a_base(dn: str, base: str, below: bool) -> None:
    assert is_below(dn, base) is below


def test_a_name_of_two_entries_is_nobody_s() -> None:
    table = DnTable()
    table.add(b"cn=Ada,dc=example", "1")
    table.add(b"cn=ADA,dc=example", "2")
    assert table.find(b"cn=ada,dc=example") == AMBIGUOUS


def test_a_member_with_a_unique_identifier_is_found_by_its_name() -> None:
    table = DnTable()
    table.add(b"cn=Ada,dc=example", "1")
    assert table.find(b"cn=ada,dc=example#'0101'B") == "1"
    assert table.find(b"cn=bob,dc=example#'0101'B") is None


def test_uids_are_compared_exactly() -> None:
    table = UidTable()
    table.add(b"ada", "1")
    table.add(b"bob", "2")
    table.add(b"bob", "3")
    assert (table.find(b"ada"), table.find(b"Ada"), table.find(b"bob")) == ("1", None, AMBIGUOUS)


def test_object_guid_is_read_in_microsoft_s_byte_order() -> None:
    # [MS-DTYP] 2.3.4.1 and .2: Data1 to Data3 are little-endian, Data4 is a row of octets.
    octets = bytes.fromhex("33221100554477668899aabbccddeeff")
    assert KeyAttribute("objectGUID").read([octets]) == "00112233-4455-6677-8899-aabbccddeeff"
    assert KeyAttribute("OBJECTGUID").assertion("00112233-4455-6677-8899-aabbccddeeff") == octets


@given(st.uuids())
def test_a_key_is_looked_up_by_the_value_it_was_read_from(uuid: UUID) -> None:
    for name, value in (("objectGUID", uuid.bytes_le), ("entryUUID", str(uuid).encode())):
        assert KeyAttribute(name).assertion(KeyAttribute(name).read([value])) == value


def test_keys_are_lower_case() -> None:
    assert (
        KeyAttribute("entryUUID").read([b"ABCDEF01-2345-6789-ABCD-EF0123456789"])
        == "abcdef01-2345-6789-abcd-ef0123456789"
    )
    assert (
        KeyAttribute("nsUniqueId").read([b"3BB1C401-8DE911E4-90C0EEA3-C4B3FEC8"])
        == "3bb1c401-8de911e4-90c0eea3-c4b3fec8"
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("entryUUID", []),
        ("entryUUID", [b""]),
        ("entryUUID", [b"  "]),
        ("entryUUID", [b"a", b"b"]),
        ("entryUUID", [b"\xff\xfe"]),
        ("entryUUID", [b"a\x00b"]),
        ("objectGUID", [b"fifteen octets."]),
        ("objectGUID", [b"00112233-4455-6677-8899-aabbccddeeff"]),
    ],
)
def test_a_key_that_can_t_be_understood_is_refused(name: str, values: list[bytes]) -> None:
    with pytest.raises(KeyUnreadable):
        KeyAttribute(name).read(values)


@pytest.mark.parametrize(("name", "key"), [("entryUUID", "1001"), ("objectGUID", "1001"), ("entryUUID", "*")])
def test_a_key_of_another_source_is_not_looked_up(name: str, key: str) -> None:
    assert KeyAttribute(name).assertion(key) is None


def test_attributes_come_under_the_names_that_were_wanted() -> None:
    reader = AttributeReader(frozenset({"MAIL", "Mail", "surname", "l"}), withheld=["entryUUID"])
    raw = {b"mail": [b"ada@example.com"], b"sn": [b"King"], b"L": [b"London"], b"entryuuid": [b"7"], b"title": [b"x"]}
    reading = reader.read(raw)
    assert reading.attributes == {
        "MAIL": ["ada@example.com"],
        "Mail": ["ada@example.com"],
        "surname": ["King"],
        "l": ["London"],
    }
    assert reading.special == {"entryuuid": [b"7"]}


def test_several_values_are_sorted() -> None:
    reader = AttributeReader(frozenset({"mail"}), withheld=[])
    assert reader.read({b"mail": [b"b@x", b"a@x", b"\xc3\xa4@x"]}).attributes == {"mail": ["a@x", "b@x", "ä@x"]}


def test_a_wanted_attribute_that_is_no_text_is_told() -> None:
    reader = AttributeReader(frozenset({"mail", "title"}), withheld=[])
    reading = reader.read({b"mail": [b"a@x", b"\xff"], b"title": [b"x"], b"jpegPhoto": [b"\xff\xd8"]})
    assert (reading.attributes, reading.undecodable) == ({"title": ["x"]}, ["mail"])


def test_of_all_attributes_those_that_differ_from_server_to_server_are_left_out() -> None:
    raw = {b"lastLogon": [b"133"], b"uSNChanged": [b"7"], b"lastLogonTimestamp": [b"132"]}
    assert AttributeReader(None, withheld=[]).read(raw).attributes == {"lastLogonTimestamp": ["132"]}
    assert AttributeReader(frozenset({"lastLogon"}), withheld=[]).read(raw).attributes == {"lastLogon": ["133"]}


def test_of_all_attributes_the_text_is_taken_and_no_secret() -> None:
    reader = AttributeReader(None, withheld=["entryUUID"], operational=["memberOf"])
    raw = {b"mail": [b"a@x"], b"jpegPhoto": [b"\xff\xd8"], b"pwdLastSet": [b"1"]}
    secrets = (
        b"userPassword unicodePwd sambaNTPassword sambaLMPassword krbPrincipalKey ntPwdHistory lmPwdHistory dBCSPwd "
        b"supplementalCredentials msDS-ManagedPassword msLAPS-Password ms-Mcs-AdmPwd userPKCS12 sambaPasswordHistory "
        b"USERPASSWORD userPassword;lang-en 2.5.4.35 ourWifiPassword"
    ).split()
    reading = reader.read({**raw, **{name: [b"s3cret"] for name in secrets}})
    assert (reading.attributes, reading.undecodable) == ({"mail": ["a@x"], "pwdLastSet": ["1"]}, [])
    assert reader.requested == ("*", "memberOf", "entryUUID")


def test_a_password_is_neither_asked_for_nor_taken_even_where_one_is_wanted() -> None:
    reader = AttributeReader(frozenset({"mail", "userPassword", "unicodePwd"}), withheld=["entryUUID"])
    assert reader.requested == ("mail", "entryUUID")
    raw = {b"mail": [b"a@x"], b"userPassword": [b"{SSHA}x"], b"UnicodePwd": [b"x"]}
    assert reader.read(raw).attributes == {"mail": ["a@x"]}


def test_each_attribute_is_asked_for_once() -> None:
    reader = AttributeReader(frozenset({"mail", "entryuuid", "UID"}), withheld=["entryUUID"], raw=["uid"])
    assert sorted(name.casefold() for name in reader.requested) == ["entryuuid", "mail", "uid"]
