"""The LDAP source keeps the contract of sources, against OpenLDAP and its schemas of other directories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.ldap_directory import ActiveDirectoryLike, OpenLdapDirectory
from tests.contract.source_contract import Directory, SourceContract


class TestOpenLdapSource(SourceContract):
    refuses_unknown_attributes = False

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Iterator[Directory]:
        with OpenLdapDirectory(tmp_path) as directory:
            yield directory


class TestActiveDirectorySchema(SourceContract):
    refuses_unknown_attributes = False

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Iterator[Directory]:
        with ActiveDirectoryLike(tmp_path) as directory:
            yield directory
