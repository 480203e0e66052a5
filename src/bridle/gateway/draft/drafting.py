"""A server's definitions → the texts of a bundle that checks and whose scenarios pass.

Starts from nothing being known: what reads may run, what writes waits for a human, the rest is
denied. A tool that Bridle cannot validate is left out, and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from bridle.bundle.check import check_files
from bridle.bundle.definition import definitions_text
from bridle.bundle.schema.cedar import RESERVED_ACTIONS
from bridle.gateway.draft import files, systems
from bridle.gateway.draft.systems import Drafted
from bridle.model.errors import BundleError
from bridle.model.finding import Severity

_ODD = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 128


class Draft(Struct, frozen=True):
    """The texts of a bundle by name, and the tools that are not in it: name on the wire → why."""

    files: dict[str, str]
    tools: tuple[Drafted, ...]
    left_out: dict[str, str]


def draft(name: str, system: str, server: str, tools: Sequence[dict[str, Any]]) -> Draft:
    """Draft a bundle `name` for a server's tools (`server`: how people know it).

    `tools` are what `tools/list` gave, each name once. Raises `BundleError` where no tool of them
    can be governed, or not all of them in one bundle.
    """
    drafted, left_out = list[Drafted](), dict[str, str]()
    for tool, local in zip(tools, _names(system, tools), strict=True):
        found = _usable(system, tool, local)
        if isinstance(found, str):
            left_out[tool["name"]] = found
        else:
            drafted.append(found)
    if not drafted:
        raise BundleError(
            "this server has no tool that can be governed",
            code="no_tools",
            hint="\n".join(f"{wire}: {why}" for wire, why in list(left_out.items())[:8]),
        )
    texts = _whole(name, system, server, drafted, left_out)
    return Draft(texts, tuple(drafted), left_out)


def _whole(
    name: str, system: str, server: str, tools: Sequence[Drafted], left_out: dict[str, str]
) -> dict[str, str]:
    """Return the texts of a draft that checks, as each of its tools does alone."""
    try:
        texts = _texts(name, system, server, tools, left_out)
    except ValueError as error:
        raise BundleError(f"the server's definitions do not fit into a bundle: {error}") from None
    bundle, found = check_files(texts)
    if bundle is None:
        errors = tuple(each for each in found if each.severity is Severity.ERROR)
        raise BundleError("the server's tools cannot be governed together", errors)
    return texts


def system_name(server: str) -> str:
    """Return a system's name made from what a server calls itself."""
    found = _ODD.sub("-", server.rpartition("/")[2]).strip("-").lower()
    for noise in ("mcp-server-", "mcp-", "server-"):
        found = found.removeprefix(noise)
    for noise in ("-mcp-server", "-server", "-mcp"):
        found = found.removesuffix(noise)
    return found[:40] or "server"


def _names(system: str, tools: Iterable[dict[str, Any]]) -> list[str]:
    """Return a name for each tool that a bundle allows, and that no other tool has."""
    found = dict[str, None]()
    for tool in tools:
        base = f"{system}.{_ODD.sub('_', tool['name'])}"[: _LONGEST - 4]
        name, number = base, 1
        while name in found or name in RESERVED_ACTIONS:
            number += 1
            name = f"{base}_{number}"
        found[name] = None
    return list(found)


def _usable(system: str, tool: dict[str, Any], name: str) -> Drafted | str:
    """Return a tool as it can be governed, or why it cannot be."""
    drafted = systems.drafted(tool, name, typed=True)
    fault = _fault(system, drafted)
    if fault and "outputSchema" in tool:
        drafted = systems.drafted(tool, name, typed=False)
        fault = _fault(system, drafted)
    return fault or drafted


def _fault(system: str, tool: Drafted) -> str:
    """Say why a bundle with this tool alone does not check; empty if it does."""
    try:
        found = check_files(_texts("draft", system, "", [tool], {}))[1]
    except ValueError as error:
        return str(error)
    worst = next((each for each in found if each.severity is Severity.ERROR), None)
    return f"{worst.message} [{worst.code}]" if worst is not None else ""


def _texts(
    name: str, system: str, server: str, tools: Sequence[Drafted], left_out: dict[str, str]
) -> dict[str, str]:
    bundle = {
        "bridle.toml": files.manifest(name),
        "agents.toml": files.PEOPLE,
        "missions.toml": files.missions(system, server),
        "governance/missions.dw": files.GOVERNANCE,
        f"policies/{system}.dw": files.policies(system, tools),
        "systems.toml": systems.written(system, server, tools, left_out),
        f"tools/{system}.json": definitions_text([tool.definition for tool in tools]),
    }
    scenarios = files.scenarios(bundle, tools)
    return bundle | ({f"tests/{system}.toml": scenarios} if scenarios else {})
