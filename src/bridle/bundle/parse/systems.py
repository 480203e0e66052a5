"""`systems.toml` (and tools/*.json) → domains, systems, tools."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from bridle.bundle.definition import definition_digest
from bridle.bundle.parse import credentials, performing, reached
from bridle.bundle.parse.agents import attributes
from bridle.bundle.parse.table import Findings, Table, labels, named, refer
from bridle.bundle.parse.toml import Document
from bridle.bundle.parse.tool_files import ToolFiles
from bridle.bundle.schema import json_schema
from bridle.bundle.schema.call_result import call_result
from bridle.bundle.schema.cedar import RESERVED_ACTIONS
from bridle.bundle.schema.paths import find, split
from bridle.model.mission import matches
from bridle.model.tool import Argument, Domain, EffectClass, System, Tool

FILE = "systems.toml"
MCP = "mcp"
PROTOCOLS = ("", MCP)
SINKS = ("selector", "recipient", "content", "locator", "amount", "command", "credential")
_TOOL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PIN = re.compile(r"[0-9a-f]{64}")


class Landscape(Struct, frozen=True):
    """What there is to act on, by id."""

    domains: dict[str, Domain]
    systems: dict[str, System]
    tools: dict[str, Tool]

    def tools_named(self, pattern: str) -> list[Tool]:
        """Return the tools that a mission's pattern matches."""
        return [t for t in self.tools.values() if matches((pattern,), t.name)]

    def domain_of(self, tool: Tool) -> str:
        """Return the domain a tool's system lies in, or an empty string."""
        system = self.systems.get(tool.system)
        return system.domain if system else ""


def read(
    document: Document, files: ToolFiles, detectors: frozenset[str], findings: Findings
) -> Landscape:
    """Read the file. `detectors` are the names that `detect` may use."""
    table = Table(document, findings, document.data)
    domains = {name: _domain(name, t) for name, t in table.tables("domains")}
    systems = {name: _system(name, t, domains) for name, t in table.tables("systems")}
    tools = dict[str, Tool]()
    for name, inner in table.tables("tools"):
        tool = _ToolReader(name, inner, files, detectors, systems).read()
        if tool is not None:
            tools[name] = tool
            refer(findings, inner.at("system"), tool.system, systems, "system")
    table.close()
    _wires(document, systems, tools, findings)
    return Landscape(domains, systems, tools)


def _wires(
    document: Document, systems: dict[str, System], tools: dict[str, Tool], findings: Findings
) -> None:
    """One name on the wire is one tool: otherwise a call could be judged as the wrong one."""
    known = dict[tuple[str, str], str]()
    for tool in tools.values():
        system = systems.get(tool.system)
        if system is None or system.protocol != MCP:
            continue
        other = known.setdefault((tool.system, tool.wire), tool.name)
        if other != tool.name:
            findings.error(
                document.at(("tools", tool.name)),
                "duplicate_wire",
                f"{tool.name} and {other} are both {tool.wire[:80]!r} to {tool.system}",
                "give each its own `wire`, or drop one",
            )


def _domain(name: str, table: Table) -> Domain:
    domain = Domain(named(table, name, "a domain"), table.text("description"))
    table.close()
    return domain


def _system(name: str, table: Table, domains: dict[str, Domain]) -> System:
    protocol = table.choice("protocol", PROTOCOLS) if table.has("protocol") else ""
    private = table.flag("private")
    system = System(
        named(table, name, "a system"),
        domain=table.text("domain", required=True),
        owner=table.text("owner"),
        environment=table.text("environment"),
        labels=labels(table),
        writes=table.texts("writes"),
        protocol=protocol,
        credential=credentials.read(table, protocol),
        url=reached.url(table, "url", private=private),
        hosts=reached.hosts(table, private=private),
        private=private,
        attributes=attributes(table),
    )
    if system.domain:
        refer(table.findings, table.at("domain"), system.domain, domains, "domain")
    for index, folder in enumerate(system.writes):
        if not folder.startswith("/") or ".." in folder.split("/") or "\0" in folder:
            table.findings.error(
                table.at("writes", index),
                "relative_path",
                f"{folder[:80]!r} is no absolute path",
                "Bridle compares it with where its own state lies",
            )
    table.close()
    return system


