"""One connection as frames, in as few system calls as it takes. What they say is `wire`'s matter.

The socket blocks; what must not take for ever is tried at once, and waited for only where it did
not go at once. Nothing here opens a connection.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time

from bridle.client.transport.wire import FRAME_SECONDS, MAX_FRAME, TRUNCATED
from bridle.model.errors import ProtocolError

_CHUNK = 65_536
_LENGTH = struct.Struct(">I")


class Frames:
    """Sends and receives frames over a connected socket, which it owns. For one thread at a time.

    Deadlines are monotonic seconds. Every method raises `OSError` (`TimeoutError` among them) when
    the connection fails.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        self._connection = connection
        self._ahead = b""
        # The governor process at the other end, as it greeted.
        self.instance = ""

    @property
    def ahead(self) -> bool:
        """Whether more has been received than was asked for so far."""
        return bool(self._ahead)

    def send(self, body: bytes, deadline: float) -> None:
        """Send one frame before `deadline`."""
        rest = memoryview(_LENGTH.pack(len(body)) + body)
        while True:
            try:
                rest = rest[self._connection.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            if not rest:
                return
            # However slowly the other side reads, the time for this frame runs.
            _left(deadline)

    def receive(self, deadline: float, within: float = FRAME_SECONDS) -> bytes | None:
        """Receive one frame, or None when the other side hung up between frames.

        `deadline` bounds the whole, `within` (seconds) what follows the first bytes, however slowly
        it drips. Raises `ProtocolError` too.
        """
        if not self.begins(deadline):
            return None
        return self.rest(min(deadline, time.monotonic() + within))

    def begins(self, deadline: float | None = None) -> bool:
        """Wait for the first bytes of a frame; False when the other side hung up instead."""
        if not self._ahead:
            self._ahead = self._arrived(deadline)
        return bool(self._ahead)

    def rest(self, deadline: float) -> bytes:
        """Receive the whole of the frame that has begun. Raises `ProtocolError` too."""
        while len(self._ahead) < _LENGTH.size:
            self._ahead += self._more(deadline)
        (length,) = _LENGTH.unpack_from(self._ahead)
        if not 0 < length <= MAX_FRAME:
            raise ProtocolError(f"a frame of {length:,} bytes was announced")
        # Memory grows with what has arrived, never with what was announced.
        parts, missing = [self._ahead], _LENGTH.size + length - len(self._ahead)
        while missing > 0:
            parts.append(self._more(deadline))
            missing -= len(parts[-1])
        arrived = b"".join(parts)
        self._ahead = arrived[_LENGTH.size + length :]
        return arrived[_LENGTH.size : _LENGTH.size + length]

    def stop(self) -> None:
        """Receive nothing more. May be called while another thread waits in `begins`."""
        self._connection.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _more(self, deadline: float) -> bytes:
        part = self._arrived(deadline)
        if not part:
            raise ProtocolError("the connection ended within a frame", code=TRUNCATED)
        return part

    def _arrived(self, deadline: float | None) -> bytes:
        if deadline is not None:
            self._wait(select.POLLIN, deadline)
        return self._connection.recv(_CHUNK)

    def _wait(self, event: int, deadline: float) -> None:
        ready = select.poll()
        ready.register(self._connection, event)
        if not ready.poll(math.ceil(_left(deadline) * 1000)):
            raise TimeoutError(_LATE)


_LATE = "the time for this frame is over"


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(_LATE)
    return left
