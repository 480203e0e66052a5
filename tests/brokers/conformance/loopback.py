"""Sources on loopback that are not there, or that say nothing."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def nobody() -> Generator[int]:
    """Yield a port of 127.0.0.1 where nobody listens, and nobody else will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def silence() -> Generator[int]:
    """Yield a port whose connections are taken by the kernel and never answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]
