"""What a connection proved, held against the bundle in force: at the login and in every turn after.

The proof itself is `bridle.trust.proof`'s; here is who may be proven where, and for how long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from bridle.model import public_key
from bridle.model.calls import Caller, Login
from bridle.model.errors import RefusedError
from bridle.model.identity import Status
from bridle.trust import proof
from bridle.trust.proof import Challenge, Claim

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

USER, WORKLOAD = "user", "workload"
_SHOWN = 16


def login(turn: Turn, caller: Caller, call: Login, challenge: Challenge) -> Caller:
    """Return the caller as what it has proved to be. Raises `RefusedError`."""
    if call.kind != (USER if caller.operator else WORKLOAD):
        raise RefusedError(
            "users log in at the operator's socket, workloads at the agents'", code="login_role"
        )
    key = _key(turn, call.kind, call.name)
    # INVARIANT: I9 — the key that counts is the one of the bundle in force, never the caller's.
    claim = Claim(call.kind, call.name, key)
    if not key or key != call.key or not proof.holds(challenge, claim, call.signature):
        raise RefusedError(
            f"this does not prove to be the {call.kind} {call.name[:128]!r}",
            code="not_proven",
            hint="the bundle in force names the keys that count (agents.toml)",
        )
    fingerprint = public_key.fingerprint(key)
    proved = structs.replace(
        caller,
        user=call.name if call.kind == USER else "",
        workload=call.name if call.kind == WORKLOAD else "",
        key=fingerprint,
        method=f"key:{fingerprint[:_SHOWN]}",
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
    key = _key(turn, kind, name)
    if not key or public_key.fingerprint(key) != caller.key:
        return RefusedError(
            f"the key that this connection proved is no longer that of {name!r}",
            code="key_changed",
            hint="log in again with the key that the bundle in force names",
        )
    status = turn.status(kind, name)
    if status is not Status.ACTIVE:
        return RefusedError(f"{name!r} is {status}", code="suspended")
    return None


def _key(turn: Turn, kind: str, name: str) -> str:
    bundle = turn.bundle
    declared = bundle.users.get(name) if kind == USER else bundle.workloads.get(name)
    return declared.key if declared is not None else ""
