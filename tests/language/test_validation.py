"""Programs as a whole: what is refused by which judge, where; and the reference's opinion."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from dogwood import native  # type: ignore[import-untyped]

from bridle.language import library, program
from bridle.language.lexer import Source
from bridle.language.validation import schemas, validate
from bridle.model.finding import Finding

SCHEMA = """
namespace D {
  type Out = { ok?: Bool, amount?: Long };
  type In = { user: String, amount: Long, flag: Bool, score: decimal, owner: User, note?: String };
  entity Gateway = { g: Long };
  entity User in [Team] = { dept: String, level: Long };
  entity Robot, Team;
  action Group;
  action "A" in [Group]
    appliesTo { principal: [User], resource: [Gateway], context: { input: In, output?: Out } };
  action "B" in [Group]
    appliesTo { principal: [User], resource: [Gateway], context: { input: In, output?: Out } };
  action "C" appliesTo { principal: [User, Robot], resource: [Gateway],
                         context: { input: { user: Long, only: String } } };
}
"""
OWN_EVENTS = """
max_window = 48h
decision event <A>::request {
  ...inputs(A),
  pin callerPrincipal: principalType(A) = principal,
  meta: { user: String },
}
event <A>::response { ...inputs(A), ...outputs(A), requestId: String }
"""
ON_B = 'permit (principal, action == D::Action::"B", resource)'


def read(text: str, schema: str = SCHEMA, events: str | None = None) -> list[Finding]:
    rules, findings = program.read({"p.dw": written_out(text)}, library.reference_text())
    return list(findings or validate(rules, schema, events))


def test_a_sound_program_has_no_findings() -> None:
    assert read(f'{ON_B} when temporal {{ formerly within 1h D::Action::"A"::request{{}} }};') == []


def test_each_judge_has_its_say() -> None:
    found = read(
        f"{ON_B} when temporal {{ exists (u: Long). !A{{ input.amount: u }} }};\n"
        f"{ON_B} unless temporal {{ A{{ input.usr: 1 }} }};\n"
        f"{ON_B} when {{ context.input.user > 3 }};\n"
        'permit (principal, action == D::Action::"Z", resource);'
    )
    assert [(f.code, f.location.line) for f in found] == [
        ("policy_type", 3),
        ("policy_type", 4),
        ("policy_type", 4),
        ("history_unrestricted", 1),
        ("history_unknown_field", 2),
    ]


def test_cedar_is_strict_about_what_stands_beside_history() -> None:
    text = f'{ON_B} when {{ context.input.note == "x" && temporal {{ A{{}} }} }};'
    (found,) = read(text)
    assert (found.code, found.location.column) == ("policy_type", text.index("note") + 1)


def test_what_cedar_says_of_an_unknown_action_names_nothing_of_ours() -> None:
    found = read(
        'permit (principal, action == D::Action::"Z", resource)'
        ' when temporal { formerly within 1h D::Action::"A"::request{} };'
    )
    assert found
    assert not any("__temporal_" in f.message for f in found)


@pytest.mark.parametrize(
    ("schema", "events", "code", "file"),
    [
        ("entity", None, "policy_schema", "schema.cedarschema"),
        (SCHEMA, "event", "event_schema_syntax", "event.dwschema"),
        (SCHEMA, "", "event_schema_empty", "event.dwschema"),
    ],
)
def test_a_broken_schema_is_the_only_finding(
    schema: str, events: str | None, code: str, file: str
) -> None:
    (found,) = read(f"{ON_B};", schema, events)
    assert (found.code, found.location.file) == (code, file)


def test_an_empty_program_needs_a_sound_schema_only() -> None:
    assert read("") == []
    assert [f.code for f in read("", "type")] == ["policy_schema"]


def test_schemas_are_read_once_for_all_rules() -> None:
    known = schemas(Source("s", SCHEMA), Source("e", OWN_EVENTS))
    assert known.events.max_window == 48 * 3600
    assert len(known.events.events) == 2 * len(list(known.actions))


# --- against the reference -----------------------------------------------------------------------

PROGRAMS = """
permit (ON_B) when temporal { formerly within 10m A{ input.user: context.input.user } };
---
permit (ON_B) when temporal { previous within 1h A{ input.amount: 5, input.flag: true } };
---
permit (ON_B) unless temporal { !A{ callerPrincipal: principal } since within 1h C{} };
---
permit (ON_B) when temporal {
    exists (u: String).
        (formerly within 10m A{ input.user: u } && !(formerly within 10m B{ input.user: u })) };
