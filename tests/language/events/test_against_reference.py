"""Schemas of every shape, and damaged event schemas: taken and understood as the reference does."""

import random
import re
from collections import Counter
from collections.abc import Callable

import pytest
from dogwood import native  # type: ignore[import-untyped]

from bridle.language import program
from bridle.language.events.default import TEXT
from bridle.language.validation import validate

HEAD = "action A appliesTo { principal: U, resource: U"
INPUT = HEAD + ", context: { input: { user: String, r: { a: Long } } } };"
SCHEMAS = {
    "a record written out": f"namespace N {{ entity U; {INPUT} }}",
    "a context of a common type": "namespace N { type Ctx = { input: In }; entity U;"
    f" type In = {{ user: String, r: {{ a: Long }} }}; {HEAD}, context: Ctx }}; }}",
    "a common type of another namespace": "namespace M { type In = { user: String, r: R };"
    " type R = { a: Long }; } namespace N { entity U; "
    f"{HEAD}, context: {{ input: M::In }} }}; }}",
    "names of names": "namespace N { type In = I2; type I2 = { user: St, r: R }; type R = R2;"
    " type R2 = { a: Lo }; type Lo = Long; type St = __cedar::String; entity U;"
    f" {HEAD}, context: {{ input: In }} }}; }}",
    "everything optional": f"namespace N {{ entity U; {HEAD},"
    " context: { input?: { user?: String, r?: { a?: Long } } } }; }",
    "names in quotes": f'namespace N {{ entity U; {HEAD}, context: {{ "input": {{ "user": String,'
    ' "r": { "a": Long, "b.c": String }, "x y": Long } } }; }',
    "an entity type called decimal": f"namespace N {{ entity U, decimal; {HEAD},"
    " context: { input: { user: decimal, r: { a: Long } } } }; }",
    "a set of records": f"namespace N {{ entity U; {HEAD},"
    " context: { input: { user: String, r: { a: Set<{ q: Long }> } } } }; }",
    "no fields": f"namespace N {{ entity U; {HEAD}, context: {{ input: {{}} }} }}; }}",
    "no record": f"namespace N {{ entity U; {HEAD}, context: {{ input: Long }} }}; }}",
    "no context": f"namespace N {{ entity U; {HEAD} }}; }}",
    "an entity by another name": f"namespace N {{ entity U; type UU = U; {HEAD},"
    " context: { input: { user: UU, r: { a: Long } } } }; }",
    "a group of another namespace": "namespace X { action g; } namespace N { entity U; "
    'action B in [X::Action::"g"]; ' + INPUT.replace("action A", "action A in [B]") + " }",
    "annotations": f'@a("b") namespace N {{ @doc entity U = {{ @x("y") d: String }}; @z {INPUT} }}',
    "tags": f"namespace N {{ entity U tags Set<String>; {INPUT} }}",
    "attributes without =": f"namespace N {{ entity U {{ d: String }}; {INPUT} }}",
    "commas at the end": 'namespace N { entity U; action A, "B c" appliesTo { principal: [U,],'
    " resource: [U], context: { input: { user: String, r: { a: Long, }, }, }, }; }",
    "a namespace twice": f"namespace N {{ entity U; }} namespace N {{ {INPUT} }}",
    "nothing": "",
    "no schema": "namespace N { /* no */ }",
}
SAID = [
    *("", 'input.user: "x"', "input.r.a: 1", "input.user: context.input.user", "input.r: *"),
    *("input.r.a: context.input.r.a", 'input.user: N::U::"x"', "input.user: principal"),
    *("input.r.a: context.input.r.b", 'input.user: N::decimal::"x"', 'callerPrincipal: N::U::"x"'),
]
SCOPES = ['action == N::Action::"A"', 'action in X::Action::"g"', "action"]


def agree(text: str, schema: str, events: str | None = None) -> tuple[str, bool, str]:
    """Return what the reference does, whether it is the same here, and what both say."""
    try:
        reason = "; ".join(native.validate_policy(text, schema, events)["errors"])
    except RuntimeError as error:
        reason = str(error)
    rules, findings = program.read({"p.dw": text})
    found = [str(f) for f in findings or validate(rules, schema, events)]
    said = "refused" if reason else "accepted"
    return said, bool(reason) == bool(found), f"{text}\n{events or ''}\n{reason}\n{found}"


