"""Tunnels that a policy has let through: bytes in both directions, which nobody here reads.

The governor's side has resolved the name and checked the addresses; only these are connected to.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import msgspec
from msgspec import Struct

from bridle.model.errors import ProtocolError, UnreachableError

_SECONDS = 10.0
_IDLE = 300.0
_CHUNK = 65_536


class _Where(Struct, frozen=True):
    addresses: tuple[str, ...]
    port: int


class _Answer(Struct, frozen=True):
    body: _Where


def opened(result: Any) -> socket.socket:
    """Connect to what the governor's side answered: `{"body": {"addresses", "port"}}`.

    Raises `ProtocolError` for something else, `UnreachableError` where nothing answers.
    """
    try:
        where = msgspec.convert(result, _Answer).body
    except msgspec.ValidationError as problem:
        raise ProtocolError("the tunnel's answer was changed on its way") from problem
    for address in where.addresses:
        with contextlib.suppress(OSError):
            return socket.create_connection((address, where.port), _SECONDS)
    raise UnreachableError("nothing answers there", hint="is the host up?")


def pumped(near: socket.socket, far: socket.socket, first: bytes) -> None:
    """Pass bytes on until either side ends or is silent for five minutes. `first` goes ahead."""
    for end in (near, far):
        end.settimeout(_IDLE)
    back = threading.Thread(target=_pump, args=(far, near), name="bridle-tunnel", daemon=True)
    back.start()
    with contextlib.suppress(OSError):
        far.sendall(first)
        _pump(near, far)
    back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    # The other direction may still have something to say, but no longer for ever.
    for end in (sink, source):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_WR if end is sink else socket.SHUT_RD)
