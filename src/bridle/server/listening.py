"""The sockets: made so that nobody sees them half-made, and taken away at the end."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from msgspec import Struct

from bridle.client.transport.peer import short_path

_BACKLOG = 128

Listener = tuple["Door", socket.socket]


class Door(Struct, frozen=True):
    """A socket to listen on: who may connect, and how many at a time.

    `uids` are the only users let in (None: whoever can open the file), `mode` the file's mode,
    `owner` and `group` whose it becomes (-1: left as it is).
    """

    name: str
    path: Path
    operator: bool
    mode: int
    uids: frozenset[int] | None
    limit: int
    owner: int = -1
    group: int = -1


def agents_door(path: Path, *, limit: int = 256, group: int = -1) -> Door:
    """The agents' socket: its group may connect."""
    return Door("agents", path, operator=False, mode=0o660, uids=None, limit=limit, group=group)


def operator_door(
    path: Path, *, limit: int = 32, operator: int | None = None, governor: int | None = None
) -> Door:
    """An operator's socket: theirs alone, and so is its limit, which no agent can use up.

    `operator` and `governor` are uids; without them both are the user that runs this. The
    governor's own user and root could do anything to it in any case, and are let in.
    """
    governor = os.geteuid() if governor is None else governor
    owner = governor if operator is None else operator
    return Door(
        # INVARIANT: I9 — mode and peer check both hold, each alone would do.
        "operator" if operator is None else f"operator {operator}",
        path,
        operator=True,
        mode=0o600,
        uids=frozenset({0, governor, owner}),
        limit=limit,
        owner=-1 if operator is None else operator,
    )


def listen(door: Door) -> socket.socket:
    """Return the listening socket of a door. What a dead governor left at its path is replaced.

    The caller holds the store's lock, or that of a folder which is root's alone, so no living
    governor listens there. Raises `OSError`.
    """
    draft = door.path.with_name(f".{door.path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(draft) as name:
            draft.unlink(missing_ok=True)
            listener.bind(name)
        draft.chmod(door.mode)
        os.chown(draft, door.owner, door.group, follow_symlinks=False)
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
    """Stop listening and take the file away, where it is ours to take."""
    with contextlib.suppress(OSError):
        if door.path.is_socket():
            door.path.unlink()
    listener.close()
