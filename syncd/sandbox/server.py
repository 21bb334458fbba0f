"""Start a sandbox. This module is the first to load the SCIM libraries.

Owns the process: the socket, the temporary state, and the line with the sandbox's address.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from syncd.errors import SyncdError
from syncd.sandbox.options import SCIM_PATH, SandboxOptions

if TYPE_CHECKING:
    from starlette.applications import Starlette


class SandboxUnavailable(SyncdError):
    """The sandbox can't start: a library is missing, or the port is taken."""


def create_app(options: SandboxOptions) -> Starlette:
    """Return the ASGI application of one sandbox. Raises ConfigurationError, StateError, SandboxUnavailable."""
    _require_libraries()
    from syncd.sandbox.application import build

    return build(options)


def serve(options: SandboxOptions) -> None:
    """Serve until SIGINT or SIGTERM. Prints one line once connections are accepted.

    Raises ConfigurationError, StateError, SandboxUnavailable.
    """
    _require_libraries()
    with ExitStack() as stack:
        if options.state is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="syncd-sandbox-"))
            options = replace(options, state=Path(folder) / "sandbox.db")
        app = create_app(options)
        listening = stack.enter_context(_listen(options))
        _run(app, listening, options)


def _run(app: Starlette, listening: socket.socket, options: SandboxOptions) -> None:
    import uvicorn

    from syncd.sandbox.connection import AbortableProtocol

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(greeting(options, listening), flush=True)  # noqa: T201 - the one line a person waits for

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # uvicorn would raise the signal again at the end, and the temporary state would stay behind.
            self.force_exit = self.should_exit
            self.should_exit = True

    config = uvicorn.Config(
        app,
        http=AbortableProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=2,
    )
    Server(config).run(sockets=[listening])


def greeting(options: SandboxOptions, listening: socket.socket) -> str:
    """Return the line with the sandbox's address and tokens."""
    from syncd.sandbox.profiles import integrations

    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    tokens = ", ".join(f"token {token} ({name})" for name, token in integrations(options).items())
    page = f"http://{shown}:{port}/"
    return f"sandbox: http://{shown}:{port}{SCIM_PATH} profile {options.profile}, {tokens}, page {page}"


def _listen(options: SandboxOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named: otherwise every answer, whose head
    # and body are two writes, waits 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.host, options.port))
    except OSError as error:
        listening.close()
        raise SandboxUnavailable(
            f"the sandbox can't listen on {options.host}:{options.port}: {error.strerror or error}",
            hint="choose another port with --port, or 0 for any free one",
        ) from error
    return listening


def _require_libraries() -> None:
    """Raise SandboxUnavailable with installation instructions if a library of the sandbox is missing."""
    try:
        import scim2_server
        import starlette
        import uvicorn
    except ModuleNotFoundError as error:
        raise SandboxUnavailable(
            f"the sandbox needs the library {error.name}, which is not installed",
            hint="install it with: pip install 'syncd[sandbox]'",
        ) from error
    _: Any = (scim2_server, starlette, uvicorn)
