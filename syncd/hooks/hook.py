"""The interface of both kinds of hook: one call with its facts, and the error of a call that did not succeed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from syncd.core.model import Json


class HookFailed(Exception):
    """A call that did not succeed, or of which nobody knows whether it did. `str()` is the reason, without secrets.

    `passing`: whether the cause may pass by itself, so that the same call is worth a further attempt soon.
    `retry_after`: seconds for which the receiver asks to be left alone; 0 without such a request.
    """

    def __init__(self, reason: str, *, passing: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.passing = passing
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `id` is the same for each attempt: an idempotency key."""

    id: str
    facts: Mapping[str, Json]
    """JSON; every text comes from outside."""


class Hook(Protocol):
    """A webhook or a command."""

    @property
    def words(self) -> str:
        """What is called, without its secret parts: "POST https://hooks.example.com/…", "run /opt/transfer"."""

    async def call(self, call: Call) -> None:
        """Call once, within a time of its own. Raises HookFailed."""


__all__ = ["Call", "Hook", "HookFailed"]
