"""Servers that many tests only read from: started once for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.ldif import company as company_ldif
from tests.servers.slapd import Slapd


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """60 people (u000000 leads; every person has up to eight reports), three groups of 20, and `everyone`."""
    with Slapd(tmp_path_factory.mktemp("company") / "slapd", company_ldif(60)) as server:
        yield server
