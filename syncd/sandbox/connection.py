"""Give the application a handle on its connection, so that a fault can cut it.

ASGI has no message for a reset: the server answers 500 where the application sends no response.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

KEY = "connection"
"""The key of the handle in the ASGI scope's `state`."""


class Connection:
    """One client's connection."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def reset(self) -> None:
        """Cut the connection with RST, which discards data that has not arrived yet."""
        connected: socket.socket | None = self._transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class AbortableProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with the connection in the scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        state: dict[str, Any] = {**self.app_state, KEY: Connection(transport)}
        self.app_state = state
