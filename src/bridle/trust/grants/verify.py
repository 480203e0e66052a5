"""Verifies chains of grants, offline: each step in the order of `GrantCode`, each with its code.

What a chain is (signatures, form, parents) is verified once and cached by its texts. What changes
(the governor's keys, time, revocation) or depends on the request is looked at every time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridle.trust.grants.chain import (
    MAX_DEPTH,
    MAX_PATTERNS,
    Chain,
    Link,
    capped,
    link_of,
    split,
)
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.roots import Roots, public, signed_by
from bridle.trust.status import Status, StatusList

if TYPE_CHECKING:
    from bridle.model.call import Proof
    from bridle.trust.grants.jws import Signed
    from bridle.trust.holder import Nonces, Statement

SKEW_S = 60
"""How far another clock may be ahead, seconds."""

MOST_CACHED_BYTES = 64 * 1_024 * 1_024


@dataclass(frozen=True, slots=True)
class Request:
    """An action to be allowed: the tool, what it is, and whose request it answers.

    `effect` is `read`, `write` or `irreversible`. `audience` is the governor (`bridle:<store id>`).
    """

    tool: str
    domain: str
    effect: str
    labels: frozenset[str]
    args: Mapping[str, Any]
    audience: str
    mission: str
    task: str = ""


class Verifier:
    """Verifies chains against pinned keys, and remembers those that hold. For many threads.

    `cached` bounds how many chains are remembered, `skew` (seconds) how far clocks may differ.
    Every method that takes `roots` goes by those instead of the verifier's own.
    """

    def __init__(
        self, roots: Roots, *, max_depth: int = MAX_DEPTH, skew: int = SKEW_S, cached: int = 4_096
    ) -> None:
        """Verify against `roots`; at most `max_depth` handovers below the root."""
        self._roots = roots
        self._max_depth = max_depth
        self._skew = skew
        self._known = _Known(cached)

    def chain(self, texts: Sequence[str], now_s: int, *, roots: Roots | None = None) -> Chain:
        """Return the chain that `texts` (root first) are.

        Raises `GrantError` with the index of the link at fault: `chain_empty` to `link_duplicate`.
        That it has not expired, is not revoked and allows something is not said: see `admit`.
        """
        pinned = roots or self._roots
        given = capped(texts, self._max_depth)
        found = self._known.longest(given)
        if found is not None and len(found.links) == len(given):
            pinned.require(found.root, now_s, self._skew)
            return found
        done = len(found.links) if found else 0
        # Forms first: no signature is verified where a later link is no link at all.
        parts = [split(text, index) for index, text in enumerate(given) if index >= done]
        if found is None:
            found = self._root(given[0], parts.pop(0), now_s, pinned)
            self._known.keep(given[:1], found)
            done = 1
        else:
            pinned.require(found.root, now_s, self._skew)
        for index, signed in enumerate(parts, done):
            found = self._child(found, given[index], signed)
            self._known.keep(given[: index + 1], found)
        return found

    def extend(self, chain: Chain, text: str, now_s: int, *, roots: Roots | None = None) -> Chain:
        """Return `chain` with one more link. Raises `GrantError` as `chain`."""
        return self.chain((*chain.texts, text), now_s, roots=roots)

    def current(self, chain: Chain, now_s: int, *, roots: Roots | None = None) -> None:
        """Raise `GrantError` unless the chain is in force by the clock, at `now_s`.

        `root_unknown`, `root_key_expired`, `grant_expired`, `grant_not_yet_valid`.
        """
        (roots or self._roots).require(chain.root, now_s, self._skew)
        # No link ends after its parent or begins before it: the leaf is the first to expire and
        # the last to begin.
        if now_s >= chain.leaf.claims.exp:
            at = next(i for i, link in enumerate(chain.links) if now_s >= link.claims.exp)
            raise GrantError(
                GrantCode.EXPIRED,
                "the grant has expired",
                link=at,
                hint="ask whoever granted it for a new one",
            )
        latest = now_s + self._skew
        if chain.leaf.claims.iat > latest:
            raise GrantError(
                GrantCode.NOT_YET,
                f"the grant begins more than {self._skew} s from now",
                link=next(i for i, link in enumerate(chain.links) if link.claims.iat > latest),
                hint="check the clocks of both sides",
            )

    def admit(
        self,
        chain: Chain,
        request: Request,
        status: Status,
        now_s: int,
        *,
        roots: Roots | None = None,
    ) -> None:
        """Raise `GrantError` unless every link of a verified chain allows `request` now.

        In this order: by the clock (`current`), `status_stale` (a list that has expired),
        `revoked`, `audience_mismatch`, `mission_mismatch`, `task_mismatch`, `not_granted`.
        """
        self.current(chain, now_s, roots=roots)
        if isinstance(status, StatusList):
            status.at(now_s)
            # INVARIANT: I5 — whoever stole the governor's key may date a root as they like: a
            # pinned key that the list names signs nothing that holds.
            if status.names_key(chain.root):
                raise GrantError(GrantCode.REVOKED, "the root's key is revoked", link=0)
        for index, link in enumerate(chain.links):
            if status.revoked(link):
                raise GrantError(GrantCode.REVOKED, "the grant is revoked", link=index)
        meant_for(chain, request)
        allows(chain, request)

    def _root(self, text: str, signed: Signed, now_s: int, roots: Roots) -> Chain:
        key = roots.signer(signed.signing_input, signed.signature)
        roots.require(key, now_s, self._skew)
        link = link_of(text, signed, 0)
        claims = link.claims
        if claims.par_hash:
            raise GrantError(GrantCode.PARENT, "a root has no parent", link=0)
        if claims.del_depth:
            raise GrantError(GrantCode.DEPTH, "a root has depth 0", link=0)
        return Chain((link,), key)

    def _child(self, parent: Chain, text: str, signed: Signed) -> Chain:
        index = len(parent.links)
        if not signed_by(public(parent.leaf.key), signed.signature, signed.signing_input):
            raise GrantError(
                GrantCode.SIGNATURE, "the link is not signed with its parent's key", link=index
            )
        link = link_of(text, signed, index)
        _follows(parent, link, index)
        return Chain((*parent.links, link), parent.root)


def meant_for(chain: Chain, request: Request) -> None:
    """Raise `GrantError` unless audience, mission and task are the request's."""
    # The same in every link; a task is, from the link on that names one.
    claims = chain.leaf.claims
    at = len(chain.links) - 1
    if claims.aud != request.audience:
        raise GrantError(GrantCode.AUDIENCE, "the grant is for another governor", link=at)
    if claims.mis != request.mission:
        raise GrantError(GrantCode.MISSION, "the grant is of another mission", link=at)
    if claims.task and claims.task != request.task:
        raise GrantError(GrantCode.TASK, "the grant is for another task", link=at)


