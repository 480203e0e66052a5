"""What to know about each tool: what policies cannot see, and which strings steer it freely."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.bundle.parse.systems import MCP
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.toml import Document, KeyPath
from bridle.bundle.schema.call_result import UNTYPED
from bridle.bundle.schema.json_schema import FORMATS
from bridle.bundle.schema.paths import ELEMENT, Place, find, split
from bridle.model.performing import Egress
from bridle.model.tool import Argument, EffectClass, Tool

CONTENT = "content"
_BOUNDS = ("pattern", "enum", "const")
_MAX_PLACES = 500
_MAX_DEPTH = 8


def check(bundle: Bundle, document: Document, findings: Findings) -> None:
    """Check every tool. `document` is systems.toml."""
    for tool in bundle.tools.values():
        path: KeyPath = ("tools", tool.name)
        through_mcp = _through_mcp(bundle, tool)
        for place, why in bundle.untyped.get(tool.name, {}).items():
            if through_mcp and place in UNTYPED:
                continue
            findings.info(
                document.at((*path, *_keys(place))),
                "untyped_argument",
                f"policies cannot see `{place}` of {tool.name}: {why}",
                "close it with `additionalProperties = false`, or name them in `properties`"
                if place == "input"
                else "it is still validated, detected in and recorded",
            )
        if through_mcp and not tool.pin:
            findings.warning(
                document.at(path),
                "unpinned",
                f"{tool.name} has no pin, so every call of it through MCP is denied",
                "take its definition `from` a tools/*.json (`bridle pin` writes one), or add `pin`",
            )
        if tool.trusted and isinstance(tool.performed, Egress):
            findings.warning(
                document.at((*path, "trusted")),
                "trusted_egress",
                f"{tool.name} reaches any of its system's hosts, and what comes back is trusted",
                "whoever writes the pages there could then say where mail and money go",
            )
        if tool.effect is not EffectClass.READ:
            _strings(tool, document, findings)
        if tool.name not in reached(bundle):
            findings.info(
                document.at(path),
                "no_mission",
                f"no mission reaches the tool {tool.name}",
                f"name it in the `tools` of a mission whose `domains` hold {tool.system}",
            )


def _through_mcp(bundle: Bundle, tool: Tool) -> bool:
    system = bundle.systems.get(tool.system)
    return system is not None and system.protocol == MCP


def _keys(place: str) -> tuple[str, ...]:
    """Return the keys of the TOML table that a path such as `input.meta.x` stands in."""
    root, _, rest = place.partition(".")
    return (root, "properties", rest.partition(".")[0].removesuffix(ELEMENT)) if rest else (root,)


def reached(bundle: Bundle) -> set[str]:
    """Return the tools that lie in the scope of some mission."""
    found = set[str]()
    for tool in bundle.tools.values():
        system = bundle.systems.get(tool.system)
        if system and any(m.reaches(tool.name, system.domain) for m in bundle.missions.values()):
            found.add(tool.name)
    return found


def meaning(arguments: Iterable[Argument], steps: tuple[str, ...]) -> Argument | None:
    """Return what is declared for a place: its own entry, or that of the nearest one around it."""
    declared = {split(a.path): a for a in arguments}
    around = (steps[:length] for length in range(len(steps), 0, -1))
    return next((declared[part] for part in around if part in declared), None)


def strings(schema: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Place]]:
    """Yield every place below a schema that may hold a string, up to a depth."""
    stack: list[tuple[str, ...]] = [()]
    visits = 0
    while stack and visits < _MAX_PLACES:
        steps = stack.pop()
        visits += 1
        place = find(schema, steps)
        if place is None:
            continue
        if steps and "string" in place.types:
            yield steps, place
        if len(steps) < _MAX_DEPTH:
            stack += [(*steps, name) for name in _below(place)]


def _below(place: Place) -> Iterator[str]:
    seen = set[str]()
    for part in place.applied:
        names = [*part.get("properties", {})]
        if "items" in part or "prefixItems" in part:
            names.append(ELEMENT)
        yield from (n for n in names if n not in seen)
        seen.update(names)


def _strings(tool: Tool, document: Document, findings: Findings) -> None:
    for steps, place in strings(tool.input):
        argument = meaning(tool.arguments, steps)
        if argument is not None and argument.sink == CONTENT:
            continue
        shown = ".".join(steps).replace(f".{ELEMENT}", ELEMENT)
        at = document.at(("tools", tool.name, "input", "properties", steps[0]))
        if not any(_bounded(part) for part in place.applied):
            findings.info(
                at,
                "loose_string",
                f"`{shown}` of {tool.name} steers an effect and may be any string",
                'give it a `pattern`, `enum` or `format`, or `sink = "content"` if it is prose',
            )
        elif not any(_anchored(part) for part in place.applied):
            findings.info(
                at,
                "loose_pattern",
                f"the pattern of `{shown}` of {tool.name} may match a part of the string only",
                "begin it with ^ and end it with $",
            )


def _bounded(part: dict[str, Any]) -> bool:
    return any(key in part for key in _BOUNDS) or part.get("format") in FORMATS


def _anchored(part: dict[str, Any]) -> bool:
    pattern = part.get("pattern")
    if not isinstance(pattern, str):
        return _bounded(part)
    return pattern.startswith("^") and pattern.endswith("$")
