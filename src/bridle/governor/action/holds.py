"""Holds: durable requests to humans, bound to one action (or one stored result) and its causes.

    pending → approved → used | void        pending → denied | expired

A hold reserves nothing. Its approval lifts exactly the listed causes, once.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Cause
from bridle.governor.action.standing import Standing
from bridle.governor.ground.core import Core
from bridle.model.action import ActionState
from bridle.model.errors import NotFoundError, RefusedError
from bridle.model.identity import Status
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.store.base import Tx
from bridle.store.rows import ActionRow, HoldRow, IdentityRow

PENDING, APPROVED, DENIED, EXPIRED, USED, VOID = (
    "pending",
    "approved",
    "denied",
    "expired",
    "used",
    "void",
)

# The group that every bundle has without declaring it: those who may operate.
OPERATORS = "operators"


class Wanted(Struct, frozen=True, kw_only=True):
    """A hold to be opened. `digest` is the keyed digest of what humans are shown."""

    subject: str
    action: str
    tool: str
    digest: str
    causes: tuple[Cause, ...]
    groups: dict[str, int]
    reasons: tuple[Reason, ...]
    sealed: bytes


def bind(core: Core, at: Standing, tool: str, requested: str, subject: str) -> str:
    """What makes two calls the same to a human: mission, agent, tool, arguments."""
    return core.keyed("|".join((subject, at.mission.id, at.session.agent, tool, requested)))


def attached(tx: Tx, key: str, causes: tuple[Cause, ...]) -> HoldRow | None:
    """Return the pending hold that an identical call attaches to."""
    rows = tx.find(HoldRow, bind=key, status=PENDING, limit=20)
    wanted = _plain(causes)
    return next((row for row in rows if row.causes == wanted), None)


def full(tx: Tx, at: Standing) -> bool:
    """Whether this agent already has as many pending holds in its mission as the bundle allows."""
    rows = tx.find(HoldRow, mission=at.mission.id, status=PENDING, limit=10_000)
    mine = sum(1 for row in rows if row.agent == at.session.agent)
    return mine >= at.bundle.manifest.limits.pending_holds


def open_hold(core: Core, tx: Tx, at: Standing, key: str, wanted: Wanted) -> HoldRow:
    """Create the hold. Its record is the decision (or release) that put the action on hold."""
    row = HoldRow(
        id=core.id("hold"),
        subject=wanted.subject,
        action=wanted.action,
        mission=at.mission.id,
        agent=at.session.agent,
        tool=wanted.tool,
        bind=key,
        digest=wanted.digest,
        status=PENDING,
        created=at.now,
        expires=at.now + at.bundle.manifest.limits.hold_expiry_ms,
        bundle=at.globals.active,
        causes=_plain(wanted.causes),
        groups=wanted.groups,
        reasons=[structs.asdict(r) for r in wanted.reasons],
        sealed=wanted.sealed,
    )
    tx.put(row)
    return row


class Vote(Struct, frozen=True, kw_only=True):
    """One human's answer."""

    approval: str
    user: str
    approve: bool
    reason: str
    digest: str
    method: str


def answer(core: Core, tx: Tx, bundle: Bundle, vote: Vote, now: int) -> HoldRow:
    """Count a vote. One denial settles the hold; approval needs each group's number of distinct humans."""
    row = tx.get(HoldRow, vote.approval)
    if row is None:
        raise NotFoundError(
            f"no hold {vote.approval!r}", hint="`bridle approvals` lists what is pending"
        )
    if row.status != PENDING or row.expires <= now:
        status = EXPIRED if row.status == PENDING else row.status
        raise RefusedError(
            f"this hold is {status}", code="hold_settled", hint="the agent has to ask again"
        )
    if vote.digest and vote.digest != row.digest:
        raise RefusedError(
            "what you were shown is not what this hold is about",
            code="digest_differs",
            hint="show the hold again and decide on what it says now",
        )
    _entitled(tx, bundle, row, vote.user)
    row = _counted(tx, bundle, row, vote, now)
    tx.put(row)
    _record(core, tx, row, vote, now)
    if row.status == DENIED:
        _close_action(tx, row, ReasonCode.APPROVAL_DENIED)
    return row


def _counted(tx: Tx, bundle: Bundle, row: HoldRow, vote: Vote, now: int) -> HoldRow:
    entry = {
        "user": vote.user,
        "approve": vote.approve,
        "reason": vote.reason,
        "time": now,
        "method": vote.method,
    }
    # A human who answers twice counts once: the later answer stands.
    votes = [v for v in row.votes if v["user"] != vote.user] + [entry]
    row = structs.replace(row, votes=votes)
    if not vote.approve:
        return structs.replace(row, status=DENIED, settled=now)
    if _satisfied(tx, bundle, row):
        return structs.replace(row, status=APPROVED, settled=now)
    return row


