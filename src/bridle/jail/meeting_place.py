"""The folder outside a jail in which its socket lies: locked while its run lives, cleared after.

A run that was killed leaves its folder behind. Whoever makes one takes away what is left of such
runs of the same user: those whose lock nobody holds any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "bridle-run-"
_LOCK = "lock"
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class MeetingPlace:
    """A new folder in the temporary one, that nobody else can list. `close` takes it away."""

    def __init__(self) -> None:
        _clear()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        made = self.folder / "made"
        self._lock = os.open(made, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        # Held before it can be found: else another run would take this folder for a dead one's.
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        made.rename(self.folder / _LOCK)

    def close(self) -> None:
        """Take the folder away, and then the lock. Once."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _clear() -> None:
    for folder in _ours():
        # One without a lock is being made at this moment, or is none of ours.
        with contextlib.suppress(OSError):
            lock = os.open(folder / _LOCK, _FLAGS)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _ours() -> Iterator[Path]:
    """Yield the folders of this user's runs. The temporary folder is everybody's."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                yield folder
