"""From what was found to a `Judgement`: reasons, causes, groups. It decides nothing.

The agent's reasons never repeat a value. The record names every policy that had a part in the
verdict, those that a change has met included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bridle.engine.case import Cause, Judgement, Refusal, ShadowHit, Typed
from bridle.engine.cedar.answer import PolicyFault
from bridle.engine.temporal.history import UnknownHistoryError
from bridle.language.policy import Policy
from bridle.model.identity import ApproverGroup
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect

_DEFAULT_TEXT = {
    ReasonCode.FORBIDDEN: "a policy forbids this",
    ReasonCode.MODIFIED: "a policy asked for a change",
    ReasonCode.HELD: "a human has to approve this first",
}


class Trail:
    """What has happened in one judgement so far: policies met by a change, shadow hits."""

    __slots__ = ("_met", "_shadow")

    def __init__(self) -> None:
        self._met: dict[str, Policy] = {}
        self._shadow: set[ShadowHit] = set()

    def tried(self, hits: frozenset[ShadowHit]) -> None:
        """Note what shadow policies would have said in one round."""
        self._shadow |= hits

    def met(self, policies: Iterable[Policy]) -> None:
        """Note policies whose change is being applied."""
        self._met.update((p.id, p) for p in policies)

    @property
    def changed(self) -> tuple[Policy, ...]:
        """Return the policies whose change was applied, in id order."""
        return tuple(self._met[i] for i in sorted(self._met))

    @property
    def shadow(self) -> tuple[ShadowHit, ...]:
        """Return the shadow hits of all rounds, in id order."""
        return tuple(sorted(self._shadow, key=lambda h: (h.policy, h.error)))


def refused(code: ReasonCode, text: str) -> Judgement:
    """Deny before any policy was asked."""
    reasons = (Reason(code, text),)
    return Judgement(effect=Effect.DENY, reasons=reasons, record=reasons)


def policy_error(trail: Trail, faults: Iterable[PolicyFault]) -> Judgement:
    """Deny because a policy could not be evaluated."""
    kept = tuple(faults)
    said = tuple(
        Reason(ReasonCode.POLICY_ERROR, "a policy could not be evaluated", f.policy) for f in kept
    )
    full = tuple(Reason(ReasonCode.POLICY_ERROR, f.why, f.policy) for f in kept)
    return _deny(trail, said, full)


def unknown_history(trail: Trail, why: UnknownHistoryError) -> Judgement:
    """Deny because an enforced policy looks back on what cannot be told."""
    said = (Reason(why.reason, why.message),)
    return _deny(trail, said, said)


def no_permit(trail: Trail, objections: Iterable[Policy]) -> Judgement:
    """Deny because no permit allows it. What objected besides is on the record only."""
    said = (Reason(ReasonCode.NO_PERMIT, "no policy permits this"),)
    return _deny(trail, said, (*said, *_by_remedy(objections)))


def forbidden(trail: Trail, unmet: Iterable[Policy], objections: Iterable[Policy]) -> Judgement:
    """Deny with exactly the objections that nothing can meet; the record has them all."""
    said = _as(ReasonCode.FORBIDDEN, unmet)
    return _deny(trail, said, (*said, *_by_remedy(p for p in objections if met_by_remedy(p))))


def diverged(trail: Trail, why: Refusal) -> Judgement:
    """Deny because the demanded changes come to no end, or to something the tool refuses.

    The agent sees `modify_diverged`: its own arguments were in order. The record has the refusal.
    """
    said = (
        Reason(ReasonCode.MODIFY_DIVERGED, "the changes that policies ask for do not work out"),
    )
    return _deny(trail, said, (*said, Reason(why.code, why.text)))


def hold(
    trail: Trail, typed: Typed, holds: Iterable[Policy], approvers: Mapping[str, ApproverGroup]
) -> Judgement:
    """Hold `typed` (the changed form, where changes came first) for all groups of all holds."""
    kept = tuple(holds)
    reasons = (*_as(ReasonCode.HELD, kept), *_as(ReasonCode.MODIFIED, trail.changed))
    return Judgement(
        effect=Effect.HOLD,
        reasons=reasons,
        record=reasons,
        typed=typed,
        causes=tuple(Cause("forbid", p.id, p.digest) for p in kept),
        groups=_groups(kept, approvers),
        shadow=trail.shadow,
        objected=_ids((*kept, *trail.changed)),
    )


def passed(trail: Trail, requested: Typed, final: Typed) -> Judgement:
    """Allow, or modify where the text that may execute is no longer the requested one."""
    reasons = _as(ReasonCode.MODIFIED, trail.changed)
    return Judgement(
        effect=Effect.ALLOW if final.text == requested.text else Effect.MODIFY,
        reasons=reasons,
        record=reasons,
        typed=final,
        shadow=trail.shadow,
        objected=_ids(trail.changed),
    )


def met_by_remedy(policy: Policy) -> bool:
    """Whether an objection can be met.

    A policy with both remedies is refused at load; if one came here, nothing would meet it.
    """
    return bool(policy.modify) != bool(policy.hold)


def _deny(trail: Trail, said: tuple[Reason, ...], full: tuple[Reason, ...]) -> Judgement:
    return Judgement(
        effect=Effect.DENY,
        reasons=said,
        record=(*full, *_as(ReasonCode.MODIFIED, trail.changed)),
        shadow=trail.shadow,
        objected=_ids(trail.changed),
    )


def _by_remedy(policies: Iterable[Policy]) -> tuple[Reason, ...]:
    return tuple(r for p in policies for r in _as(_code(p), (p,)))


def _code(policy: Policy) -> ReasonCode:
    if not met_by_remedy(policy):
        return ReasonCode.FORBIDDEN
    return ReasonCode.HELD if policy.hold else ReasonCode.MODIFIED


def _as(code: ReasonCode, policies: Iterable[Policy]) -> tuple[Reason, ...]:
    return tuple(Reason(code, p.reason or _DEFAULT_TEXT[code], p.id) for p in policies)


def _ids(policies: Iterable[Policy]) -> tuple[str, ...]:
    return tuple(sorted({p.id for p in policies}))


def _groups(holds: Iterable[Policy], approvers: Mapping[str, ApproverGroup]) -> dict[str, int]:
    """Return how many distinct humans each group must bring: the most that any hold asks for."""
    groups: dict[str, int] = {}
    for name, need in (g for p in holds for g in p.hold):
        declared = approvers[name].need if name in approvers else 1
        groups[name] = max(groups.get(name, 1), need or declared)
    return groups
