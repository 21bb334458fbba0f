"""Small HTTP servers on loopback that answer, refuse and lie as real SCIM endpoints do. Real sockets, no sleeps."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from scim2_models import EnterpriseUser, Group, PatchOp, SCIMException, User

Json = Any
TOKEN = "t0ken-that-must-stay-secret"
PATIENCE_SECONDS = 20.0
"""How long a test waits for what must happen."""
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@dataclass(frozen=True)
class Request:
    """One request as it came: `target` is the request line's, undecoded."""

    method: str
    target: str
    headers: dict[str, str]
    content: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def body(self) -> Json:
        return json.loads(self.content) if self.content else None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Reply:
    """What is sent back; `body` is JSON unless it is bytes. Status 0: nothing is, and the connection is reset."""

    status: int = 200
    body: Json = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


def error(status: int, detail: str = "", scim_type: str = "", *, number: bool = False) -> Reply:
    """Return a SCIM error; `status` inside is text as RFC 7644 has it, or a number as several send it."""
    body: dict[str, Json] = {"schemas": [ERROR], "status": status if number else str(status), "detail": detail}
    if scim_type:
        body["scimType"] = scim_type
    return Reply(status, body)


class Server:
    """A threaded HTTP/1.1 server; what it answers is `answer`'s. A context manager.

    `requests` holds what came, in order; `most_at_once` how many were under way together, `overlapping` the paths
    of single resources that had two; `connections` how many were made.
    """

    def __init__(self, answer: Callable[[Request], Reply] | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.connections = 0
        self.overlapping: list[str] = []
        self._under_way: list[str] = []
        self._lock = threading.Lock()
        self._answer = answer
        self._http = _listener(self)
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.host = "127.0.0.1"
        self.port = self._http.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/scim/v2"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def answer(self, request: Request) -> Reply:
        """Return what a request is answered."""
        assert self._answer is not None
        return self._answer(request)

    def serve(self, request: Request) -> Reply:
        """Note a request, answer it, and note its end."""
        path = request.path
        with self._lock:
            self.requests.append(request)
            if path in self._under_way and path.count("/") > 3:
                self.overlapping.append(path)
            self._under_way.append(path)
            self.most_at_once = max(self.most_at_once, len(self._under_way))
        try:
            return self.answer(request)
        finally:
            with self._lock:
                self._under_way.remove(path)

    def log(self) -> list[str]:
        """Return the requests as `METHOD /path below the base`."""
        return [str(request).replace("/scim/v2", "") for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _listener(server: Server) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE_SECONDS
        wbufsize = -1
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.serve(Request(self.command, self.path, headers, content))
            if not reply.status:
                self.close_connection = True
                reset(self.connection)
                os.close(self.connection.detach())
                return
            self.send_response(reply.status)
            given = {name.lower() for name in reply.headers}
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "content-type" not in given and reply.content:
                self.send_header("Content-Type", "application/scim+json")
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def log_request(self, code: object = "-", size: object = "-") -> None:
            return

    class Quiet(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True
        block_on_close = False

        def process_request(self, request: Any, client_address: Any) -> None:
            server.connections += 1
            super().process_request(request, client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away, or a failed TLS handshake, is no fault of the test."""

    return Quiet(("127.0.0.1", 0), Handler)


class Endpoint(Server):
    """A SCIM service provider: users and groups in memory, PATCH applied by scim2-models, honest unless told otherwise.

    `patch` False: answers PATCH with 405. `announces_patch` None: has no /ServiceProviderConfig.
    `filters`: "work", "ignored" (everything comes back), "refused" (400) or "404" where nothing matches.
    `ids`: where a create says the id: "body", "location" or "nowhere".
    `forgets`: attributes that are taken and not kept. `shows_members` False: reads have no members.
    """

    def __init__(
        self,
        *,
        patch: bool = True,
        announces_patch: bool | None = True,
        filters: str = "work",
        ids: str = "body",
        forgets: tuple[str, ...] = (),
        shows_members: bool = True,
        silent: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls=tls)
        self.silent = silent
        self.patch = patch
        self.announces_patch = announces_patch
        self.filters = filters
        self.ids = ids
        self.forgets = forgets
        self.shows_members = shows_members
        self.users: dict[str, dict[str, Json]] = {}
        self.groups: dict[str, dict[str, Json]] = {}
        self.token = TOKEN
        self.held: Callable[[Request], None] = lambda _: None
        """Called before each request is looked at; may wait."""
        self.done: Callable[[Request], None] = lambda _: None
        """Called when a request has taken effect, before its answer is sent; may wait."""
        self._instead: list[tuple[str, str, list[Reply]]] = []
        self._numbers = count(1)
        self._store = threading.RLock()

    def refuse_updates(self, path: str, reply: Reply) -> None:
        """Answer each update of some resources like this, whatever its form, until it relents."""
        for method in ("PATCH", "PUT"):
            self.instead(method, path, *[reply] * 99)

    def instead(self, method: str, path: str, *replies: Reply) -> None:
        """Answer the next requests of that method whose path matches the expression with these replies, one each."""
        self._instead.append((method, path, list(replies)))

    def relent(self) -> None:
        """Answer as usual from now on."""
        self._instead.clear()

    def answer(self, request: Request) -> Reply:
        self.held(request)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return error(401, "the token is not accepted")
        with self._store:
            reply = self._scripted(request) or self._route(request)
        self.done(request)
        return reply

    def _scripted(self, request: Request) -> Reply | None:
        for method, path, replies in self._instead:
            if replies and method == request.method and re.search(path, request.path):
                return replies.pop(0)
        return None

    def _route(self, request: Request) -> Reply:
        collection, _, id_ = request.path.removeprefix("/scim/v2/").partition("/")
        if collection == "ServiceProviderConfig" and self.announces_patch is not None:
            return Reply(200, {"patch": {"supported": self.announces_patch}})
        held = {"Users": self.users, "Groups": self.groups}.get(collection)
        if held is None:
            return error(404, "no such endpoint")
        if not id_:
            return self._create(collection, held, request) if request.method == "POST" else self._list(held, request)
        resource = held.get(unquote(id_))
        if resource is None:
            return error(404, f"{collection}/{id_} is not there")
        match request.method:
            case "GET":
                return Reply(200, self._shown(resource))
            case "DELETE":
                del held[unquote(id_)]
                for group in self.groups.values():
                    group["members"] = [m for m in group.get("members", []) if m["value"] != unquote(id_)]
                return Reply(204)
            case "PUT":
                held[unquote(id_)] = self._kept(request.body) | {"id": unquote(id_)}
                return Reply(200, self._shown(held[unquote(id_)]))
            case "PATCH" if self.patch:
                return self._patched(held, unquote(id_), request.body)
        return error(405, "this method is not supported")

    def _create(self, collection: str, held: dict[str, dict[str, Json]], request: Request) -> Reply:
        name = "userName" if collection == "Users" else "displayName"
        body = self._kept(request.body)
        if any(each[name].casefold() == body[name].casefold() for each in held.values()):
            return error(409, f"{name} is taken", "uniqueness")
        id_ = f"{collection[0].lower()}{next(self._numbers)}"
        held[id_] = body | {"id": id_}
        location = {"Location": f"{self.url}/{collection}/{id_}"}
        if self.ids == "body":
            return Reply(201, self._shown(held[id_]), location)
        return Reply(201, None, location if self.ids == "location" else {})

    def _list(self, held: dict[str, dict[str, Json]], request: Request) -> Reply:
        found = list(held.values())
        if (text := request.query.get("filter")) is not None and self.filters != "ignored":
            match = re.fullmatch(r'(\w+) eq (".*")', text, re.DOTALL)
            if self.filters == "refused" or match is None:
                return error(400, "this filter is not supported", "invalidFilter")
            name, wanted = match[1], json.loads(match[2])
            exact = name == "externalId"
            found = [each for each in found if _same(each.get(name), wanted, exact=exact)]
            if not found and self.filters == "404":
                return error(404, "nothing matches")
        return Reply(
            200, {"schemas": [LIST], "totalResults": len(found), "Resources": [self._shown(each) for each in found]}
        )

    def _patched(self, held: dict[str, dict[str, Json]], id_: str, body: Json) -> Reply:
        model: Any = User[EnterpriseUser] if held is self.users else Group
        try:
            resource = model.model_validate(held[id_])
            PatchOp[model].model_validate(body).patch(resource)
        except (ValueError, SCIMException) as fault:
            return error(400, str(fault), getattr(fault, "scim_type", "") or "invalidValue")
        held[id_] = self._kept(resource.model_dump()) | {"id": id_}
        return Reply(204) if self.silent else Reply(200, self._shown(held[id_]))

    def _kept(self, body: dict[str, Json]) -> dict[str, Json]:
        return {name: value for name, value in body.items() if name not in self.forgets}

    def _shown(self, resource: dict[str, Json]) -> dict[str, Json]:
        return {name: value for name, value in resource.items() if name != "members" or self.shows_members}

    def members(self, name: str) -> set[str]:
        """Return the userNames of a group's members, and the names of groups among them."""
        group = next(each for each in self.groups.values() if each["displayName"] == name)
        ids = [member["value"] for member in group.get("members") or []]
        assert len(ids) == len(set(ids)), "a member stands twice"
        return {self.users[id_]["userName"] if id_ in self.users else self.groups[id_]["displayName"] for id_ in ids}

    def by_name(self) -> dict[str, dict[str, Json]]:
        """Return the users by userName."""
        return {user["userName"]: user for user in self.users.values()}

    def add_user(self, **attributes: Json) -> str:
        """Put a native user there; returns the id."""
        id_ = f"native{next(self._numbers)}"
        self.users[id_] = {"schemas": [CORE_USER], "id": id_, **attributes}
        return id_

    def add_group(self, **attributes: Json) -> str:
        """Put a native group there; returns the id."""
        id_ = f"native{next(self._numbers)}"
        self.groups[id_] = {"schemas": [CORE_GROUP], "id": id_, **attributes}
        return id_


def _same(there: Json, wanted: str, *, exact: bool) -> bool:
    return isinstance(there, str) and (there == wanted if exact else there.casefold() == wanted.casefold())


class Gate:
    """Holds requests of an endpoint until a test lets them go on; `hold` is for an Endpoint to call."""

    def __init__(self, wanted: Callable[[Request], bool] = lambda _: True) -> None:
        self._wanted = wanted
        self._waiting = 0
        self._open = False
        self._changed = threading.Condition()

    def hold(self, request: Request) -> None:
        """Wait if the request is one of those that are held."""
        if not self._wanted(request):
            return
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._open, PATIENCE_SECONDS), "nobody opened the gate"

    def wait_for(self, number: int) -> None:
        """Return once that many requests are held."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting >= number, PATIENCE_SECONDS), "too few requests came"

    def open(self) -> None:
        """Let everything go on, from now on."""
        with self._changed:
            self._open = True
            self._changed.notify_all()


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve connections with a function that gets the socket after one request was read; yields the base URL.

    What the function leaves undone stays undone: that is how an answer is cut short or a connection reset.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(PATIENCE_SECONDS)
                received = b""
                while b"\r\n\r\n" not in received and (chunk := connection.recv(65536)):
                    received += chunk
                if received:
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/scim/v2"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def reset(connection: socket.socket) -> None:
    """Close a connection with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
