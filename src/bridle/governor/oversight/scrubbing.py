"""Sees to it that the store's files keep no older copy of what was erased, now or later."""

from __future__ import annotations

import logging

from bridle.model.errors import StoreError
from bridle.store.base import Store

_log = logging.getLogger("bridle.governor")


class Scrubber:
    """Scrubs a store; what a reader or a full disk keeps from being done is tried again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._due = self._begun = False

    def scrub(self) -> bool:
        """Scrub after an erasure was committed. Returns whether no older copy is left."""
        self._begun = False
        return self._scrub()

    def later(self) -> bool:
        """Have the next `retry` scrub. Returns False: nothing was done yet."""
        self._due, self._begun = True, False
        return False

    def retry(self) -> None:
        """Do, or go on with, what is due."""
        if self._due:
            self._scrub()

    def _scrub(self) -> bool:
        again, self._begun = self._begun, True
        try:
            self._due = not self._store.scrub(again=again)
        except StoreError as problem:
            _log.warning("what was erased is not yet gone from the store's files: %s", problem)
            self._due, self._begun = True, again
        return not self._due
