"""Durations, schedules and addresses as a configuration has them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.configurations import LDAP, MAPPING, SMALLEST, TARGET, faults, loaded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.toml"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0s", timedelta(0)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(weeks=2)),
        ("1h30m", timedelta(minutes=90)),
        (" 1h 30m ", timedelta(minutes=90)),
    ],
)
def test_a_duration_is_a_number_with_its_unit(file: Path, text: str, meant: timedelta) -> None:
    assert loaded(file, SMALLEST + f'missing_grace = "{text}"\n').target[0].missing_grace == meant


@pytest.mark.parametrize(
    "value", ['"24"', "24", "24.5", "true", '""', '"h"', '"-1h"', '"1.5h"', '"24 hours"', '"1h x"', "[]", '"never"']
)
def test_anything_else_is_no_duration(file: Path, value: str) -> None:
    found = faults(file, SMALLEST + f"missing_grace = {value}\n")
    assert "is not a duration such as" in found["target[lucid].missing_grace"]


def test_never_is_said_where_it_can_be_meant(file: Path) -> None:
    assert loaded(file, SMALLEST + 'delete_after = "never"\n').target[0].delete_after is None
    assert loaded(file, SMALLEST + 'delete_after = "90d"\n').target[0].delete_after == timedelta(days=90)


@pytest.mark.parametrize(
    "text",
    [
        *("* * * * *", "*/15 * * * *", "0 2,14 1-15/2 jan-mar,12 mon-fri", "59 23 31 12 7", "0 0 * * sun", "1h", "15m"),
        *("*/60 */24 * * *", "0 0 29 2 *", "0 0 30 2 mon", "0 0 31 2,3 *"),
    ],
)
def test_a_schedule_is_cron_or_a_duration(file: Path, text: str) -> None:
    assert loaded(file, SMALLEST + f'[schedule]\nsync = "{text}"\n').schedule.sync == text


@pytest.mark.parametrize(
    "text",
    [
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "5/10 * * * *",
        "* * * mon *",
        "* * * *",
        "* * * * * *",
        ", * * * *",
        "a * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9 */2",
        "@daily",
        "0m",
        "",
    ],
)
def test_what_would_never_run_is_no_schedule(file: Path, text: str) -> None:
    (key,) = faults(file, SMALLEST + f'[schedule]\nsync = "{text}"\n')
    assert key == "schedule.sync"


@pytest.mark.parametrize(
    "address",
    [
        "https://scim.example.com",
        "https://acme.users.lucidgov.app/scim/v2",
        "https://scim.example.com:8443/scim/v2/",
        "http://127.0.0.1:8765/scim/v2",
        "http://localhost:1/",
        "http://[::1]:8765/",
        "https://[2001:db8::1]/scim",
    ],
)
def test_an_address_of_a_target(file: Path, address: str) -> None:
    assert loaded(file, SMALLEST.replace("https://scim.example.com/v2", address)).target[0].base_url == address


@pytest.mark.parametrize(
    "address",
    [
        "scim.example.com",
        "ftp://scim.example.com/",
        "https://",
        "https:///scim",
        "https://[::1/",
        "https://scim.example.com:99999/",
        "https://scim.example.com:x/",
        "https://scim.example.com/a b",
        "https://scim.example.com/\\tb",
        "https://scim.example.com/v2?tenant=1",
        "https://scim.example.com/v2#x",
        "https://me@scim.example.com/v2",
        "http://scim.example.com/v2",
        "http://10.0.0.1/v2",
        "http://127.0.0.1.example.com/v2",
        "http://localhost.example.com/v2",
    ],
)
def test_no_address_of_a_target(file: Path, address: str) -> None:
    (key,) = faults(file, SMALLEST.replace("https://scim.example.com/v2", address))
    assert key == "target[lucid].base_url"


@pytest.mark.parametrize(
    ("urls", "more", "fault"),
    [
        ('["ldap://dc1.example.com"]', "", "use ldaps://, or start_tls = true"),
        ('["ldaps://dc1.example.com", "ldap://10.0.0.1"]', "", "ldap://10.0.0.1 would send everything in clear"),
        ('["ldap://dc1.example.com"]', "start_tls = false", "use ldaps://, or start_tls = true"),
        ('["ldap://dc1.example.com"]', "start_tls = true", ""),
        ('["ldap://127.0.0.1:389", "ldap://localhost", "ldap://[::1]:1389"]', "", ""),
        ('["ldaps://dc1.example.com:636"]', "", ""),
    ],
)
def test_a_directory_in_clear_is_refused_unless_it_is_this_machine(
    file: Path, urls: str, more: str, fault: str
) -> None:
    text = LDAP.replace('["ldaps://dc1.example.com"]', urls) + more + MAPPING + TARGET
    if fault:
        assert fault in faults(file, text)["source.urls"]
    else:
        loaded(file, text)


@pytest.mark.parametrize(
    "url", ["dc1.example.com", "https://dc1.example.com", "ldaps://", "ldaps://a:x", "ldaps://a/dc=x"]
)
def test_no_address_of_a_directory(file: Path, url: str) -> None:
    (key,) = faults(file, LDAP.replace("ldaps://dc1.example.com", url) + MAPPING + TARGET)
    assert key in ("source.urls[0]", "source.urls")


def test_a_bind_name_needs_a_password(file: Path) -> None:
    bound = LDAP + 'bind_dn = "cn=syncd"\n'
    assert faults(file, bound + MAPPING + TARGET) == {"source.bind_dn": "needs a `password` beside it"}
    loaded(file, bound + 'password = { env = "P" }\n' + MAPPING + TARGET)
