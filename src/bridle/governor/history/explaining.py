"""Says what a verdict stands on: each condition over history, and where the arguments came from.

Conditions by the specification's own evaluator, over the events that are kept, as they were at the
decision. It shows that and when something happened, and never with what content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from bridle.bundle.sentences import sentence
from bridle.engine.case import Case, MissionView, Typed
from bridle.engine.engine import Engine
from bridle.engine.temporal.specification import witnesses
from bridle.governor.delegation import lineage
from bridle.governor.ground.turn import Turn
from bridle.governor.ground.vault import opener
from bridle.governor.history import chain, telling, whose
from bridle.governor.history.whose import Whose
from bridle.governor.provenance import told
from bridle.language.policy import Leaf as Condition
from bridle.language.policy import Policy
from bridle.ledger import leaf
from bridle.ledger.tree import leaf_hash
from bridle.model.calls import Explain
from bridle.model.errors import BridleError, NotFoundError
from bridle.model.record import Leaf, LeafKind
from bridle.store.rows import ActionRow, EventRow, PartitionRow

MOST = 2_000
"""Events that are looked at again for one condition, at most."""

KEPT, GONE, MANY = "kept", "no longer kept", "too many to look at again"

# Whom the action came through, under which grants, and for whom a deputy acted.
_HANDED = ("line", "grants", "requester")
# What it was meant to be: the step of a plan, by the name that records have for that.
_PLANNED = ("plan", "step")
# Whose definition it was a run of, its author where the pipeline itself decided.
_RUN = ("author", "pipeline", "definition")
_NAMED = ("executor", *_HANDED, *_PLANNED, *_RUN)


class Decided(Struct, frozen=True):
    """A decision as its record has it. `at` says where its event stands in each partition.

    `provenance` is what whoever asked said of where arguments came from.
    """

    record: Leaf
    index: int
    case: Case
    at: dict[str, int]
    truths: dict[str, dict[str, bool]]
    engine: Engine
    flow: str = ""
    provenance: str = ""


def explain(turn: Turn, call: Explain) -> list[dict[str, Any]]:
    """Return one row: the verdict, what it could depend on of history, where arguments came from.

    Raises `NotFoundError` for an action that is not known or was never judged.
    """
    index = _index(turn, call.action)
    decided = _decided(turn, index)
    body = decided.record.body
    return [
        {
            "action": call.action,
            "record": index,
            "time": decided.record.time,
            "mission": decided.record.chain,
            "agent": decided.case.agent,
            **{name: decided.record.ids.get(name, "") for name in _NAMED},
            "deviates": body.get("deviates", ""),
            "tool": decided.case.tool,
            "effect": body.get("effect", ""),
            "codes": body.get("codes", []),
            "policies": body.get("policies", []),
            "conditions": list(_conditions(turn, decided)),
            "flow": told.shown(turn, decided.engine.bundle, decided.flow),
            "provenance": json.loads(decided.provenance or "{}"),
        }
    ]


def _index(turn: Turn, action: str) -> int:
    """Return the record of an action's last decision; a number is that record itself."""
    if action.isascii() and action.isdigit() and len(action) < 16:
        index = int(action)
        if index < turn.tx.frontier().size:
            return index
    row = turn.tx.get(ActionRow, action)
    if row is None or row.leaf < 0:
        hint = "name an action by its id, or its decision by the number of its record"
        raise NotFoundError(f"no action {action!r} was decided here", hint=hint)
    return row.leaf


def _decided(turn: Turn, index: int) -> Decided:
    stored = next(turn.tx.leaves(index, index + 1))
    record = leaf.parse(stored.data)
    number = record.body.get("request")
    if record.kind is not LeafKind.DECISION or type(number) is not int:
        raise NotFoundError(
            f"record {index} is no verdict of policies",
            hint="what was refused before policies were asked has no conditions to explain",
        )
    try:
        opened = opener(turn.core.keyring, turn.tx)(stored, leaf_hash(stored.data))
    except BridleError:
        opened = {}
    fields = {name: value.decode() for name, (_, value) in opened.items()}
    engine = _engine(turn, record.ids["bundle"])
    said = json.loads(fields.get("history", "{}"))
    case = _case(engine, record, telling.request_id(fields.get("action", ""), number), fields)
    return Decided(
        record,
        index,
        case,
        said.get("at", {}),
        said.get("truths", {}),
        engine,
        fields.get("flow", ""),
        fields.get("provenance", ""),
    )


