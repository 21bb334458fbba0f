"""The sandbox in the test's own process: one HTTP server in a thread, and a fresh account for each example.

Owns the thread and the state files. Actions of people at the target run on the server's own thread, between requests.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson
import uvicorn

from syncd.sandbox.application import handler
from syncd.sandbox.connection import AbortableProtocol
from syncd.sandbox.database import Database
from syncd.sandbox.faults import Faults, parse
from syncd.sandbox.interference import Interference
from syncd.sandbox.options import SandboxOptions
from syncd.sandbox.people import People, tab_of
from syncd.sandbox.profiles import integrations, profiles_of
from syncd.sandbox.requestlog import Entry, RequestLog
from syncd.sandbox.resources import Document, Query, Resources
from syncd.sandbox.scim import ScimApplication

TOKEN = "t0ken-that-nobody-may-see"
PATIENCE_SECONDS = 30
_T = TypeVar("_T")


class Account:
    """One account at the endpoint: what is in it, who administers it, and what was asked of it."""

    def __init__(self, profile: str, verified_domains: Sequence[str], settings: Mapping[str, str], path: Path) -> None:
        options = SandboxOptions(
            profile, tokens=(TOKEN,), verified_domains=tuple(verified_domains), settings=dict(settings)
        )
        self.database = Database(path)
        self.database.connection.execute("PRAGMA synchronous = OFF")  # no example asks what a power cut costs
        self.resources = Resources(self.database)
        profiles = profiles_of(self.resources, options)
        tokens = integrations(options)
        scim: Any = ScimApplication({tokens[name]: handler(each) for name, each in profiles.items()})
        self.people = People(self.resources, profiles)
        self.log = RequestLog()
        self.faults = Faults([])
        wording = next(iter(profiles.values())).error
        self.endpoint = Interference(scim, self.resources, self.log, self.faults, wording)


class Hold:
    """Requests that wait until who sent them is dead."""

    def __init__(self, number: int, answered: bool) -> None:
        self.left, self.answered = number, answered
        self.came = threading.Event()
        self.over = asyncio.Event()

    async def pass_by(self, scope: Any, receive: Any, endpoint: Any) -> None:
        """Return at once for the first requests; for the others, when all is over."""
        self.left -= 1
        if self.left > 0:
            return
        if self.answered and self.left == 0:
            await endpoint(scope, receive, _to_nobody)
        self.came.set()
        await self.over.wait()


async def _to_nobody(message: Any) -> None:
    return


class Service:
    """A server on loopback that answers for one account at a time. A context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="syncd-invariants-")
        self._number = 0
        self._account: Account | None = None
        self.tells_tales = False
        """Whether a write is refused with a message that repeats the request's headers, the token among them."""
        self._hold: Hold | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            http=AbortableProtocol,
            ws="none",
            lifespan="off",
            log_level="error",
            access_log=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._ready.set()
            await self._server.serve(sockets=[self._listening])

        asyncio.run(serve())

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        assert self._account is not None
        if self._hold is not None:
            await self._hold.pass_by(scope, receive, self._account.endpoint)
        if self.tells_tales and scope["method"] != "GET":
            await _repeat(scope, send)
        else:
            await self._account.endpoint(scope, receive, send)

    def __enter__(self) -> Self:
        self._listening.listen(64)
        self._thread.start()
        assert self._ready.wait(PATIENCE_SECONDS)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        self._close_account()
        self._listening.close()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        host, port = self._listening.getsockname()
        return f"http://{host}:{port}"

    def open_account(
        self, profile: str, verified_domains: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> Account:
        """Begin with an empty account; the former one is closed."""
        self.drain()
        self._close_account()
        self._number += 1
        path = Path(self._folder.name) / f"{self._number}.db"
        self.tells_tales = False
        self._account = Account(profile, verified_domains, settings or {}, path)
        return self._account

    def _close_account(self) -> None:
        if self._account is not None:
            self._account.database.close()
            for file in self._account.database.path.parent.glob(f"{self._number}.db*"):
                file.unlink()
            self._account = None

    @property
    def account(self) -> Account:
        assert self._account is not None
        return self._account

    def drain(self) -> None:
        """Wait until every request that a killed client left behind has been served."""

        async def served() -> None:
            state = self._server.server_state
            while state.connections or state.tasks:
                await asyncio.sleep(0.001)

        self._there(served())

    def _there(self, coroutine: Any) -> Any:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    def do(self, work: Callable[[Account], _T]) -> _T:
        """Do something with the account on the server's thread, between two requests."""

        async def done() -> _T:
            return work(self.account)

        result: _T = self._there(done())
        return result

    # -- seeing ----------------------------------------------------------------------------------

    def users(self) -> dict[str, Document]:
        """Return every user by id."""
        return self.do(lambda it: {each.id: each for each in it.resources.find(Query("type = 'User'"))})

    def groups(self) -> dict[str, Document]:
        """Return every group by id, archived ones too."""
        return self.do(lambda it: {each.id: each for each in it.resources.find(Query("type = 'Group'"))})

    def members(self) -> dict[str, set[str]]:
        """Return the ids of each group's members."""
        return self.do(
            lambda it: {
                group.id: {member.id for member in it.resources.members(group)}
                for group in it.resources.find(Query("type = 'Group'"))
            }
        )

    def requests(self) -> list[Entry]:
        """Return every request since the log was cleared."""
        return self.do(lambda it: list(it.log.entries))

    def clear_requests(self) -> None:
        self.do(lambda it: it.log.clear())

    @contextmanager
    def holding(self, number: int, *, answered: bool) -> Iterator[threading.Event]:
        """Let the n-th request and all after it wait, before or after it took effect; the event says that it came."""
        hold = Hold(number, answered)
        self._hold = hold
        try:
            yield hold.came
        finally:
            self._hold = None
            self.do(lambda _: hold.over.set())

    def break_down(self, *rules: Mapping[str, Any]) -> None:
        """Let these faults, and no others, happen from now on."""
        faults = parse(list(rules), "the test")

        def replace(account: Account) -> None:
            account.faults.rules = faults

        self.do(replace)


async def _repeat(scope: Any, send: Any) -> None:
    told = " ".join(value.decode("latin-1") for _, value in scope["headers"])
    body = orjson.dumps({"status": "400", "detail": f"no: {told}", "scimType": told})
    headers = [(b"content-type", b"application/scim+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})


__all__ = ["TOKEN", "Account", "Service", "tab_of"]
