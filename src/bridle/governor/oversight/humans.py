"""Who is the human behind an operator's call.

A user with a key acts only over a connection that proved it. For a user without one the operator's
connection shows that a human's uid is on the other end, and `as_user` says which of the declared
users it is: where agent and governor share one uid, that binds honest code only, and the record
says so. What takes authority away and gives none needs no key, so that stopping is always easy.
"""

from __future__ import annotations

from msgspec import Struct

from bridle.governor.ground.turn import Turn
from bridle.governor.identity import identities
from bridle.governor.identity.identities import USER
from bridle.model.calls import Caller
from bridle.model.errors import RefusedError
from bridle.model.identity import Status
from bridle.store.rows import MissionRow


class Speaker(Struct, frozen=True):
    """For whom something is said, how that was established, whether the words count as theirs.

    `trusted` is false where a workload spoke for the user on a connection that acts as an agent.
    """

    user: str
    method: str
    trusted: bool = True


def name(turn: Turn, caller: Caller, as_user: str, *, lowers: bool = False) -> str:
    """Return the acting user's id, or refuse. A lone operator need not say who they are.

    `lowers` is for what only takes authority away.
    """
    _operator(caller)
    if caller.user:
        return _active(turn, _themselves(caller, as_user))
    who = _active(turn, as_user or _lone(turn))
    if not lowers and caller.method != "offline":
        _needs_no_key(turn, who)
    return who


def operator(turn: Turn, caller: Caller, as_user: str, *, lowers: bool = False) -> str:
    """Return the acting operator's id. Where the bundle names operators, only they qualify."""
    who = name(turn, caller, as_user, lowers=lowers)
    named = turn.bundle.manifest.operators
    if named and who not in named:
        raise RefusedError(
            f"{who!r} is not an operator of this bundle",
            code="not_an_operator",
            hint=f"operators are: {', '.join(named)} (bridle.toml)",
        )
    return who


def owner_or_operator(
    turn: Turn, caller: Caller, as_user: str, mission: MissionRow, *, lowers: bool = False
) -> str:
    """Return the acting user's id: the one the mission runs for, or an operator."""
    who = as_user or caller.user or mission.user
    allowed = name if who == mission.user else operator
    return allowed(turn, caller, who, lowers=lowers)


def speaker(turn: Turn, caller: Caller, user: str) -> Speaker:
    """Return for whom a caller speaks: itself, or a user whom a workload has authenticated."""
    if caller.workload and not caller.operator:
        return _asserted(turn, caller, user)
    return Speaker(name(turn, caller, user), caller.method)


def opener(turn: Turn, caller: Caller, as_user: str, mission: MissionRow) -> Speaker:
    """Return who opens a session: the mission's user, an operator, a workload for that user."""
    if caller.workload and not caller.operator:
        if as_user not in ("", mission.user):
            raise RefusedError(
                "a workload opens sessions for the user of the mission only", code="not_you"
            )
        return _asserted(turn, caller, mission.user)
    return Speaker(owner_or_operator(turn, caller, as_user, mission), caller.method)


def _asserted(turn: Turn, caller: Caller, user: str) -> Speaker:
    workload = turn.bundle.workloads.get(caller.workload)
    # INVARIANT: I9 — who speaks for users has proved, in this very turn, to be a workload that the
    # bundle in force lets do so.
    if workload is None or not workload.may_assert_user or turn.caller is not caller:
        raise RefusedError(
            f"the workload {caller.workload!r} may not speak for users",
            code="may_not_assert",
            hint="`may_assert_user` in agents.toml",
        )
    who = _active(turn, user)
    return Speaker(who, f"workload:{workload.id}", trusted=not caller.acted)


def _themselves(caller: Caller, as_user: str) -> str:
    if as_user not in ("", caller.user):
        raise RefusedError(
            f"this connection has proved to be {caller.user!r}, not {as_user!r}",
            code="not_you",
            hint="each human acts with a key of their own",
        )
    return caller.user


def _lone(turn: Turn) -> str:
    named = turn.bundle.manifest.operators or tuple(turn.bundle.users)
    if len(named) == 1:
        return named[0]
    raise RefusedError(
        "say who you are", code="who_are_you", hint="pass --as USER (as_user= in Python)"
    )


def _active(turn: Turn, user: str) -> str:
    if user not in turn.bundle.users:
        raise RefusedError(
            f"{user!r} is not a declared user",
            code="unknown_user",
            hint="declare it in agents.toml",
        )
    status = turn.status("user", user)
    if status is not Status.ACTIVE:
        raise RefusedError(f"{user!r} is {status}", code="suspended")
    return user


def _needs_no_key(turn: Turn, user: str) -> None:
    # INVARIANT: I9 — who has a key is never taken at a connection's word.
    if identities.keyed(turn, USER, user):
        raise RefusedError(
            f"{user!r} acts with a key, and this connection has not proved it",
            code="key_needed",
            hint="in Python pass credential=bridle.unlock(…); the command line asks for the"
            " passphrase, or takes --passphrase-file",
            about=needed(turn, user),
        )
    if turn.bundle.manifest.require_keys:
        raise RefusedError(
            f"this bundle asks for keys, and {user!r} has none",
            code="key_needed",
            hint="add one to agents.toml: `bridle operator new-key` makes it",
            about={"user": user, "key": ""},
        )


def needed(turn: Turn, user: str) -> dict[str, str]:
    """Say for machines which key a user has to prove: `key`, the newest, or one of all `keys`."""
    found = [each.fingerprint for each in identities.in_force(turn, USER, user)]
    said = {"user": user, "key": found[0] if found else ""}
    return {**said, "keys": " ".join(found)} if len(found) > 1 else said


def _operator(caller: Caller) -> None:
    if not caller.operator:
        raise RefusedError(
            "this needs the operator's connection",
            code="operator_only",
            hint="use the operator socket of this store, as its owner",
        )
