"""What humans have approved, they vouch for: the values that steer an action that they let run.

Only where what they lifted was an objection to where values came from, only for what means the same
to systems of the same domain, and only in this mission. It is on record, by names and not by value.
"""

from __future__ import annotations

from bridle.engine.case import Typed
from bridle.engine.flow.source import Source, SourceKind
from bridle.engine.parties import asks_for_origins
from bridle.governor.action import holds
from bridle.governor.ground.turn import Turn
from bridle.governor.provenance import recording
from bridle.store.rows import HoldRow

UNNAMED = "?"
"""Stands for arguments that a tool takes and does not name."""


def endorse(
    turn: Turn, approval: HoldRow | None, action: str, tool: str, typed: Typed
) -> list[str]:
    """Vouch for what steers an action that runs on an approval. Returns the arguments concerned.

    The turn's next record has to tell of it.
    """
    if approval is None or not turn.engine.traces or not _is_about_origins(turn, approval):
        return []
    texts, names = dict[str, list[str]](), set[str]()
    for leaf in turn.engine.meanings.leaves(tool, typed.value):
        if leaf.text and leaf.meaning.steering:
            texts.setdefault(leaf.meaning.sink, []).append(leaf.text)
            # What no schema names was made up by whoever asked: it is no text for a record.
            declared = turn.engine.declares(tool, (leaf.argument,))
            names.add(leaf.argument if declared else UNNAMED)
    domain = turn.engine.meanings.domain(tool)
    for sink, said in sorted(texts.items()):
        source = Source(
            id=action,
            kind=SourceKind.ENDORSEMENT,
            record=turn.tx.frontier().size,
            trusted=True,
            sink=sink,
            toward=domain,
        )
        recording.vouched_for(turn, approval.mission, source, said)
    return sorted(names)


def _is_about_origins(turn: Turn, approval: HoldRow) -> bool:
    """Whether it lifts a policy that asks where arguments came from."""
    lifted = dict(holds.waivers(approval))
    return any(p.id in lifted and asks_for_origins(p) for p in turn.bundle.policies)
