"""Holds: durable requests to humans, bound to one action (or one stored result) and its causes.

    pending → approved → used | expired | void        pending → denied | expired | void

A hold reserves nothing. Its approval lifts exactly the listed causes, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Cause, Judgement
from bridle.governor.action.standing import Standing
from bridle.governor.approval import quorum
from bridle.governor.ground.core import Core
from bridle.governor.ground.turn import Turn
from bridle.model.calls import Terms
from bridle.model.reason import Reason, ReasonCode
from bridle.model.tool import EffectClass
from bridle.store.rows import HoldRow

PENDING, APPROVED, DENIED, EXPIRED, USED, VOID = (
    "pending",
    "approved",
    "denied",
    "expired",
    "used",
    "void",
)

OPEN = (PENDING, APPROVED)

OPERATORS = quorum.OPERATORS

ACTION, RESULT = "action", "result"

# The level of a governor that runs in the program of those it governs.
EMBEDDED = "embedded"


class Wanted(Struct, frozen=True, kw_only=True):
    """A hold to be opened. `key` says which requests are the same to a human.

    `digest` is the keyed digest of what humans are shown. `edited` says that humans have written
    the arguments: those, and not what the agent asked for, are judged again on release.
    """

    key: str
    subject: str
    action: str
    tool: str
    digest: str
    judged: Judgement
    sealed: bytes
    edited: bool = False


def bind(at: Standing, tool: str, requested: str) -> str:
    """What makes two calls the same to a human: mission, agent (and line), tool, arguments."""
    who = f"{at.actor}|for {at.requester}" if at.requester else at.actor
    return at.turn.core.keyed(f"{ACTION}|{at.mission.id}|{who}|{tool}|{requested}")


def shown_digest(core: Core, args: str, terms: Terms | None) -> str:
    """What a vote is bound to: the arguments (their digest) and how far the approval reaches."""
    if terms is None:
        return core.keyed(args)
    return core.keyed(f"{args}|{msgspec.json.encode(terms, order='sorted').decode()}")


def terms_of(row: HoldRow) -> Terms | None:
    """How far a hold's approval is to reach beyond its action."""
    return None if row.terms is None else msgspec.convert(row.terms, Terms)


def is_about(core: Core, row: HoldRow, args: str) -> bool:
    """Whether these arguments (their digest) are the ones that humans are shown."""
    return shown_digest(core, args, terms_of(row)) == row.digest


def attached(at: Standing, key: str, judged: Judgement) -> HoldRow | None:
    """Return the pending hold an identical call attaches to: it asks for all that is needed."""
    return next(_same(at, key, judged, PENDING), None)


def ready(at: Standing, key: str, judged: Judgement) -> HoldRow | None:
    """Return an approval for an identical call that nobody has used: it lifts all in the way."""
    rows = _same(at, key, judged, APPROVED)
    return next((row for row in rows if void_reason(at.turn, row) is None), None)


def _same(at: Standing, key: str, judged: Judgement, status: str) -> Iterator[HoldRow]:
    rows = at.turn.tx.find(HoldRow, bind=key, status=status, limit=20)
    return (row for row in rows if row.expires > at.now and _asks_for(row, judged))


def _asks_for(row: HoldRow, judged: Judgement) -> bool:
    asked, wanted = _causes(row.causes), _causes(plain(judged.causes))
    return (
        row.groups == judged.groups
        and asked.keys() == wanted.keys()
        and all(asked[cause] >= amount for cause, amount in wanted.items())
    )


def _causes(causes: list[dict[str, Any]]) -> dict[tuple[str, str, str], int]:
    """Causes by what they are, with the amount that a budget is to be overdrawn by."""
    return {(c["kind"], c["id"], c["digest"]): c["amount"] for c in causes}


def full(at: Standing) -> bool:
    """Whether this agent, or its whole mission, has as many pending holds as the bundle allows."""
    limits, tx, mission = at.bundle.manifest.limits, at.turn.tx, at.mission.id
    mine = tx.count(HoldRow, mission=mission, status=PENDING, agent=at.session.agent)
    if mine >= limits.pending_holds:
        return True
    return tx.count(HoldRow, mission=mission, status=PENDING) >= limits.pending_holds_mission


def open_hold(at: Standing, wanted: Wanted) -> HoldRow:
    """Create the hold. Its record is the decision (or release) that made it necessary."""
    judged, tool = wanted.judged, at.bundle.tools.get(wanted.tool)
    row = HoldRow(
        id=at.turn.id("hold"),
        subject=wanted.subject,
        action=wanted.action,
        mission=at.mission.id,
        agent=at.session.agent,
        tool=wanted.tool,
        bind=wanted.key,
        digest=wanted.digest,
        status=PENDING,
        created=at.now,
        expires=at.now + at.bundle.manifest.limits.hold_expiry_ms,
        bundle=at.globals.active,
        causes=plain(judged.causes),
        groups=judged.groups,
        reasons=[structs.asdict(r) for r in judged.record or judged.reasons],
        sealed=wanted.sealed,
        uid=at.turn.caller.uid if at.turn.caller is not None else -1,
        pin=tool.pin if tool is not None else "",
        shape=tool.shape if tool is not None else "",
        level=at.turn.level,
        edited=wanted.edited,
        line=at.session.line,
        requester=at.requester,
    )
    at.turn.tx.put(row)
    return row


