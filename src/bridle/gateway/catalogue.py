"""What a name on the wire stands for: the bundle's tool, and what its server says of it now.

Two lists meet here: the tools that the mission can ever use, as the governor names them, and the
definitions that the server gives in `tools/list`. Asks nobody; it is told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from bridle.bundle.definition import definition_digest
from bridle.language.plain import is_array, is_object
from bridle.model.errors import UsageError

MCP = "mcp"
"""The protocol of systems that are reached through here."""

MOST_TOOLS = 10_000

_UNLIKE_ANY = "-"


class Known(Struct, frozen=True):
    """A tool of the bundle, as this server knows it (`wire`).

    `meta` is the key of `_meta` that its calls carry a credential in; empty where they need none.
    """

    name: str
    wire: str
    pin: str = ""
    meta: str = ""


class Catalogue:
    """Names on the wire, their tools, and the digests of their definitions. Safe for threads.

    `system` limits it to the tools of one system; otherwise those of every MCP system count.
    """

    def __init__(self, system: str = "") -> None:
        self._system = system
        self._lock = threading.Lock()
        self._tools: dict[str, Known] = {}
        self._ambiguous: frozenset[str] = frozenset()
        self._definitions: dict[str, str] = {}

    @property
    def ambiguous(self) -> frozenset[str]:
        """Names that stand for more than one tool of the bundle. None of these can be called."""
        return self._ambiguous

    def reach(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take the tools that the mission can ever use, as `ToolsOf` lists them."""
        tools: dict[str, Known] = {}
        twice: set[str] = set()
        for row in rows:
            if not self._concerns(row):
                continue
            known = Known(row["name"], row["wire"], row["pin"], row.get("meta", ""))
            if known.wire in tools:
                twice.add(known.wire)
            tools[known.wire] = known
        with self._lock:
            self._tools = {wire: tool for wire, tool in tools.items() if wire not in twice}
            self._ambiguous = frozenset(twice)

    def require_any(self) -> None:
        """Raise `UsageError` where nothing could ever be called through here, or not clearly."""
        if self._ambiguous:
            names = ", ".join(sorted(self._ambiguous)[:5])
            raise UsageError(
                f"several systems of the bundle have a tool that servers know as: {names}",
                code="ambiguous_tool",
                hint="name the system this server is: --system SYSTEM",
            )
        if not self._tools:
            where = f"the system {self._system!r}" if self._system else "a system of protocol mcp"
            raise UsageError(
                f"this mission reaches no tool of {where}",
                code="no_tools",
                hint='set protocol = "mcp" for the system, name it with --system, or widen the '
                "mission's tools and domains",
            )

    def tool(self, wire: str) -> Known | None:
        """Return the tool a name on the wire stands for, if there is exactly one."""
        return self._tools.get(wire)

    def definition(self, wire: str) -> str:
        """Return the digest of what the server says of a tool now (empty: nothing)."""
        return self._definitions.get(wire, "")

    def define(self, definitions: dict[str, str]) -> None:
        """Take the server's whole list, in place of what was known."""
        with self._lock:
            self._definitions = definitions

    def amend(self, definitions: dict[str, str]) -> None:
        """Take one page of the server's list. It does not show what stands on others."""
        with self._lock:
            before = self._definitions
            # Names that mean nothing here are not kept: there is no end to them.
            known = before.keys() | self._tools.keys()
            news = {name: new for name, new in definitions.items() if name in known}
            twice = {name: old for name, old in before.items() if old == _UNLIKE_ANY}
            self._definitions = {**before, **news, **twice}

    def shows(self, wire: str, digest: str, *, everything: bool) -> bool:
        """Whether a client's list may show a tool: it is one, of the mission, and as pinned.

        `digest` is that of the very definition to be shown. What is known of the server's list may
        be another one by now.
        """
        known = self._tools.get(wire)
        if known is None:
            return everything and wire not in self._ambiguous
        return bool(known.pin) and known.pin == digest == self._definitions.get(wire)

    def _concerns(self, row: dict[str, Any]) -> bool:
        if self._system:
            return bool(row["system"] == self._system)
        return bool(row["protocol"] == MCP)


def definitions_of(tools: Any, known: dict[str, str] | None = None) -> dict[str, str]:
    """Return the digests of a page of tools by name, on top of those `known` from earlier pages.

    A name that is listed twice gets a digest that no pin has. Raises `ValueError` for what is no
    list of tools.
    """
    found = dict(known or {})
    if not is_array(tools) or len(found) + len(tools) > MOST_TOOLS:
        raise ValueError("the server's answer is no list of tools, or a very long one")
    for tool in tools:
        name: Any = tool.get("name") if is_object(tool) else None
        if not isinstance(name, str):
            raise ValueError("the server lists a tool without a name")  # noqa: TRY004
        # INVARIANT: I9 — of two tools with one name nobody can say which one a call would reach.
        found[name] = _UNLIKE_ANY if name in found else definition_digest(tool)
    return found
