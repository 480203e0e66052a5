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
        self._due = False

    def scrub(self) -> bool:
        """Scrub after an erasure was committed. Returns whether no older copy is left."""
        return self._scrub(again=False)

    def retry(self) -> None:
        """Go on where something was left."""
        if self._due:
            self._scrub(again=True)

    def _scrub(self, *, again: bool) -> bool:
        try:
            self._due = not self._store.scrub(again=again)
        except StoreError as problem:
            _log.warning("what was erased is not yet gone from the store's files: %s", problem)
            self._due = True
        return not self._due