---
permit (ON_B) when temporal {
    exists (u: String). (formerly within 10m A{ input.user: u } && (count for (t: Timepoint).
        where formerly within 1h (B{ input.user: u } && tp(t))) >= 2) };
---
permit (ON_B) when temporal {
    (sum a for (a: Long), (t: Timepoint).
        where formerly within 1h (A{ input.amount: a } && tp(t))) <= 100 };
---
permit (ON_B) when temporal {
    exists (n: Long). ((count for (u: D::User). where formerly within 1h A{ input.owner: u }) == n
        && n > context.input.amount) };
---
forbid (principal is D::User, action in D::Action::"Group", resource)
when { context.input.amount > 3 && temporal {
    formerly within 24h (A{ input.score: decimal("1.5") }
        && formerly within 1h B{ input.owner: principal }) } };
---
permit (principal, action, resource) when temporal {
    exists (s: Timepoint). exists (t: Timepoint). (formerly within 1m (A{} && tp(s))
        && formerly within 1m (B{} && tp(t)) && s != t) };
---
def temporal recent(?w, ?p) { formerly within ?w (?p{ input.user: context.input.user }) };
def temporal none(?p) { exists ($u: String). (formerly within 1m A{ input.user: $u } && !?p) };
permit (ON_B) when temporal { recent(10s, A{}) && none(B{ input.flag: true }) };
---
def cedar big(?x, ?n) { ?x > ?n };
permit (ON_B)
when { big(context.input.amount, 3) && temporal { A{ input.user: principal.dept } } };
---
permit (principal is D::Robot, action == D::Action::"C", resource) when temporal {
    formerly within 1h C{ input.user: context.input.user, input.only: "x" } };
""".replace("ON_B", 'principal, action == D::Action::"B", resource').split("---")

KINDS = {
    "types": ("String", "Long", "Bool", "decimal", "Timepoint", "D::User", "User", "D::Robot"),
    "fields": ("input.user", "input.amount", "input.flag", "input.note", "input.owner", "input"),
    "paths": ("context.input.user", "context.input.amount", "context.input.only", "principal.dept",
              "principal.level", "principal.nope", "resource.g", "context.nope"),
    "kinds": ("::request", "::response", "::error", "::held"),
    "events": ("A{", "B{", "C{"),
    "lengths": ("10s", "0s", "24h", "25h", "1441m", "2d", "48h"),
    "operators": (" == ", " != ", " < ", " >= "),
    "names": (" u ", " t ", " n ", " a ", " * ", ' "x" ', " 7 ", " true ", " principal "),
    "scopes": ('action == D::Action::"B"', 'action in D::Action::"Group"', "action",
               'action in [D::Action::"A", D::Action::"C"]', 'action == D::Action::"Z"'),
    "who": ("principal,", "principal is D::User,", "principal is D::Robot,"),
    "joints": (" && ", " since within 1h ", " && ! "),
    "ways": ("formerly within 1h ", "previous within 1h ", "! ", "exists (z: String). "),
}  # fmt: skip
_TOKEN = re.compile(
    r'\s+|[A-Za-z_]\w*|\d+|"(?:[^"\\]|\\.)*"|[?$]\w+|::|==|!=|<=|>=|&&|.', re.DOTALL
)


def written_out(text: str) -> str:
    return re.sub(r"\b([ABC])\{", r'D::Action::"\1"::request{', text)


def mutated(chance: random.Random, text: str) -> str:
    """Say something else of the same kind in one place or a few; or break the text."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        kind = KINDS[chance.choice(list(KINDS))]
        places = [m.span() for word in kind for m in re.finditer(re.escape(word), text)]
        if places:
            begin, end = chance.choice(places)
            text = text[:begin] + chance.choice(kind) + text[end:]
    return broken(chance, text) if chance.random() < 0.3 else text


