"""Who is the human behind an operator's call.

The operator's connection shows that a human's uid is on the other end; `as_user` says which of
the declared users. Where agent and governor share one uid, that binds honest code only, and the
record says so.
"""

from __future__ import annotations

from bridle.governor.ground.turn import Turn
from bridle.model.calls import Caller
from bridle.model.errors import RefusedError
from bridle.model.identity import Status
from bridle.store.rows import MissionRow


def name(turn: Turn, caller: Caller, as_user: str) -> str:
    """Return the acting user's id, or refuse. A lone operator need not say who they are."""
    _operator(caller)
    bundle = turn.bundle
    if not as_user:
        operators = bundle.manifest.operators
        if len(operators) == 1:
            as_user = operators[0]
        elif not operators and len(bundle.users) == 1:
            as_user = next(iter(bundle.users))
        else:
            raise RefusedError(
                "say who you are", code="who_are_you", hint="pass --as USER (as_user= in Python)"
            )
    if as_user not in bundle.users:
        raise RefusedError(
            f"{as_user!r} is not a declared user",
            code="unknown_user",
            hint="declare it in agents.toml",
        )
    status = turn.status("user", as_user)
    if status is not Status.ACTIVE:
        raise RefusedError(f"{as_user!r} is {status}", code="suspended")
    return as_user


def operator(turn: Turn, caller: Caller, as_user: str) -> str:
    """Return the acting operator's id. Where the bundle names operators, only they qualify."""
    who = name(turn, caller, as_user)
    named = turn.bundle.manifest.operators
    if named and who not in named:
        raise RefusedError(
            f"{who!r} is not an operator of this bundle",
            code="not_an_operator",
            hint=f"operators are: {', '.join(named)} (bridle.toml)",
        )
    return who


def owner_or_operator(turn: Turn, caller: Caller, as_user: str, mission: MissionRow) -> str:
    """Return the acting user's id: the one the mission runs for, or an operator."""
    who = as_user or mission.user
    return name(turn, caller, who) if who == mission.user else operator(turn, caller, who)


def _operator(caller: Caller) -> None:
    if not caller.operator:
        raise RefusedError(
            "this needs the operator's connection",
            code="operator_only",
            hint="use the operator socket of this store, as its owner",
        )