def allows(chain: Chain, request: Request, *, above_leaf: bool = False) -> None:
    """Raise `GrantError` (`not_granted`) unless what every link says holds for the request.

    Attenuation is conjunction: whatever a child says, it cannot widen. `above_leaf` leaves the leaf
    out: for what policy makes of a request that the leaf itself has allowed.
    """
    # INVARIANT: I4. Every link is asked, none stands for another.
    for index, link in enumerate(chain.links[:-1] if above_leaf else chain.links):
        why = link.granted.refused(request)
        if why:
            raise GrantError(GrantCode.NOT_GRANTED, why, link=index)


def verify(  # noqa: PLR0913 - all but two by name
    texts: Sequence[str],
    request: Request,
    *,
    roots: Roots,
    status: Status,
    now: int,
    proof: Proof | None = None,
    statement: Statement | None = None,
    nonces: Nonces | None = None,
    now_ms: int | None = None,
    max_depth: int = MAX_DEPTH,
    skew: int = SKEW_S,
) -> Chain:
    """Return the chain where it allows `request` at `now` (seconds); all in one, nothing kept.

    With a `statement` the holder must have proven it: `proof` is its signature at `now_ms`
    (default: `now`), and its nonce, where `nonces` are given, new. Raises `GrantError`.
    """
    verifier = Verifier(roots, max_depth=max_depth, skew=skew, cached=0)
    chain = verifier.chain(texts, now)
    verifier.admit(chain, request, status, now)
    if statement is not None:
        at = now * 1_000 if now_ms is None else now_ms
        _proven(chain, request, statement, proof, at, nonces)
    return chain


