"""Whether what rules looked back on has changed between a verdict and its start.

An agent that may choose when to start would otherwise have an action allowed first, do what
forbids it, and start it then.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridle.engine.case import Refusal
from bridle.governor.action.standing import Standing
from bridle.governor.history import chain, telling
from bridle.governor.planning import citing
from bridle.model.reason import Reason, ReasonCode
from bridle.store.rows import ActionRow, EventRow, PartitionRow

_OVERTAKEN = Reason(
    ReasonCode.LEASE_LAPSED, "what came before it is no longer the same; decide again"
)


def overtaken(at: Standing, row: ActionRow) -> Reason | None:
    """Say so where history would now answer otherwise than it did in the verdict of an action."""
    if not telling.has_history(at.turn):
        return None
    kept = at.turn.unseal(row.mission, row.id, row.sealed)
    if not _moved(at, row, kept.recalled):
        return None
    at, typed = at.declaring(kept.provenance, at.engine.normalise(row.tool, kept.args))
    if isinstance(typed, Refusal):
        return _OVERTAKEN
    at = citing.again(at, kept, typed, row)
    # INVARIANT: an effect starts under the answers that it was allowed with. Its own request is in
    # history already; asked again under the same id it counts once.
    request = telling.request_id(row.id, row.requests)
    at.engine.judge(at.case(row.tool, typed, frozenset(), request))
    return None if at.turn.recalled == kept.recalled else _OVERTAKEN


def _moved(at: Standing, row: ActionRow, partitions: Iterable[str]) -> bool:
    """Whether anything entered these partitions after the verdict."""
    return any(_newest(at, each) > row.leaf for each in partitions)


def _newest(at: Standing, partition: str) -> int:
    """The record that tells of a partition's newest event; past every other where it is gone."""
    tx = at.turn.tx
    row = tx.get(PartitionRow, partition)
    event = tx.get(EventRow, chain.key(partition, row.seq)) if row is not None else None
    return event.record if event is not None else tx.frontier().size
