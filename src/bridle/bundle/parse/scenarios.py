"""tests/*.toml → scenarios: events in, verdicts expected. The governor runs them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.bundle.parse.table import Findings, Table, refer
from bridle.bundle.parse.toml import Document, parse
from bridle.language.errors import LanguageError
from bridle.language.plain import is_array, is_object
from bridle.model.finding import Finding, Location
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect

_EFFECTS = tuple(e.value for e in Effect)
_CODES = frozenset(c.value for c in ReasonCode)


class Step(Struct, frozen=True, kw_only=True):
    """One event and what is expected of it.

    An action (`agent`, `tool`, `args` as JSON text) or, with `approve`, a user's approval of the
    last hold, which is then judged again, or a `prompt` that `user` adds (empty: the user of the
    mission). `output` (JSON text) or `error` is the outcome of the effect; both: what an effect
    that failed still says. `release` is the verdict expected on it. `advance_ms` moves the clock
    first. `cites` is the step of the scenario's plan that an action is meant to be.
    """

    location: Location
    agent: str = ""
    tool: str = ""
    args: str = "{}"
    approve: str = ""
    prompt: str = ""
    user: str = ""
    expect: Effect
    policy: str = ""
    code: str = ""
    expect_args: dict[str, Any] | None = None
    output: str = ""
    error: str = ""
    release: Effect | None = None
    advance_ms: int = 0
    cites: str = ""


class Scenario(Struct, frozen=True, kw_only=True):
    """One mission from its start through a row of steps. `plan` is the JSON text of one."""

    location: Location
    name: str
    mission: str
    user: str
    prompt: str = ""
    plan: str = ""
    steps: tuple[Step, ...] = ()


def is_scenario_file(name: str) -> bool:
    """Whether a file of that name holds scenarios."""
    return name.startswith("tests/") and name.endswith(".toml") and name.count("/") == 1


def read(bundle: Bundle) -> tuple[tuple[Scenario, ...], tuple[Finding, ...]]:
    """Read all scenarios of a bundle, in the order of files and of their text."""
    findings, found = Findings(), list[Scenario]()
    for name in sorted(filter(is_scenario_file, bundle.files)):
        try:
            document = parse(name, bundle.files[name])
        except LanguageError as error:
            findings.found.append(error.finding)
            continue
        found += _scenarios(document, bundle, findings)
    return tuple(found), tuple(findings.found)


def _scenarios(document: Document, bundle: Bundle, findings: Findings) -> list[Scenario]:
    table = Table(document, findings, document.data)
    found = [_scenario(t, bundle) for t in table.array("scenario")]
    table.close()
    return found


def _scenario(table: Table, bundle: Bundle) -> Scenario:
    steps = [_Reader(t, bundle).read() for t in table.array("step")]
    scenario = Scenario(
        location=table.at(),
        name=table.text("name", required=True),
        mission=table.text("mission", bundle.manifest.defaults.mission),
        user=table.text("user", bundle.manifest.defaults.user),
        prompt=table.text("prompt"),
        plan=table.text("plan"),
        steps=tuple(steps),
    )
    refer(table.findings, table.at("mission"), scenario.mission, bundle.missions, "mission")
    refer(table.findings, table.at("user"), scenario.user, bundle.users, "user")
    for step, each in zip(steps, table.array("step"), strict=True):
        if step.cites and not scenario.plan:
            each.bad("cites", "the scenario has no `plan`")
    if not steps:
        table.findings.error(table.at(), "missing_key", "a scenario has at least one step")
    table.close()
    return scenario


class _Reader:
    """Reads one `[[scenario.step]]`."""

    def __init__(self, table: Table, bundle: Bundle) -> None:
        self.table, self.bundle = table, bundle

    def read(self) -> Step:
        table = self.table
        step = Step(
            location=table.at(),
            agent=table.text("agent"),
            tool=table.text("tool"),
            args=self._args(),
            approve=table.text("approve"),
            prompt=table.text("prompt"),
            user=table.text("user"),
            expect=Effect(table.choice("expect", _EFFECTS)),
            policy=table.text("policy"),
            code=table.text("code"),
            expect_args=self._expect_args(),
            output=self._json("output") if table.has("output") else "",
            error=table.text("error"),
            release=self._release(),
            advance_ms=table.duration("advance", 0),
            cites=table.text("cites"),
        )
        self._shape(step)
        self._references(step)
        table.close()
        return step

    def _args(self) -> str:
        raw = self.table.text("args_raw")
        if raw and self.table.has("args"):
            self.table.bad("args_raw", "`args` and `args_raw` exclude one another")
        return raw or (self._json("args") if self.table.has("args") else "{}")

    def _json(self, key: str) -> str:
        try:
            return json_text(self.table.raw(key))
        except (TypeError, RecursionError):
            self.table.bad(key, f"`{key}` cannot be written as JSON")
            return "{}"

    def _expect_args(self) -> dict[str, Any] | None:
        value = self.table.table("expect_args").data if self.table.has("expect_args") else None
        return None if value is None else dict(value)

    def _release(self) -> Effect | None:
        if not self.table.has("release"):
            return None
        return Effect(self.table.choice("release", _EFFECTS))

    def _shape(self, step: Step) -> None:
        table, acts = self.table, bool(step.agent or step.tool)
        kinds = (acts, bool(step.approve), bool(step.prompt))
        if sum(kinds) != 1 or bool(step.agent) != bool(step.tool):
            table.findings.error(
                table.at(),
                "bad_value",
                "a step is an action (`agent` and `tool`), an approval (`approve`) or what is said "
                "next (`prompt`)",
            )
        if step.user and not step.prompt:
            table.bad("user", "`user` says whose the `prompt` is")
        if step.prompt and (step.output or step.error):
            table.bad("prompt", "what is said has no outcome")
        if step.cites and not acts:
            table.bad("cites", "only an action is a step of a plan")
        if step.release and not (step.output or step.error):
            table.bad("release", "there is nothing to release without an `output`")

    def _references(self, step: Step) -> None:
        table, bundle = self.table, self.bundle
        expected = step.expect is Effect.DENY
        if step.agent and not expected:
            refer(table.findings, table.at("agent"), step.agent, bundle.agents, "agent")
        if step.tool and not expected:
            refer(table.findings, table.at("tool"), step.tool, bundle.tools, "tool")
        if step.approve and not expected:
            refer(table.findings, table.at("approve"), step.approve, bundle.users, "user")
        if step.user and not expected:
            refer(table.findings, table.at("user"), step.user, bundle.users, "user")
        if step.code and step.code not in _CODES:
            table.bad("code", f"there is no reason code {step.code[:80]!r}")
        if step.policy and step.policy not in {p.id for p in bundle.policies}:
            table.bad("policy", f"there is no policy {step.policy[:80]!r}")


def json_text(value: Any) -> str:
    """Return JSON text with fractions exactly as written. Raises `TypeError` on dates."""
    if is_object(value):
        pairs = (f"{json.dumps(k, ensure_ascii=False)}:{json_text(v)}" for k, v in value.items())
        return "{" + ",".join(pairs) + "}"
    if is_array(value):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else _no_json(value)
    return json.dumps(value, ensure_ascii=False)


def _no_json(value: Any) -> str:
    raise TypeError(f"{value} is no JSON")
