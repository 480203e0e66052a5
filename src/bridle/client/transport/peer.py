"""Who is on the other end of a Unix socket, as the kernel says (`SO_PEERCRED`, Linux)."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

_UCRED = struct.Struct("3i")
# Bytes of a socket's path in `sockaddr_un`, less the terminating zero (unix(7)).
_MAX_PATH = 107


class Peer(Struct, frozen=True):
    """Process, user and group at the moment the connection (or the listening socket) was made."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """Return the peer of a connected Unix socket. Raises `OSError`."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(raw))


def folder_of(path: Path) -> str:
    """Return which folder a socket lies in, the same for all who see it. Raises `OSError`.

    By device and inode: under whatever name, through links and in containers.
    """
    status = path.parent.stat()
    return f"{status.st_dev:x}:{status.st_ino:x}"


@contextmanager
def short_path(path: Path) -> Generator[str]:
    """Yield a name for `path` that fits a socket address, however long the path is."""
    if len(os.fsencode(path)) <= _MAX_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
