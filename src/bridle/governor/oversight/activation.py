"""Makes a bundle the active one: a recorded act of a human, refused where it would do harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.governor.approval import ending, quorum
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.history import scopes
from bridle.governor.identity import identities, key_changes
from bridle.governor.oversight import registering
from bridle.governor.publishing import keys
from bridle.model.errors import BundleError, RefusedError
from bridle.model.identity import Status
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.rows import BundleRow


class By(Struct, frozen=True):
    """Who activates, and how that was established. Nobody (empty) at the very first opening."""

    user: str
    method: str


def activate(turn: Turn, bundle: Bundle, by: By) -> None:
    """Put a checked bundle in force, in this turn."""
    before = _before(turn)
    key_changes.settle(turn, before, bundle, by.user, by.method)
    registering.settle(turn, before, bundle, by.user, by.method)
    _keeps_humans_in(turn, bundle)
    _keeps_origin(turn, bundle)
    if turn.tx.get(BundleRow, bundle.digest) is None:
        turn.tx.put(
            BundleRow(
                digest=bundle.digest,
                name=bundle.manifest.name,
                version=bundle.manifest.version,
                activated=turn.now,
                files=bundle.files,
            )
        )
    state = turn.globals
    told = state.told if state.told >= 0 else turn.tx.frontier().size if state.active else 0
    turn.tx.put(structs.replace(state, active=bundle.digest, epoch=state.epoch + 1, told=told))
    brought = [structs.asdict(each) for each in scopes.bring(turn)]
    turn.record(
        Entry(
            kind=LeafKind.POLICY,
            chain=SYSTEM_CHAIN,
            ids={"by": by.user, "method": by.method, "level": turn.level},
            body={
                "what": "activate",
                "digest": bundle.digest,
                "before": state.active,
                "name": bundle.manifest.name,
                "version": bundle.manifest.version,
                **({"history": brought} if brought else {}),
            },
        )
    )
    ending.by_activation(turn, bundle)


def _before(turn: Turn) -> Bundle | None:
    """The bundle in force until now, if there is one that can be read."""
    try:
        return turn.bundle if turn.globals.active else None
    except BundleError:
        return None


def _keeps_humans_in(turn: Turn, bundle: Bundle) -> None:
    """Refuse a bundle under which nobody could approve, revoke or resume."""
    # INVARIANT: a bundle in force always leaves active humans enough for whatever one policy or
    # budget can ask for, each human in one seat.
    operators = bundle.manifest.operators or tuple(bundle.users)
    if not any(
        turn.status("user", user) is Status.ACTIVE and identities.can_prove(turn, bundle, user)
        for user in operators
    ):
        raise RefusedError(
            "no active human could operate under this bundle",
            code="locks_out",
            hint="name an active user in `operators` of bridle.toml, whose key was not revoked",
        )
    for what, needs in _asked(bundle):
        if not quorum.seated(turn, bundle, needs, bundle.users):
            groups = ", ".join(f"{need} of {group}" for group, need in sorted(needs.items()))
            raise RefusedError(
                f"{what} asks for {groups}: there are not as many active humans, each for one seat",
                code="locks_out",
                hint="add users to the groups in agents.toml, or resume suspended ones",
            )


def _keeps_origin(turn: Turn, bundle: Bundle) -> None:
    """Refuse a bundle that names the log otherwise: auditors would take it for another log."""
    named, fixed = bundle.manifest.origin, keys.origin(turn.tx)
    if named and fixed and named != fixed:
        raise RefusedError(
            f"the log of this store is {fixed!r}, and the bundle calls it {named!r}",
            code="origin_changed",
            hint=f"name it {fixed!r} in [ledger] of bridle.toml, or leave it out",
        )


def _asked(bundle: Bundle) -> Iterator[tuple[str, dict[str, int]]]:
    """What each policy and budget can ask of humans: how many distinct ones of which group."""
    for policy in bundle.policies:
        yield f"policy {policy.id!r}", _needs(bundle, policy.hold)
    missions, agents, users = bundle.missions, bundle.agents, bundle.users
    budgets = chain(
        (b for each in missions.values() for b in each.budgets),
        (b for each in agents.values() for b in each.budgets),
        (b for each in users.values() for b in each.budgets),
    )
    for budget in budgets:
        yield f"budget {budget.name!r}", _needs(bundle, [(group, 0) for group in budget.hold])


def _needs(bundle: Bundle, asked: Iterable[tuple[str, int]]) -> dict[str, int]:
    needs: dict[str, int] = {}
    for group, need in asked:
        declared = bundle.approvers.get(group)
        least = need or (declared.need if declared is not None else 1)
        needs[group] = max(needs.get(group, 1), least)
    return needs


def require_passing(bundle: Bundle) -> None:
    """Refuse a bundle whose own scenarios fail."""
    # Scenarios run a governor of their own, so this import cannot stand at the top.
    from bridle.governor.scenarios import run_scenarios

    failed = [r for r in run_scenarios(bundle) if not r.passed]
    if failed:
        names = ", ".join(repr(r.name) for r in failed[:5])
        raise BundleError(
            f"{len(failed)} scenario(s) of the bundle fail: {names}",
            code="scenarios_fail",
            hint="`bridle test` shows each step",
        )
