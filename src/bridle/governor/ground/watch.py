"""Notices that the bundle on disk is no longer the one a human activated.

Decisions never read policy from disk: they use the activated bytes kept in the store. What lies
on disk only matters in that a difference stops decisions (`bundle_changed`) until a human has
activated it or put it back.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from bridle.bundle import folder
from bridle.bundle.load import digest_of
from bridle.bundle.parse.table import Findings

_EVERY_S = 0.25

Signature = tuple[tuple[str, int, int, int, int], ...]


class DiskWatch:
    """Compares the folder with the active digest, at most four times a second."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._next = 0.0
        self._seen: Signature | None = None
        self._digest = ""

    def differs(self, active: str) -> bool:
        """Whether the folder holds anything but this bundle. Unreadable counts as different."""
        with self._lock:
            if time.monotonic() >= self._next:
                self._look()
                self._next = time.monotonic() + _EVERY_S
            return self._digest != active

    def digest(self) -> str:
        """The digest of what lies on disk now (empty if it cannot be read)."""
        with self._lock:
            self._seen = None
            self._look()
            return self._digest

    def _look(self) -> None:
        try:
            signature = _signature(self._root)
            if signature != self._seen:
                self._digest = _digest(self._root)
                self._seen = signature
        except Exception:
            # INVARIANT: I2 — a folder that cannot be looked at is not the one that was activated.
            self._seen, self._digest = None, ""


def _digest(root: Path) -> str:
    findings = Findings()
    files = folder.read(root, findings)
    return "" if findings.broken else digest_of(files)


def _signature(root: Path) -> Signature:
    """What changes whenever a file does. Hidden files are no part of a bundle."""
    found: list[tuple[str, int, int, int, int]] = []
    for place, names, files in os.walk(root, onerror=_unreadable):
        names[:] = sorted(n for n in names if not n.startswith("."))
        for name in sorted(n for n in files if not n.startswith(".")):
            path = f"{place}/{name}"
            state = os.stat(path)  # noqa: PTH116 (a Path for each file would double the cost)
            times = (state.st_mtime_ns, state.st_ctime_ns)
            found.append((path, *times, state.st_size, state.st_ino))
    return tuple(found)


def _unreadable(problem: OSError) -> None:
    raise problem
