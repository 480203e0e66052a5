"""Counts what a jail's agent was answered. One job: the line at the end of a run."""

from __future__ import annotations

import threading
from collections import Counter

from bridle.model.verdict import Effect


class Tally:
    """Verdicts by effect. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, effect: str) -> None:
        """Note one verdict."""
        with self._lock:
            self._counts[effect] += 1

    def totals(self) -> dict[str, int]:
        """Return how many there were of each effect."""
        with self._lock:
            return {effect.value: self._counts[effect.value] for effect in Effect}
