"""Makes a bundle the active one: a recorded act of a human, refused where it would do harm."""

from __future__ import annotations

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.governor.ground.core import Core
from bridle.model.errors import BundleError, RefusedError
from bridle.model.identity import Status
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.base import Tx
from bridle.store.rows import BundleRow, IdentityRow


def activate(core: Core, tx: Tx, bundle: Bundle, *, by: str, method: str) -> None:
    """Put a checked bundle in force, in this transaction."""
    _keeps_humans_in(tx, bundle)
    state = core.globals(tx)
    now = core.clock.now()
    if tx.get(BundleRow, bundle.digest) is None:
        tx.put(
            BundleRow(
                digest=bundle.digest,
                name=bundle.manifest.name,
                version=bundle.manifest.version,
                activated=now,
                files=bundle.files,
            )
        )
    core.recorder.write(
        tx,
        LeafKind.POLICY,
        SYSTEM_CHAIN,
        now,
        ids={"by": by, "method": method, "level": core.level},
        body={
            "what": "activate",
            "digest": bundle.digest,
            "before": state.active,
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
        },
    )
    tx.put(structs.replace(state, active=bundle.digest, epoch=state.epoch + 1))


def _keeps_humans_in(tx: Tx, bundle: Bundle) -> None:
    """Refuse a bundle under which nobody could approve, revoke or resume."""
    # INVARIANT: a bundle in force always leaves an active human for every group a hold can name.
    if not any(_active(tx, user) for user in bundle.manifest.operators or tuple(bundle.users)):
        raise RefusedError(
            "no active human could operate under this bundle",
            code="locks_out",
            hint="name an active user in `operators` of bridle.toml",
        )
    for group, need in _groups(bundle).items():
        able = sum(
            1 for user in bundle.users if _active(tx, user) and _belongs(bundle, group, user)
        )
        if able < need:
            raise RefusedError(
                f"approver group {group!r} needs {need} active human(s) and has {able}",
                code="locks_out",
                hint="add users to the group in agents.toml, or resume suspended ones",
            )


def _groups(bundle: Bundle) -> dict[str, int]:
    needs: dict[str, int] = {}
    for policy in bundle.policies:
        for group, need in policy.hold:
            needs[group] = max(needs.get(group, 1), need)
    for template in bundle.missions.values():
        for budget in template.budgets:
            for group in budget.hold:
                declared = bundle.approvers.get(group)
                needs[group] = max(needs.get(group, 1), declared.need if declared else 1)
    return needs


def _belongs(bundle: Bundle, group: str, user: str) -> bool:
    found = bundle.approvers.get(group)
    teams = bundle.users[user].teams
    return found is not None and (user in found.users or any(t in found.teams for t in teams))


def _active(tx: Tx, user: str) -> bool:
    row = tx.get(IdentityRow, f"user:{user}")
    return row is None or row.status == Status.ACTIVE


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
