"""Budgets: reserve at the decision on everyone who pays, settle by the outcome.

Amounts are in ten-thousandths of the unit. There is one row for each budget and window; its id is
`<account>/<window>/<budget>`. A mission's account is its id and its windows are numbered from its
start; those of agents and users are pseudonyms, and their windows bear the time they begin at.

The ledger says the same as the rows. For each row id, add up `charged` of the decision leaves and
take away `returned` of all leaves: what is left is what the row has to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from msgspec import Struct

from bridle.governor.action.standing import Standing
from bridle.governor.delegation import shares
from bridle.governor.ground.core import Core
from bridle.model.budget import Budget
from bridle.model.tool import Tool
from bridle.store.base import Tx
from bridle.store.rows import BudgetRow, MissionRow

SCALE = 10_000

# No budget counts beyond this, whoever approves: the largest integer every JSON reader agrees on.
MOST = 2**53 - 1

MISSION, AGENT, USER = "mission", "agent", "user"

_PSEUDONYM = 32
_OF_INPUT = "input."


class Account(Struct, frozen=True):
    """Someone who pays: `of` is a mission, agent, user or grant, `id` begins its rows' ids.

    `began` is the start of a mission (milliseconds), 0 for those whose windows follow the clock.
    """

    of: str
    id: str
    budgets: tuple[Budget, ...]
    began: int = 0

    def key(self, budget: Budget, now: int) -> str:
        """Return the id of the row that pays at `now`."""
        return f"{self.id}/{self._window(budget.window_ms, now)}/{budget.name}"

    def _window(self, length: int, now: int) -> int:
        if not length:
            return 0
        number = (now - self.began) // length
        # A window of another length, later, is another window: unless both begin together, and then
        # what was used up counts on.
        return number if self.of == MISSION else number * length

    def resets_at(self, budget: Budget, now: int) -> int:
        """Return when the window that `now` lies in ends (0: never)."""
        length = budget.window_ms
        return now + length - (now - self.began) % length if length else 0

    def name(self, budget: Budget) -> str:
        """Return how causes and records name a budget: whose it is, but not who that is."""
        return budget.name if self.of == MISSION else f"{self.of}/{budget.name}"


def of_mission(mission: MissionRow, budgets: tuple[Budget, ...]) -> Account:
    """Return the account of a mission."""
    return Account(MISSION, mission.id, budgets, mission.started)


def of_identity(core: Core, kind: str, name: str, budgets: tuple[Budget, ...]) -> Account:
    """Return the account of an agent or a user, under a pseudonym."""
    # INVARIANT: rows hold no name of a person, nor a bare hash of one.
    pseudonym = core.keyed(f"budget|{kind}|{name}")[:_PSEUDONYM]
    return Account(kind, f"{kind}_{pseudonym}", budgets)


def _mission(at: Standing) -> Account | None:
    template = at.template
    if template is None or not template.budgets:
        return None
    return of_mission(at.mission, template.budgets)


def _agent(at: Standing) -> Account | None:
    agent = at.bundle.agents.get(at.session.agent)
    if agent is None or not agent.budgets:
        return None
    return of_identity(at.turn.core, AGENT, agent.id, agent.budgets)


def _user(at: Standing) -> Account | None:
    user = at.bundle.users.get(at.mission.user)
    if user is None or not user.budgets:
        return None
    return of_identity(at.turn.core, USER, user.id, user.budgets)


# Everyone who pays for an action: all of them, or none and it does not run.
ANCESTORS: tuple[Callable[[Standing], Account | None], ...] = (_mission, _agent, _user)


class Overrun(Struct, frozen=True):
    """A budget that cannot pay: by how much one action would overdraw it, and who may allow that.

    `budget` is its name with whose it is (`agent/spend`), `of` what has it, `plain` its bare name.
    `groups` is empty where nobody may.
    """

    budget: str
    amount: int
    groups: tuple[str, ...]
    of: str = MISSION
    plain: str = ""


class Charge(Struct, frozen=True):
    """What one action costs: amount per budget row id. Empty when nothing measures it.

    `used` is what those rows hold before it is taken, in the same transaction.
    """

    amounts: dict[str, int] = {}
    overruns: tuple[Overrun, ...] = ()
    used: dict[str, int] = {}

    @property
    def overdrawn(self) -> dict[str, int]:
        """By how much taking this charge overdraws which budget."""
        return {over.budget: over.amount for over in self.overruns}


def price(at: Standing, tool: Tool, value: dict[str, Any], paid: dict[str, int]) -> Charge:
    """Say what the action costs in each budget of everyone who pays, beyond what it has paid."""
    # INVARIANT: I4 — an action is charged once, whatever its attempts; only if it came to cost
    # more since (another bundle, another rewriting) is the difference charged.
    amounts: dict[str, int] = {}
    before: dict[str, int] = {}
    overruns: list[Overrun] = []
    for account in _payers(at, tool):
        for budget in account.budgets:
            cost = _cost(budget, tool, value) - _paid(paid, account, budget)
            if cost <= 0:
                continue
            key = account.key(budget, at.now)
            amounts[key], before[key] = cost, used_of(at.turn.tx, key)
            overrun = _overrun(account, budget, before[key], cost)
            if overrun is not None:
                overruns.append(overrun)
    return Charge(amounts, tuple(overruns), before)


class Measures(Struct, frozen=True):
    """What any action with a tool costs, as far as its arguments do not say.

    `flat` are known amounts by row id. `charged` are all budgets that it can charge, `open`
    those where its arguments say how much, both by account and name.
    """

    flat: dict[str, int]
    charged: frozenset[str]
    open: frozenset[str]


def measures(at: Standing, tool: Tool) -> Measures:
    """Say what is known of the cost of a tool's actions before their arguments are."""
    flat: dict[str, int] = {}
    charged, unknown = set[str](), set[str]()
    for account in _payers(at, tool):
        for budget in account.budgets:
            measure, name = budget.cost_of(tool), f"{account.id}/{budget.name}"
            if not measure:
                continue
            charged.add(name)
            if measure.startswith(_OF_INPUT):
                unknown.add(name)
            else:
                flat[account.key(budget, at.now)] = scaled(Decimal(measure))
    return Measures(flat, frozenset(charged), frozenset(unknown))


