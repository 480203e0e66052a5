"""Records as spans of OpenTelemetry's conventions for generative AI, free of its packages.

Conventions: <https://github.com/open-telemetry/semantic-conventions-genai> (status: development). A
mission is a trace; an attempt is a span `execute_tool {tool}` from its decision to its outcome, and
everything else a span of no length. Ids follow from log, mission and action, so telling twice makes
the same spans. Attributes of content (arguments, results, prompts) are deliberately not offered.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, TypeAlias

from msgspec import Struct

from bridle.emit import told
from bridle.emit.record import Record, span_of, trace_of
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect

Attributes: TypeAlias = dict[str, str | int | bool | list[str]]

MOST_OPEN = 4096
"""Decisions that may wait for their outcome at once; the oldest beyond that are forgotten."""

OPERATION = "gen_ai.operation.name"
EXECUTE_TOOL = "execute_tool"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
CALL_ID = "gen_ai.tool.call.id"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION = "gen_ai.conversation.id"
ERROR_TYPE = "error.type"

_FUNCTION = "function"
_NANOSECONDS = 1_000_000
_LATEST = (1 << 63) - 1
_NAMES = {
    **{name: f"bridle.{name}" for name in ("user", "executor", "by", "method", "level", "session")},
    **{name: f"bridle.{name}" for name in ("action", "attempt", "approval", "exception")},
    "bundle": "bridle.bundle.digest",
    "agent": AGENT_NAME,
}
_KEYS = {
    **{name: f"bridle.{name}" for name in ("durability", "shadow", "status", "approve", "subject")},
    **{name: f"bridle.{name}" for name in ("what", "template", "scope", "late", "by_human")},
    **{name: f"bridle.{name}" for name in ("why", "opaque", "gate", "digest", "version", "since")},
    **{name: f"bridle.{name}" for name in ("until", "denied_unrecorded", "edited")},
    "effect": "bridle.decision",
    "codes": "bridle.reason_codes",
    "policies": "bridle.policy_ids",
    "kind": "bridle.outcome",
    "tool": TOOL_NAME,
}


class Happening(Struct, frozen=True):
    """Something at one moment of a span; the time is in nanoseconds."""

    name: str
    time: int
    attributes: Attributes


class Span(Struct, frozen=True, kw_only=True):
    """A span: ids as bytes, times in nanoseconds. `error` is empty where nothing failed."""

    name: str
    trace: bytes
    id: bytes
    parent: bytes
    start: int
    end: int
    attributes: Attributes
    events: tuple[Happening, ...] = ()
    error: str = ""


class _Open(Struct):
    """A decision that lets an action run, until the outcome comes."""

    decided: Record
    events: list[Happening]


class Spans:
    """Makes spans of records. Remembers decisions without an outcome, at most `MOST_OPEN`."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()
        self.forgotten = 0
        """How many decisions had to be forgotten before their outcome came."""

    def of(self, record: Record) -> list[Span]:
        """Return the spans that a record completes."""
        kind = record.leaf.kind
        if kind is LeafKind.DECISION:
            return self._decision(record)
        if kind is LeafKind.STARTED:
            self._started(record)
            return []
        if kind is LeafKind.OUTCOME:
            return [self._outcome(record)]
        return [] if kind is LeafKind.LOG else [_moment(record)]

    def _decision(self, record: Record) -> list[Span]:
        effect = record.leaf.body.get("effect")
        if effect not in (Effect.ALLOW, Effect.MODIFY):
            return [_tool_call(record, error=_refusal(record, effect))]
        self._open[_key(record)] = _Open(record, [])
        self._open.move_to_end(_key(record))
        while len(self._open) > self._most:
            self._open.popitem(last=False)
            self.forgotten += 1
        return []

    def _started(self, record: Record) -> None:
        known = self._open.get(_key(record))
        if known is not None:
            known.events[:] = [Happening("started", _time(record), _index(record))]

    def _outcome(self, record: Record) -> Span:
        said = told.body(record)
        known = self._open.pop(_key(record), None)
        kind = told.text(said, "kind") or "unknown"
        error = "" if kind == "ok" else told.text(said, "error") or kind
        if known is None:
            return _tool_call(record, error=error)
        attributes = {**_attributes(known.decided), **_outcome_of(record)}
        start = min(_time(known.decided), _time(record))
        return _tool_call(
            record, error=error, start=start, told_of=attributes, events=tuple(known.events)
        )


def _key(record: Record) -> tuple[str, str]:
    return record.leaf.chain, record.leaf.ids.get("action", "")


def _refusal(record: Record, effect: Any) -> str:
    if effect == Effect.HOLD:
        return ""
    codes = told.texts(record.leaf.body.get("codes"))
    return codes[0] if codes else "denied"


def _tool_call(
    record: Record,
    *,
    error: str = "",
    start: int = 0,
    told_of: Attributes | None = None,
    events: tuple[Happening, ...] = (),
) -> Span:
    tool = told.text(told.body(record), "tool")
    attributes: Attributes = {
        OPERATION: EXECUTE_TOOL,
        TOOL_TYPE: _FUNCTION,
        **(told_of or _attributes(record)),
    }
    if action := record.leaf.ids.get("action"):
        attributes[CALL_ID] = action
    if error:
        attributes[ERROR_TYPE] = error
    return Span(
        name=f"{EXECUTE_TOOL} {tool}".rstrip(),
        trace=trace_of(record),
        id=span_of(record, "action", record.leaf.ids.get("action", ""), str(record.index)),
        parent=span_of(record, "mission"),
        start=start or _time(record),
        end=_time(record),
        attributes=attributes,
        events=events,
        error=error,
    )


def _moment(record: Record) -> Span:
    """Anything else, as a span of no length. A mission's begin is the root of its trace."""
    kind, what = record.leaf.kind, told.text(told.body(record), "what")
    root = kind is LeafKind.MISSION and what == "start"
    mission = span_of(record, "mission")
    return Span(
        name=f"bridle.{kind.value} {what}".rstrip(),
        trace=trace_of(record),
        id=mission if root else span_of(record, "record", str(record.index)),
        parent=b"" if root or not record.mission else mission,
        start=_time(record),
        end=_time(record),
        attributes=_attributes(record),
    )


def _attributes(record: Record) -> Attributes:
    ids, said = told.ids(record), told.body(record)
    found: Attributes = {_NAMES[name]: text for name, text in ids.items() if name in _NAMES}
    for name, value in said.items():
        if name in _KEYS and isinstance(value, str | int | list):
            found[_KEYS[name]] = value
    if record.mission:
        found[CONVERSATION] = found["bridle.mission"] = record.mission
    return {**found, **_index(record), "bridle.log.origin": record.origin}


def _outcome_of(record: Record) -> Attributes:
    """What the outcome says beside what its decision says already."""
    found = _attributes(record)
    kept = ("bridle.outcome", "bridle.late", "bridle.by_human", "bridle.why", "bridle.opaque")
    outcome = {name: found[name] for name in (*kept, "bridle.attempt") if name in found}
    return {**outcome, "bridle.outcome.log.index": record.index}


def _index(record: Record) -> Attributes:
    return {"bridle.log.index": record.index}


def _time(record: Record) -> int:
    """Nanoseconds, as far as OTLP's 64 bits go: a leaf's clock may say anything."""
    return min(record.leaf.time * _NANOSECONDS, _LATEST)
