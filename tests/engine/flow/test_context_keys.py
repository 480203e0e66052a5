"""What the flow can say of a tool's arguments is what the schema of policies has a place for."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bridle.bundle.load import load
from bridle.bundle.parse import scenarios
from bridle.bundle.schema.flow import flow_keys, sink_keys
from bridle.engine.case import Case, MissionView, Typed
from bridle.engine.engine import Engine
from bridle.engine.flow.arguments import Meanings, MissionFlow
from bridle.engine.flow.index import Index
from bridle.engine.flow.reading import Reader
from bridle.engine.normalise.places import Place, compile_places, meaning_of
from bridle.language.compile import compile_file
from bridle.language.policy import PolicySetName
from bridle.model.tool import Argument, EffectClass, Tool
from bridle.model.verdict import Effect

ROOT = Path(__file__).parents[3]
HOUSE = [
    ROOT / "src" / "bridle" / "cli" / "demo" / "bundle",
    ROOT / "tests" / "bundles" / "desk",
    ROOT / "tests" / "bundles" / "bypass",
]
TEXT = {"type": "string"}
CLOSED = {"type": "object", "additionalProperties": False}
ALL = (
    "permit (principal, action, resource) when { "
    "context.flow == context.flow && context.sinks == context.sinks };"
)


def tool(schema: dict, **sinks: str) -> Tool:
    arguments = tuple(Argument(p.replace("__", "."), sink=s) for p, s in sinks.items())
    return Tool("t", "s", EffectClass.WRITE, input={**CLOSED, **schema}, arguments=arguments)


def to(**properties: object) -> dict:
    return {"properties": properties}


ODD = [
    tool(to()),
    tool(to(a=TEXT)),
    tool(to(a=TEXT), a="content"),
    tool(to(a=TEXT, b=TEXT), a="content", b="recipient"),
    tool({**to(a=TEXT), "additionalProperties": True}, a="content"),
    tool({**to(a=TEXT), "additionalProperties": TEXT}, a="content"),
    tool({**to(a=TEXT), "patternProperties": {"^x": TEXT}}, a="content"),
    tool({**to(a=TEXT), "allOf": [to(b=TEXT)]}, a="content"),
    tool(to(a={**CLOSED, **to(b=TEXT, c=TEXT)}), a__b="content"),
    tool(to(a={**CLOSED, **to(b=TEXT, c=TEXT)}), a="recipient", a__b="content"),
    tool(to(a={"type": "object"}), a="content"),
    tool(to(a={"type": "array", "items": TEXT}), **{"a[]": "recipient"}),
    tool(to(a={"type": "array", "prefixItems": [TEXT], "items": to(x=TEXT)}), a="amount"),
    tool({"$ref": "#/$defs/r", "$defs": {"r": {**CLOSED, **to(a={"$ref": "#/$defs/r"})}}}),
    tool({**to(a={"$ref": "#/$defs/r"}), "$defs": {"r": to(a={"$ref": "#/$defs/r"})}}, a="content"),
    tool(to(any=TEXT, flow=TEXT), any="recipient"),
]


def of_the_house() -> Iterator[Tool]:
    for folder in HOUSE:
        yield from load(folder).tools.values()


def meant(root: Place) -> set[str]:
    """Return the meanings of every place that a value can stand at."""
    seen, found, waiting = set[int](), set[str](), [*root.names.values()]
    if not root.closed:
        waiting.append(root.other)
    while waiting:
        place = waiting.pop()
        if id(place) not in seen:
            seen.add(id(place))
            found.add(place.meaning.sink)
            waiting += [*place.names.values(), place.other, place.items, *place.prefix]
    return found


@pytest.mark.parametrize("known", [*ODD, *of_the_house()], ids=lambda t: t.name)
def test_every_meaning_that_a_value_can_have_is_one_that_policies_can_name(known: Tool) -> None:
    root = compile_places(known.input, meaning_of(known.arguments))
    assert meant(root) <= set(sink_keys(known))


def test_an_argument_that_has_no_type_has_an_origin_all_the_same() -> None:
    odd = tool({**to(a={"type": "object"}, b=TEXT, any=TEXT), "required": ["a", "b", "any"]})
    assert flow_keys(odd) == {"a": False, "b": True}


@pytest.mark.parametrize("folder", HOUSE, ids=lambda p: p.parent.name + "/" + p.name)
def test_what_the_flow_says_of_the_houses_own_actions_fits_their_schemas(folder: Path) -> None:
    bundle = load(folder)
    policies, findings = compile_file("policies/x.dw", f'@id("x") {ALL}', PolicySetName.TOOLS)
    assert not findings
    engine = Engine(msgspec.structs.replace(bundle, policies=policies))
    meanings = Meanings(bundle.tools, bundle.systems)
    flow = MissionFlow(
        Index(), Reader(b"k" * 32), meanings, frozenset({"personal"}), engine.labelled
    )
    agent, user = next(iter(bundle.agents)), next(iter(bundle.users))
    judged = 0
    for step in (s for one in scenarios.read(bundle)[0] for s in one.steps if s.tool):
        typed = engine.normalise(step.tool, step.args) if step.tool in bundle.tools else None
        if isinstance(typed, Typed):
            mission = MissionView("m", next(iter(bundle.missions)))
            case = Case(tool=step.tool, typed=typed, agent=agent, user=user, mission=mission,
                        now=0, flow=flow)  # fmt: skip
            answer = engine.judge(case)
            assert answer.effect is Effect.ALLOW, answer.reasons
            judged += 1
    assert judged
