"""Ask an endpoint with the real client, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from syncd.scim.client import Client
from syncd.scim.dialect import Dialect
from syncd.scim.profiles import Profile
from syncd.scim.transport import Patience, Transport
from tests.endpoints import TOKEN

T = TypeVar("T")
IMPATIENT = Patience(attempts=3, outage=0.05, base=0.01, cap=0.02, longest_pause=0.05)
"""For endpoints that keep failing: what takes half a minute with patience shows in a moment."""


def ask(
    url: str,
    question: Callable[[Client], Awaitable[T]],
    *,
    patch: bool = True,
    patch_open: bool = False,
    ca_file: Path | None = None,
) -> T:
    """Return what `question` gets from the endpoint at `url`."""
    profile = Profile("test", patch=None if patch_open else patch)
    return ask_as(profile, url, question, patch=patch, ca_file=ca_file)


def ask_as(
    profile: Profile,
    url: str,
    question: Callable[[Client], Awaitable[T]],
    *,
    patch: bool | None = None,
    etags: bool | None = None,
    dialect: Dialect | None = None,
    ca_file: Path | None = None,
) -> T:
    """Return what `question` gets from an endpoint of that profile; `patch`, `etags`, `dialect` were learnt of it."""

    async def conversation() -> T:
        async with Transport("lucid", url, TOKEN, ca_file=ca_file, patience=IMPATIENT) as transport:
            return await question(Client(transport, profile, patch=patch, etags=etags, dialect=dialect))

    return asyncio.run(conversation())
