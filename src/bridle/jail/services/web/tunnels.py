"""Tunnels that a policy has let through: bytes in both directions, which nobody here reads.

The governor's side has resolved the name and checked the addresses; only these are connected to.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, cast

from bridle.model.errors import ProtocolError, UnreachableError

_SECONDS = 10.0
_IDLE = 300.0
_CHUNK = 65_536


def opened(result: Any) -> socket.socket:
    """Connect to what the governor's side answered: `{"body": {"addresses", "port"}}`.

    Raises `ProtocolError` for something else, `UnreachableError` where nothing answers.
    """
    body = cast("dict[str, Any]", result).get("body") if isinstance(result, dict) else None
    where = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    found: Any = where.get("addresses")
    port: Any = where.get("port")
    if not isinstance(found, list) or not isinstance(port, int):
        raise ProtocolError("the tunnel's answer was changed on its way")
    for address in found:  # pyright: ignore[reportUnknownVariableType]
        with contextlib.suppress(OSError):
            return socket.create_connection((str(address), port), _SECONDS)
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
