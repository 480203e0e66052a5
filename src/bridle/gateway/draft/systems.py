"""The systems.toml of a draft: one system, its tools, and every guess marked as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from bridle.bundle.schema import json_schema
from bridle.gateway.draft import guesses, spelling
from bridle.gateway.draft.guesses import Guess
from bridle.model.tool import EffectClass


class Drafted(Struct, frozen=True):
    """A tool on its way into a bundle. Not `typed`: its outputSchema is left aside."""

    name: str
    definition: dict[str, Any]
    effect: Guess
    sinks: dict[str, Guess]
    typed: bool = True

    @property
    def wire(self) -> str:
        """The server's name for it."""
        return str(self.definition["name"])


_HEAD = """\
# What agents can act on: the tools of an MCP server that somebody else wrote.
#
# Definitions (names, descriptions, schemas) lie in {file}, as the server gave them.
# They are pinned: when the server defines a tool otherwise, its calls are denied until
# `bridle pin` has shown a human what changed.
#
# Lines marked `# guessed` say what Bridle made of the server's own hints. A hint is no proof. Read
# each one, correct it, and take the mark away.

[domains.{system}]
description = {server}

[systems.{system}]
domain = "{system}"
owner = "me"
protocol = "mcp"
# writes = ["/srv/data"]   # folders its tools write; Bridle keeps its own files out of them
"""

_EFFECTS = """
# read: runs. write: waits for a human of `owners`. irreversible: denied. See policies/{system}.dw.
"""

_LEFT_OUT = """
# Left out, for Bridle cannot check what they are called with. Agents cannot call them.
"""


def drafted(definition: dict[str, Any], name: str, *, typed: bool) -> Drafted:
    """Guess what a tool is."""
    schema = json_schema.check(definition.get("inputSchema"), _nowhere)
    sinks = guesses.sinks_of(schema) if schema is not None else {}
    return Drafted(name, definition, guesses.effect_of(definition), sinks, typed)


def _nowhere(code: str, message: str, hint: str) -> None:
    """Whoever checks the whole draft reports what is wrong with it."""


def written(system: str, server: str, tools: Sequence[Drafted], left_out: dict[str, str]) -> str:
    """Return the text of systems.toml."""
    file = f"tools/{system}.json"
    shown = spelling.text(spelling.comment(server or system))
    parts = [_HEAD.format(file=file, system=system, server=shown), _EFFECTS.format(system=system)]
    parts += [_tool(system, file, tool) for tool in tools]
    if left_out:
        parts.append(_LEFT_OUT)
        parts += [_note(wire, why) for wire, why in left_out.items()]
    return "".join(parts)


def _note(wire: str, why: str) -> str:
    return f"# {spelling.comment(wire)}: {spelling.comment(why)}\n"


def _tool(system: str, file: str, tool: Drafted) -> str:
    lines = [
        "",
        f'[tools."{tool.name}"]',
        f'system = "{system}"',
        f"wire = {spelling.text(tool.wire)}",
        f'from = "{file}"',
        _guessed(f'effect = "{tool.effect.value}"', tool.effect.why),
    ]
    if tool.effect.value == EffectClass.READ:
        lines.append(_guessed("idempotent = true", "it reads"))
    if not tool.typed:
        lines.append('output = { type = "object", additionalProperties = true }')
        lines.append("# the server's outputSchema is not understood: results are not typed by it")
    for path, sink in tool.sinks.items():
        key = spelling.key(path)
        lines.append(_guessed(f'arguments.{key}.sink = "{sink.value}"', sink.why))
    return "\n".join(lines) + "\n"


def _guessed(line: str, why: str) -> str:
    return f"{line} # guessed: {why}"
