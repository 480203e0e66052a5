"""`bridle serve`: a governor on its two sockets. It speaks `client.transport.wire`."""

from __future__ import annotations

from bridle.server.serving import Settings, serve

__all__ = ["Settings", "serve"]
