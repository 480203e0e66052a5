"""The schema of what a governed MCP tool returns: the whole CallToolResult, not its data alone.

All of it reaches the model, so all of it is judged (Model Context Protocol, revisions 2025-11-25
and 2026-07-28, server/tools).
"""

from __future__ import annotations

from bridle.bundle.schema.json_schema import Schema

_OPEN: Schema = {"type": "object", "additionalProperties": True}

_ITEM: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string"}, "text": {"type": "string"}},
    "additionalProperties": True,
}

UNTYPED = frozenset(
    {"output.content", "output.content[]", "output.structuredContent", "output._meta"}
)
"""Paths without a Cedar type because MCP leaves them open: nothing that an author could close."""


def call_result(structured: Schema | None) -> Schema:
    """Return the closed schema of a result; `structured` is the checked one of its data.

    Named are the properties of both revisions. A result with another one is withheld where a
    release rule applies, for no rule could see into it.
    """
    data = dict(structured) if structured is not None else dict(_OPEN)
    named = data.pop("$defs", None)
    whole: Schema = {
        "type": "object",
        "properties": {
            "content": {"type": "array", "items": _ITEM},
            "structuredContent": data,
            "isError": {"type": "boolean"},
            "resultType": {"type": "string"},
            "_meta": _OPEN,
        },
        "additionalProperties": False,
    }
    # References are written from the top of a schema.
    return whole if named is None else {**whole, "$defs": named}
