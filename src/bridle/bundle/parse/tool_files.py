"""tools/*.json, as MCP servers answer `tools/list` → the entry of one tool."""

from __future__ import annotations

import json
from typing import Any

from bridle.language.plain import is_array, is_object


class ToolFiles:
    """The JSON files of a bundle's tools/ folder; each is parsed once, when first asked for."""

    def __init__(self, files: dict[str, str]) -> None:
        self._texts = {n: t for n, t in files.items() if is_tool_file(n)}
        self._parsed: dict[str, dict[str, dict[str, Any]] | str] = {}
        self._used: set[str] = set()

    def find(self, file: str, wire: str) -> dict[str, Any] | str:
        """Return the entry named `wire`, or a sentence that says why there is none."""
        if file not in self._texts:
            return f"there is no file {file[:80]!r} (tool files are tools/*.json)"
        self._used.add(file)
        if file not in self._parsed:
            self._parsed[file] = _parsed(self._texts[file])
        tools = self._parsed[file]
        if isinstance(tools, str):
            return f"{file} cannot be used: {tools}"
        found = tools.get(wire)
        return f"{file} lists no tool {wire[:80]!r}" if found is None else found

    def unused(self) -> set[str]:
        """Return the files nobody asked for."""
        return self._texts.keys() - self._used


def is_tool_file(name: str) -> bool:
    """Whether a file of that name is one of these."""
    return name.startswith("tools/") and name.endswith(".json") and name.count("/") == 1


def _parsed(text: str) -> dict[str, dict[str, Any]] | str:
    try:
        return listed_tools(text)
    except ValueError as error:
        return str(error)


def listed_tools(text: str) -> dict[str, dict[str, Any]]:
    """Return the tools of a `tools/list` answer by name. Raises `ValueError` saying why not."""
    try:
        data: Any = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    tools: Any = data.get("tools") if is_object(data) else data
    if not is_array(tools):
        raise ValueError("it is no `tools/list` answer")
    found = dict[str, dict[str, Any]]()
    for tool in tools:
        name = tool.get("name") if is_object(tool) else None
        if not isinstance(name, str):
            raise ValueError("it lists a tool without a name")  # noqa: TRY004
        if name in found:
            raise ValueError(f"it lists {name[:80]!r} twice")
        found[name] = tool
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return dict(pairs)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