def broken(chance: random.Random, text: str) -> str:
    """Leave out, double or exchange words, or move a part of a chain."""
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
            middle = chance.choice([i for i in solid if words[i] == "&&"] or [here])
            low = max(0, middle - chance.randrange(2, 30))
            high = min(len(words), middle + chance.randrange(2, 30))
            words[low:high] = [*words[middle + 1 : high], " && ", *words[low:middle]]
    return "".join(words)


def mutants(seed: int, count: int) -> Iterator[tuple[str, str | None]]:
    chance = random.Random(seed)
    for _ in range(count):
        yield (
            written_out(mutated(chance, chance.choice(PROGRAMS))),
            chance.choice((None, None, OWN_EVENTS)),
        )


def reference(text: str, events: str | None) -> str:
    """Return why the reference refuses a program; empty if it does not."""
    try:
        answer = native.validate_policy(text, SCHEMA, events)
    except RuntimeError as error:
        return str(error)
    return "; ".join(answer["errors"])


SCOPE = ("variable in the scope", "found the variable")
TYPES = ("expects", "same type", "numeric", "declared", "cannot sum")
TYPED = {"history_field_type", "history_comparison", "history_tp_type", "history_sum_type"}


def known_difference(text: str, reason: str, found: list[Finding]) -> str:
    """Name the difference that docs/reference/history.md lists, if it is one of those."""
    codes, told = {f.code for f in found}, [f.message for f in found]
    own = all(not re.match(r"`(input|output)\.", message) for message in told)
    twice = max(Counter(re.findall(r"\(\s*\$?(\w+)\s*:", text)).values(), default=0) > 1
    known = {
        "fields of the event schema's own have types": codes == {"history_field_type"} and own,
        "integers beyond Long": codes == {"integer_range"},
        "a scope names all three in their order": codes == {"policy_syntax"}
        and any(each in message for message in told for each in SCOPE),
        "parameters stand in macros alone": codes == {"stray_parameter"},
        "macros are expanded before": not codes and "does not occur in the aggreg" in reason,
        "a binder's type holds within it": twice
        and ((bool(codes) and codes <= TYPED) or any(each in reason for each in TYPES)),
    }
    return next((name for name, holds in known.items() if holds), "")


def disagreements(seed: int, count: int) -> tuple[Counter[str], list[str]]:
    seen, wrong = Counter[str](), list[str]()
    for text, events in mutants(seed, count):
        reason, found = reference(text, events), read(text, SCHEMA, events)
        if bool(reason) == bool(found):
            seen["refused" if reason else "accepted"] += 1
            continue
        known = known_difference(text, reason, found)
        seen[known or "unknown"] += 1
        if not known:
            wrong.append(f"{text}\nreference: {reason}\nhere: {[str(f) for f in found]}")
    return seen, wrong


@pytest.mark.parametrize("text", PROGRAMS)
def test_the_programs_that_are_mutated_are_sound(text: str) -> None:
    assert read(written_out(text)) == []
    assert reference(written_out(text), None) == ""


def test_what_the_reference_refuses_is_refused_and_nothing_else() -> None:
    seen, wrong = disagreements(20_260_101, 400)
    assert wrong == []
    assert seen["accepted"] > 60
    assert seen["refused"] > 150


@pytest.mark.slow
def test_what_the_reference_refuses_is_refused_and_nothing_else_at_length(
    count: Callable[[int, int], int],
) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    seen, wrong = disagreements(seed, count(6_000, 100_000))
    assert wrong[:3] == []
    assert seen["accepted"] > 1_000