def _payers(at: Standing, tool: Tool) -> Iterator[Account]:
    yield from filter(None, (find(at) for find in ANCESTORS))
    # INVARIANT: I5 — what a grant caps is capped for all that was handed on below it, together.
    for id_, caps in shares.caps(at, tool):
        yield Account(shares.GRANT, id_, caps)


def _overrun(account: Account, budget: Budget, used: int, cost: int) -> Overrun | None:
    missing = cost - max(budget.limit - used, 0)
    if missing <= 0 and used + cost <= MOST:
        return None
    groups = budget.hold if used + cost <= MOST else ()
    return Overrun(account.name(budget), missing, groups, account.of, budget.name)


def reserve(tx: Tx, charge: Charge, paid: dict[str, int]) -> dict[str, int]:
    """Take the charge, whose overruns are none or approved. Returns all the action has paid."""
    total = dict(paid)
    for key, amount in charge.amounts.items():
        _put(tx, key, charge.used[key] + amount)
        total[key] = total.get(key, 0) + amount
    return total


def release(tx: Tx, amounts: dict[str, int]) -> None:
    """Give back what was reserved, to the windows it was taken from."""
    for key, amount in amounts.items():
        _put(tx, key, max(0, used_of(tx, key) - amount))


def take(tx: Tx, amounts: dict[str, int]) -> None:
    """Charge what was given back before, even beyond a limit: it may have been used up."""
    for key, amount in amounts.items():
        _put(tx, key, used_of(tx, key) + amount)


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return what an action has been given back, by row id: what it had paid less what it has."""
    lowered = {key: amount - after.get(key, 0) for key, amount in before.items()}
    return {key: amount for key, amount in lowered.items() if amount}


def used_of(tx: Tx, key: str) -> int:
    """Return what a row holds."""
    row = tx.get(BudgetRow, key)
    return row.used if row is not None else 0


def parts(key: str) -> tuple[str, int, str]:
    """Return the account, the window and the budget that a row id names."""
    account, window, name = key.split("/", 2)
    return account, int(window), name


def scaled(amount: Decimal) -> int:
    """Return an amount in ten-thousandths, rounded up."""
    return int((amount * SCALE).to_integral_value(rounding="ROUND_CEILING"))


def plain(amount: int) -> str:
    """Return ten-thousandths as a decimal number."""
    whole = Decimal(amount) / SCALE
    return f"{whole.normalize():f}"


def _paid(paid: dict[str, int], account: Account, budget: Budget) -> int:
    begin, end = f"{account.id}/", f"/{budget.name}"
    return sum(v for key, v in paid.items() if key.startswith(begin) and key.endswith(end))


def _put(tx: Tx, key: str, used: int) -> None:
    # INVARIANT: (budgets) rows change only inside the decision's own transaction, so concurrent
    # reservations are ordered by the one writer and can never add up to more than was checked.
    account, window, name = parts(key)
    tx.put(BudgetRow(id=key, mission=account, name=name, window=window, used=used))


def _cost(budget: Budget, tool: Tool, value: dict[str, Any]) -> int:
    measure = budget.cost_of(tool)
    if not measure:
        return 0
    if not measure.startswith(_OF_INPUT):
        return scaled(Decimal(measure))
    found: Any = value
    for step in measure.split(".")[1:]:
        found = found.get(step) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    # A missing amount cannot be measured. Charging the whole limit errs on the side of stopping.
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        return budget.limit + 1
    return scaled(Decimal(found)) if found > 0 else 0
