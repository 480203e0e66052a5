"""Where key files lie: found by fingerprint or name, written whole, refused when others can read.

`$BRIDLE_KEYS`, or else `$XDG_CONFIG_HOME/bridle/keys` (default `~/.config`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from bridle.model import public_key
from bridle.trust import keyfile
from bridle.trust.credential import Credential
from bridle.trust.errors import KeyFileError
from bridle.trust.keyfile import KeyFile

_NEW = "`bridle operator new-key` makes one, `bridle operator show` lists those there are"


class Found(Struct, frozen=True):
    """A key file and where it lies."""

    path: Path
    file: KeyFile

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the public key."""
        return public_key.fingerprint(self.file.public)


def place(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of this user's key files, which need not be there yet."""
    if named := environ.get("BRIDLE_KEYS", ""):
        return Path(named).absolute()
    base = environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification: a relative path is invalid and ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".config"
    return root / "bridle" / "keys"


def write(credential: Credential, passphrase: str, *, folder: Path | None = None) -> Path:
    """Seal a credential into a new file and return its path. Never replaces one.

    Raises `UsageError` (`passphrase_short`), `KeyFileError` (`key_exposed`, `key_unwritable`).
    """
    where = folder or place()
    data = keyfile.seal(credential, passphrase)
    path = where / f"{credential.name}-{credential.fingerprint[:8]}.json"
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        _assert_ours(where, where.lstat(), writable=True)
        _write(path, data)
    except OSError as problem:
        raise KeyFileError(
            f"{path} cannot be written: {problem.strerror}", code="key_unwritable"
        ) from problem
    return path


def read(path: Path) -> Found:
    """Read one key file. Raises `KeyFileError`: `key_missing`, `key_exposed`, `key_invalid`."""
    return Found(path, keyfile.parse(read_private(path, keyfile.MAX_BYTES + 1)))


def read_private(path: Path, most: int) -> bytes:
    """Return at most so many bytes of a plain file that nobody else can read.

    Raises `KeyFileError`: `key_missing`, `key_exposed`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as problem:
        raise KeyFileError(
            f"{path} cannot be read: {problem.strerror}", code="key_missing", hint=_NEW
        ) from problem
    try:
        _assert_ours(path, os.fstat(descriptor))
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def every(folder: Path | None = None) -> Iterator[Found]:
    """Yield the key files there are. Whatever is none, or not only ours to read, is passed over."""
    where = folder or place()
    paths: list[Path] = []
    with suppress(OSError):
        paths = sorted(path for path in where.iterdir() if path.suffix == ".json")
    for path in paths:
        with suppress(KeyFileError):
            yield read(path)


def by_fingerprint(*fingerprints: str, folder: Path | None = None) -> Found:
    """Return the file of the first of these keys (fingerprints, hex) that there is one of.

    Raises `KeyFileError` where there is none.
    """
    files = {found.fingerprint: found for found in every(folder)}
    for fingerprint in fingerprints:
        if fingerprint in files:
            return files[fingerprint]
    raise KeyFileError(
        f"the key {' or '.join(each[:16] for each in fingerprints)} is not in {folder or place()}",
        code="key_missing",
        hint="it lies with the human it belongs to; BRIDLE_KEYS names another folder",
    )


def by_name(name: str, *, folder: Path | None = None) -> Found:
    """Return the only key file of a user or workload. Raises `KeyFileError`."""
    mine = [found for found in every(folder) if found.file.name == name]
    if not mine:
        raise KeyFileError(
            f"there is no key of {name!r} in {folder or place()}", code="key_missing", hint=_NEW
        )
    if len(mine) > 1:
        raise KeyFileError(
            f"there are {len(mine)} keys of {name!r}",
            code="key_ambiguous",
            hint="name the file: " + ", ".join(str(each.path) for each in mine),
        )
    return mine[0]


def _assert_ours(path: Path, status: os.stat_result, *, writable: bool = False) -> None:
    plain = stat.S_ISDIR if writable else stat.S_ISREG
    # A folder of keys may be listed by others, but nobody else may put a key there.
    shut = 0o022 if writable else 0o077
    if not plain(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & shut:
        raise KeyFileError(
            f"{path} is not this user's alone: mode {stat.S_IMODE(status.st_mode):04o},"
            f" owner {status.st_uid}",
            code="key_exposed",
            hint="if nobody else had access, chmod go-rwx it; otherwise make a new key",
        )


def _write(path: Path, data: bytes) -> None:
    """Make the file whole or not at all, and never in place of another."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(draft, flags, 0o600), "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
