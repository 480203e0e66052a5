"""Takes in what whoever asks says of where arguments came from.

It adds to what is found and takes nothing from it: whoever says much is stopped more often, and
whoever says nothing is judged by what the values are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from bridle.engine.case import Refusal, Typed
from bridle.engine.engine import Engine
from bridle.engine.flow.origin import Place, Trace
from bridle.engine.strict_json import parse_arguments
from bridle.governor.ground import clear
from bridle.governor.ground.turn import Turn
from bridle.governor.provenance import seeing, tracing
from bridle.model.provenance import Provenance
from bridle.model.reason import ReasonCode
from bridle.store.rows import ActionRow, MissionRow

LONGEST = 65_536
"""Characters of what is said of one action."""

MOST = 64
"""Arguments that something is said of, and labels and actions of each."""

_DEPTH = 3


def read(
    turn: Turn, engine: Engine, mission: MissionRow, text: str, typed: Typed
) -> dict[str, list[Trace]] | Refusal:
    """Return what is said of each argument, as if it had been found, or why that is refused.

    Raises as `tracing.index_of`.
    """
    try:
        return {
            argument: list(_traces(turn, engine, mission, said))
            for argument, said in _said(text, typed.value).items()
        }
    except _RefusedError as problem:
        return problem.refusal


class _RefusedError(Exception):
    def __init__(self, text: str, code: ReasonCode = ReasonCode.MALFORMED) -> None:
        super().__init__(text)
        self.refusal = Refusal(code, f"provenance: {text}")


def _said(text: str, arguments: Mapping[str, Any]) -> dict[str, Provenance]:
    if not text:
        return {}
    value = parse_arguments(text, size=LONGEST, depth=_DEPTH)
    if isinstance(value, Refusal):
        raise _RefusedError(value.text, value.code)
    try:
        said = msgspec.convert(value, dict[str, Provenance])
    except msgspec.ValidationError as problem:
        raise _RefusedError(clear.text_of(str(problem))) from problem
    if len(said) > MOST or any(max(len(s.labels), len(s.read)) > MOST for s in said.values()):
        raise _RefusedError(f"more than {MOST} in one place", ReasonCode.LIMIT_EXCEEDED)
    for argument in said:
        if arguments.get(argument) is None:
            raise _RefusedError(f"there is no argument {clear.text_of(argument)!r}")
    return said


def _traces(turn: Turn, engine: Engine, mission: MissionRow, said: Provenance) -> Iterator[Trace]:
    unknown = sorted(set(said.labels) - engine.bundle.labels)
    if unknown:
        text = f"nothing in the bundle carries the label {clear.text_of(unknown[0])!r}"
        raise _RefusedError(text)
    yield _only(labels=frozenset(said.labels))
    for action in dict.fromkeys(said.read):
        row = turn.tx.get(ActionRow, action) if clear.is_text(action) else None
        # INVARIANT: I5 — what another mission has read is not named here.
        if row is None or row.mission != mission.id or not row.attempts:
            text = f"this mission has no result of an action {clear.text_of(action)!r}"
            raise _RefusedError(text)
        yield _of_result(turn, engine, mission, row)


def _of_result(turn: Turn, engine: Engine, mission: MissionRow, row: ActionRow) -> Trace:
    tool = engine.bundle.tools.get(row.tool)
    labels = seeing.of_tool(engine.bundle, tool) if tool is not None else ()
    index = tracing.index_of(turn, engine, mission) if engine.traces else None
    sources = index.of(row.id) if index is not None else ()
    if index is None or not sources:
        # Nobody knows any more what it said, and so what it was labelled.
        system = tool.system if tool is not None else ""
        place = system, engine.bundle.systems[system].domain if system else ""
        return _only(False, labels=frozenset(labels), places=frozenset([place]), mission=True)
    return _only(
        all(source.trusted for source in sources),
        # What detectors found there is known by its value alone: so all that they found anywhere.
        labels=index.found.union(labels, *(source.labels for source in sources)),
        places=frozenset((source.system, source.domain) for source in sources),
        events=tuple(source.id for source in sources),
    )


def _only(
    trusted: bool = True,  # noqa: FBT001, FBT002 - the one thing that is said
    *,
    labels: frozenset[str],
    places: frozenset[Place] = frozenset(),
    mission: bool = False,
    events: tuple[str, ...] = (),
) -> Trace:
    """Return a trace that says nothing but this: it never makes anything trusted, or known."""
    return Trace(
        trusted=trusted,
        prompted=trusted,
        unknown=False,
        places=places,
        labels=labels,
        mission=mission,
        events=events,
    )
