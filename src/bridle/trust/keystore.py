"""Key stores: where private keys of identities lie, and what signs with them.

One interface, so that keys may lie in a token (PKCS#11) or a service (KMS) that never gives them
out; here the one of files. What a key is good for is said by agents.toml and the governor's rows.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta, Struct

from bridle.model import public_key
from bridle.model.errors import UsageError
from bridle.trust import folder as key_folder
from bridle.trust.errors import KeyFileError

_SEED_BYTES = 32
_MAX_BYTES = 4_096
_SUFFIX = ".key"


class Signer(Protocol):
    """Signs with one private key, wherever it lies. `public` is the public key as text."""

    @property
    def public(self) -> str:
        """`ed25519:` and base64."""
        ...

    def sign(self, data: bytes, /) -> bytes:
        """Return the Ed25519 signature (RFC 8032, 64 bytes) of `data`."""
        ...


class KeyInfo(Struct, frozen=True):
    """A key that lies in a store: whose it is (`kind`, `name`) and its public half."""

    kind: str
    name: str
    public: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the public key."""
        return public_key.fingerprint(self.public)


class KeyStore(Protocol):
    """Makes keys and signs with them; none of its answers holds a private key.

    Every method raises `KeyFileError` where the store does not do what was asked (`key_missing` for
    a key that is not there).
    """

    def generate(self, kind: str, name: str) -> str:
        """Make a key for an identity and return its public half. It is kept before this returns."""
        ...

    def signer(self, public: str) -> Signer:
        """Return what signs with a key."""
        ...

    def list(self) -> tuple[KeyInfo, ...]:
        """Return all keys there are, by kind and name."""
        ...

    def delete(self, public: str) -> None:
        """Forget a private key. What it has signed stays as valid as before."""
        ...


class _Stored(Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    kind: Literal["governor", "user", "agent", "workload"]
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    public: str
    seed: str


_DECODER = msgspec.json.Decoder(_Stored)


class FileKeyStore:
    """Keys in files of one folder, for processes that nobody types a passphrase for.

    The folder is this user's alone (0700), and each file (0600), whatever the umask; anything more
    open is refused, and so is what a symbolic link leads to. Files are not encrypted: whoever can
    read as this user has the keys. Humans' keys lie sealed (`bridle.trust.folder`).
    """

    def __init__(self, folder: Path) -> None:
        """Keep keys in `folder`, which is made when the first key is."""
        self._folder = folder

    def generate(self, kind: str, name: str) -> str:
        """Make a key for an identity and return its public half. It is kept before this returns.

        Raises `KeyFileError` (`key_exposed`, `key_unwritable`), `UsageError` (`key_invalid`) for a
        kind that is not `governor`, `user`, `agent` or `workload`, or a name that is too long.
        """
        private = Ed25519PrivateKey.generate()
        public = public_key.written(private.public_key().public_bytes_raw())
        seed = base64.b64encode(private.private_bytes_raw()).decode()
        entry = {"format": 1, "kind": kind, "name": name, "public": public, "seed": seed}
        try:
            data = msgspec.json.encode(msgspec.convert(entry, _Stored))
        except (msgspec.ValidationError, UnicodeError):
            raise UsageError(
                "a key is of a governor, user, agent or workload with a name", code="key_invalid"
            ) from None
        self._write(self._path(public), data)
        return public

    def signer(self, public: str) -> Signer:
        """Return what signs with a key.

        Raises `KeyFileError`: `key_missing`, `key_exposed`, `key_invalid`.
        """
        self._assert_shut()
        return _FileSigner(*_opened(_read(self._path(public)), public))

    def list(self) -> tuple[KeyInfo, ...]:
        """Return all keys there are, by kind and name.

        Raises `KeyFileError` (`key_exposed`, `key_invalid`) where one of the files is not as it was
        written: a key that nobody knows of may not stay unseen.
        """
        if not self._folder.exists():
            return ()
        self._assert_shut()
        found = [_read(path) for path in sorted(self._folder.glob(f"*{_SUFFIX}"))]
        infos = [KeyInfo(each.kind, each.name, each.public) for each in found]
        return tuple(sorted(infos, key=lambda each: (each.kind, each.name, each.public)))

    def delete(self, public: str) -> None:
        """Forget a private key: its file is unlinked; what the disk keeps of it, is not wiped.

        Raises `KeyFileError` (`key_missing`, `key_unwritable`).
        """
        path = self._path(public)
        self._assert_shut()
        try:
            path.unlink()
            _sync(self._folder)
        except FileNotFoundError:
            raise _missing(public) from None
        except OSError as problem:
            raise KeyFileError(
                f"{path} cannot be removed: {problem.strerror}", code="key_unwritable"
            ) from problem

    def __repr__(self) -> str:
        return f"FileKeyStore({str(self._folder)!r})"

    def _path(self, public: str) -> Path:
        return self._folder / f"{public_key.fingerprint(public)[:32]}{_SUFFIX}"

    def _assert_shut(self) -> None:
        try:
            status = self._folder.lstat()
        except OSError as problem:
            raise KeyFileError(
                f"{self._folder} cannot be read: {problem.strerror}", code="key_missing"
            ) from problem
        alone = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if not alone or status.st_mode & 0o077:
            raise KeyFileError(
                f"{self._folder} is not this user's alone: mode {stat.S_IMODE(status.st_mode):04o}",
                code="key_exposed",
                hint="if nobody else had access, chmod go-rwx it; otherwise make new keys",
            )

    def _write(self, path: Path, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._assert_shut()
            with open(os.open(draft, flags, 0o600), "wb") as file:  # noqa: PTH123
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
            draft.unlink()
            _sync(self._folder)
        except OSError as problem:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise KeyFileError(
                f"{path} cannot be written: {problem.strerror}", code="key_unwritable"
            ) from problem


class _FileSigner:
    """A key that was read from a file: it stays in this process, and does not print."""

    __slots__ = ("_private", "public")

    def __init__(self, public: str, private: Ed25519PrivateKey) -> None:
        self.public = public
        self._private = private

    def sign(self, data: bytes, /) -> bytes:
        return self._private.sign(data)

    def __repr__(self) -> str:
        return "<bridle.Signer>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        del protocol
        raise UsageError("a key stays in the process that opened it", code="key_exposed")


def _read(path: Path) -> _Stored:
    data = key_folder.read_private(path, _MAX_BYTES + 1)
    try:
        if len(data) > _MAX_BYTES:
            raise KeyFileError(f"{path} is no key file: it is too large")
        found = _DECODER.decode(data)
        public_key.parse(found.public)
    except (msgspec.MsgspecError, UsageError, ValueError, RecursionError):
        # What is wrong with it is said without what it holds.
        raise KeyFileError(f"{path} is no key file of this release") from None
    return found


def _opened(found: _Stored, public: str) -> tuple[str, Ed25519PrivateKey]:
    try:
        seed = base64.b64decode(found.seed, validate=True)
    except (binascii.Error, ValueError):
        seed = b""
    if len(seed) == _SEED_BYTES:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        if public_key.written(private.public_key().public_bytes_raw()) == public == found.public:
            return public, private
    raise KeyFileError("the private half of this key does not belong to the public one")


def _missing(public: str) -> KeyFileError:
    return KeyFileError(
        f"the key {public_key.fingerprint(public)[:16]} is not in this store", code="key_missing"
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
