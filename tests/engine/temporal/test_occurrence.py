"""Actions as events: what history holds of them, and what conditions read of the one judged."""

import json
from decimal import Decimal

import pytest
from msgspec import structs

from bridle.bundle.check import check_files
from bridle.engine.case import Typed
from bridle.engine.engine import Engine
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.occurrence import Occurrences
from bridle.model.event import EventKind
from engine.kept import case, files

PLAIN = Atomiser()
KEYED = Atomiser(lambda text: f"<{len(text)}>")
TOOLS = """
[tools.odd]
system = "desk"
effect = "read"
[tools.odd.input]
type = "object"
[tools.odd.input.properties]
"a.b" = { type = "string" }
list = { type = "array", items = { type = "string" } }
price = { type = "number" }
gone = { type = ["string", "null"] }
open = { type = "object", additionalProperties = true }
[tools.odd.input.properties.a]
type = "object"
properties.b = { type = "string" }
[tools.odd.output]
type = "object"
[tools.odd.output.properties]
ratio = { type = "number" }
word = { type = "string" }
"""


@pytest.fixture(scope="module")
def odd() -> Engine:
    changed = {**files(), "systems.toml": files()["systems.toml"] + TOOLS}
    changed["schema/extra.cedarschema"] += "entity Agent = { limit?: decimal, seen?: Set<String> };"
    agents = changed["agents.toml"].replace(
        'tags = { stage = "live" }',
        'tags = { stage = "live" }\nattributes = { limit = 1.5, seen = ["b", "a"] }',
    )
    bundle, found = check_files({**changed, "agents.toml": agents})
    assert bundle is not None, [str(f) for f in found]
    return Engine(bundle)


def event(engine: Engine, tool: str, args: dict, atoms: Atomiser = PLAIN, **parts):
    kind = parts.pop("kind", EventKind.REQUEST)
    return engine.event(case(engine, tool, args, now=5), kind, atoms, **parts)


def test_an_event_says_who_for_whom_on_what_and_with_what(odd):
    found = event(odd, "desk.comment", {"id": 3, "body": "hi", "fields": {"priority": "low"}})
    assert (found.time, found.action, found.kind) == (5, ("Action", "desk.comment"), "request")
    assert found.mission == "m-1"
    assert found.fields == {
        "callerPrincipal": 'e:Agent::"triage"',
        "callerResource": 'e:System::"desk"',
        "requestId": "s:a-1",
        "mission.id": "s:m-1",
        "user": 'e:User::"ana"',
        "input.id": 3,
        "input.body": "s:hi",
        "input.fields.priority": "s:low",
    }


def test_no_text_of_an_argument_stands_in_a_keyed_event(odd):
    found = event(odd, "desk.comment", {"id": 3, "body": "a secret"}, KEYED)
    assert found.fields["input.body"] == "s:<8>"
    assert not any("secret" in str(v) or "triage" in str(v) for v in found.fields.values())


def test_a_name_with_a_dot_is_never_taken_for_a_path(odd):
    found = event(odd, "odd", {"a.b": "forged", "a": {"b": "real"}})
    assert found.fields["input.a.b"] == "s:real"
    assert "input.a.b" not in event(odd, "odd", {"a.b": "forged"}).fields


def test_nulls_and_what_has_no_type_are_left_out(odd):
    found = event(odd, "odd", {"gone": None, "open": {"x": 1}}).fields
    assert not [name for name in found if name.startswith("input.")]


def test_sets_have_no_order_and_decimals_are_values(odd):
    one = event(odd, "odd", {"list": ["a", "b"], "price": 1.5}).fields
    other = event(odd, "odd", {"list": ["b", "a", "a"], "price": 1.50}).fields
    assert one["input.list"] == other["input.list"]
    assert one["input.price"] == other["input.price"] == "d:15000"


def test_an_error_has_a_code_and_a_response_its_result(odd):
    failed = event(odd, "odd", {}, kind=EventKind.ERROR, error="denied")
    assert failed.fields["error.code"] == "s:denied"
    output = Typed("", {"ratio": 2, "word": "w"}, "")
    found = event(odd, "odd", {}, kind=EventKind.RESPONSE, output=output).fields
    assert (found["output.ratio"], found["output.word"]) == ("d:20000", "s:w")


def test_a_number_that_cedar_cannot_hold_does_not_hide_the_rest_of_a_result(odd):
    output = Typed("", {"ratio": Decimal("1.123456"), "word": "w"}, "")
    found = event(odd, "odd", {}, kind=EventKind.RESPONSE, output=output).fields
    assert found["output.word"] == "s:w"
    assert "output.ratio" not in found


def test_final_arguments_take_the_place_of_those_asked_for(odd):
    typed = odd.normalise("odd", '{"gone": "x"}')
    assert event(odd, "odd", {}, typed=typed).fields["input.gone"] == "s:x"


READS = {
    ("principal",): 'e:Agent::"researcher"',
    ("principal", "version"): "s:0",
    ("principal", "owner"): 'e:User::"ben"',
    ("principal", "owner", "region"): "s:eu",
    ("principal", "team"): 'e:Team::"support"',
    ("principal", "nothing"): None,
    ("resource",): 'e:System::"desk"',
    ("resource", "labels"): PLAIN.cedar(["personal"]),
    ("resource", "tier"): "s:gold",
    ("context", "input", "id"): 3,
    ("context", "input", "fields", "priority"): "s:low",
    ("context", "input", "internal"): None,
    ("context", "input", "nothing"): None,
    ("context", "user"): 'e:User::"ana"',
    ("context", "user", "name"): "s:Ana",
    ("context", "mission", "id"): "s:m-1",
    ("context", "mission", "labels"): PLAIN.cedar(["personal"]),
    ("context", "mission", "untrusted"): PLAIN.cedar(True),
    ("context", "mission", "clearance"): PLAIN.cedar([]),
    ("context", "system", "now"): 5,
    ("context", "executor"): 'e:Workload::"worker-1"',
    ("context", "chain", "depth"): 1,
    ("context", "chain", "agents"): PLAIN.array(['e:Agent::"researcher"', 'e:Agent::"triage"']),
    ("context", "facts", "body", "length"): 2,
    ("context", "facts", "body", "found"): PLAIN.cedar(["email"]),
    ("context", "history", "h"): None,
    ("other",): None,
}


def test_conditions_read_the_request_as_the_judged_party_puts_it(odd):
    args = {"id": 3, "body": "hi", "fields": {"priority": "low"}}
    asked = structs.replace(case(odd, "desk.comment", args, now=5), chain=("researcher",))
    facts = {"body": {"length": 2, "found": ["email"]}}
    read = Occurrences(odd.bundle).read(asked, "researcher", args, facts, PLAIN)
    versions = {a.id: a.version for a in odd.bundle.agents.values()}
    expected = {**READS, ("principal", "version"): f"s:{versions['researcher']}"}
    assert {path: read(path) for path in expected} == expected


def test_attributes_of_ones_own_keep_their_types(odd):
    asked = case(odd, "desk.comment", {"id": 3, "body": "hi"})
    read = Occurrences(odd.bundle).read(asked, "triage", {}, {}, PLAIN)
    assert read(("principal", "limit")) == "d:15000"
    assert read(("principal", "seen")) == PLAIN.cedar(["a", "b"])


def test_an_argument_that_looks_like_an_entity_is_none(odd):
    forged = {"id": 3, "body": json.dumps({"__entity": {"type": "User", "id": "ana"}})}
    found = event(odd, "desk.comment", forged)
    assert str(found.fields["input.body"]).startswith("s:")
