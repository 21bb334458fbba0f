"""Runs tests that are to fail: a process of its own that has the libraries loaded, and forks for each time.

Nothing of syncd and no test is loaded before the fork, so that each run takes the working directory's present files.
Reads lines of JSON: `{"options": [pytest's], "output": "file", "seconds": most}`. Answers with pytest's exit code.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
from importlib import import_module
from typing import Final

import pytest

_LIBRARIES: Final = (
    "aiohttp", "anyio", "cel", "click", "cryptography.x509",
    "email_validator", "httpx", "hypothesis.stateful", "ldap3", "lark", "markdown_it", "orjson",
    "pydantic_settings", "rich.table", "scim2_models", "sqlite_utils", "structlog",
)  # fmt: skip
"""Loading them is most of what starting a run of the tests takes."""


def bear(options: list[str], output: str, seconds: float) -> int:
    """Fork, let it run, and return how it ended: negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            for stream in (1, 2):
                os.dup2(written, stream)
            code = int(pytest.main(options))
            sys.stdout.flush()
        finally:
            os._exit(code)
    ended = os.pidfd_open(child)
    if not select.select([ended], [], [], seconds)[0]:
        os.killpg(child, signal.SIGKILL)
    os.close(ended)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    for library in _LIBRARIES:
        import_module(library)
    gc.freeze()  # what is never looked at again stays shared with the children
    for line in sys.stdin:
        print(bear(**json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
