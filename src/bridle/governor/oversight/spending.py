"""What is spent, for humans: each budget of a mission and of everyone who pays beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.governor.action import budgets
from bridle.governor.action.budgets import Account
from bridle.governor.ground.turn import Turn
from bridle.model.action import ActionState, AttemptState
from bridle.model.budget import Budget
from bridle.model.identity import Agent, User
from bridle.store.rows import ActionRow, AttemptRow, MissionRow

_MOST = 100_000


def of_mission(turn: Turn, mission: MissionRow) -> list[dict[str, Any]]:
    """Every budget that work in this mission draws on: its own, its user's, its agents'."""
    bundle = turn.bundle
    template = bundle.missions.get(mission.template)
    if template is None:
        return []
    user = bundle.users.get(mission.user)
    payers = [
        (mission.id, budgets.of_mission(mission, template.budgets)),
        *_identities(turn, [user] if user is not None else []),
        *_identities(turn, _known(bundle, template.agents)),
    ]
    return _rows(turn, payers)


def of_identities(
    turn: Turn, identities: Iterable[Agent | User]
) -> dict[str, list[dict[str, Any]]]:
    """What agents or users have spent in all missions, by id."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(turn, _identities(turn, identities)):
        found.setdefault(row["id"], []).append(row)
    return found


def _known(bundle: Bundle, names: tuple[str, ...]) -> list[Agent]:
    return [bundle.agents[name] for name in names if name in bundle.agents]


def _identities(turn: Turn, identities: Iterable[Agent | User]) -> list[tuple[str, Account]]:
    return [
        (one.id, budgets.of_identity(turn.core, _kind(one), one.id, one.budgets))
        for one in identities
        if one.budgets
    ]


def _kind(one: Agent | User) -> str:
    return budgets.AGENT if isinstance(one, Agent) else budgets.USER


def _rows(turn: Turn, payers: list[tuple[str, Account]]) -> list[dict[str, Any]]:
    drawn = any(account.budgets for _, account in payers)
    unsettled = _unsettled(turn) if drawn else Counter[str]()
    return [
        _row(turn, name, account, budget, unsettled)
        for name, account in payers
        for budget in account.budgets
    ]


def _row(
    turn: Turn, name: str, account: Account, budget: Budget, unsettled: Counter[str]
) -> dict[str, Any]:
    key = account.key(budget, turn.now)
    return {
        "budget": budget.name,
        "of": account.of,
        "id": name,
        "used": budgets.plain(budgets.used_of(turn.tx, key)),
        "reserved": budgets.plain(unsettled[key]),
        "limit": budgets.plain(budget.limit),
        "unit": budget.unit,
        "window_ms": budget.window_ms,
        "resets_at": account.resets_at(budget, turn.now),
    }


def _unsettled(turn: Turn) -> Counter[str]:
    """What is taken and may still come back, by row: verdicts, running and unknown attempts."""
    tx, found = turn.tx, dict[str, ActionRow]()
    for state in (ActionState.DECIDED, ActionState.STARTED):
        rows = tx.find(ActionRow, state=state, limit=_MOST)
        found |= {row.id: row for row in rows if not row.settled}
    for attempt in tx.find(AttemptRow, state=AttemptState.UNKNOWN, limit=_MOST):
        row = tx.get(ActionRow, attempt.action)
        if row is not None and row.attempt == attempt.id and row.charged:
            found[row.id] = row
    total = Counter[str]()
    for row in found.values():
        total.update(row.charged)
    return total
