"""What judging needs of a history: a way to ask it, and the leaves to ask for. It keeps nothing.

Who keeps a history (the governor) implements `History`. An answer that cannot be given is a
denial, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import Event, Read
from bridle.language.policy import Policy
from bridle.model.errors import BridleError
from bridle.model.reason import ReasonCode

Names: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of leaves by history scope."""


class UnknownHistoryError(BridleError):
    """What happened cannot be told: the case is denied with `reason`. `message` may be shown."""

    def __init__(self, reason: ReasonCode, text: str) -> None:
        super().__init__(text, code=reason.value)
        self.reason = reason


class History(Protocol):
    """The partitions of one decision: of its mission, its user, each of its agents, the tenant."""

    @property
    def atoms(self) -> Atomiser:
        """Return what turns values into the atoms that this history holds."""
        ...

    def ask(
        self, scope: str, agent: str, names: tuple[str, ...], event: Event, read: Read
    ) -> Mapping[str, bool]:
        """Return the truth of each leaf as if `event` had just happened. It leaves no trace.

        `agent` says whose partition where `scope` is `agent`; at the end of a mission it is empty.
        `read` reads the deciding request as the party that is being judged. Raises
        `UnknownHistoryError` where the history does not reach back far enough.
        """
        ...


class Wanted(Struct, frozen=True):
    """The leaves of one slice: those that enforced policies need, and those of shadow ones alone.

    Where the latter cannot be answered nothing is denied: the shadow policy fails, on record.
    """

    needed: Names = ()
    tried: Names = ()


NOTHING_WANTED = Wanted()


def wanted(enforced: Iterable[Policy], shadow: Iterable[Policy]) -> Wanted:
    """Return what has to be asked before these policies can be evaluated."""
    needed = _names(enforced)
    tried = _names(shadow) - needed
    if not needed and not tried:
        return NOTHING_WANTED
    return Wanted(_by_scope(needed), _by_scope(tried))


def _names(policies: Iterable[Policy]) -> set[tuple[str, str]]:
    return {(leaf.scope, leaf.name) for policy in policies for leaf in policy.leaves}


def _by_scope(names: set[tuple[str, str]]) -> Names:
    scopes = sorted({scope for scope, _ in names})
    return tuple((s, tuple(sorted(n for scope, n in names if scope == s))) for s in scopes)