class _ToolReader:
    """Reads one `[tools."NAME"]` table."""

    def __init__(
        self,
        name: str,
        table: Table,
        files: ToolFiles,
        detectors: frozenset[str],
        systems: dict[str, System],
    ) -> None:
        self.name, self.table, self.files, self.detectors = name, table, files, detectors
        self.systems = systems
        self.findings = table.findings

    def read(self) -> Tool | None:
        self._check_name()
        table = self.table
        wire = table.text("wire", self.name)
        listed = self._listed(wire)
        schema = self._schema("input", listed.get("inputSchema", performing.generated(table)))
        output = self._schema("output", listed.get("outputSchema"))
        listed_text = listed.get("description")
        description = listed_text if isinstance(listed_text, str) else ""
        effect = self._effect()
        on = table.text("system", required=True)
        known = self.systems.get(on)
        through_mcp = known is not None and known.protocol == MCP
        tool = Tool(
            name=self.name,
            system=on,
            effect=effect,
            description=table.text("description", description),
            idempotent=table.flag("idempotent"),
            timeout_ms=table.duration("timeout", 60_000),
            no_effect=table.texts("no_effect"),
            labels=labels(table),
            trusted=table.flag("trusted"),
            wire=wire,
            pin=self._pin(listed),
            input=schema or {},
            output=call_result(output) if through_mcp else output,
            arguments=self._arguments(schema),
            detect_output=self._detectors(table, "detect_output"),
            performed=performing.read(table, known, schema, effect),
        )
        table.close()
        return tool if schema is not None else None

    def _check_name(self) -> None:
        if not _TOOL.fullmatch(self.name):
            self.findings.error(
                self.table.at(),
                "bad_tool_name",
                f"{self.name[:80]!r} is no name for a tool",
                "letters, digits and `_ . -`; a server's other name goes into `wire`",
            )
        elif self.name in RESERVED_ACTIONS:
            self.findings.error(
                self.table.at(),
                "bad_tool_name",
                f"`{self.name}` is an action of Bridle's own",
                "give the tool another name and keep this one in `wire`",
            )

    def _effect(self) -> EffectClass:
        values = tuple(e.value for e in EffectClass)
        if not self.table.has("effect"):
            self.findings.error(
                self.table.at(),
                "missing_effect",
                f"the tool {self.name} does not say what it does to the world",
                f"add `effect`, one of {', '.join(values)}",
            )
        return EffectClass(self.table.choice("effect", values, EffectClass.IRREVERSIBLE.value))

    def _listed(self, wire: str) -> dict[str, Any]:
        file = self.table.text("from")
        if not file:
            return {}
        found = self.files.find(file, wire)
        if isinstance(found, str):
            self.table.findings.error(self.table.at("from"), "tool_file", found)
            return {}
        return found

    def _pin(self, listed: dict[str, Any]) -> str:
        """The digest that the file makes, or the one that is written out."""
        written = self.table.text("pin")
        if self.table.has("pin") and not _PIN.fullmatch(written):
            self.table.bad("pin", "a pin is the SHA-256 of a definition: 64 digits 0-9 a-f")
            return ""
        if not listed:
            return written
        try:
            digest = definition_digest(listed)
        except ValueError as error:
            self.findings.error(self.table.at("from"), "tool_file", f"{self.name}: {error}")
            return ""
        if written and written != digest:
            self.table.bad("pin", "this is not the pin of the definition that `from` names")
        return digest

    def _schema(self, key: str, listed: Any) -> dict[str, Any] | None:
        raw = self.table.raw(key)
        given = listed if raw is None else raw
        if given is None:
            if key == "input":
                self.findings.error(
                    self.table.at(),
                    "missing_schema",
                    f"the tool {self.name} has no schema of its arguments",
                    'write `input = { type = "object", … }`, or `from = "tools/….json"`',
                )
            return None
        place = self.table.at(key if raw is not None else "from")

        def report(code: str, message: str, hint: str) -> None:
            self.findings.error(place, code, f"{self.name}.{key}: {message}", hint)

        schema = json_schema.check(given, report)
        if schema is not None and key == "input" and schema.get("type") != "object":
            report("schema_invalid", "arguments are an object", 'say `type = "object"`')
            return None
        return schema

    def _arguments(self, schema: dict[str, Any] | None) -> tuple[Argument, ...]:
        table = self.table.table("arguments")
        found = list[Argument]()
        for path in table.data:
            inner = table.table(path)
            sink = inner.choice("sink", SINKS, "selector")
            argument = Argument(
                path,
                sink,
                int64=inner.flag("int64"),
                detect=self._detectors(inner, "detect"),
                inherits=inner.flag("inherits", default=True),
            )
            inner.close()
            self._check_argument(argument, inner, schema)
            found.append(argument)
        table.close()
        if self.table.has("egress") and self.table.raw("input") is None:
            declared = {argument.path for argument in found}
            found += [each for each in performing.MEANINGS if each.path not in declared]
        return tuple(found)

    def _check_argument(
        self, argument: Argument, table: Table, schema: dict[str, Any] | None
    ) -> None:
        if schema is None:
            return
        place = find(schema, split(argument.path))
        if place is None:
            self.findings.error(
                table.at(),
                "unknown_argument",
                f"{self.name} has no argument `{argument.path[:80]}`",
                "paths look like `body`, `fields.note` or `to[]`",
            )
        elif argument.int64 and "integer" not in place.types:
            self.findings.error(table.at("int64"), "int64_type", f"`{argument.path}` is no integer")

    def _detectors(self, table: Table, key: str) -> tuple[str, ...] | None:
        if not table.has(key):
            return None
        names = table.texts(key)
        for index, name in enumerate(names):
            if name not in self.detectors:
                self.findings.error(
                    table.at(key, index),
                    "unknown_detector",
                    f"there is no detector {name[:80]!r}",
                    f"known: {', '.join(sorted(self.detectors))}",
                )
        return names
