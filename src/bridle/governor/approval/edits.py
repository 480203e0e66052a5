"""What a human proposes in place of what a hold asks: other arguments, or a wider reach.

Both are checked when they are proposed, so that nobody approves what would be denied anyway; what
runs is judged again on release all the same.
"""

from __future__ import annotations

import re

from msgspec import Struct, structs

from bridle.engine.case import Judgement, Refusal, Typed
from bridle.governor.action import budgets, holds, judging
from bridle.governor.action.standing import Standing
from bridle.governor.approval import exceptions
from bridle.governor.ground import clear
from bridle.governor.ground.turn import Turn
from bridle.governor.history import telling
from bridle.governor.planning import citing
from bridle.model.calls import Terms
from bridle.model.errors import RefusedError
from bridle.model.reason import Reason
from bridle.model.verdict import Effect
from bridle.store.rows import ActionRow, GrantRow, HoldRow, MissionRow, SessionRow

_MOST_USES = 10_000
_MOST_NAMES = 64
_LONGEST = 200
# A thousand years. Rows and answers carry no integers that JSON readers disagree on.
_LONGEST_MS = 1_000 * 366 * 86_400_000
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_LOOK = "show the hold again and decide on what it says now"


class Proposal(Struct, frozen=True):
    """What a vote puts in place of what was shown. `args` is empty where they stay as they are."""

    args: str = ""
    terms: Terms | None = None

    @property
    def changes(self) -> bool:
        """Whether anything is proposed at all."""
        return bool(self.args) or self.terms is not None


def apply(turn: Turn, row: HoldRow, proposal: Proposal) -> HoldRow:
    """Return the hold as the proposal has it, or raise `RefusedError` with what stands against it.

    A proposal is complete: one without terms takes back those that others proposed.
    """
    if row.subject != holds.ACTION:
        raise RefusedError(
            "a result is released as it is or not at all",
            code="not_editable",
            hint="approve or deny it; a @modify on the result changes it for everyone",
        )
    at = _standing(turn, row)
    kept = turn.unseal(row.mission, row.action, row.sealed)
    typed = at.engine.normalise(row.tool, proposal.args or kept.args)
    at, asked = at.declaring(kept.provenance, at.engine.normalise(row.tool, kept.requested))
    if isinstance(typed, Refusal):
        raise _refused(Reason(typed.code, typed.text))
    if isinstance(asked, Refusal):
        raise _refused(Reason(asked.code, asked.text))
    at = citing.again(at, kept, asked, turn.tx.get(ActionRow, row.action))
    if proposal.args:
        _would_run(at, row, typed)
    if proposal.terms is not None:
        _check_terms(at, row, proposal.terms, typed)
    edited = row.edited or (typed.text != kept.args)
    return structs.replace(
        row,
        digest=holds.shown_digest(turn.core, typed.digest, proposal.terms),
        sealed=turn.seal(row.mission, row.action, structs.replace(kept, args=typed.text)),
        edited=edited,
        terms=structs.asdict(proposal.terms) if proposal.terms is not None else None,
    )


def _standing(turn: Turn, row: HoldRow) -> Standing:
    """Where the held action stands, without its session: that may have been closed since."""
    mission = turn.tx.get(MissionRow, row.mission)
    action = turn.tx.get(ActionRow, row.action)
    if mission is None or action is None or row.tool not in turn.bundle.tools:
        raise RefusedError(
            "what this hold is about is not known any more", code="hold_settled", hint=_LOOK
        )
    grant = turn.tx.get(GrantRow, action.grant)
    # INVARIANT: I5 — whom the task came from, and whom it serves, limit what a human writes too.
    session = SessionRow(
        id="",
        mission=row.mission,
        agent=row.agent,
        executor=action.executor,
        opened=0,
        method="",
        grant=action.grant,
        line=row.line,
        task=grant.task if grant is not None else "",
    )
    return Standing(turn, session, mission, turn.globals, turn.engine).serving(row.requester)