def _proven(  # noqa: PLR0913, PLR0917 - called in one place
    chain: Chain,
    request: Request,
    statement: Statement,
    proof: Proof | None,
    now_ms: int,
    nonces: Nonces | None,
) -> None:
    from bridle.trust import holder

    if proof is None:
        raise GrantError(GrantCode.PROOF_MISSING, "the holder has not proven its key")
    if statement.grant != chain.digest or statement.tool != request.tool:
        raise GrantError(GrantCode.PROOF_INVALID, "the proof is of another grant or tool")
    holder.check(chain.leaf.key, statement, proof, now_ms)
    if nonces is not None:
        nonces.use(proof.nonce, now_ms, proof.time)


def _follows(parent: Chain, link: Link, index: int) -> None:
    """Raise `GrantError` unless a link that its parent's key signed is that parent's child."""
    above, claims = parent.leaf.claims, link.claims

    def refused(code: GrantCode, message: str) -> GrantError:
        return GrantError(code, message, link=index)

    if claims.par_hash != parent.digest:
        raise refused(GrantCode.PARENT, "par_hash is not the digest of the link above")
    if claims.iss != parent.leaf.fingerprint:
        raise refused(GrantCode.PARENT, "iss is not the fingerprint of the key above")
    if claims.del_depth != above.del_depth + 1 or claims.del_depth > above.del_max_depth:
        raise refused(GrantCode.DEPTH, "the link above may not be handed on to this depth")
    if claims.del_max_depth > above.del_max_depth:
        raise refused(GrantCode.DEPTH, "del_max_depth is above its parent's")
    if claims.exp > above.exp:
        raise refused(GrantCode.OUTLIVES, "the link expires after its parent")
    if claims.iat < above.iat:
        raise refused(GrantCode.ISSUED, "the link is older than its parent")
    if (claims.sub, claims.aud, claims.mis) != (above.sub, above.aud, above.mis):
        raise refused(GrantCode.CHANGED, "user, audience and mission stay as the root has them")
    if above.task and claims.task != above.task:
        raise refused(GrantCode.CHANGED, "the task stays as the link above has it")
    if link.patterns and link.patterns + sum(each.patterns for each in parent.links) > MAX_PATTERNS:
        raise refused(GrantCode.TOO_LARGE, f"a chain has {MAX_PATTERNS} patterns at most")
    # Two links with one digest have one jti.
    if claims.jti in [each.claims.jti for each in parent.links]:
        raise refused(GrantCode.DUPLICATE, "the chain has a link of this jti already")


@dataclass(slots=True)
class _Known:
    """Chains found to hold, by their texts: least recently used out first. For many threads.

    Their texts, signatures included: no other form of a link passes for one that was verified.
    """

    most: int
    chains: OrderedDict[tuple[str, ...], Chain] = field(
        default_factory=OrderedDict[tuple[str, ...], Chain]
    )
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def longest(self, texts: tuple[str, ...]) -> Chain | None:
        with self.lock:
            for length in range(len(texts), 0, -1):
                key = texts[:length]
                found = self.chains.get(key)
                if found is not None:
                    self.chains.move_to_end(key)
                    return found
        return None

    def keep(self, texts: tuple[str, ...], chain: Chain) -> None:
        if not self.most:
            return
        with self.lock:
            if texts not in self.chains:
                self.chains[texts] = chain
                # It shares its texts with those of its prefixes: what it adds is its leaf's.
                self.size += len(texts[-1])
            while len(self.chains) > self.most or self.size > MOST_CACHED_BYTES:
                gone, _ = self.chains.popitem(last=False)
                self.size -= len(gone[-1])
