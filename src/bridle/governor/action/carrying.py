"""What the governor's side needs to know to carry a started action out itself."""

from __future__ import annotations

from msgspec import Struct

from bridle.governor.ground.turn import Turn
from bridle.model.errors import RefusedError
from bridle.model.tool import System, Tool
from bridle.model.verdict import Verdict
from bridle.store.rows import AttemptRow


class Carried(Struct, frozen=True):
    """The tool of a started attempt and its system, as the bundle that judged it declares them."""

    tool: Tool
    system: System


def of_start(turn: Turn, verdict: Verdict) -> Carried:
    """Return what a start is to be carried out by. Raises `RefusedError`, `StoreError`."""
    attempt = turn.tx.get(AttemptRow, verdict.attempt)
    # INVARIANT: I3 — how it is carried out is what was judged, whatever was activated meanwhile.
    bundle = turn.bundle
    if verdict.bundle != bundle.digest:
        bundle = turn.core.engine(turn.tx, verdict.bundle).bundle
    tool = bundle.tools.get(attempt.tool) if attempt is not None else None
    if tool is None or tool.performed is None:
        raise RefusedError("nothing says how this is carried out", code="not_separated")
    return Carried(tool, bundle.systems[tool.system])