def together(judged: Judgement, approval: HoldRow | None) -> Judgement:
    """A hold that follows an approval asks for what was approved once more, beside what is new."""
    # An approval is used up by one judgement, so what it lifted stands again in the next.
    if approval is None:
        return judged
    causes = {(c["kind"], c["id"], c["digest"]): Cause(**c) for c in approval.causes}
    causes |= {(c.kind, c.id, c.digest): c for c in judged.causes}
    groups = dict(approval.groups)
    for group, need in judged.groups.items():
        groups[group] = max(need, groups.get(group, 0))
    earlier = tuple(reason_of(r) for r in approval.reasons)
    record = tuple(dict.fromkeys((*earlier, *(judged.record or judged.reasons))))
    return structs.replace(judged, causes=tuple(causes.values()), groups=groups, record=record)


def close(turn: Turn, row: HoldRow, status: str) -> HoldRow:
    """Settle a hold, whatever it came to."""
    row = structs.replace(row, status=status, settled=turn.now)
    turn.tx.put(row)
    return row


def withdraw(turn: Turn, approval: str) -> None:
    """A hold whose action has settled by itself asks nobody for anything any more."""
    row = turn.tx.get(HoldRow, approval) if approval else None
    if row is not None and row.subject == ACTION and row.status in OPEN:
        close(turn, row, VOID)


def waivers(row: HoldRow | None) -> frozenset[tuple[str, str]]:
    """The forbids an approval lifts, each bound to the text that was in force when it was asked."""
    causes = row.causes if row is not None else []
    return frozenset((c["id"], c["digest"]) for c in causes if c["kind"] == "forbid")


def void_reason(turn: Turn, row: HoldRow) -> Reason | None:
    """Say why an approval no longer counts: a policy has changed, or who approved it may not."""
    policy = changed_policy(row, turn.bundle)
    if policy:
        text = "the policy has changed since it was approved"
        return Reason(ReasonCode.APPROVAL_VOID, text, policy)
    if redefined(row, turn.bundle):
        return Reason(ReasonCode.APPROVAL_VOID, "the tool is not what it was when it was asked for")
    if row.status == APPROVED and given_inside(turn, row):
        text = "it was approved in the asking program itself, which proves nothing here"
        return Reason(ReasonCode.APPROVAL_VOID, text)
    if row.status == APPROVED and not quorum.reached(turn, row):
        text = "those who approved this may not approve it any more"
        return Reason(ReasonCode.APPROVAL_VOID, text)
    return None


def changed_policy(row: HoldRow, bundle: Bundle) -> str:
    """Return a policy that a hold names and that has another text now, or is gone (empty: none)."""
    # INVARIANT: an approval lifts exactly the causes that humans were shown; a changed text of a
    # listed policy voids it, an unrelated bundle change does not.
    now = {p.id: p.digest for p in bundle.policies}
    return next((p for p, digest in sorted(waivers(row)) if now.get(p) != digest), "")


def redefined(row: HoldRow, bundle: Bundle) -> bool:
    """Whether the tool that an action is to start is another than when humans looked."""
    # INVARIANT: humans approve an action of a tool as it was; another definition is another tool,
    # and so is one that takes, does or means something else.
    tool = bundle.tools.get(row.tool)
    if row.subject != ACTION or tool is None:
        return False
    return tool.pin != row.pin or row.shape not in ("", tool.shape)


def given_inside(turn: Turn, row: HoldRow) -> bool:
    """Whether what cannot be undone was held by a governor inside the asking program."""
    # INVARIANT: what nobody could tell from its asker is approved for that program alone.
    inside = row.level == EMBEDDED and turn.core.level != EMBEDDED
    return inside and row.subject == ACTION and lasting(row, turn.bundle)


def lasting(row: HoldRow, bundle: Bundle) -> bool:
    """Whether what is held cannot be undone, as far as is known."""
    tool = bundle.tools.get(row.tool)
    return tool is None or tool.effect is EffectClass.IRREVERSIBLE


def allowance(row: HoldRow | None) -> dict[str, int]:
    """How far an approval lets each budget be overdrawn."""
    causes = row.causes if row is not None else []
    return {c["id"]: c["amount"] for c in causes if c["kind"] == "budget"}


def settled_attempts(row: HoldRow | None) -> frozenset[str]:
    """The attempts whose doubt a human has taken upon themselves."""
    causes = row.causes if row is not None else []
    return frozenset(c["id"] for c in causes if c["kind"] == "attempt")


def outcome_of(row: HoldRow, now: int) -> Reason | None:
    """Say what an unfavourable end a hold has come to, or None while it may still be of use."""
    if row.status == DENIED:
        return Reason(ReasonCode.APPROVAL_DENIED, "a human refused this")
    if row.status == USED:
        return Reason(ReasonCode.APPROVAL_VOID, "this approval has been used")
    if row.status == VOID:
        return Reason(ReasonCode.APPROVAL_VOID, "this approval no longer counts")
    if row.status == EXPIRED or row.expires <= now:
        return Reason(ReasonCode.APPROVAL_EXPIRED, "nobody answered in time")
    return None


def reason_of(kept: dict[str, str]) -> Reason:
    """Read a reason back from a row."""
    return Reason(ReasonCode(kept["code"]), kept["text"], kept["policy"])


def plain(causes: tuple[Cause, ...]) -> list[dict[str, Any]]:
    """Causes as rows and records keep them."""
    return [structs.asdict(c) for c in causes]
