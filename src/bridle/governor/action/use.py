"""Reported use: what an attempt really used up lowers what was reserved for it.

Only a workload that the bundle trusts to say so is believed, and only downwards: a report never
raises a charge, and never touches what an earlier attempt may have used up. Whatever is not
believed is left out, on record.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import islice
from typing import Any

from msgspec import structs

from bridle.governor.action import attempts, budgets
from bridle.governor.action.standing import Standing
from bridle.governor.ground import clear
from bridle.governor.identity import executors
from bridle.model.action import AttemptState
from bridle.model.identity import Status
from bridle.store.rows import ActionRow, AttemptRow

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,12})?")
_LOOKED_AT = 64

# What only a report about an effect that ran can say anything of.
_RAN = (AttemptState.OK, AttemptState.ERROR)


def counted(
    at: Standing, action: ActionRow, attempt: AttemptRow, reported: dict[str, str]
) -> tuple[ActionRow, dict[str, Any]]:
    """Lower what the action has paid to what was used. Returns it, and what the record says."""
    if not reported:
        return action, {}
    believed: dict[str, str] = {}
    ignored: dict[str, str] = {}
    refusal = _refusal(at, action, attempt)
    for name, amount in islice(reported.items(), _LOOKED_AT):
        why = refusal or _misread(action, name, amount)
        if why:
            ignored[clear.token(str(name))] = why
            continue
        believed[name] = amount
        action = _lowered(at, action, name, budgets.scaled(Decimal(amount)))
    told = {"used": believed, "used_ignored": ignored}
    return action, {key: value for key, value in told.items() if value}


def _refusal(at: Standing, action: ActionRow, attempt: AttemptRow) -> str:
    """Say why nothing that this report says of use counts, empty if it may."""
    if not _trusted(at):
        return "not_trusted"
    if action.attempt != attempt.id:
        return "superseded"
    if attempt.state not in _RAN:
        return "did_not_run"
    if action.attempts > 1 and _earlier(at, action, attempt):
        return "earlier_attempt"
    return ""


def _trusted(at: Standing) -> bool:
    # INVARIANT: what lowers a charge is said by a workload that the bundle trusts, and that has
    # proved to be it where it has a key. The agent's own word never does.
    workload = at.bundle.workloads.get(at.executor)
    if workload is None or not workload.reports_use:
        return False
    if at.turn.status("workload", workload.id) is not Status.ACTIVE:
        return False
    return executors.proven(at.turn, workload.id)


def _earlier(at: Standing, action: ActionRow, attempt: AttemptRow) -> bool:
    """Whether another attempt may have used up some of what was paid once for all of them."""
    doubts = attempts.in_doubt(at.turn, action, at.bundle.tools.get(action.tool))
    return any(doubt != attempt.id for doubt in doubts)


def _misread(action: ActionRow, name: Any, amount: Any) -> str:
    if not isinstance(amount, str) or not _NUMBER.fullmatch(amount):
        return "not_a_number"
    if not any(budgets.parts(key)[2] == name for key in action.charged):
        return "not_reserved"
    return ""


def _lowered(at: Standing, action: ActionRow, name: str, used: int) -> ActionRow:
    """Keep at most `used` in the budget of this name of everyone who paid for the action."""
    left: dict[str, int] = {}
    kept, returned = dict(action.charged), dict[str, int]()
    # The oldest window keeps first: what came later was paid on top of it.
    for key in sorted(action.charged, key=lambda key: budgets.parts(key)[1]):
        account, _, budget = budgets.parts(key)
        if budget != name:
            continue
        room = left.get(account, used)
        keeps = min(kept[key], room)
        left[account] = room - keeps
        if keeps < kept[key]:
            returned[key] = kept[key] - keeps
        if keeps:
            kept[key] = keeps
        else:
            del kept[key]
    budgets.release(at.turn.tx, returned)
    return structs.replace(action, charged=kept)
