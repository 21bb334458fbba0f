"""Nothing that is sent makes the sandbox fail: a wrong request is answered with 4xx, and the next one is served."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.sandbox.conftest import Sandboxes
from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import GROUP, PATCH_OP, USER, group, unused, user

BODIES = [
    "",
    "null",
    "[]",
    "1",
    "{",
    b"\xff\xfe",
    "[" * 5000 + "]" * 5000,
    '{"schemas": null}',
    '{"schemas": [1]}',
    f'{{"schemas": ["{USER}"], "userName": "\\ud800"}}',
    f'{{"schemas": ["{USER}"], "userName": null, "emails": null}}',
    f'{{"schemas": ["{USER}"], "userName": "", "emails": []}}',
    f'{{"schemas": ["{USER}"], "userName": "x", "emails": ["a@b.example"]}}',
    f'{{"schemas": ["{GROUP}"], "displayName": "x", "members": [{{}}]}}',
    f'{{"schemas": ["{GROUP}"], "displayName": "x", "members": "x"}}',
    *(
        f'{{"schemas": ["{PATCH_OP}"], "Operations": {operations}}}'
        for operations in (
            "null",
            "[1]",
            "[{}]",
            '[{"op": "add"}]',
            '[{"op": 1, "path": "members"}]',
            '[{"op": "fly", "path": "members"}]',
            '[{"op": "add", "path": 5}]',
            '[{"op": "add", "path": "members", "value": [null]}]',
            '[{"op": "add", "path": "members", "value": [{"value": []}]}]',
            '[{"op": "replace", "value": {"members": null}}]',
            '[{"op": "remove", "path": "members[value eq x]"}]',
            '[{"op": "remove", "path": "userName"}]',
            '[{"op": "remove", "path": "displayName"}]',
        )
    ),
]
QUERIES = [
    {"filter": ""},
    {"filter": "(" * 1000},
    {"filter": r'userName eq "\ud800"'},
    {"filter": 'userName eq "\x00"'},
    {"filter": 'meta.created gt "never"'},
    {"count": "x"},
    {"count": "9" * 30},
    {"startIndex": "9" * 30},
    {"sortBy": "nothing"},
    {"attributes": "nothing"},
    {"attributes": 'emails[value eq "x"]'},
    {"cursor": "x"},
]


@pytest.fixture(params=["generic", "lucidlink", "lucid-content"])
def sandbox(request: pytest.FixtureRequest, sandboxes: Sandboxes) -> Sandbox:
    return sandboxes(request.param)


def test_bodies(sandbox: Sandbox) -> None:
    person = sandbox.scim("POST", "/Users", user()).json()["id"]
    team = sandbox.scim("POST", "/Groups", group("", person)).json()["id"]
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    one = (f"/Users/{person}", f"/Groups/{team}")
    for body in BODIES:
        for method, paths in (("POST", ("/Users", "/Groups", "/Bulk", "/.search")), ("PUT", one), ("PATCH", one)):
            for path in paths:
                answer = sandbox.client.request(method, f"/scim/v2{path}", content=body, headers=headers)
                assert answer.status_code < 500, (method, path, body)
    assert sandbox.scim("GET", one[0]).status_code == 200


def test_queries(sandbox: Sandbox) -> None:
    person = sandbox.scim("POST", "/Users", user()).json()["id"]
    for query in QUERIES:
        for path in ("/Users", "/Groups", f"/Users/{person}", "/Schemas"):
            status = sandbox.scim("GET", path, params=query).status_code
            assert status < 500 or status == 501, (path, query)


def test_header_bytes_that_are_no_text(sandbox: Sandbox) -> None:
    sent = f"GET /scim/v2/Users HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {sandbox.token}\r\nX: ".encode()
    with socket.create_connection(("127.0.0.1", sandbox.port)) as connection:
        connection.sendall(sent + b"\xff\xfe\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {"email": 5}),
        ("POST", "/users", {"mail": "a@example.com"}),
        ("POST", "/users", []),
        ("POST", "/groups", {"name": "", "kind": "tribe"}),
        ("PATCH", "/users/USER", {"permission": "Everything"}),
        ("PATCH", "/groups/GROUP", {"permission": "Everything"}),
        ("PATCH", "/groups/GROUP", {"permission": ["View"]}),
        ("PATCH", "/groups/GROUP", {}),
        ("PATCH", "/users/USER", {"active": "no", "force": True}),
        ("PATCH", "/users/USER", {"userName": "", "force": True}),
        ("PATCH", "/users/USER", {"userName": "TAKEN", "force": True}),
        ("PATCH", "/users/USER", {"colour": "red"}),
        ("GET", "/users?state=asleep", None),
        ("GET", "/requests?since=²", None),
        ("PUT", "/elsewhere", {"emails": 5}),
    ],
)
def test_the_peoples_api_says_what_is_wrong(sandbox: Sandbox, method: str, path: str, body: Any) -> None:
    person = sandbox.scim("POST", "/Users", user(unused())).json()["id"]
    taken = sandbox.scim("POST", "/Users", user(unused())).json()["userName"]
    if isinstance(body, dict):
        body = {name: taken if value == "TAKEN" else value for name, value in body.items()}
    of_group = sandbox.admin("POST", "/groups", {"name": unused()})["id"]
    path = path.replace("USER", person).replace("GROUP", of_group)
    answer = sandbox.client.request(method, f"/admin{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
