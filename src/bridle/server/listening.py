"""The two sockets: made so that nobody sees them half-made, and taken away at the end."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from msgspec import Struct

from bridle.client.transport.peer import short_path

_BACKLOG = 128


class Door(Struct, frozen=True):
    """A socket to listen on: who may connect, and how many at a time.

    `uid` is the only user let in (None: whoever can open the file), `mode` the file's mode.
    """

    name: str
    path: Path
    operator: bool
    mode: int
    uid: int | None
    limit: int


def agents_door(path: Path, *, limit: int = 256) -> Door:
    """The agents' socket: its group may connect."""
    return Door("agents", path, operator=False, mode=0o660, uid=None, limit=limit)


def operator_door(path: Path, *, limit: int = 32) -> Door:
    """The operator's socket: the governor's own user only. Its limit is out of agents' reach."""
    # INVARIANT: I9 — mode and peer check both hold, each alone would do.
    return Door("operator", path, operator=True, mode=0o600, uid=os.geteuid(), limit=limit)


def listen(door: Door) -> socket.socket:
    """Return the listening socket of a door. What a dead governor left at its path is replaced.

    The caller holds the store's lock, so no living governor listens there. Raises `OSError`.
    """
    draft = door.path.with_name(f".{door.path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(draft) as name:
            draft.unlink(missing_ok=True)
            listener.bind(name)
        draft.chmod(door.mode)
        listener.listen(_BACKLOG)
        # Only a socket that answers gets the name that clients look for.
        draft.replace(door.path)
    except BaseException:
        listener.close()
        draft.unlink(missing_ok=True)
        raise
    listener.setblocking(False)
    return listener


def remove(door: Door, listener: socket.socket) -> None:
    """Stop listening and take the file away, unless it is another's by now."""
    with contextlib.suppress(OSError):
        if door.path.is_socket():
            door.path.unlink()
    listener.close()
