"""Addresses of servers are parsed or refused, and an error never repeats a refused text."""

from __future__ import annotations

import pytest

from syncd.core.hosts import address, is_loopback
from tests.configurations import SECRET


def test_an_address_is_taken_apart() -> None:
    parts = address("https://Scim.example.com:8443/v2", ("http", "https"), "")
    assert (parts.scheme, parts.hostname, parts.port, parts.path) == ("https", "scim.example.com", 8443, "/v2")


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"ftp://{SECRET}.example.com",
        f"https:///{SECRET}",
        f"https://{SECRET}.example.com:0",
        f"https://{SECRET}.example.com:65536",
        f"https://{SECRET}.example.com:x",
        f"https://[{SECRET}]/",
        f"https://example.com/{SECRET} ",
        f"https://example.com/{SECRET}\x7f",
        f"https://me:{SECRET}@example.com",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        address(text, ("http", "https"), "https://scim.example.com")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.3", "::1"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["example.com", "10.0.0.1", "::2", "127.0.0.1.example.com", "localhost.example.com", ""]
)
def test_other_machines_are_others(host: str) -> None:
    assert not is_loopback(host)
