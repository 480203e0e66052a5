"""The sealed secrets of a governor: one file of named values, encrypted, read when asked for.

Each value is sealed (`bridle.ledger.seal`) with its name bound to it, and the file as a whole is
authenticated, so that no entry can be swapped, dropped or put back alone. The whole file can be:
that an older copy is used, nobody notices here. Nothing of a value is kept in memory.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from bridle.brokers.broker import BrokerError
from bridle.ledger.errors import LedgerError
from bridle.ledger.seal import KEY_BYTES, NONCE_BYTES, Sealer
from bridle.model.errors import StoreError, UsageError
from bridle.store import folders, keys
from bridle.store.failures import of_system

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
LONGEST = 64 * 1024
"""Bytes of one value, in UTF-8."""

MOST = 256
"""Secrets in one file."""

FILE, KEY_FILE, GIVEN_KEY = "secrets.sealed", "secrets.key", "bridle-secrets"
GIVEN_IN = "CREDENTIALS_DIRECTORY"

_MAGIC = b"bridle-secrets-1\n"
_MAC_BYTES = 32
_MOST_BYTES = MOST * (LONGEST + 1_024)

_Entries = dict[str, bytes]
_encode = msgspec.msgpack.Encoder(order="sorted").encode
_decode = msgspec.msgpack.Decoder(_Entries).decode


class SealedFile:
    """Named secrets in one file. Safe for use by many threads of one process.

    `key` has 32 bytes; where it is a function, it is asked when it is first needed.
    """

    def __init__(self, path: Path, key: bytes | Callable[[], bytes]) -> None:
        self.path = path
        self._key = key
        self._lock = threading.Lock()
        self._sealer: Sealer | None = None
        self._mac_key = b""

    def get(self, name: str) -> str:
        """Return a secret. Raises `BrokerError` (`secret_missing`, `secrets_unreadable`)."""
        with self._lock:
            blob = self._read().get(name)
            if blob is None:
                raise BrokerError(
                    f"nobody has sealed the secret {name[:64]!r}",
                    code="secret_missing",
                    hint="an operator does: `bridle secrets set NAME`",
                )
            return self._opened(name, blob)

    def set(self, name: str, value: str) -> bool:
        """Seal a secret, durably; return whether there was one of that name.

        Raises `UsageError` for what cannot be one, `StoreError` where it cannot be written.
        """
        check(name, value)
        with self._lock:
            entries = self._read()
            if name not in entries and len(entries) >= MOST:
                raise UsageError(f"there are {MOST} secrets already", hint="remove some first")
            sealer, _ = self._keys()
            known = name in entries
            sealed = sealer.seal_bytes(value.encode(), _bound(name), os.urandom(NONCE_BYTES))
            self._write({**entries, name: sealed})
            return known

    def remove(self, name: str) -> bool:
        """Forget a secret; return whether there was one. Raises as `set`."""
        with self._lock:
            entries = self._read()
            if name not in entries:
                return False
            self._write({known: blob for known, blob in entries.items() if known != name})
            return True

    def names(self) -> tuple[str, ...]:
        """Return the names of all secrets, sorted. Raises `BrokerError`."""
        with self._lock:
            return tuple(sorted(self._read()))

    def seal(self, value: bytes, context: str) -> bytes:
        """Encrypt what lies elsewhere with the key of secrets, bound to `context`: what it is.

        Raises `BrokerError` (`secrets_unreadable`) where the key cannot be used.
        """
        with self._lock:
            return self._own_sealer().seal_bytes(value, _about(context), os.urandom(NONCE_BYTES))

    def open(self, blob: bytes, context: str) -> bytes:
        """Decrypt what `seal` made for the same context. Raises as it does."""
        with self._lock, suppress(LedgerError):
            return self._own_sealer().open_bytes(blob, _about(context))
        raise _unreadable("what was sealed with its key does not open")

    def _own_sealer(self) -> Sealer:
        try:
            return self._keys()[0]
        except StoreError as problem:
            raise _unreadable(f"its key cannot be used ({problem.code})") from None

    def _keys(self) -> tuple[Sealer, bytes]:
        if self._sealer is None:
            key = self._key if isinstance(self._key, bytes) else self._key()
            self._sealer = Sealer(key)
            self._mac_key = hmac.digest(key, b"bridle secrets file", "sha256")
        return self._sealer, self._mac_key

    def _opened(self, name: str, blob: bytes) -> str:
        sealer, _ = self._keys()
        # No error of the decoder may be about: it carries what it could not decode.
        with suppress(LedgerError, UnicodeDecodeError):
            return sealer.open_bytes(blob, _bound(name)).decode()
        raise _unreadable("one does not open")

    def _read(self) -> _Entries:
        data = self._bytes()
        if data is None:
            return {}
        body = data[len(_MAGIC) + _MAC_BYTES :]
        if not data.startswith(_MAGIC) or len(data) < len(_MAGIC) + _MAC_BYTES:
            raise _unreadable("it is no file of secrets")
        mac = data[len(_MAGIC) : len(_MAGIC) + _MAC_BYTES]
        # INVARIANT: nothing in the file is looked at before the whole of it proves to be ours.
        if not hmac.compare_digest(mac, self._mac(body)):
            raise _unreadable("it was changed, or sealed with another key")
        try:
            return _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise _unreadable("it is no file of secrets") from None

    def _bytes(self) -> bytes | None:
        try:
            return read_plain(self.path, _MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise _unreadable(problem.strerror or "it cannot be read") from None

    def _write(self, entries: _Entries) -> None:
        body = _encode(entries)
        try:
            folders.replace(self.path, _MAGIC + self._mac(body) + body)
        except OSError as problem:
            raise of_system(problem, self.path) from None

    def _mac(self, body: bytes) -> bytes:
        try:
            _, key = self._keys()
        except StoreError as problem:
            raise _unreadable(f"its key cannot be used ({problem.code})") from None
        return hmac.digest(key, _MAGIC + body, "sha256")


def kept_in(folder: Path, environ: Mapping[str, str] = os.environ) -> SealedFile:
    """Return the sealed secrets of the store whose keys lie in `folder`.

    Their key is the one that systemd hands to the service (`LoadCredential=bridle-secrets`), else a
    file beside them that is made on first use.
    """

    def key() -> bytes:
        given = environ.get(GIVEN_IN, "")
        if given:
            with suppress(FileNotFoundError):
                return _given_key(Path(given) / GIVEN_KEY)
        return _kept_key(folder)

    return SealedFile(folder / FILE, key)


def _kept_key(folder: Path) -> bytes:
    """Read the key beside the secrets; none is made where some were sealed with another."""
    path = folder / KEY_FILE
    if not (folder / FILE).exists():
        return keys.load_or_create(path)
    try:
        return keys.load(path)
    except FileNotFoundError:
        raise StoreError(f"there is no key {path}", code="key_invalid") from None


def check(name: str, value: str | None) -> None:
    """Raise `UsageError` for what is no name, or (unless None) no value of a secret."""
    if not NAME.fullmatch(name):
        raise UsageError(
            "this is no name of a secret",
            hint="1 to 64 letters a-z, digits and `. _ -`, a letter or digit first",
        )
    if value is None:
        return
    size = 0
    with suppress(UnicodeEncodeError):
        size = len(value.encode())
    # What it is is never said: not its length either.
    if not 0 < size <= LONGEST or "\0" in value:
        raise UsageError(f"a secret is 1 to {LONGEST} bytes of UTF-8 text without NUL")


def read_plain(path: Path, most: int) -> bytes:
    """Return the bytes of a plain file, not through a link. Raises `OSError`, also if too long."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no plain file")
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(0, "it is too long")
    return data


def _given_key(path: Path) -> bytes:
    """Read the key that the service manager hands over: its folder is for this service alone."""
    try:
        key = read_plain(path, KEY_BYTES)
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise StoreError(f"{path}: {problem.strerror}", code="key_invalid") from None
    if len(key) != KEY_BYTES:
        raise StoreError(
            f"{path} holds no key of {KEY_BYTES} bytes",
            code="key_invalid",
            hint="`head -c 32 /dev/urandom` makes one; systemd-creds encrypts it",
        )
    return key


def _bound(name: str) -> bytes:
    return b"bridle secret\n" + name.encode()


def _about(context: str) -> bytes:
    return b"bridle sealed\n" + context.encode()


def _unreadable(why: str) -> BrokerError:
    return BrokerError(
        f"the sealed secrets cannot be used: {why}",
        code="secrets_unreadable",
        hint="restore secrets.sealed and its key from a backup, or move it away and set them anew",
    )
