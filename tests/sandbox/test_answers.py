"""The answers that are made of stored JSON are those that scim2-server makes of its objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse

from syncd.sandbox.application import generic_storage
from syncd.sandbox.database import Database
from syncd.sandbox.scim import SandboxHandler
from syncd.sandbox.storage import SandboxStorage
from tests.sandbox.scim_bodies import ENTERPRISE, USER, group, user


def send(handler: ScimHandler, method: str, path: str, body: Any = None, **query: str) -> ScimResponse:
    content = orjson.dumps(body) if body is not None else b""
    return handler.handle(ScimRequest(method, "http://host/scim/v2", path, query, {}, content))


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SandboxStorage]:
    database = Database(tmp_path / "sandbox.db")
    yield generic_storage(database)
    database.close()


@pytest.fixture
def ours(storage: SandboxStorage) -> SandboxHandler:
    from syncd.sandbox.application import handler

    made = handler(storage.profile)
    full = user(
        "full",
        title="Boss",
        externalId="7",
        nickName="",
        addresses=[{"locality": "London", "type": "work"}],
        **{"schemas": [USER, ENTERPRISE], ENTERPRISE: {"department": "D", "manager": {"value": "x"}}},
    )
    full["name"] = {"givenName": "Ada", "familyName": "Lovelace"}
    ids = [send(made, "POST", "/Users", each).body["id"] for each in (full, user("plain"))]  # type: ignore[index]
    inner = send(made, "POST", "/Groups", group("Inner", ids[0])).body
    assert inner is not None
    send(made, "POST", "/Groups", group("Outer", *ids, inner["id"], externalId="8"))
    send(made, "POST", "/Groups", group("Empty"))
    return made


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"count": "1", "startIndex": "2"},
        {"count": "0"},
        {"attributes": "userName,displayName"},
        {"attributes": "members.value,groups.display,name"},
        {"attributes": f"{ENTERPRISE}:department"},
        {"excludedAttributes": "members"},
        {"excludedAttributes": "groups,title,meta,id,schemas"},
        {"excludedAttributes": "name.givenName,members.value"},
        {"excludedAttributes": ENTERPRISE},
        {"filter": 'id pr and meta.resourceType eq "Group"'},
        {"filter": 'externalId eq "7" or externalId eq "8"'},
        {"sortBy": "id", "sortOrder": "descending"},
    ],
    ids=str,
)
def test_lists_and_single_resources_are_the_same(
    storage: SandboxStorage, ours: SandboxHandler, query: dict[str, str]
) -> None:
    theirs = ScimHandler(ours.service, storage)
    projection = {name: value for name, value in query.items() if "ttributes" in name}
    for path in ("/Users", "/Groups", "/"):
        if path == "/" or not projection:
            listed, expected = send(ours, "GET", path, **query), send(theirs, "GET", path, **query)
            assert listed.body == expected.body
    for document in storage.resources.find(_everything()):
        path = f"/{document.type}s/{document.id}"
        try:
            expected = send(theirs, "GET", path, **projection)
        except Exception as error:
            with pytest.raises(type(error)):
                send(ours, "GET", path, **projection)
            continue
        single = send(ours, "GET", path, **projection)
        assert single.body == expected.body
        assert single.headers == expected.headers


def _everything() -> Any:
    from syncd.sandbox.resources import Query

    return Query("1")
