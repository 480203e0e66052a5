"""Grants as the store keeps them: rows and the sealed links in them, and chains read back.

A link's signature, form and place say the same for ever, so a chain that was verified once is
remembered. Whether it still holds is asked each time (`authority`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from bridle.governor.delegation import lineage, roots
from bridle.model.errors import BridleError
from bridle.store.rows import GrantRow
from bridle.trust.grants import chain as chains
from bridle.trust.grants.chain import Chain, Link
from bridle.trust.grants.claims import Claims
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.verify import Verifier

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

OFFERED, ACTIVE, DISPATCHED, ENDED = "offered", "active", "dispatched", "ended"

IN_FORCE = (OFFERED, ACTIVE, DISPATCHED)
"""States of grants that have not ended."""

_REMEMBERED = 4_096


class Cleared(Struct, frozen=True):
    """A chain of which nothing was revoked at this epoch. `until` is when its root key ends (0)."""

    epoch: int
    until: int


class Chains:
    """Chains that a governor has verified, and the epoch at which each was found in order.

    Bounded: what was not asked for longest is forgotten, and verified anew. Safe for threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verified: OrderedDict[str, Chain] = OrderedDict()
        self._cleared: dict[str, Cleared] = {}

    def get(self, leaf: str) -> Chain | None:
        """Return the verified chain of a leaf, if it is remembered."""
        with self._lock:
            found = self._verified.get(leaf)
            if found is not None:
                self._verified.move_to_end(leaf)
            return found

    def put(self, chain: Chain) -> None:
        """Remember a chain that was verified."""
        with self._lock:
            self._verified[chain.digest] = chain
            while len(self._verified) > _REMEMBERED:
                gone, _ = self._verified.popitem(last=False)
                self._cleared.pop(gone, None)

    def forget(self, grant: str) -> None:
        """Forget a grant that was erased, and every chain that it is part of."""
        with self._lock:
            held = [leaf for leaf, chain in self._verified.items() if grant in chain.digests]
            for leaf in held:
                del self._verified[leaf]
                self._cleared.pop(leaf, None)

    def cleared(self, leaf: str) -> Cleared | None:
        """Return when a chain was last found in order."""
        return self._cleared.get(leaf)

    def settle(self, found: Mapping[str, Cleared]) -> None:
        """Remember what a turn found in order, once it was committed."""
        # INVARIANT: I4 — an epoch that was never committed comes again with another revocation:
        # what was found under it must not be known by its number.
        with self._lock:
            for leaf, each in found.items():
                if leaf in self._verified:
                    self._cleared[leaf] = each


def put(  # noqa: PLR0913 - each by name
    turn: Turn,
    link: Link,
    *,
    state: str,
    chain: Chain,
    certified: str = "",
    executor: str = "",
    workload: str = "",
) -> GrantRow:
    """Keep a link, sealed under its mission's key. `chain` ends with it.

    `certified` is the fingerprint of the agent's key that vouches for the holder's, `executor` the
    workload of whoever offers it, `workload` the one that it is dispatched to.
    """
    claims = link.claims
    row = GrantRow(
        id=link.digest,
        mission=claims.mis,
        parent=claims.par_hash,
        agent=claims.agent,
        key=link.fingerprint,
        state=state,
        depth=claims.del_depth,
        issued=claims.iat * 1_000,
        expires=claims.exp * 1_000,
        sealed=turn.vault.seal(claims.mis, link.text.encode(), _context(link.digest)),
        line=chain.line,
        tools=sorted({name for detail in claims.authorization_details for name in detail.tools}),
        task=claims.task,
        certified=certified,
        executor=executor,
        workload=workload,
        epoch=turn.globals.epoch,
    )
    turn.tx.put(row)
    turn.core.chains.put(chain)
    return row


def chain_of(turn: Turn, leaf: str) -> Chain:
    """Return the verified chain that ends with a grant. Raises `GrantError`."""
    known = turn.core.chains.get(leaf)
    if known is not None:
        return known
    texts = tuple(_text(turn, row) for row in path(turn, leaf))
    chain = verifier(turn).chain(texts, now_s(turn))
    if chain.digest != leaf:
        raise GrantError(GrantCode.MALFORMED, "the grant is not the one that it is kept as")
    turn.core.chains.put(chain)
    return chain


def verifier(turn: Turn) -> Verifier:
    """Return what verifies chains in this turn: with the roots in force at its moment."""
    return Verifier(roots.trusted(turn))


def now_s(turn: Turn) -> int:
    """Return the turn's moment as grants have it, in seconds."""
    return turn.now // 1_000


def path(turn: Turn, leaf: str) -> tuple[GrantRow, ...]:
    """Return the rows of a chain, root first. Raises `GrantError` where one is missing."""
    found = lineage.chain(turn, leaf)
    if not found:
        raise GrantError(GrantCode.MALFORMED, "a grant of this chain is not known here")
    return found


def trail(turn: Turn, leaf: str) -> str:
    """Return how records name a chain: 16 digits of each digest, root first, joined by `>`."""
    known = turn.core.chains.get(leaf)
    if known is not None:
        return known.trail
    found = lineage.chain(turn, leaf)
    return lineage.ARROW.join(row.id[:16] for row in found) or leaf[:16]


def claims_of(turn: Turn, row: GrantRow) -> Claims:
    """Return what one link says, unverified: for humans alone. Raises `GrantError`."""
    return chains.claims_of(chains.split(_text(turn, row), 0).payload)


def _text(turn: Turn, row: GrantRow) -> str:
    if not row.sealed:
        raise GrantError(GrantCode.MALFORMED, "a grant of this chain was erased")
    try:
        return turn.vault.unseal(row.mission, row.sealed, _context(row.id)).decode()
    except (BridleError, ValueError) as problem:
        raise GrantError(GrantCode.MALFORMED, "a grant of this chain cannot be read") from problem


def _context(digest: str) -> str:
    return f"grant|{digest}"
