"""Where answers go. That they can't be written, or nobody reads them to the end, keeps no command from its own end."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class Output(io.FileIO):
    """A stream that goes nowhere from when it can't be written any more."""

    failure: OSError | None = None
    """Why that is; None also where its reader has read enough: `syncd sync | head -1`."""

    def write(self, data: Buffer) -> int:
        """Write some of it, and say how much."""
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            pass
        except OSError as error:
            self.failure = error
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        return memoryview(data).nbytes


def prepare() -> Output:
    """Make standard input, output and error usable, also where they are closed. Returns where answers go."""
    # Else the state file could be opened as number 1 or 2, and be written over by whatever prints.
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(free)
    if sys.stdin is None:
        sys.stdin = open(0)  # noqa: SIM115 - for as long as the process lives
    answers, errors = Output(1, "w", closefd=False), Output(2, "w", closefd=False)
    sys.stdout, sys.stderr = _text(answers, sys.stdout), _text(errors, sys.stderr)
    return answers


def _text(output: Output, given: TextIO | None) -> io.TextIOWrapper:
    encoding = given.encoding if given else "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(output), encoding, "backslashreplace", line_buffering=True)
