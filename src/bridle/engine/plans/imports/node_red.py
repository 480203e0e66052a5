"""Node-RED flows (its JSON) → tasks. Data alone: no node's code is looked at, let alone run.

A message goes along wires, and a node does its work for each that reaches it. So what has one way
in and one way out is a step of a plan; a node that two others lead to would do it twice, and one
with several outputs chooses between them: both are refused.
"""

from __future__ import annotations

from typing import Any

from bridle.engine.case import Refusal as Unread
from bridle.engine.plans.imports.drafting import Refusal, Task, refused
from bridle.engine.strict_json import parse_arguments
from bridle.language.plain import is_array, is_object

MAX_BYTES = 4 << 20
MOST_NODES = 500

_DEPTH = 64
# What only shows, groups or names things in the editor.
_SHOWN = frozenset({"tab", "comment", "group"})
# What says where a node stands and what it is called.
_LAYOUT = frozenset(
    {"id", "type", "z", "g", "x", "y", "w", "h", "l", "d", "name", "info", "wires", "inputLabels",
     "outputLabels", "icon"}
)  # fmt: skip


def tasks(text: str, file: str) -> list[Task]:
    """Return the nodes of flows that do something. Raises `UsageError` (`import_refused`)."""
    found = parse_arguments(f'{{"flows":{text}}}', size=MAX_BYTES, depth=_DEPTH)
    if isinstance(found, Unread):
        raise refused(file, found.text)
    flows = found["flows"]
    if len(found) != 1 or not is_array(flows) or len(flows) > MOST_NODES:
        raise refused(file, f"flows are a list of at most {MOST_NODES} nodes")
    nodes = dict(_named(each, f"{file}: node {number}") for number, each in enumerate(flows))
    if len(nodes) != len(flows):
        raise refused(file, "two nodes have the same id")
    tabs = {name: node for name, node in nodes.items() if node["type"] == "tab"}
    working = {name: node for name, node in nodes.items() if node["type"] not in _SHOWN}
    off = {name for name, node in working.items() if _is_off(node, tabs)}
    before = _before(working, off, file)
    return [
        _task(node, before[name], file)
        for name, node in working.items()
        if name not in off and "wires" in node
    ]


def _named(raw: Any, at: str) -> tuple[str, dict[str, Any]]:
    if not is_object(raw) or not all(isinstance(raw.get(key), str) for key in ("id", "type")):
        raise refused(at, "a node has an `id` and a `type`")
    if raw["type"].startswith("subflow"):
        raise refused(at, "subflows are not read: lay it out in the flow itself")
    return raw["id"], raw


def _is_off(node: dict[str, Any], tabs: dict[str, dict[str, Any]]) -> bool:
    tab = tabs.get(str(node.get("z")), {})
    return bool(node.get("d")) or bool(tab.get("disabled"))


def _before(nodes: dict[str, dict[str, Any]], off: set[str], file: str) -> dict[str, list[str]]:
    """Return for each node the one that leads to it, if there is one."""
    found: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for target in _targets(node, _place(node, file)):
            if target not in nodes:
                raise refused(_place(node, file), "a wire leads to no node")
            at = _place(nodes[target], file)
            if name in off and target not in off:
                raise refused(at, "it comes after a node that is switched off, so it never runs")
            if found[target]:
                raise refused(at, "several wires lead to it: it would do its work for each")
            found[target].append(name)
    return found


def _targets(node: dict[str, Any], at: str) -> list[str]:
    wires = node.get("wires", [])
    if not is_array(wires) or not all(is_array(port) for port in wires):
        raise refused(at, "its wires are no list of lists")
    used = [port for port in wires if is_array(port) and port]
    if len(used) > 1:
        raise refused(at, "it chooses between several outputs")
    targets = used[0] if used else []
    if not all(isinstance(each, str) for each in targets):
        raise refused(at, "a wire leads to no node")
    return targets


def _task(node: dict[str, Any], before: list[str], file: str) -> Task:
    at = _place(node, file)
    return Task(
        id=node["id"],
        kind=node["type"],
        place=at,
        args={key: _value(each, at) for key, each in node.items() if key not in _LAYOUT},
        after=tuple(before),
    )


def _value(raw: Any, at: str) -> Any:
    """Return a property as it is, or why it cannot be read: it is filled in from messages."""
    return Refusal("a value that messages fill in", at) if _open(raw) else raw


def _open(raw: Any) -> bool:
    if isinstance(raw, str):
        return "{{" in raw or "${" in raw
    if is_object(raw):
        return "$from" in raw or any(map(_open, raw.values()))
    return is_array(raw) and any(map(_open, raw))


def _place(node: dict[str, Any], file: str) -> str:
    return f"{file}: node {node['id'][:80]!r}"
