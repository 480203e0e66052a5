"""Key files: made once with the system's randomness, readable by their owner alone."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from bridle.model.errors import StoreError
from bridle.store import folders
from bridle.store.failures import of_system
from bridle.store.sqlite.opening import assert_private

KEY_BYTES = 32


def load_or_create(path: Path) -> bytes:
    """Return the key at `path`, 32 bytes, making it where there is none.

    Two processes that make it at once get the same key. Raises `StoreError`: `key_exposed` when
    others may read it or it is not ours, `key_invalid` when it is no key, else as a store does.
    """
    assert_private(path.parent)
    with suppress(FileNotFoundError):
        key = load(path)
        # Whoever made it may have died before its name was durable.
        _sync_name(path)
        return key
    keep(path, os.urandom(KEY_BYTES))
    return load(path)


def keep(path: Path, key: bytes) -> None:
    """Make the file of a key, durably; one that is there already stays. Raises `StoreError`."""
    assert_private(path.parent)
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        _write(draft, key)
        # A link fails where the name exists: whoever comes first has made the key.
        with suppress(FileExistsError):
            os.link(draft, path)
    except OSError as problem:
        raise of_system(problem, path) from problem
    finally:
        draft.unlink(missing_ok=True)
    _sync_name(path)


def _sync_name(path: Path) -> None:
    try:
        folders.sync(path.parent)
    except OSError as problem:
        raise of_system(problem, path) from problem


def load(path: Path) -> bytes:
    """Return the key at `path`. Raises `FileNotFoundError`, and `StoreError` as above."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise _exposed(path, f"it cannot be opened: {problem.strerror}") from problem
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _exposed(path, "it is no plain file")
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise _exposed(path, f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}")
        key = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(key) != KEY_BYTES:
        raise StoreError(
            f"{path} holds no key of {KEY_BYTES} bytes",
            code="key_invalid",
            hint="Restore it from a backup: without it sealed payloads stay shut.",
        )
    return key


def _exposed(path: Path, why: str) -> StoreError:
    return StoreError(
        f"the key {path} may be known to others: {why}",
        code="key_exposed",
        hint="If nobody else had access, chmod 0600 it; otherwise start a new store.",
    )


def _write(path: Path, key: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
