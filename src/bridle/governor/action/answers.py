"""Humans answer holds: votes, who may cast them, what settles a hold, and expiry."""

from __future__ import annotations

from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.governor.action import holds
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.model.action import ActionState
from bridle.model.errors import RefusedError
from bridle.model.identity import Status
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect
from bridle.store.rows import ActionRow, HoldRow


class Vote(Struct, frozen=True, kw_only=True):
    """One human's answer. `digest` is that of what was shown, where it was shown."""

    user: str
    approve: bool
    reason: str
    digest: str
    method: str


def count(turn: Turn, row: HoldRow, vote: Vote) -> HoldRow:
    """Count a vote. One denial settles a hold; approval needs each group's distinct humans."""
    if row.status != holds.PENDING or row.expires <= turn.now:
        status = holds.EXPIRED if row.status == holds.PENDING else row.status
        raise RefusedError(
            f"this hold is {status}", code="hold_settled", hint="the agent has to ask again"
        )
    if vote.digest and vote.digest != row.digest:
        raise RefusedError(
            "what you were shown is not what this hold is about",
            code="digest_differs",
            hint="show the hold again and decide on what it says now",
        )
    _entitled(turn, row, vote.user)
    row = _counted(turn, row, vote)
    if row.status == holds.DENIED:
        _refuse(turn, row, Reason(ReasonCode.APPROVAL_DENIED, "a human refused this"))
    _record(turn, row, vote)
    return row


def _counted(turn: Turn, row: HoldRow, vote: Vote) -> HoldRow:
    entry = {
        "user": vote.user,
        "approve": vote.approve,
        "reason": vote.reason,
        "time": turn.now,
        "method": vote.method,
    }
    # A human who answers twice counts once: the later answer stands.
    votes = [v for v in row.votes if v["user"] != vote.user] + [entry]
    row = structs.replace(row, votes=votes)
    if not vote.approve:
        return holds.close(turn, row, holds.DENIED)
    if _satisfied(turn, row):
        return holds.close(turn, row, holds.APPROVED)
    turn.tx.put(row)
    return row


def _satisfied(turn: Turn, row: HoldRow) -> bool:
    yes = {v["user"] for v in row.votes if v["approve"]}
    bundle = turn.bundle
    return all(
        sum(member(turn, bundle, group, user) for user in yes) >= need
        for group, need in row.groups.items()
    )


def member(turn: Turn, bundle: Bundle, group: str, user: str) -> bool:
    """Whether a user belongs to an approver group and is active."""
    person = bundle.users.get(user)
    if person is None or turn.status("user", user) is not Status.ACTIVE:
        return False
    if group == holds.OPERATORS and group not in bundle.approvers:
        named = bundle.manifest.operators
        return user in named if named else True
    found = bundle.approvers.get(group)
    return found is not None and found.includes(person)


def _entitled(turn: Turn, row: HoldRow, user: str) -> None:
    bundle = turn.bundle
    if not any(member(turn, bundle, group, user) for group in row.groups):
        groups = ", ".join(sorted(row.groups))
        raise RefusedError(
            f"{user!r} may not answer this hold",
            code="not_an_approver",
            hint=f"it needs an active member of: {groups}",
        )


def _refuse(turn: Turn, row: HoldRow, reason: Reason) -> None:
    """What was held comes to nothing: the action is denied, the result stays withheld for good."""
    action = turn.tx.get(ActionRow, row.action)
    if action is None or action.approval != row.id:
        return
    kept = structs.asdict(reason)
    if row.subject == holds.RESULT:
        stored = turn.unseal(action.id, action.sealed)
        stored = structs.replace(stored, release=Effect.DENY.value, reasons=[kept])
        turn.tx.put(structs.replace(action, sealed=turn.seal(action.id, stored)))
    elif action.state == ActionState.HELD:
        changed = structs.replace(action, state=ActionState.DENIED, effect="deny", reasons=[kept])
        turn.tx.put(changed)


def _record(turn: Turn, row: HoldRow, vote: Vote) -> None:
    turn.record(
        Entry(
            kind=LeafKind.APPROVAL,
            chain=row.mission,
            ids={
                "action": row.action,
                "approval": row.id,
                "user": vote.user,
                "method": vote.method,
                "level": turn.level,
            },
            body={
                "approve": vote.approve,
                "status": row.status,
                "subject": row.subject,
                "causes": row.causes,
            },
            fields={"reason": vote.reason, "digest": row.digest},
        )
    )


def expire(turn: Turn) -> int:
    """Pending and approved holds past their time come to nothing. Returns how many."""
    rows = [
        row
        for status in (holds.PENDING, holds.APPROVED)
        for row in turn.tx.find(HoldRow, status=status, below=("expires", turn.now + 1))
    ]
    for row in rows:
        expired = holds.close(turn, row, holds.EXPIRED)
        _refuse(turn, expired, Reason(ReasonCode.APPROVAL_EXPIRED, "nobody answered in time"))
        turn.record(
            Entry(
                kind=LeafKind.APPROVAL,
                chain=row.mission,
                ids={"action": row.action, "approval": row.id, "level": turn.level},
                body={"status": holds.EXPIRED, "subject": row.subject},
            )
        )
    return len(rows)
