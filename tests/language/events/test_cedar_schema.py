"""A Cedar schema's text → actions and types, as Cedar itself understands it."""

import cedarpy
import pytest

from bridle.language.errors import LanguageError
from bridle.language.events.actions import CedarActions, Form
from bridle.language.events.augment import augmented
from bridle.language.events.cedar_schema import read
from bridle.language.lexer import Source

SCHEMA = r"""
type Ctx = { input: In, "a b"?: Set<Long>, "k\"\n": Long };
type In = { x: Long, y: { z: decimal, w?: __cedar::ipaddr }, "if": Bool, "in": Long };
@doc("x")
entity U, V in [G] = { n: String } tags String;
entity G in Top;
entity Top;
entity E enum ["a", "b\n"];
action g;
action "A 1", B in [g, Action::"h"]
    appliesTo { principal: [U, V], resource: G, context: Ctx, };
action h in g;
namespace N {
    entity UU;
    type T = { a: X::Y::T2, g: G, s: Set<Set<UU>> };
    action q in [Action::"r", X::Y::Action::"z"]
        appliesTo { principal: UU, resource: [G, E], context: { input: T } };
    action r;
}
namespace X::Y { type T2 = Bool; action z; }
namespace X { entity decimal; type q = decimal; action "" ; type P = Set<q>; }
"""


def actions(text: str = SCHEMA) -> CedarActions:
    return read(Source("s.cedarschema", text))


def test_names_mean_what_they_mean_where_they_are_written() -> None:
    found = actions()
    context = found.actions["N::Action", "q"].context.attributes["input"].type.attributes
    assert str(context["a"].type) == "Bool"
    assert str(context["g"].type) == "G"
    assert str(context["s"].type) == "Set<Set<N::UU>>"
    assert found.actions["N::Action", "q"].principals == ("N::UU",)


def test_an_entity_type_wins_over_what_cedar_brings_along() -> None:
    found = actions(
        SCHEMA.replace(
            "action z;",
            "action z appliesTo { principal: U, resource: U, context: { d: X::P, e: decimal } };",
        )
    )
    context = found.actions["X::Y::Action", "z"].context.attributes
    assert str(context["d"].type) == "Set<X::decimal>"
    assert context["e"].type.form is Form.PLAIN


def test_what_applies_to_nothing_is_only_a_group() -> None:
    found = actions()
    assert {a.key for a in found.judged()} == {
        ("Action", "A 1"),
        ("Action", "B"),
        ("N::Action", "q"),
    }


def test_a_group_holds_what_lies_in_it_at_any_depth_across_namespaces() -> None:
    found = actions()
    assert {a.key[1] for a in found.below([("Action", "g")])} == {"A 1", "B"}
    assert {a.key[1] for a in found.below([("Action", "h")])} == {"A 1", "B"}
    assert {a.key[1] for a in found.below([("X::Y::Action", "z")])} == {"q"}
    assert found.below([("Action", "unknown")]) == ()


def test_entities_may_lie_in_what_their_groups_lie_in() -> None:
    assert actions().ancestors("V") == {"G", "Top"}
    assert actions().ancestors("Top") == frozenset()


def test_fixed_ids_are_decoded() -> None:
    assert actions().entities["E"].ids == ("a", "b\n")


def test_the_schema_written_out_means_the_same_to_cedar() -> None:
    again = augmented(actions(), {})
    cedarpy.Schema.from_str(again)
    assert augmented(actions(again), {}) == again
    assert actions(again).actions == actions().actions


def test_truths_over_history_are_required_in_the_contexts_they_are_for() -> None:
    text = augmented(actions(), {("Action", "B"): ["t0"], ("N::Action", "q"): ["t0", "t1"]})
    with_truths = actions(text)
    assert with_truths.actions["Action", "B"].context.attributes["t0"].required
    assert "t0" not in with_truths.actions["Action", "A 1"].context.attributes
    assert {"t0", "t1"} <= with_truths.actions["N::Action", "q"].context.attributes.keys()


@pytest.mark.parametrize(
    "text",
    [
        "entity",
        "entity U",
        "action a appliesTo { principal: U, resource: U };",
        "type A = B; type B = A;",
        "type A = { a: A };",
        "type A = Nope;",
        "entity U; entity U;",
        "entity User; action a appliesTo { principal: [User], resource: [User], context: Long };",
        "entity User; entity \u202eUser2;",
    ],
)
def test_what_cedar_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(LanguageError):
        actions(text)


@pytest.mark.parametrize(
    "text",
    [
        "type A = " + "Set<" * 5_000 + "Long" + ">" * 5_000 + ";",
        "type A = " + "{ a: " * 5_000 + "Long" + "}" * 5_000 + ";",
        "".join(f"type T{i} = T{i + 1};" for i in range(3_000)) + "type T3000 = Long;",
        "type T0 = Long;" + "".join(f"type T{i} = Set<T{i - 1}>;" for i in range(1, 3_000)),
        "type T0 = Long;"
        + "".join(f"type T{i} = {{ a: T{i - 1}, b: T{i - 1} }};" for i in range(1, 40)),
    ],
    ids=["sets", "records", "aliases", "aliases of sets", "twice as long each time"],
)
def test_types_that_cedar_could_not_survive_never_reach_it(text: str) -> None:
    with pytest.raises(LanguageError) as caught:
        actions(text)
    assert caught.value.code == "policy_schema"
