"""Work that another process carries out: an agent decides it, a workload takes it up.

A dispatched grant lies below the agent's own and is bound to the key of a workload. Whoever proves
that key carries out what the agent decided, as often as it takes (a queue delivers twice, a worker
dies), and decides nothing: no other task, nothing that is not in the grant, nothing handed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridle.governor.identity import identities
from bridle.governor.identity.identities import WORKLOAD
from bridle.model.errors import NotFoundError, RefusedError
from bridle.store.rows import GrantRow
from bridle.trust import context

if TYPE_CHECKING:
    from bridle.governor.action.standing import Standing
    from bridle.governor.ground.turn import Turn
    from bridle.model.calls import WorkloadOf
    from bridle.trust.grants.chain import Chain


def workload_of(turn: Turn, call: WorkloadOf) -> list[dict[str, Any]]:
    """Return one row: a workload's name and the public key that grants for it are bound to.

    Raises `NotFoundError` for a workload that is not declared, or has no key.
    """
    name = call.workload
    keys = identities.in_force(turn, WORKLOAD, name) if name in turn.bundle.workloads else ()
    if not keys:
        raise NotFoundError(
            f"no workload {name!r} with a key is declared",
            hint="`bridle operator new-key --workload` makes one, and agents.toml names its `key`",
        )
    return [{"workload": name, "key": keys[-1].key}]


def assert_may(at: Standing, chain: Chain, workload: str) -> None:
    """Refuse what is no dispatch of this session's own work to a workload."""
    claims, turn = chain.leaf.claims, at.turn
    if claims.agent != at.session.agent:
        raise _refused("what is dispatched stays decided by the agent that dispatches it")
    if not claims.task:
        raise _refused("what is dispatched is bound to a task")
    if claims.del_depth != claims.del_max_depth:
        raise _refused("a workload hands nothing on: max_depth has to end with it")
    if workload not in turn.bundle.workloads:
        raise RefusedError(f"workload {workload!r} is not declared", code="unknown_workload")
    if not identities.counts(turn, WORKLOAD, workload, chain.leaf.fingerprint):
        raise _refused(f"this is no key of the workload {workload!r}", "key_unknown")


def assert_hands_on(at: Standing) -> None:
    """Refuse a session whose grant was dispatched: whoever carries out decides nothing."""
    # INVARIANT: I5 — the deciding identity is the agent's, and no workload speaks for it.
    if of_session(at) is not None:
        raise _refused("a workload hands nothing on of what it carries out")


def assert_decides(at: Standing) -> None:
    """Refuse a plan from a session whose grant was dispatched."""
    # INVARIANT: I5 — a workload that carries out an agent's plan puts none in its place.
    if of_session(at) is not None:
        raise _refused("a workload carries out what was planned, and plans nothing")


def assert_taker(row: GrantRow, executor: str) -> None:
    """Refuse to be taken up as anything but the workload that it was dispatched to."""
    if executor != row.workload:
        text = f"this was dispatched to the workload {row.workload!r}"
        raise RefusedError(text, code="not_for_workload")


def of_session(at: Standing) -> GrantRow | None:
    """Return the grant of a session, if that was dispatched."""
    # A dispatched grant always has a task: nothing is read for a session that has none.
    if not (at.session.grant and at.session.task):
        return None
    row = at.turn.tx.get(GrantRow, at.session.grant)
    return row if row is not None and row.workload else None


def strays(at: Standing, key: str) -> bool:
    """Whether the key of an action is no step of the task that a session carries out."""
    # INVARIANT: I4 — steps of two tasks never meet, and a step that comes again is the same one.
    row = of_session(at)
    return row is not None and not key.startswith(context.steps_of(row.task))


def _refused(text: str, code: str = "grant_invalid") -> RefusedError:
    return RefusedError(text, code=code)
