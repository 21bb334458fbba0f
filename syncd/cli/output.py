"""The output of commands. A failed write, or a reader that stops early, doesn't stop a command."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class Output(io.FileIO):
    """A stream that discards its data after the first failed write."""

    failure: OSError | None = None
    """The reason for the failed write; None also where the reader has read enough: `syncd sync | head -1`."""

    def write(self, data: Buffer) -> int:
        """Write a part of the data, and return the size of the part."""
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            pass
        except OSError as error:
            self.failure = error
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        return memoryview(data).nbytes


def prepare() -> Output:
    """Make standard input, output and error usable, also where they are closed. Returns the output."""
    # Otherwise the state file could be opened as descriptor 1 or 2, and be overwritten by printed text.
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
