"""Event schema and actions → the events there can be; pins and what they are put on."""

from bridle.language.events.ast import Events, Pin, Reference
from bridle.language.events.cedar_schema import read
from bridle.language.events.default import default
from bridle.language.events.derive import derive
from bridle.language.events.parse import parse
from bridle.language.events.pins import inject, universal
from bridle.language.lexer import Source
from bridle.language.temporal.ast import Condition, Predicate, ScopeField, TextLiteral
from bridle.language.temporal.parse import condition
from bridle.language.temporal.printing import text as printed
from bridle.language.temporal.tree import conjuncts

SCHEMA = """
namespace D {
    type Meta = { region: String, deep: { level?: Long } };
    type In = { user: String, owner: User, meta: Meta, tags: Set<String>, "not a name": Long };
    entity User, Robot, Gateway;
    action group;
    action A in group appliesTo {
        principal: [User, Robot], resource: Gateway, context: { input: In, output?: { ok?: Bool } }
    };
    action B appliesTo { principal: User, resource: Gateway, context: { input: Long } };
}
"""


def events(text: str | None = None) -> Events:
    schema = default() if text is None else parse(Source("e", text))
    return derive(schema, read(Source("s", SCHEMA)))


def pinned(text: str, schema: str | None = None) -> str:
    return printed(inject(parsed(text), events(schema)))


def parsed(text: str) -> Condition:
    return condition(Source("p", text), 0, len(text))


def test_fields_are_what_the_action_takes_and_what_the_schema_adds() -> None:
    found = events().events["D::Action", "A", "response"]
    assert found.fields == {
        "input.user": ("String",),
        "input.owner": ("D::User",),
        "input.meta.region": ("String",),
        "input.meta.deep.level": ("Long",),
        "input.tags": ("Set<String>",),
        "output.ok": ("Bool",),
        "callerPrincipal": ("D::User", "D::Robot"),
        "callerResource": ("D::Gateway",),
        "sessionId": ("String",),
        "requestId": ("String",),
    }
    assert found.groups == {"input", "output", "input.meta", "input.meta.deep"}


def test_a_request_has_no_output() -> None:
    found = events().events["D::Action", "A", "request"]
    assert not any(path.startswith("output") for path in found.fields)


def test_an_input_that_is_no_record_and_a_group_have_no_fields_of_their_own() -> None:
    for action in ("B", "group"):
        fields = events().events["D::Action", action, "request"].fields
        assert not any(path.startswith("input.") for path in fields)


def test_only_kinds_that_say_so_are_judged() -> None:
    assert events().deciding == {"request"}
    assert events("event <A>::seen {}").deciding == frozenset()


def test_groups_of_the_schemas_own_take_in_what_is_spread_into_them() -> None:
    found = events("event <A>::seen { m: { ...inputs(A), n: { x: D::User } } }")
    assert found.events["D::Action", "A", "seen"].fields["m.input.meta.region"] == ("String",)
    assert found.events["D::Action", "A", "seen"].fields["m.n.x"] == ("D::User",)


def test_a_pin_stands_beside_what_the_policy_says_of_the_field() -> None:
    assert pinned('D::Action::"A"::request{ callerPrincipal: _ }') == (
        printed(parsed('D::Action::"A"::request{ callerPrincipal: _, callerPrincipal: principal }'))
    )


def test_a_pin_reaches_every_predicate_however_deep() -> None:
    a = 'D::Action::"A"::request{}'
    text = (
        f"!{a} && formerly within 1m ({a} && (count for (t: Timepoint). where "
        f"previous within 1m ({a} && tp(t))) > 1) && exists (u: String). ({a} since within 1m {a})"
    )
    assert pinned(text).count("callerPrincipal: principal") == text.count("request{") == 5


def test_a_pin_to_the_context_reads_the_context() -> None:
    schema = "decision event <A>::request { m: { pin id: String = context.input.meta.region } }"
    assert "m.id: context.input.meta.region" in pinned('D::Action::"A"::request{}', schema)


def test_an_event_nobody_knows_is_left_as_it_is() -> None:
    assert pinned('D::Action::"Z"::request{}') == printed(parsed('D::Action::"Z"::request{}'))


def test_pinning_a_long_chain_keeps_its_order() -> None:
    text = " && ".join(f'D::Action::"A"::request{{ requestId: "{i}" }}' for i in range(50))
    chain = conjuncts(inject(parsed(text), events()))
    said = [[f.term for f in part.fields] for part in chain if isinstance(part, Predicate)]
    assert [terms[0] for terms in said] == [TextLiteral(str(i)) for i in range(50)]
    assert all(len(terms) == 2 and isinstance(terms[1], ScopeField) for terms in said)


def kinds(*bodies: str) -> str:
    return "\n".join(f"event <A>::k{i} {{ {body} }}" for i, body in enumerate(bodies))


def test_a_pin_on_every_kind_that_ties_a_field_to_itself_divides_history() -> None:
    caller = "pin callerPrincipal: principalType(A) = principal"
    own = "m: { pin id: String = context.m.id }"
    assert universal(events()) == (Pin("callerPrincipal", Reference("principal")),)
    assert len(universal(events(kinds(f"{caller}, {own}", f"{own}, {caller}")))) == 2


def test_a_pin_that_leaves_out_a_kind_or_ties_a_field_to_another_does_not() -> None:
    caller = "pin callerPrincipal: principalType(A) = principal"
    for schema in (
        kinds(caller, "x: Long"),
        kinds("pin callerPrincipal: String = principal.name"),
        kinds("pin callerPrincipal: String = context.principal"),
        kinds("pin callerResource: principalType(A) = principal"),
        kinds("pin who: principalType(A) = principal"),
        kinds("pin user: String = context.input.user"),
        kinds("m: { pin id: String = context.id }"),
    ):
        assert universal(events(schema)) == ()
