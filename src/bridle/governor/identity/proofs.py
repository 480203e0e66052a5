"""Whether the holder of a session's key made this very request.

Where a session has a key, requests from another process carry a proof by it, and so does anything
irreversible from within the governor's own. A proof is good once, for one request, for half a
minute, with the governor that runs now.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bridle.governor.identity.executors import within
from bridle.model import public_key
from bridle.model.call import Call
from bridle.model.reason import Reason, ReasonCode
from bridle.model.tool import EffectClass
from bridle.trust import holder
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.holder import Nonces, Provable

if TYPE_CHECKING:
    from bridle.governor.action.standing import Standing
    from bridle.governor.ground.turn import Turn

SIGNED, WITHIN, NONE = "ed25519", "in-process", "none"

_CODES = {
    GrantCode.PROOF_STALE.value: ReasonCode.PROOF_STALE,
    GrantCode.PROOF_REPLAYED.value: ReasonCode.PROOF_REPLAYED,
}


class Proofs:
    """Nonces that were used, in memory: another governor takes none of their proofs.

    A request judged twice, since its turn was undone, uses its nonce once. Safe for threads.
    """

    def __init__(self, nonces: Nonces | None = None) -> None:
        self._nonces = nonces if nonces is not None else Nonces()
        self._current: dict[str, Call] = {}
        self._lock = threading.Lock()

    def use(self, call: Provable, now_ms: int, key: str) -> None:
        """Use the nonce of a request whose proof by `key` holds.

        Raises `GrantError` (`proof_replayed`).
        """
        proof = call.proof
        if proof is None:
            raise GrantError(GrantCode.PROOF_MISSING, _MISSING)
        with self._lock:
            # INVARIANT: I4 — the very same request in hand, not one that says the same.
            if self._current.get(proof.nonce) is call:
                return
            self._nonces.use(proof.nonce, now_ms, proof.time, owner=key)
            self._current[proof.nonce] = call

    def done(self, call: Call) -> None:
        """Let go of a request that has been answered."""
        proof = getattr(call, "proof", None)
        if proof is None:
            return
        with self._lock:
            if self._current.get(proof.nonce) is call:
                del self._current[proof.nonce]


def method(turn: Turn) -> str:
    """Return how a turn's requests are known to be whose they say: by a proof at the edge only."""
    return WITHIN if within(turn) else NONE


def missing(at: Standing, tool: str | None) -> bool:
    """Whether a request about this tool (None: about none) needs a proof, where it has none."""
    caller = at.turn.caller
    if caller is not None and caller.method == "offline":
        return False
    known = at.bundle.tools.get(tool) if tool is not None else None
    lasting = tool is not None and (known is None or known.effect is EffectClass.IRREVERSIBLE)
    if within(at.turn):
        return bool(at.session.holder) and lasting
    return bool(at.session.holder) or lasting


def refusal(at: Standing, call: Provable, tool: str | None) -> Reason | None:
    """Say why a request does not prove to be its session's, if it should and does not."""
    if call.proof is None:
        if not missing(at, tool):
            return None
        return Reason(ReasonCode.PROOF_MISSING, _MISSING if at.session.holder else _KEYLESS)
    if not at.session.holder:
        return Reason(ReasonCode.PROOF_INVALID, "this session has no key that could prove anything")
    try:
        verify(at.turn, call, at.session.holder, at.session.grant)
    except GrantError as problem:
        code = _CODES.get(problem.code, ReasonCode.PROOF_INVALID)
        return Reason(code, problem.message)
    return None


def verify(turn: Turn, call: Provable, key: str, grant: str) -> None:
    """Check the proof of a request by this key, under this grant, and use it up.

    Raises `GrantError`.
    """
    if call.proof is None:
        raise GrantError(GrantCode.PROOF_MISSING, _MISSING)
    statement = holder.statement_of(call, turn.core.instance, grant)
    # The holder's clock is another machine's, or another process's: not the governor's own time,
    # which stands still while the machine sleeps.
    now = turn.core.clock.wall()
    holder.check(public_key.parse(key), statement, call.proof, now)
    turn.core.proofs.use(call, now, key)


_MISSING = "this session has a key, and this request no proof by it"
_KEYLESS = "what cannot be undone needs a session with a key, and this one has none"
