"""A hook that is a command: an argument list without a shell. Exit code 0 is success.

The command gets the facts as JSON on its standard input and as environment variables. It inherits none of syncd's
environment but what a program needs to run at all, so no secret. Its standard output is discarded; of its standard
error the last line is kept, as the reason of a failure. When its time is over, its process group is killed.

#  the end                                -> the failure
#  exit code 75 (EX_TEMPFAIL, sysexits.h)    may pass
#  any other code but 0, a signal            is the same next time
#  its time is over, it can't be run         is the same next time
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Final

import orjson

from syncd.core.model import Json
from syncd.hooks.hook import Call, HookFailed
from syncd.hooks.words import last_line

_INHERITED: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_KEPT_BYTES: Final = 4096
"""The end of standard error that is kept."""
_READS_AT_THE_END: Final = 16
_TRY_AGAIN: Final = 75
_TOO_LONG: Final = 16_384
"""A longer value stands in the JSON alone: the environment is limited."""


class Command:
    """A command. `argv` begins with the absolute path of a program; `timeout` is in seconds."""

    def __init__(self, argv: Sequence[str], *, timeout: float = 60.0) -> None:
        self._argv = list(argv)
        self._timeout = timeout

    @property
    def words(self) -> str:
        """The program alone: an argument may be secret."""
        return f"run {self._argv[0]}"

    async def call(self, call: Call) -> None:
        """Run it once. Raises HookFailed. Where this is cancelled, the process group is killed."""
        with _Errors() as errors, _as_file(orjson.dumps(call.facts)) as facts:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._argv,
                    stdin=facts,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=errors.writing,
                    env=_environment(call),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                raise HookFailed(f"the command can't be run: {error.strerror}") from None
            errors.follow()
            try:
                async with asyncio.timeout(self._timeout):
                    code = await process.wait()
            except TimeoutError:
                raise HookFailed(f"the command was ended after {self._timeout:g} s{errors.said()}") from None
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
            said = errors.said()
        if code:
            how = f"ends by signal {-code}" if code < 0 else f"exits with {code}"
            raise HookFailed(f"the command {how}{said}", passing=code == _TRY_AGAIN)


class _Errors:
    """The end of a process's standard error. Not a pipe of asyncio: a process left running may keep it open."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._kept = b""
        self._follows = False

    def follow(self) -> None:
        """Read from now on; the process has its own end of the pipe."""
        self._close_writing()
        asyncio.get_running_loop().add_reader(self._reading, self._read)
        self._follows = True

    def said(self) -> str:
        """Return what was said last, behind a colon; "" where nothing was."""
        for _ in range(_READS_AT_THE_END):
            if not self._read():
                break
        line = last_line(self._kept.decode("utf-8", "replace"))
        return f": {line}" if line else ""

    def _read(self) -> bool:
        """Read a part; return whether there was any."""
        try:
            part = os.read(self._reading, _KEPT_BYTES)
        except BlockingIOError:
            return False
        if not part:
            self._stop()
        self._kept = (self._kept + part)[-_KEPT_BYTES:]
        return bool(part)

    def _stop(self) -> None:
        if self._follows:
            asyncio.get_running_loop().remove_reader(self._reading)
            self._follows = False

    def _close_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def __enter__(self) -> _Errors:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._close_writing()
        os.close(self._reading)


@contextmanager
def _as_file(content: bytes) -> Iterator[IO[bytes]]:
    """Yield a file with this content, at its beginning: unlike a pipe, nobody has to wait until it is read."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def _environment(call: Call) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {"PATH": _PATH, **inherited, **dict(_variables("SYNCD", call.facts))}


def _variables(prefix: str, facts: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield the facts as variables: `SYNCD_USER_NAME` of `userName`, `SYNCD_MANAGER_EMAIL` of the manager's `email`.

    Several values are separated by commas. An absent value has no variable.
    """
    for name, value in facts.items():
        variable = f"{prefix}_{re.sub(r'(?<=[a-z])(?=[A-Z])', '_', name).upper()}"
        if isinstance(value, dict):
            yield from _variables(variable, value)
        elif value is not None:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            if "\0" not in text and len(text) <= _TOO_LONG:
                yield variable, text


__all__ = ["Command"]