def _engine(turn: Turn, digest: str) -> Engine:
    try:
        return turn.core.engine(turn.tx, digest)
    finally:
        turn.core.engine(turn.tx, turn.globals.active)  # what is in force is remembered last


def _case(engine: Engine, record: Leaf, name: str, fields: dict[str, str]) -> Case:
    tool = str(record.body["tool"])
    text = fields.get("judged") or fields.get("modified") or fields.get("args", "{}")
    typed = engine.normalise(tool, text)
    return Case(
        tool=tool,
        typed=typed if isinstance(typed, Typed) else telling.NOTHING,
        agent=record.ids["agent"],
        user=record.ids["user"],
        mission=MissionView(record.chain, ""),
        now=record.time,
        executor=record.ids.get("executor", ""),
        chain=lineage.agents(record.ids.get("line", ""), record.ids["agent"])[:-1],
        id=name,
    )


def _conditions(turn: Turn, decided: Decided) -> Iterator[dict[str, Any]]:
    case, engine = decided.case, decided.engine
    if case.tool not in engine.bundle.tools:
        return
    for policy in engine.looking_back(case.tool, case.agent):
        for condition in policy.leaves:
            yield _condition(turn, decided, policy, condition)


def _condition(
    turn: Turn, decided: Decided, policy: Policy, condition: Condition
) -> dict[str, Any]:
    case = decided.case
    of = Whose(case.mission.id, case.user, (case.agent,))
    partition = whose.asked(turn.core, condition.scope, case.agent, of)
    events, state = _events(turn, decided, partition, condition)
    return {
        "policy": policy.id,
        "effect": policy.effect,
        "shadow": policy.shadow,
        "spoke": policy.id in decided.record.body.get("policies", []),
        "scope": condition.scope,
        "sentence": sentence(condition),
        "truth": decided.truths.get(partition, {}).get(condition.name),
        "history": state,
        "events": events,
    }


def _events(
    turn: Turn, decided: Decided, partition: str, condition: Condition
) -> tuple[list[dict[str, Any]], str]:
    """Return the events that made a condition true, and whether they could be looked at."""
    at, row = decided.at.get(partition, 0), turn.tx.get(PartitionRow, partition)
    since = decided.record.time - condition.horizon * 1_000
    if row is None or not row.first <= at <= row.seq or row.complete > since:
        return [], GONE
    rows = list(_within(turn, row, at, since))
    if len(rows) > MOST:
        return [], MANY
    history = [chain.event_of(each) for each in rows]
    atoms = turn.core.atoms
    read = decided.engine.reader(decided.case, decided.case.agent, atoms)
    found = witnesses(condition.condition, history, len(history) - 1, read, atoms)
    return [_shown(rows[position], decided) for position in found], KEPT


def _within(turn: Turn, row: PartitionRow, at: int, since: int) -> Iterator[EventRow]:
    """Yield the events up to the decision that a condition could see, oldest first."""
    found: list[EventRow] = []
    for number in range(at, row.first - 1, -1):
        event = turn.tx.get(EventRow, chain.key(row.id, number))
        # One more than the window: `previous` looks at the event before.
        if event is None or len(found) > MOST:
            break
        found.append(event)
        if event.time < since:
            break
    yield from reversed(found)


def _shown(row: EventRow, decided: Decided) -> dict[str, Any]:
    return {
        "record": row.record,
        "kind": row.kind,
        "tool": row.tool,
        "mission": row.mission,
        "time": row.time,
        "age_ms": max(0, decided.record.time - row.time),
        "this": row.record == decided.index,
    }
