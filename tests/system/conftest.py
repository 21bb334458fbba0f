"""One sandbox process for all tests here, emptied before each: starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.cli.starter import write
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person


@pytest.fixture(scope="session")
def _sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(state=Path(tmp_path_factory.mktemp("sandbox")) / "endpoint.db") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_sandbox: Sandbox) -> Sandbox:
    """An empty SCIM endpoint that works, with an empty request log."""
    _sandbox.faults()
    for group in _sandbox.groups():
        _sandbox.scim("DELETE", f"/Groups/{group['id']}").raise_for_status()
    for user in _sandbox.users():
        _sandbox.scim("DELETE", f"/Users/{user['id']}").raise_for_status()
    _sandbox.clear_requests()
    return _sandbox


@pytest.fixture
def admin(tmp_path: Path, sandbox: Sandbox) -> Administrator:
    """Six people in one group, one of whom has left, and the starter configuration pointed at the sandbox."""
    folder = tmp_path / "syncd"
    list(write(folder))
    admin = Administrator(folder, SYNCD_TOKEN=sandbox.token, SYNCD__TARGET__SANDBOX__BASE_URL=sandbox.base_url)
    admin.people([*(person(key) for key in range(1, 6)), person(6, status="left")])
    admin.write("groups.csv", "id,name\neng,Engineering\n")
    admin.members([("eng", "1"), ("eng", "2")])
    return admin
