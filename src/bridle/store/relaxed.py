"""The promise of relaxed writes: committed at once, synced within the stated milliseconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bridle.model.errors import StoreError


class SyncTimer:
    """Calls `sync` at most `delay_ms` after the first commit that did not wait for the disk.

    Its thread starts with the first such commit. When `sync` fails it is tried again; until it
    succeeds `overdue` holds, and the store treats every write as strict.
    """

    def __init__(self, sync: Callable[[], None], delay_ms: int) -> None:
        self._sync = sync
        self._delay = delay_ms / 1000
        self._changed = threading.Condition()
        self._since: float | None = None
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> bool:
        """Whether a commit has not been synced yet."""
        return self._since is not None

    def overdue(self) -> bool:
        """Whether the oldest commit that was not synced is past its time."""
        since = self._since
        return since is not None and time.monotonic() - since >= self._delay

    def unsynced(self) -> None:
        """Note a commit that did not wait for the disk."""
        if self._since is not None:
            return
        with self._changed:
            self._since = time.monotonic()
            if self._thread is None and not self._stopped:
                thread = threading.Thread(target=self._run, name="bridle-store-sync", daemon=True)
                thread.start()
                self._thread = thread
            self._changed.notify()

    def synced(self) -> None:
        """Note a commit that did: it covers all before it."""
        self._since = None

    def stop(self) -> None:
        """End the thread; what is pending stays so."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        failed = False
        while self._wait(failed=failed):
            try:
                self._sync()
                failed = False
            except StoreError:
                failed = True

    def _wait(self, *, failed: bool) -> bool:
        """Wait until a sync is due; False once stopped. After a failure wait a whole delay."""
        with self._changed:
            if failed and not self._stopped:
                self._changed.wait(self._delay)
            while not self._stopped:
                since = self._since
                left = None if since is None else since + self._delay - time.monotonic()
                if left is not None and left <= 0:
                    return True
                self._changed.wait(left)
        return False
