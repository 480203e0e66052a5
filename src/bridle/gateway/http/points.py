"""Who asks: enforcement points by their tokens, and agents by those that were made for them.

Tokens are 256 random bits. Only digests are kept, so comparing them says nothing of a token.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from bridle.gateway.http import config
from bridle.gateway.http.config import Config, Point
from bridle.gateway.http.messages import RequestError
from bridle.model.errors import BridleError, UnreachableError

PREFIX = "brt_"
"""What each token begins with, so that scanners for secrets know one."""

_MOST_PASSES = 10_000

_log = logging.getLogger("bridle.http")


def new_token() -> str:
    """Return a new token."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return what is kept of a token: its SHA-256 (hex)."""
    return hashlib.sha256(token.encode()).hexdigest()


class Points:
    """`http.toml` as it is now: what is taken out of it is refused from the next request on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] = ()
        self._config: Config | None = None
        self.config()

    def config(self) -> Config:
        """Return what the file says. Raises `BundleError` for one that cannot be used, at start.

        Later that is an `UnreachableError` for whoever asks: nobody is let in by an older file.
        """
        with self._lock:
            first = not self._seen
            seen = self._stat()
            if seen != self._seen:
                self._seen, self._config = seen, None
                try:
                    self._config = config.read(self._path)
                except BridleError as problem:
                    if first:
                        raise
                    _log.error("%s", problem)
            if self._config is None:
                raise UnreachableError("this gateway's configuration cannot be read")
            return self._config

    def asked_by(self, headers: Mapping[str, str], may: str) -> Point:
        """Return the point whose token a request has. Raises `RequestError`."""
        digest = digest_of(bearer(headers))
        found = None
        for point in self.config().points:
            if hmac.compare_digest(point.digest, digest):
                found = point
        if found is None:
            raise _unknown()
        if _is_over(found.expires):
            raise _expired()
        if may not in found.may:
            raise RequestError(403, f"this point may not {may}", code="point_may_not")
        return found

    def _stat(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return (0,)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Pass(Struct, frozen=True):
    """What a token for an agent stands for: its reference, who had it made, until when."""

    reference: str
    point: str
    expires: float


class Passes:
    """Tokens of agents, in memory only: where this ends they do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_digest: dict[str, Pass] = {}

    def make(self, reference: str, point: str, seconds: int) -> tuple[str, float]:
        """Return a token for what acts under `reference`, and when it expires (Unix time)."""
        token, expires = new_token(), time.time() + seconds
        with self._lock:
            self._forget()
            if len(self._by_digest) >= _MOST_PASSES:
                raise RequestError(429, "too many tokens are in use", code="limit_exceeded")
            self._by_digest[digest_of(token)] = Pass(reference, point, expires)
        return token, expires

    def of(self, headers: Mapping[str, str], known: Config) -> Pass:
        """Return what the token of a request stands for. Raises `RequestError`."""
        digest = digest_of(bearer(headers))
        with self._lock:
            found = self._by_digest.get(digest)
        if found is None:
            raise _unknown()
        if _is_over(found.expires):
            raise _expired()
        # What a point had made ends with the point.
        by = next((each for each in known.points if each.name == found.point), None)
        if by is None or "token" not in by.may or _is_over(by.expires):
            raise _unknown()
        return found

    def _forget(self) -> None:
        for digest in [each for each, one in self._by_digest.items() if _is_over(one.expires)]:
            del self._by_digest[digest]


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of a request. Raises `RequestError` where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(PREFIX):
        raise RequestError(
            401,
            "no token",
            code="token_missing",
            hint="send `Authorization: Bearer brt_…`; `bridle http token` makes one",
        )
    return token


def _is_over(expires: float | None) -> bool:
    return expires is not None and time.time() >= expires


def _expired() -> RequestError:
    return RequestError(401, "this token has expired", code="token_expired")


def _unknown() -> RequestError:
    return RequestError(401, "nobody here has this token", code="token_unknown")
