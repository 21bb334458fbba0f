"""The daemon's listeners: its socket, the network address where one is configured, and the servers on both."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import uvicorn

from syncd.errors import DaemonError
from syncd.settings.build import RUNTIME_SOCKET, Setup


def socket_of(setup: Setup) -> Path:
    """Return the path of the daemon's socket: as configured, else in systemd's runtime folder, else beside
    the state file."""
    if setup.settings.control.socket is None and (folder := os.environ.get("RUNTIME_DIRECTORY")):
        return Path(folder.partition(":")[0]) / RUNTIME_SOCKET.name
    return setup.sockets[0]


def network_socket(setup: Setup) -> socket.socket | None:
    """Return the bound socket for health and figures, None where none is configured. Raises DaemonError."""
    address = setup.settings.metrics.listen
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    channel = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.bind((host, int(port)))
    except OSError as error:
        channel.close()
        raise DaemonError(f"metrics.listen: {address}: {error.strerror}") from None
    return channel


class Server(uvicorn.Server):
    """Answers for an ASGI application, and leaves the process's signals to the daemon."""

    def __init__(self, app: Callable[..., Awaitable[None]], protocol: Any) -> None:
        super().__init__(_config(app, protocol))

    def capture_signals(self) -> Any:
        return nullcontext()


class Servers:
    """The servers of one daemon."""

    def __init__(self) -> None:
        self._serving: list[tuple[Server, asyncio.Task[None]]] = []

    def begin(self, server: Server, channel: socket.socket) -> None:
        """Let a server answer on a socket."""
        self._serving.append((server, asyncio.get_running_loop().create_task(server.serve([channel]))))

    async def end(self, seconds: float) -> None:
        """Accept no more requests; running answers have a number of seconds to end."""
        for server, _ in self._serving:
            server.should_exit = True
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(serving for _, serving in self._serving)), seconds)


def _config(app: Callable[..., Awaitable[None]], protocol: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
