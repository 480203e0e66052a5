"""What a connection proved, held against the keys in force: at the login and in every turn after.

The proof itself is `bridle.trust.authenticator`'s, which keys count is said by
`bridle.governor.identity.identities`; here is who may be proven where, and for how long.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from bridle.governor.identity import identities
from bridle.governor.identity.identities import USER, WORKLOAD
from bridle.model.calls import Caller, Login
from bridle.model.errors import RefusedError
from bridle.model.identity import Status
from bridle.trust.authenticator import Authenticator, OwnKey
from bridle.trust.proof import Challenge

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

_SHOWN = 16
_AUTHENTICATOR: Authenticator = OwnKey()


def login(turn: Turn, caller: Caller, call: Login, challenge: Challenge) -> Caller:
    """Return the caller as what it has proved to be. Raises `RefusedError`."""
    if call.kind != (USER if caller.operator else WORKLOAD):
        raise RefusedError(
            "users log in at the operator's socket, workloads at the agents'", code="login_role"
        )
    counts = partial(identities.counts, turn, call.kind, call.name)
    fingerprint = _AUTHENTICATOR.proven(challenge, call, counts)
    if not fingerprint:
        raise RefusedError(
            f"this does not prove to be the {call.kind} {call.name[:128]!r}",
            code="not_proven",
            hint="`bridle keys list` shows the keys that count",
        )
    proved = structs.replace(
        caller,
        user=call.name if call.kind == USER else "",
        workload=call.name if call.kind == WORKLOAD else "",
        key=fingerprint,
        method=f"{_AUTHENTICATOR.method}:{fingerprint[:_SHOWN]}",
    )
    require(turn, proved)
    return proved


def require(turn: Turn, caller: Caller) -> None:
    """Raise `RefusedError` where what the caller proved no longer counts in this turn."""
    problem = _problem(turn, caller)
    if problem is not None:
        raise problem


def standing(turn: Turn, caller: Caller) -> Caller:
    """Return the caller without a proof that no longer counts: like one who never logged in."""
    if _problem(turn, caller) is None:
        return caller
    return structs.replace(caller, user="", workload="", key="", method=f"peer:{caller.uid}")


def _problem(turn: Turn, caller: Caller) -> RefusedError | None:
    if not caller.key:
        return None
    kind, name = (USER, caller.user) if caller.user else (WORKLOAD, caller.workload)
    if not identities.counts(turn, kind, name, caller.key):
        return RefusedError(
            f"the key that this connection proved no longer counts for {name!r}",
            code="key_changed",
            hint="log in again with a key that is in force: `bridle keys list` shows them",
        )
    status = turn.status(kind, name)
    if status is not Status.ACTIVE:
        return RefusedError(f"{name!r} is {status}", code="suspended")
    return None
