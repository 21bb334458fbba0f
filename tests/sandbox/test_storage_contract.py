"""scim2-server's own rules for a storage, on ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scim2_models import ScimProvider
from scim2_server.testing import ScimStorageContract

from syncd.sandbox.application import generic_storage
from syncd.sandbox.database import Database
from syncd.sandbox.storage import SandboxStorage


class TestSandboxStorage(ScimStorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[SandboxStorage]:
        database = Database(tmp_path / "sandbox.db")
        yield generic_storage(database)
        database.close()

    @pytest.fixture
    def provider(self, storage: SandboxStorage) -> ScimProvider:
        return storage.provider


# The sandbox announces no cursors (RFC 9865), so there is nothing to hold these against.
for _name in [name for name in vars(ScimStorageContract) if name.startswith("test_cursor")]:
    setattr(TestSandboxStorage, _name, None)
