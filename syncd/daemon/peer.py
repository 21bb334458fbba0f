"""The caller at the other end of a Unix socket, as the kernel names it: process, user and groups."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from errno import EADDRINUSE, ECONNREFUSED
from pathlib import Path
from typing import Final

from syncd.daemon.client import reachable
from syncd.errors import DaemonError

_SO_PEERGROUPS: Final = 59
"""Linux 4.13 (socket(7) has it; Python doesn't)."""
_MOST: Final = 1024
"""Bytes that Python takes of a socket option: 256 groups."""


@dataclass(frozen=True)
class Peer:
    """A caller. Facts of the kernel, taken when the connection was made."""

    pid: int
    uid: int
    groups: frozenset[int]

    @property
    def name(self) -> str:
        """The login name, or the number where there is none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"user {self.uid}"


def peer_of(connection: socket.socket) -> Peer:
    """Return the caller."""
    size = struct.calcsize("3i")
    groups: tuple[int, ...] = ()
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        found = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST)
        groups = struct.unpack(f"{len(found) // 4}I", found)
    except OSError:  # more groups than fit
        with suppress(KeyError):
            groups = tuple(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    return Peer(pid, uid, frozenset((gid, *groups)))


@dataclass(frozen=True)
class Rights:
    """The callers that may ask: root, the daemon's own user, and the members of a group where that exists."""

    group: int | None

    @classmethod
    def of_group(cls, name: str) -> Rights:
        """Take a group by its name."""
        try:
            return cls(grp.getgrnam(name).gr_gid)
        except KeyError:
            return cls(None)

    def allow(self, peer: Peer) -> bool:
        """Return whether a caller may ask anything at all."""
        return peer.uid in (0, os.geteuid()) or (self.group is not None and self.group in peer.groups)


def listen(path: Path, rights: Rights) -> socket.socket:
    """Return a listening socket of mode 0660 and the group's, or 0600 where there is none.

    A socket that a killed daemon left there is removed. Raises DaemonError, also where another daemon listens.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_socket():
            if _answers(path):
                raise OSError(EADDRINUSE, "another daemon listens there")
            path.unlink()
        before = os.umask(0o177)
        try:
            with reachable(path) as address:
                listening.bind(address)
        finally:
            os.umask(before)
        if rights.group is not None and (os.geteuid() == 0 or rights.group in {os.getegid(), *os.getgroups()}):
            if path.stat().st_gid != rights.group:  # under systemd it is, and nobody may change it
                os.chown(path, -1, rights.group)
            path.chmod(0o660)
    except OSError as error:
        listening.close()
        raise DaemonError(
            f"{path}: {error.strerror}", hint="`control.socket` says where the daemon's socket is to be"
        ) from None
    listening.listen()
    return listening


def _answers(path: Path) -> bool:
    """Return whether a process listens on a socket; a killed daemon leaves its file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel, reachable(path) as address:
        return channel.connect_ex(address) != ECONNREFUSED