def _would_run(at: Standing, row: HoldRow, typed: Typed) -> None:
    """Refuse arguments that the hold's approval would not make run exactly as they are."""
    outside = judging.ungranted(at, row.tool, typed, made=True)
    if outside is not None:
        raise _refused(outside)
    action = at.turn.tx.get(ActionRow, row.action)
    number = action.requests + 1 if action is not None else 1
    request = telling.request_id(row.action, number)
    judged, _ = exceptions.judge(at, row.tool, typed, holds.waivers(row), request)
    if judged.effect is Effect.MODIFY and judged.typed is not None:
        raise RefusedError(
            f"a policy would change these arguments ({_said(judged)})",
            code="edit_changed",
            hint=f"this would pass: {clear.text_of(judged.typed.text)}",
        )
    if judged.effect is not Effect.ALLOW:
        reasons = judged.record or judged.reasons
        raise _refused(*reasons)
    _can_be_paid(at, row, typed)


def _can_be_paid(at: Standing, row: HoldRow, typed: Typed) -> None:
    action = at.turn.tx.get(ActionRow, row.action)
    paid = action.charged if action is not None else {}
    lifted = holds.allowance(row)
    charge = budgets.price(at, at.bundle.tools[row.tool], typed.value, paid)
    for over in charge.overruns:
        if lifted.get(over.budget, 0) < over.amount or not over.groups:
            raise RefusedError(
                f"the budget {over.budget!r} would not pay for these arguments",
                code="edit_refused",
                hint="edit to less, or deny this hold",
            )


def _refused(*reasons: Reason) -> RefusedError:
    said = "; ".join(r.text or r.code.value for r in reasons)
    return RefusedError(
        f"these arguments would not be allowed: {said}",
        code="edit_refused",
        hint="edit to what policies allow, or deny this hold",
    )


def _said(judged: Judgement) -> str:
    return "; ".join(r.policy for r in judged.reasons if r.policy)


def _check_terms(at: Standing, row: HoldRow, terms: Terms, typed: Typed) -> None:
    if any(cause["kind"] != "forbid" for cause in row.causes):
        raise _bad("only what policies object to can be approved for a mission, never a budget "
                   "or a doubt")  # fmt: skip
    if not 1 <= terms.count <= _MOST_USES:
        raise _bad(f"the count is 1 to {_MOST_USES:,}")
    if not 0 <= terms.expires_ms <= _LONGEST_MS:
        raise _bad("an expiry lies in the future, and not for ever")
    names = (*terms.free, *terms.most, *(terms.labels or ()))
    if len(names) > _MOST_NAMES or any(not _is_name(name) for name in names):
        raise _bad("a name in the terms is empty or too long, or there are too many")
    for path in (*terms.free, *terms.most):
        if not at.engine.declares(row.tool, exceptions.steps(path)):
            raise _bad(f"{row.tool} has no argument {clear.text_of(path)!r}")
    if set(terms.free) & terms.most.keys():
        raise _bad("an argument is either free or bounded")
    _check_bounds(at, row, terms, typed)
    if len(exceptions.active(at.turn, row.mission)) >= exceptions.MOST:
        raise _bad(f"this mission has {exceptions.MOST} exceptions in force; end one first")


def _check_bounds(at: Standing, row: HoldRow, terms: Terms, typed: Typed) -> None:
    for path, most in terms.most.items():
        if not _NUMBER.fullmatch(most):
            raise _bad(f"the bound of {clear.text_of(path)!r} is no number")
    predicate = exceptions.Predicate(typed.text, terms.free, terms.most, "")
    # Whoever bounds an argument sees at once whether the bound can be met at all.
    if not exceptions.alike(at.engine, row.tool, predicate, typed):
        raise _bad("the arguments that are approved do not fit their own bounds")


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and clear.is_text(text)


def _bad(text: str) -> RefusedError:
    return RefusedError(text, code="bad_terms", hint="see “For the mission” in the policy guide")
