"""Asks the history about one form of an action, for one judged party after the other.

The request being judged is part of the history it is asked about, as the language has it; so it is
put as an event of its own each time, and never added here.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bridle.engine.case import Case, Typed
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.history import History, UnknownHistoryError, Wanted
from bridle.engine.temporal.occurrence import Occurrences
from bridle.model.event import EventKind
from bridle.model.reason import ReasonCode

_TRUTHS: frozenset[type] = frozenset((bool,))
NO_HISTORY = "the history that a policy looks back on is not at hand"


class View(Struct, frozen=True):
    """What a history is asked with: whose partition, the request as an event, and its parts."""

    agent: str
    event: Event
    read: Read


class Recall:
    """What one form of an action makes of its history. Nothing happens until somebody asks."""

    __slots__ = ("_case", "_event", "_facts", "_occurrences", "_typed")

    def __init__(self, occurrences: Occurrences, case: Case, typed: Typed, facts: Any) -> None:
        self._occurrences = occurrences
        self._case = case
        self._typed = typed
        self._facts = facts
        self._event: Event | None = None

    def truths(self, agent: str, leaves: Wanted) -> dict[str, bool]:
        """Return the truths of `leaves` for one party.

        Raises `UnknownHistoryError` where an enforced policy's leaf cannot be answered. What only
        shadow policies look at is then left out, so that their evaluation fails.
        """
        history = self._case.history
        if history is None:
            return nothing_known(leaves)
        if self._event is None:
            self._event = self._occurrences.event(
                self._case, EventKind.REQUEST, history.atoms, typed=self._typed
            )
        read = self._occurrences.read(
            self._case, agent, self._typed.value, self._facts, history.atoms
        )
        return told(history, leaves, View(agent, self._event, read))


def nothing_known(leaves: Wanted) -> dict[str, bool]:
    """Answer without a history: a denial where an enforced policy needs one."""
    # INVARIANT: I2. A condition that cannot be judged denies; it never counts as false.
    if leaves.needed:
        raise UnknownHistoryError(ReasonCode.HISTORY_INCOMPLETE, NO_HISTORY)
    return {}


def told(history: History, leaves: Wanted, view: View) -> dict[str, bool]:
    """Ask for all of `leaves`, scope by scope."""
    truths: dict[str, bool] = {}
    for scope, names in leaves.needed:
        truths.update(_asked(history, scope, names, view))
    for scope, names in leaves.tried:
        try:
            truths.update(_asked(history, scope, names, view))
        except Exception:  # noqa: S112 - the shadow policy fails for want of it, on record
            continue
    return truths


def _asked(history: History, scope: str, names: tuple[str, ...], view: View) -> dict[str, bool]:
    answer = history.ask(scope, view.agent, names, view.event, view.read)
    found = {name: answer[name] for name in names}
    # INVARIANT: I2. Only the two truths are answers.
    if not _TRUTHS.issuperset(map(type, found.values())):
        raise UnknownHistoryError(ReasonCode.HISTORY_INCOMPLETE, NO_HISTORY)
    return found
