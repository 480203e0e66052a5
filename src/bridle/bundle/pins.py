"""What a server says of its tools now, beside what a bundle has pinned: every difference, by field.

For a human to look at. Reads the bundle's files as they lie there, since a bundle that does not
check is a reason to look as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from bridle.bundle.definition import definition_digest
from bridle.bundle.parse import systems
from bridle.bundle.parse.toml import Document, parse
from bridle.bundle.parse.tool_files import is_tool_file, listed_tools
from bridle.language.errors import LanguageError
from bridle.language.plain import is_array, is_object
from bridle.model.errors import BundleError, NotFoundError, UsageError

ADDED, REMOVED, CHANGED = "added", "removed", "changed"

_MAX_DEPTH = 64
_ABSENT = object()


class Field(Struct, frozen=True):
    """One place in a definition, as JSON texts; None where there is nothing."""

    path: str
    old: str | None
    new: str | None


class Change(Struct, frozen=True):
    """What became of one tool.

    `wire` is the server's name for it, `digest` its new pin (empty: it is gone), `used` whether
    the bundle declares it, `by_hand` whether its pin stands in systems.toml.
    """

    wire: str
    kind: str
    fields: tuple[Field, ...]
    digest: str
    used: bool
    by_hand: bool


class Pinned(Struct, frozen=True):
    """What a bundle has pinned of a system: its file, the definitions in it, its other pins.

    `file` is empty where every tool is pinned by hand. `by_hand` are the digests of those, `used`
    the names on the wire of all tools of the system.
    """

    file: str
    tools: dict[str, dict[str, Any]]
    by_hand: dict[str, str]
    used: frozenset[str]


def pinned(files: Mapping[str, str], system: str) -> Pinned:
    """Read what a bundle's files pin of a system.

    Raises `NotFoundError` for a system that is not declared, `BundleError` for files that cannot
    be read, `UsageError` where the system's tools come from several files.
    """
    declared = _declared(files, system)
    by_hand = {
        wire: str(tool.get("pin", "")) for wire, tool in declared.items() if "from" not in tool
    }
    named = {t["from"] for t in declared.values() if isinstance(t.get("from"), str)}
    # A system's name is any text, so the usual file may lead out of the bundle as well.
    sources = sorted(named) or ([] if by_hand else [f"tools/{system}.json"])
    odd = next((source for source in sources if not is_tool_file(source)), None)
    if odd is not None:
        raise BundleError(f"{odd[:80]!r} is no tool file", hint="tool files are tools/*.json")
    if len(sources) > 1:
        raise UsageError(
            f"the tools of {system} come from several files: {', '.join(sources)[:200]}",
            code="several_files",
            hint="put them into one, so that one server pins it",
        )
    file = sources[0] if sources else ""
    return Pinned(file, _listed(files, file), by_hand, frozenset(declared))


def _declared(files: Mapping[str, str], system: str) -> dict[str, dict[str, Any]]:
    """Return the tables of a system's tools, by name on the wire."""
    data = _document(files).data
    known: Any = data.get("systems")
    if not is_object(known) or system not in known:
        names = ", ".join(sorted(known)) if is_object(known) else ""
        raise NotFoundError(f"the bundle has no system {system!r}", hint=f"it has: {names}")
    tools: Any = data.get("tools")
    found = dict[str, dict[str, Any]]()
    for name, tool in tools.items() if is_object(tools) else ():
        if is_object(tool) and tool.get("system") == system:
            wire: Any = tool.get("wire", name)
            found[str(wire)] = tool
    return found


def _document(files: Mapping[str, str]) -> Document:
    if systems.FILE not in files:
        raise BundleError(f"the bundle has no {systems.FILE}")
    try:
        return parse(systems.FILE, files[systems.FILE])
    except LanguageError as error:
        raise BundleError("systems.toml cannot be read", (error.finding,)) from None


def _listed(files: Mapping[str, str], file: str) -> dict[str, dict[str, Any]]:
    if file not in files:
        return {}
    try:
        return listed_tools(files[file])
    except ValueError as error:
        raise BundleError(
            f"{file} cannot be used: {error}", hint="delete it to begin anew"
        ) from None


def compare(before: Pinned, now: Sequence[dict[str, Any]]) -> tuple[Change, ...]:
    """Return what differs between the pinned definitions and those a server gives now."""
    new = {tool["name"]: tool for tool in now}
    names = sorted(before.tools.keys() | before.by_hand.keys() | new.keys())
    changes = (_change(before, wire, new.get(wire)) for wire in names)
    return tuple(change for change in changes if change is not None)


def _change(before: Pinned, wire: str, new: dict[str, Any] | None) -> Change | None:
    old, by_hand = before.tools.get(wire), wire in before.by_hand
    pin = before.by_hand[wire] if by_hand else _digest(old)
    digest = definition_digest(new) if new is not None else ""
    if pin == digest:
        return None
    kind = CHANGED if pin and digest else ADDED if digest else REMOVED
    # Of a pin by hand nobody knows what it was made from: everything is shown.
    fields = tuple(_differences({} if by_hand else old or {}, new or {}, "", 0))
    return Change(wire, kind, fields, digest, wire in before.used, by_hand)


def _digest(old: dict[str, Any] | None) -> str:
    try:
        return definition_digest(old) if old is not None else ""
    except ValueError:
        return "-"  # like nothing a server can say


def _differences(old: Any, new: Any, path: str, depth: int) -> Iterator[Field]:
    if is_object(old) and is_object(new) and depth < _MAX_DEPTH:
        for key in sorted(old.keys() | new.keys()):
            below = f"{path}.{key}" if path else key
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), below, depth + 1)
    elif is_array(old) and is_array(new) and len(old) == len(new) and depth < _MAX_DEPTH:
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]", depth + 1)
    elif _text(old) != _text(new):
        yield Field(path, _text(old), _text(new))


def _text(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
