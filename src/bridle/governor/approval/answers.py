"""Humans answer holds: votes, who may cast them, what settles a hold, and expiry."""

from __future__ import annotations

import msgspec
from msgspec import Struct, structs

from bridle.governor.action import holds
from bridle.governor.approval import edits, ending, exceptions, quorum
from bridle.governor.approval.edits import Proposal
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.model.action import ActionState
from bridle.model.errors import RefusedError
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect
from bridle.store.rows import ActionRow, HoldRow


class Vote(Struct, frozen=True, kw_only=True):
    """One human's answer.

    `digest` is that of what was shown, where it was shown; `proposal` what they approve instead.
    """

    user: str
    approve: bool
    reason: str
    digest: str
    method: str
    proposal: Proposal = Proposal()


def count(turn: Turn, row: HoldRow, vote: Vote) -> HoldRow:
    """Count a vote. One denial settles a hold; approval needs each group's distinct humans."""
    _still_pending(turn, row)
    _entitled(turn, row, vote.user)
    _informed(row, vote)
    before = turn.unseal(row.mission, row.action, row.sealed).args
    row = _counted(turn, row, vote)
    if row.status == holds.DENIED:
        _refuse(turn, row, Reason(ReasonCode.APPROVAL_DENIED, "a human refused this"))
    _record(turn, row, vote, before)
    if row.status == holds.APPROVED:
        _grant(turn, row)
    return row


def _still_pending(turn: Turn, row: HoldRow) -> None:
    status = row.status
    if status == holds.PENDING and row.expires <= turn.now:
        status = holds.EXPIRED
    if status == holds.PENDING and holds.changed_policy(row, turn.bundle):
        status = holds.VOID
    if status != holds.PENDING:
        raise RefusedError(
            f"this hold is {status}", code="hold_settled", hint="the agent has to ask again"
        )


def _informed(row: HoldRow, vote: Vote) -> None:
    """Refuse a vote on something else than the hold is about now."""
    if vote.digest and vote.digest != row.digest:
        raise RefusedError(
            "what you were shown is not what this hold is about",
            code="digest_differs",
            hint="show the hold again and decide on what it says now",
        )
    # INVARIANT: nobody approves unseen what another human wrote: the agent's own request a vote may
    # take as read, an edit or terms it has to name.
    written = row.edited or row.terms is not None
    if vote.approve and written and not vote.digest and not vote.proposal.args:
        raise RefusedError(
            "other humans have changed what this hold is about",
            code="digest_missing",
            hint="show the hold and name its digest",
        )


def _counted(turn: Turn, row: HoldRow, vote: Vote) -> HoldRow:
    if vote.approve and vote.proposal.changes:
        row = edits.apply(turn, row, vote.proposal)
    entry = {
        "user": vote.user,
        "approve": vote.approve,
        "reason": vote.reason,
        "time": turn.now,
        "method": vote.method,
        "digest": row.digest,
    }
    # A human who answers twice counts once: the later answer stands.
    votes = [v for v in row.votes if v["user"] != vote.user] + [entry]
    row = structs.replace(row, votes=votes)
    if not vote.approve:
        return holds.close(turn, row, holds.DENIED)
    if quorum.reached(turn, row):
        return holds.close(turn, row, holds.APPROVED)
    turn.tx.put(row)
    return row


def _grant(turn: Turn, row: HoldRow) -> None:
    terms = holds.terms_of(row)
    if terms is not None:
        exceptions.grant(turn, row, terms, turn.unseal(row.mission, row.action, row.sealed).args)


def _entitled(turn: Turn, row: HoldRow, user: str) -> None:
    bundle = turn.bundle
    if not any(quorum.member(turn, bundle, group, user) for group in row.groups):
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
        stored = turn.unseal(action.mission, action.id, action.sealed)
        stored = structs.replace(stored, release=Effect.DENY.value, reasons=[kept])
        turn.tx.put(structs.replace(action, sealed=turn.seal(action.mission, action.id, stored)))
    elif action.state == ActionState.HELD:
        changed = structs.replace(action, state=ActionState.DENIED, effect="deny", reasons=[kept])
        turn.tx.put(changed)


def _record(turn: Turn, row: HoldRow, vote: Vote, before: str) -> None:
    proposal = vote.proposal
    fields = {"reason": vote.reason, "digest": row.digest}
    if proposal.args and vote.approve:
        fields |= {"before": before, "args": turn.unseal(row.mission, row.action, row.sealed).args}
    if row.terms is not None:
        fields["terms"] = msgspec.json.encode(row.terms).decode()
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
                "edited": row.edited,
                "terms": row.terms is not None,
            },
            fields=fields,
        )
    )


def expire(turn: Turn) -> int:
    """Pending and approved holds past their time come to nothing. Returns how many."""
    rows = [
        row
        for status in holds.OPEN
        for row in turn.tx.find(HoldRow, status=status, below=("expires", turn.now + 1))
    ]
    for row in rows:
        expired = holds.close(turn, row, holds.EXPIRED)
        _refuse(turn, expired, Reason(ReasonCode.APPROVAL_EXPIRED, "nobody answered in time"))
        ending.record(turn, expired)
    return len(rows)