@pytest.mark.parametrize("shape", SCHEMAS)
def test_a_schema_of_any_shape_means_what_it_means_to_the_reference(shape: str) -> None:
    for said in SAID:
        for scope in SCOPES:
            text = (
                f"permit (principal, {scope}, resource) when temporal "
                f'{{ formerly within 10m N::Action::"A"::request{{ {said} }} }};'
            )
            _, same, both = agree(text, SCHEMAS[shape])
            assert same, both


POLICY = (
    'permit (principal, action == N::Action::"A", resource) when temporal '
    '{ formerly within 24h N::Action::"A"::request{ input.r.a: 1, requestId: _ } };'
)
PIECES = [
    *("decision ", "event ", "pin ", "max_window = 48h ", "max_window = 12h ", "...inputs(A), "),
    *(
        "...outputs(A), ",
        "<A>",
        "::",
        "{",
        "}",
        "String",
        "N::U",
        "requestId: String, ",
        "= context.x",
    ),
    *("= principal", "= context.input.user", "m: { x: Long }, ", "principalType(A)", "inputs(A)"),
    *(",", ":", "(", ")", "request", "response", "B", "// no\n", " 0s ", "..."),
]
_TOKEN = re.compile(r"\s+|\w+|::|\.\.\.|.", re.DOTALL)


REWORDED = [
    ("max_window = 48h", ("", "max_window = 23h", "max_window = 1d", "max_window = 0s")),
    ("...outputs(A),", ("", "meta: { ...outputs(A) },", "output: String,", "output: {},")),
    (
        "...inputs(A),",
        ("", "input: { r: { a: Long } },", "input: { ...inputs(A) },", "...input(A),"),
    ),
    ("requestId: String", ("requestId: Long", "requestId: { x: String }", "requestID: String", "")),
    ("principalType(A)", ("N::U", "resourceType(A)", "principalType(B)", "String", "Nope")),
    ("pin callerPrincipal", ("callerPrincipal", "pin pin", "pin requestId", "pin sessionId")),
    (
        " = principal,",
        (",", " = context.input.user,", " = principal.d,", " = context.no,", " = 1,"),
    ),
    ("event <A>::response", ("event <A>::held", "decision event <A>::response", "event <B>::seen")),
    ("decision event", ("event", "decision", "decision decision event")),
    ("sessionId: String,", ("sessionId: String", "m: { n: { o: String } },", "pin: String,")),
]


def reworded(chance: random.Random, text: str) -> str:
    for _ in range(chance.choice((1, 1, 2, 3))):
        old, others = chance.choice(REWORDED)
        places = [m.span() for m in re.finditer(re.escape(old), text)]
        if places:
            begin, end = chance.choice(places)
            text = text[:begin] + chance.choice(others) + text[end:]
    return text


def damaged(chance: random.Random) -> str:
    text = reworded(chance, "max_window = 48h\n" + TEXT)
    if chance.random() < 0.6:
        return text
    words = _TOKEN.findall(text)
    solid = [i for i, word in enumerate(words) if not word.isspace()]
    here, there = chance.choice(solid), chance.choice(solid)
    match chance.randrange(4):
        case 0:
            words[here] = ""
        case 1:
            words[here] = words[there]
        case 2:
            words[here], words[there] = words[there], words[here]
        case _:
            words[here] += f" {chance.choice(PIECES)} "
    return "".join(words)


def disagreements(seed: int, count: int) -> tuple[Counter[str], list[str]]:
    chance, seen, wrong = random.Random(seed), Counter[str](), list[str]()
    for _ in range(count):
        said, same, both = agree(POLICY, SCHEMAS["a record written out"], damaged(chance))
        # A kind that is declared twice is refused here alone.
        known = "event_schema_duplicate" in both and "the kind" in both
        seen[said if same else "known" if known else "unknown"] += 1
        wrong += [] if same or known else [both]
    return seen, wrong


def test_a_damaged_event_schema_is_refused_where_the_reference_refuses_it() -> None:
    seen, wrong = disagreements(20_260_102, 300)
    assert wrong == []
    assert seen["accepted"] > 40
    assert seen["refused"] > 100


@pytest.mark.slow
def test_a_damaged_event_schema_is_refused_where_the_reference_refuses_it_at_length(
    count: Callable[[int, int], int],
) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    assert disagreements(seed, count(3_000, 40_000))[1][:3] == []
