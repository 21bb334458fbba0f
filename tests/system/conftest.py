"""One sandbox process for all tests here, emptied before each: starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.process import Sandbox


@pytest.fixture(scope="session")
def _sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(state=Path(tmp_path_factory.mktemp("sandbox")) / "endpoint.db") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_sandbox: Sandbox) -> Sandbox:
    """An empty SCIM endpoint with an empty request log."""
    for group in _sandbox.groups():
        _sandbox.scim("DELETE", f"/Groups/{group['id']}").raise_for_status()
    for user in _sandbox.users():
        _sandbox.scim("DELETE", f"/Users/{user['id']}").raise_for_status()
    _sandbox.clear_requests()
    return _sandbox