def _satisfied(tx: Tx, bundle: Bundle, row: HoldRow) -> bool:
    yes = [v["user"] for v in row.votes if v["approve"]]
    return all(
        sum(1 for user in yes if member(tx, bundle, group, user)) >= need
        for group, need in row.groups.items()
    )


def member(tx: Tx, bundle: Bundle, group: str, user: str) -> bool:
    """Whether a user belongs to an approver group and is active."""
    person = bundle.users.get(user)
    if person is None or _inactive(tx, user):
        return False
    if group == OPERATORS and group not in bundle.approvers:
        named = bundle.manifest.operators
        return user in named if named else True
    found = bundle.approvers.get(group)
    if found is None:
        return False
    return user in found.users or any(team in found.teams for team in person.teams)


def _inactive(tx: Tx, user: str) -> bool:
    row = tx.get(IdentityRow, f"user:{user}")
    return row is not None and row.status != Status.ACTIVE


def _entitled(tx: Tx, bundle: Bundle, row: HoldRow, user: str) -> None:
    if not any(member(tx, bundle, group, user) for group in row.groups):
        groups = ", ".join(sorted(row.groups))
        raise RefusedError(
            f"{user!r} may not answer this hold",
            code="not_an_approver",
            hint=f"it needs an active member of: {groups}",
        )


def _close_action(tx: Tx, row: HoldRow, code: ReasonCode) -> None:
    action = tx.get(ActionRow, row.action)
    if row.subject == "action" and action is not None and action.approval == row.id:
        reason = {"code": code, "text": "a human refused this action", "policy": ""}
        if code is ReasonCode.APPROVAL_EXPIRED:
            reason["text"] = "nobody answered in time"
        tx.put(structs.replace(action, state=ActionState.DENIED, effect="deny", reasons=[reason]))


def _record(core: Core, tx: Tx, row: HoldRow, vote: Vote, now: int) -> None:
    core.recorder.write(
        tx,
        LeafKind.APPROVAL,
        row.mission,
        now,
        ids={
            "action": row.action,
            "approval": row.id,
            "user": vote.user,
            "method": vote.method,
            "level": core.level,
        },
        body={
            "approve": vote.approve,
            "status": row.status,
            "subject": row.subject,
            "causes": row.causes,
        },
        fields={"reason": vote.reason, "digest": row.digest},
    )


def expire(core: Core, tx: Tx, now: int) -> int:
    """Pending and approved holds past their time come to nothing. Returns how many."""
    rows = [
        *tx.find(HoldRow, status=PENDING, below=("expires", now + 1)),
        *tx.find(HoldRow, status=APPROVED, below=("expires", now + 1)),
    ]
    for row in rows:
        tx.put(structs.replace(row, status=EXPIRED, settled=now))
        _close_action(tx, row, ReasonCode.APPROVAL_EXPIRED)
        core.recorder.write(
            tx,
            LeafKind.APPROVAL,
            row.mission,
            now,
            ids={"action": row.action, "approval": row.id, "level": core.level},
            body={"status": EXPIRED, "subject": row.subject},
        )
    return len(rows)


def waivers(row: HoldRow) -> frozenset[tuple[str, str]]:
    """The forbids this approval lifts, each bound to the text that was in force when it was asked."""
    return frozenset((c["id"], c["digest"]) for c in row.causes if c["kind"] == "forbid")


def void_reason(row: HoldRow, bundle: Bundle) -> Reason | None:
    """Say why an approval no longer counts: a policy it names has another text now, or is gone."""
    # INVARIANT: an approval lifts exactly the causes that humans were shown; a changed text of a
    # listed policy voids it, an unrelated bundle change does not.
    now = {p.id: p.digest for p in bundle.policies}
    for policy, digest in waivers(row):
        if now.get(policy) != digest:
            return Reason(
                ReasonCode.APPROVAL_VOID, "the policy has changed since it was approved", policy
            )
    return None


def allowance(row: HoldRow) -> dict[str, int]:
    """How far an approval lets each budget be overdrawn."""
    return {c["id"]: c["amount"] for c in row.causes if c["kind"] == "budget"}


def settled_attempts(row: HoldRow) -> frozenset[str]:
    """The attempts whose doubt a human has taken upon themselves."""
    return frozenset(c["id"] for c in row.causes if c["kind"] == "attempt")


def _plain(causes: tuple[Cause, ...]) -> list[dict[str, Any]]:
    return [structs.asdict(c) for c in causes]
