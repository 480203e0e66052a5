"""What the evaluators of conditions over history work on: atoms, events, and reads of a request.

An atom stands for a value so that two are equal exactly when Dogwood says the values are. Integers
stand for themselves; everything else is a tagged string, under a keyed digest where the history is
kept, so that no text of an argument is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

Atom: TypeAlias = int | str
"""`5`, or a tagged string. Never a `bool`: Python holds `True == 1`."""

Path: TypeAlias = tuple[str, ...]

Read: TypeAlias = Callable[[Path], Atom | None]
"""Reads the deciding request: (`context`, `input`, `user`), (`principal`,), (`principal`, `team`).

None where there is nothing; whatever mentions it is then false.
"""

ActionName: TypeAlias = tuple[str, str]
"""Namespace joined by `::` (it ends in `Action`), and the action's own name."""


class Event(Struct, frozen=True):
    """One entry of a history.

    `time` is in milliseconds; `fields` are the logged leaves by dotted path. `mission` is whose
    share of a partition the event takes up (empty where nobody counts).
    """

    time: int
    action: ActionName
    kind: str
    fields: dict[str, Atom]
    mission: str = ""
