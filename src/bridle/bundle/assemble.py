"""Texts of files → a `Bundle` and its findings. Pure: disk is `folder`'s job, rows the store's."""

from __future__ import annotations

import hashlib
from typing import Any

import cedarpy
from msgspec.structs import replace

from bridle.bundle.boundaries import Boundaries
from bridle.bundle.bundle import Bundle, Manifest, Schemas
from bridle.bundle.folder import MAX_BYTES, MAX_FILES, REQUIRED, is_bundle_file
from bridle.bundle.lint import run
from bridle.bundle.packaged import event_schemas
from bridle.bundle.parse import agents, boundaries, manifest, missions, policies, scenarios, systems
from bridle.bundle.parse.agents import Identities
from bridle.bundle.parse.systems import Landscape
from bridle.bundle.parse.table import Findings, refer
from bridle.bundle.parse.toml import Document, parse
from bridle.bundle.parse.tool_files import ToolFiles
from bridle.bundle.schema import extra as extra_schema
from bridle.bundle.schema.cedar import governance_schema, logged_schema, tools_schema
from bridle.bundle.schema.extra import Extra, check_attributes
from bridle.bundle.schema.shape import input_typing, output_typing
from bridle.language.errors import LanguageError
from bridle.language.policy import Policy
from bridle.model.finding import Finding, Location
from bridle.model.tool import Tool


def digest_of(files: dict[str, str]) -> str:
    """Return the digest of a bundle: SHA-256 (hex) over its sorted names and texts.

    Every name and text is preceded by its length in bytes, so nothing can move between them.
    Generated files under schema/ do not count.
    """
    digest = hashlib.sha256(b"bridle-bundle-1\n")
    for name in sorted(files):
        if is_bundle_file(name):
            for part in (name, files[name]):
                data = part.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def assemble(files: dict[str, str], root: str, findings: Findings) -> Bundle | None:
    """Build a bundle. None when there is no sense in going on; errors may be among the findings."""
    if not _complete(files, findings):
        return None
    documents = _documents(files, findings)
    if documents is None:
        return None
    return _Assembly(files, documents, findings).build(root)


def _complete(files: dict[str, str], findings: Findings) -> bool:
    for name in REQUIRED:
        if name not in files:
            findings.error(Location(name), "missing_file", f"a bundle has a file {name}")
    if len(files) > MAX_FILES or any(len(text) > MAX_BYTES for text in files.values()):
        findings.error(Location("."), "too_large", "the files are too many or too large")
    return not findings.broken


def _documents(files: dict[str, str], findings: Findings) -> dict[str, Document] | None:
    found = dict[str, Document]()
    for name in REQUIRED:
        try:
            found[name] = parse(name, files[name])
        except LanguageError as error:
            findings.found.append(error.finding)
    return found if len(found) == len(REQUIRED) else None


class _Assembly:
    """The parts of one bundle while it is put together."""

    def __init__(
        self, files: dict[str, str], documents: dict[str, Document], findings: Findings
    ) -> None:
        self.files, self.documents, self.findings = files, documents, findings

    def build(self, root: str) -> Bundle:
        files, findings, documents = self.files, self.findings, self.documents
        head = manifest.read(documents[manifest.FILE], findings)
        land = self._land(head)
        people = agents.read(documents[agents.FILE], land, findings)
        extra = self._extra(land, people)
        bounds = boundaries.read(documents[manifest.FILE], land, findings)
        rules = policies.read(files, people.approvers, findings, bounds)
        bundle = Bundle(
            digest=digest_of(files),
            root=root,
            files={name: files[name] for name in sorted(files) if is_bundle_file(name)},
            manifest=head,
            domains=land.domains,
            systems=land.systems,
            tools=land.tools,
            teams=people.teams,
            users=people.users,
            agents=people.agents,
            workloads=people.workloads,
            approvers=people.approvers,
            missions=missions.read(documents[missions.FILE], land, people, findings),
            policies=rules,
            schemas=self._schemas(land, extra, rules, head.history.max_window_s),
            untyped={name: found for name, tool in land.tools.items() if (found := _untyped(tool))},
            boundaries=bounds.text,
        )
        self._references(bundle)
        findings.found += scenarios.read(bundle)[1]
        run(bundle, documents, findings)
        findings.found = [_placed(found, bounds) for found in findings.found]
        return bundle

    def _land(self, head: Manifest) -> Landscape:
        tool_files = ToolFiles(self.files)
        own = {d.name for d in head.detectors}
        detectors = frozenset(manifest.BUILT_IN_DETECTORS) | own
        land = systems.read(self.documents[systems.FILE], tool_files, detectors, self.findings)
        for name in sorted(tool_files.unused()):
            self.findings.warning(
                Location(name), "unused_file", "no tool takes its schema from this file"
            )
        return land

    def _extra(self, land: Landscape, people: Identities) -> Extra:
        text = self.files.get(extra_schema.FILE)
        extra = extra_schema.read(text, self.findings) if text is not None else Extra()
        where = ((systems.FILE, "systems", "System", land.systems),
                 (agents.FILE, "users", "User", people.users),
                 (agents.FILE, "", "Agent", people.agents))  # fmt: skip
        for file, table, entity, things in where:
            declared: dict[str, Any] = things
            for name, thing in declared.items():
                path = (table or agents.table_of(thing), name, "attributes")
                at = self.documents[file].at(path)
                check_attributes(extra, entity, thing.attributes, at, self.findings)
        return extra

    def _schemas(
        self, land: Landscape, extra: Extra, rules: tuple[Policy, ...], most: int
    ) -> Schemas:
        tools = land.tools.values()
        past = {leaf.name for policy in rules for leaf in policy.leaves}
        found = Schemas(
            tools=tools_schema(tools, extra, past),
            governance=governance_schema(extra),
            judging=tools_schema(tools, extra, past, lean=True),
            events={scope: f"max_window = {most}s\n{t}" for scope, t in event_schemas().items()},
            calls=tools_schema(tools, extra, past, closing=False),
            logged=logged_schema(tools, extra),
        )
        for text in (found.tools, found.governance, found.judging):
            try:
                cedarpy.Schema.from_str(text)
            except ValueError as error:
                message = f"Cedar cannot use the schema made from this bundle: {error}"
                self.findings.error(Location(systems.FILE), "cedar_schema", message[:500])
        return found

    def _references(self, bundle: Bundle) -> None:
        document = self.documents[manifest.FILE]
        for index, user in enumerate(bundle.manifest.operators):
            refer(self.findings, document.at(("operators", index)), user, bundle.users, "user")
        known: tuple[tuple[str, dict[str, Any]], ...] = (
            ("mission", bundle.missions),
            ("user", bundle.users),
            ("agent", bundle.agents),
        )
        executor = {"executor": bundle.workloads}
        for what, names in (*known, *executor.items()):
            value = getattr(bundle.manifest.defaults, what)
            if value:
                refer(self.findings, document.at(("defaults", what)), value, names, what)


def _placed(found: Finding, bounds: Boundaries) -> Finding:
    """Say of what was found in a generated policy where the bundle asks for it."""
    return replace(found, location=bounds.place(found.location))


def _untyped(tool: Tool) -> dict[str, str]:
    found = dict(input_typing(tool.input).untyped)
    if tool.output is not None:
        found |= output_typing(tool.output).untyped
    return found
