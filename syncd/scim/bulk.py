"""Many writes in one request (RFC 7644 section 3.7), each with an outcome of its own.

Transparent to the caller: concurrent writes are gathered and sent together, and each gets the answer that it would have
got alone. A write that a bulk request can't settle is sent alone, or is unclear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import orjson

from syncd.core.model import Json
from syncd.errors import OutcomeUnclear, ScimError, TargetError
from syncd.scim.resources import field
from syncd.scim.transport import Answer, Transport
from syncd.scim.words import folded, message_of

BULK_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
LEAST: Final = 100
"""Number of changes from which bulk requests pay off."""
MOST: Final = 100
"""Operations in one request: after an interruption each operation has to be looked up by itself."""
_NOT_OFFERED: Final = (400, 403, 404, 405, 413, 501)
"""Statuses of endpoints that refuse a bulk request: no operation was done."""
_ENVELOPE_BYTES: Final = 200


@dataclass(slots=True)
class _Write:
    method: str
    path: str
    body: Json
    repeatable: bool
    answer: asyncio.Future[Answer]


class Bulk:
    """Gathers the writes of several workers. Each worker is inside `worker()` while it may write."""

    def __init__(self, transport: Transport, operations: int, size: int) -> None:
        """`operations`, `size`: the number of operations, and of bytes, that a request may hold."""
        self.operations = min(operations, MOST)
        self._transport = transport
        self._size = size
        self._workers = 0
        self._sending = 0
        self._waiting: list[_Write] = []
        self._refused = False
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Count a worker that may write: waiting writes are sent once no other worker can add one."""
        self._workers += 1
        try:
            yield
        finally:
            self._workers -= 1
            self._send_if_ready()

    async def send(self, method: str, path: str, body: Json, *, repeatable: bool) -> Answer:
        """Send one write with others. Raises what `Transport.send` raises."""
        if self._refused:
            return await self._transport.send(method, path, body=body, repeatable=repeatable)
        write = _Write(method, path, body, repeatable, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        # At the end of this turn of the loop: every worker about to write has been counted by then.
        asyncio.get_running_loop().call_soon(self._send_if_ready)
        return await write.answer

    def _send_if_ready(self) -> None:
        """Send as many writes as fit, or all once every worker is waiting."""
        while len(self._waiting) >= self.operations:
            self._begin(self.operations)
        if self._waiting and len(self._waiting) + self._sending >= self._workers:
            self._begin(len(self._waiting))

    def _begin(self, count: int) -> None:
        writes, self._waiting = self._waiting[:count], self._waiting[count:]
        for part in self._parts(writes):
            self._sending += len(part)
            task = asyncio.get_running_loop().create_task(self._send(part))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _parts(self, writes: Sequence[_Write]) -> Iterator[list[_Write]]:
        part: list[_Write] = []
        size = _ENVELOPE_BYTES
        for write in writes:
            added = len(orjson.dumps(_operation(write, "0000"))) + 1
            if part and size + added > self._size:
                yield part
                part, size = [], _ENVELOPE_BYTES
            part.append(write)
            size += added
        if part:
            yield part

    async def _send(self, writes: list[_Write]) -> None:
        try:
            await self._together(writes)
        except BaseException as error:
            for write in writes:
                if not write.answer.done():
                    write.answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
        finally:
            self._sending -= len(writes)
            self._send_if_ready()

    async def _together(self, writes: list[_Write]) -> None:
        operations = [_operation(write, str(number)) for number, write in enumerate(writes)]
        body = {"schemas": [BULK_SCHEMA], "Operations": operations}
        try:
            answer = await self._transport.send("POST", "Bulk", body=body, repeatable=False, weight=len(writes))
        except OutcomeUnclear as unclear:
            for write in writes:
                if not write.answer.done():
                    write.answer.set_exception(OutcomeUnclear(unclear.status, unclear.detail, stop=unclear.stop))
            return
        except ScimError as error:
            if error.status not in _NOT_OFFERED:
                raise
            self._refused = True
            await asyncio.gather(*(self._alone(write) for write in writes))
            return
        answered = _by_bulk_id(answer.body, operations)
        await asyncio.gather(*(self._answer_one(write, answered.get(str(n))) for n, write in enumerate(writes)))

    async def _answer_one(self, write: _Write, said: Json) -> None:
        """Give one write its own answer."""
        if write.answer.done():
            return  # the writing worker was cut off meanwhile
        status = _status(said)
        response = field(said, "response")
        if 200 <= status < 300:
            location = field(said, "location")
            write.answer.set_result(Answer(status, response, location if isinstance(location, str) else ""))
            return
        scim_type = field(response, "scimType")
        detail = self._transport.told(message_of(response))
        scim_type = self._transport.told(folded(scim_type)) if isinstance(scim_type, str) else ""
        if status in (401, 403):
            refusal = await self._transport.refusal(ScimError(status, detail, scim_type))
            if not write.answer.done():
                write.answer.set_exception(refusal)
        elif status == 429:
            await self._alone(write)
        elif status == 0 or (status >= 500 and status != 501):
            if write.repeatable:
                await self._alone(write)
            else:
                said_nothing = "the answer to a bulk request says nothing of it"
                write.answer.set_exception(OutcomeUnclear(status, detail or said_nothing, scim_type))
        else:
            write.answer.set_exception(ScimError(status, detail, scim_type))

    async def _alone(self, write: _Write) -> None:
        try:
            answer = await self._transport.send(write.method, write.path, body=write.body, repeatable=write.repeatable)
        except (ScimError, TargetError) as error:
            if not write.answer.done():
                write.answer.set_exception(error)
        else:
            if not write.answer.done():
                write.answer.set_result(answer)


def _operation(write: _Write, bulk_id: str) -> dict[str, Json]:
    operation: dict[str, Json] = {"method": write.method, "path": f"/{write.path}", "bulkId": bulk_id}
    return operation if write.body is None else {**operation, "data": write.body}


def _by_bulk_id(body: Json, sent: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """Return the answers by bulkId; an answer without bulkId is matched by position, where the numbers are equal.

    Only the answer to a POST must have a bulkId (RFC 7644 section 3.7.2).
    """
    answers = field(body, "Operations")
    if not isinstance(answers, list):
        return {}
    found = {str(field(each, "bulkId")): each for each in answers if field(each, "bulkId") is not None}
    if len(answers) == len(sent):
        for operation, each in zip(sent, answers, strict=True):
            same = str(field(each, "method")).upper() == operation["method"]
            if field(each, "bulkId") is None and same:
                found.setdefault(operation["bulkId"], each)
    return found


def _status(said: Json) -> int:
    """Return an operation's status: text by the RFC, a number or `{"code": …}` elsewhere; 0 where there is none."""
    status = field(said, "status")
    code = field(status, "code") if isinstance(status, dict) else status
    return int(code) if str(code).isdecimal() and len(str(code)) == 3 else 0


__all__ = ["LEAST", "MOST", "Bulk"]
