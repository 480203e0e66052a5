"""Whether the chain of grants that a request comes under holds now, and allows this action.

Asked in the turn of every decision and start. Signatures are verified once; the root's key, time
and revocations are looked at each time (what was revoked: only when the epoch has moved), and so is
what each link allows. A session without a key has no chain, and is stopped by revocations alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridle.governor.delegation import dispatching, grants, roots
from bridle.governor.delegation.grants import Cleared
from bridle.governor.identity import registrations
from bridle.model import public_key
from bridle.model.reason import Reason, ReasonCode
from bridle.store.rows import GrantRow, IdentityKeyRow, RevokedRow
from bridle.trust.grants import verify
from bridle.trust.grants.chain import Chain, Link
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.verify import Request

if TYPE_CHECKING:
    from bridle.engine.case import Typed
    from bridle.governor.action.standing import Standing
    from bridle.governor.ground.turn import Turn

REASONS: dict[str, ReasonCode] = {
    GrantCode.EXPIRED: ReasonCode.GRANT_EXPIRED,
    GrantCode.ROOT_WINDOW: ReasonCode.GRANT_EXPIRED,
    GrantCode.REVOKED: ReasonCode.REVOKED,
    GrantCode.NOT_GRANTED: ReasonCode.NOT_GRANTED,
    GrantCode.TASK: ReasonCode.NOT_GRANTED,
    GrantCode.PROOF_MISSING: ReasonCode.PROOF_MISSING,
    GrantCode.PROOF_INVALID: ReasonCode.PROOF_INVALID,
    GrantCode.PROOF_STALE: ReasonCode.PROOF_STALE,
    GrantCode.PROOF_REPLAYED: ReasonCode.PROOF_REPLAYED,
}
"""What a refusal of the verifier is to an agent; any other is `grant_invalid`."""


def reason_of(problem: GrantError) -> Reason:
    """Return why an action is denied, for a chain that was refused."""
    code = REASONS.get(problem.code, ReasonCode.GRANT_INVALID)
    return Reason(code, problem.message)


def stopped(at: Standing) -> Reason | None:
    """Say why nothing at all may happen under this session's authority now, if so."""
    who = at.session
    # What a pipeline handed on, or had carried out, is no session of its own workloads.
    executor = None if who.line else who.executor
    stop = registrations.stopped(at.turn, at.mission, at.party.agents, executor)
    if stop is not None:
        return stop
    if not at.session.grant:
        return _stopped_keyless(at)
    try:
        in_force(at.turn, at.session.grant)
    except GrantError as problem:
        return reason_of(problem)
    return None


def in_force(turn: Turn, leaf: str) -> Chain:
    """Return the chain of a grant, which holds now. Raises `GrantError`."""
    chain = grants.chain_of(turn, leaf)
    epoch = turn.globals.epoch
    known = turn.core.chains.cleared(leaf)
    # INVARIANT: I4 — whatever is revoked moves the epoch on in its own transaction, and this turn
    # reads the epoch in its own: what was found in order at this very epoch still is.
    if known is None or known.epoch != epoch:
        known = _cleared(turn, chain, epoch)
        turn.cleared[leaf] = known
    if known.until and turn.now >= known.until:
        raise GrantError(GrantCode.ROOT_WINDOW, "the key that the chain begins with has ended")
    # INVARIANT: I5 — after revocation: what only ran out is still told its own results, and time
    # must not make that of what was revoked.
    if turn.now >= chain.leaf.claims.exp * 1_000:
        raise GrantError(GrantCode.EXPIRED, "the grant has expired")
    return chain


def permits(at: Standing, tool: str, typed: Typed, *, made: bool = False) -> Reason | None:
    """Say why a link of this session's chain does not allow an action, if one does not.

    `made`: these arguments are what policy or humans made of those that were asked for, and that
    every link has allowed.
    """
    if not at.session.grant:
        return None
    try:
        # INVARIANT: I5 — every link is asked: a child says what it likes and cannot widen.
        chain = grants.chain_of(at.turn, at.session.grant)
        # What was dispatched says exactly what was decided: what policy makes of it is another
        # text, and has to be within what the agent itself may do.
        above = made and dispatching.of_session(at) is not None
        allow(at, chain, tool, typed, at.session.task, above_leaf=above)
    except GrantError as problem:
        return reason_of(problem)
    return None


def allow(  # noqa: PLR0913 - the last by name
    at: Standing, chain: Chain, tool: str, typed: Typed, task: str, *, above_leaf: bool = False
) -> None:
    """Raise `GrantError` unless every link of a chain allows an action in its own mission."""
    request = _request(at, chain, tool, typed, task)
    verify.meant_for(chain, request)
    verify.allows(chain, request, above_leaf=above_leaf)


def _request(at: Standing, chain: Chain, tool: str, typed: Typed, task: str) -> Request:
    declared = at.bundle.tools[tool]
    system = at.bundle.systems[declared.system]
    return Request(
        tool=tool,
        domain=system.domain,
        effect=declared.effect.value,
        labels=frozenset((*declared.labels, *system.labels)),
        args=typed.value,
        audience=roots.name_of(at.turn),
        mission=chain.leaf.claims.mis,
        task=task,
    )


def _cleared(turn: Turn, chain: Chain, epoch: int) -> Cleared:
    """Look whether anything of a chain was revoked. Raises `GrantError` if so."""
    claims = chain.leaf.claims
    since = _row(turn, chain.links[0]).epoch
    if _revoked(turn, "mission", claims.mis) or _revoked(turn, "user", claims.sub, since):
        raise GrantError(GrantCode.REVOKED, "what this was granted for is revoked")
    for index, link in enumerate(chain.links):
        if _link_revoked(turn, link):
            raise GrantError(GrantCode.REVOKED, "a grant of this chain is revoked", link=index)
    root = public_key.fingerprint(chain.root)
    if not roots.counts(turn, root):
        raise GrantError(GrantCode.ROOT_WINDOW, "the key that the chain begins with has ended")
    row = turn.tx.get(IdentityKeyRow, root)
    return Cleared(epoch, row.until if row is not None else 0)


def _link_revoked(turn: Turn, link: Link) -> bool:
    row = _row(turn, link)
    return (
        _revoked(turn, "grant", link.digest)
        or _revoked(turn, "key", link.fingerprint)
        or (bool(row.certified) and _revoked(turn, "key", row.certified))
        or _revoked(turn, "agent", link.claims.agent, row.epoch)
    )


def _row(turn: Turn, link: Link) -> GrantRow:
    row = turn.tx.get(GrantRow, link.digest)
    if row is None:
        raise GrantError(GrantCode.MALFORMED, "a grant of this chain is not known here")
    return row


def _revoked(turn: Turn, kind: str, subject: str, since: int = -1) -> bool:
    """Whether something is revoked: for good, or for what was granted at an epoch before."""
    row = turn.tx.get(RevokedRow, f"{kind}:{subject}")
    return row is not None and (kind not in ("agent", "user") or since < row.epoch)


def _stopped_keyless(at: Standing) -> Reason | None:
    if not at.globals.revoked:
        return None
    turn, since = at.turn, at.session.epoch
    if (
        _revoked(turn, "mission", at.mission.id)
        or _revoked(turn, "user", at.mission.user, since)
        or _revoked(turn, "agent", at.session.agent, since)
    ):
        return Reason(ReasonCode.REVOKED, "what this session was opened for is revoked")
    return None
