"""Starts sandboxes: a process of its own that has everything loaded, and forks for each. See `process.py`.

On stdin is a socket. An order is JSON, `{"options": [the command's]}`, with two descriptors: for stdout and stderr. The
answer is a descriptor of the process (pidfd).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import syncd.sandbox.__main__
import syncd.sandbox.connection
import syncd.sandbox.server  # loaded once, not after each fork
from syncd.sandbox.database import Database
from syncd.sandbox.options import SandboxOptions
from syncd.sandbox.profiles import profiles_of
from syncd.sandbox.resources import Resources

_LONGEST: Final = 1 << 16


def build_models(profile: str) -> None:
    """Build the models of a profile, which takes longer than all else; they are kept for those who are forked later."""
    with TemporaryDirectory(prefix="sandbox-nursery-") as folder:
        database = Database(Path(folder) / "sandbox.db")
        try:
            for each in profiles_of(Resources(database), SandboxOptions(profile=profile)).values():
                each.provider()
        finally:
            database.close()


def bear(orders: socket.socket, options: list[str], stdout: int, stderr: int) -> int:
    """Fork a sandbox that writes to these descriptors; returns its pidfd."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            orders.close()
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.close(stdout)
            os.close(stderr)
            sys.argv[1:] = options
            syncd.sandbox.__main__.main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.pidfd_open(child)


def main() -> None:
    known: set[str] = set()
    with socket.socket(fileno=0) as orders:
        while True:
            order, streams, _, _ = socket.recv_fds(orders, _LONGEST, 2)
            if not order:
                return
            options: list[str] = json.loads(order)["options"]
            profile = options[options.index("--profile") + 1]
            if profile not in known:
                build_models(profile)
                known.add(profile)
            process = bear(orders, options, *streams)
            socket.send_fds(orders, [b"."], [process])
            for descriptor in (process, *streams):
                os.close(descriptor)
            while _ended():
                pass


def _ended() -> bool:
    """Let one child go that has ended."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    main()
