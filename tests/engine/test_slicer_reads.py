"""A request carries what some policy reads, and nothing else; a doubt counts as reading all."""

from __future__ import annotations

import pytest
from cedarpy import policies_to_pst

from bridle.engine.cedar.slicer import context_reads
from bridle.language.policy import Policy
from bridle.model.finding import Location

READS = {
    "true": set(),
    "principal.version == resource.owner": set(),
    "context.input.amount > 3": {"input"},
    'context["facts"].body.length > 3': {"facts"},
    "context has executor": {"executor"},
    "context has facts && context.facts has body && context.facts.body.length > 1": {"facts"},
    "context has facts.body": {"facts"},
    'if context.chain.depth > 0 then context.user == User::"ana" else context.input has x': {
        "chain", "user", "input",
    },
    '[context.mission.id, "x"].contains(context.mission.template)': {"mission"},
    "{a: context.system.now} == {a: 1}": {"system"},
    "context.flow.to.trusted": {"flow", "flow.to"},
    'context.flow["odd name"].trusted || context["flow"]["a.b"].trusted': {
        "flow", "flow.odd name", "flow.a.b",
    },
    "context.flow has to && !context.flow.any.unknown": {"flow", "flow.to", "flow.any"},
    "context has flow && true": {"flow"},
    "context has flow.to.trusted": {"flow", "flow.to"},
    "context has sinks.recipient": {"sinks", "sinks.recipient"},
    "context.sinks has content.labels": {"sinks", "sinks.content"},
    "context.flow == context.flow": {"flow", "flow.*"},
    "[context.sinks].contains(context.sinks)": {"sinks", "sinks.*"},
    "(if true then context.flow else context.flow).to.trusted": {"flow", "flow.*"},
    "{a: context.flow}.a.any.trusted && context.flow.to.trusted": {"flow", "flow.*", "flow.to"},
    "context.input.flow.to == 1 || principal.flow.to": {"input"},
}  # fmt: skip

ANY = ["context == context", "[context].contains(context)", "{c: context}.c.input.amount > 3"]


def policy(condition: str, clause: str = "when") -> Policy:
    text = f"forbid (principal, action, resource) {clause} {{ {condition} }};"
    node = policies_to_pst(text).static_policies["policy0"]
    return Policy("p", "forbid", text, "", Location("p.dw"), node)


@pytest.mark.parametrize("condition", READS)
@pytest.mark.parametrize("clause", ["when", "unless"])
def test_what_a_policy_reads_of_the_context_is_found(condition: str, clause: str) -> None:
    assert context_reads(policy(condition, clause)) == READS[condition]


@pytest.mark.parametrize("condition", ANY)
def test_a_policy_that_takes_the_whole_context_reads_anything(condition: str) -> None:
    assert context_reads(policy(condition)) is None
