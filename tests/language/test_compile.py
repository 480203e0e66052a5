"""Policy files → policies: what is kept, what is refused, and that nothing is dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.language.compile import compile_file
from bridle.language.policy import Policy, PolicySetName
from bridle.language.source import MAX_NESTING

GOOD = """// Two policies.
@id("one")
permit (principal, action, resource); // trailing
@id("two") @reason("no \\"x\\"") @hold("leads:2")
forbid (
  principal in Team::"a;b", // a ; in a comment
  action, resource
) when { context.x == "}" };
"""


def compiled(text: str) -> tuple[tuple[Policy, ...], list[tuple[str, int, int]]]:
    policies, findings = compile_file("p.dw", text, PolicySetName.TOOLS)
    return policies, [(f.code, f.location.line, f.location.column) for f in findings]


def test_a_policy_keeps_its_exact_text_its_place_and_its_name() -> None:
    policies, findings = compiled(GOOD)
    assert findings == []
    one, two = policies
    assert (one.id, one.effect, str(one.location)) == ("one", "permit", "p.dw:3:1")
    assert one.text == '@id("one")\npermit (principal, action, resource);'
    assert one.node.id == "one"
    assert (two.reason, two.hold, two.has_remedy) == ('no "x"', (("leads", 2),), True)
    assert str(two.location) == "p.dw:5:1"
    assert two.text.endswith('"}" };')


def test_the_digest_changes_with_any_character_of_the_text() -> None:
    first = compiled(GOOD)[0][1]
    assert first.digest != compiled(GOOD.replace("a ; in", "a , in"))[0][1].digest
    assert first.digest == compiled("\n\n" + GOOD)[0][1].digest


def test_a_shadow_forbid_is_marked() -> None:
    text = '@id("a") @enforce("shadow") forbid (principal, action, resource);'
    assert compiled(text)[0][0].shadow


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("(principal action, resource);", "action"),
        ("(principal, resource, action);", "resource"),
        ("(principal, action, resource) when { context.x and 1 };", "and"),
        ("(principal, action, resource) when { context.x in };", "}"),
        ("(principal, action, resource) when { };", "when"),
        ("(principal, action, resource) wen { true };", "wen"),
        ("(principal, action, resource) when { foo(1) };", "foo"),
        ("(principal, action, resource) when { context.foo(1) };", "foo"),
        ("(principal, action, resource) when { contxt.foo };", "contxt"),
        ("(principal, action, resource) when { 1 + };", "}"),
        ('(principal, action == Agent::"x", resource);', "Agent"),
    ],
)
def test_cedars_complaint_stands_at_the_word_it_is_about(body: str, word: str) -> None:
    text = f'@id("ok") permit (principal, action, resource);\n@id("a")\nforbid {body}'
    policies, ((code, line, column),) = compiled(text)
    assert [p.id for p in policies] == ["ok"]
    assert (code, line) == ("policy_syntax", 3)
    found = f"forbid {body}"[column - 1 :]
    assert found.startswith(word), found


@pytest.mark.parametrize(
    "hostile",
    [
        '@id("a") permit (principal, action, resource) when { ' + "(" * 65_536,
        '@id("a") permit (principal, action, resource) when { ' + "[" * 1_000 + "]" * 1_000 + " };",
        '@id("a") permit (principal, action, resource) when { ' + "if true then " * 60_000 + "1 };",
        '@id("a") permit (principal, action, resource) when { 1' + "+1" * 60_000 + " };",
        '@id("a") permit (principal, action, resource) when { context' + ".a" * 60_000 + " };",
        '@id("a") permit (principal, action, resource) when { context has a' + ".a" * 9_000 + " };",
        '@id("a") permit (principal, action, resource) when { true' + " && true" * 60_000 + " };",
        '@id("a") permit (principal, action, resource) when { ' + "!" * 60_000 + "true };",
        '@id("a") permit (principal, action, resource) when { ' + "-" * 60_000 + "1 == 1 };",
        '@id("a") permit (principal, action, resource) when { context'
        + '["a"]' * 60_000 + " == 1 };",
        '@id("a") permit (principal, action, resource)' + " when { true }" * 60_000 + ";",
        ")" * 65_536,
        "@a" * 65_536,
        '@id("a") permit ' * 10_000,
        '@id("a") permit (principal, action, resource) when temporal { ' + "(" * 65_536,
        '@id("a") permit (principal, action, resource) when temporal { ' * 10_000,
        '@id("a") permit (principal, action, resource) when { ' + "f(" * 65_536,
        '@id("a") permit (principal, action, resource) when { ' + "A::f(" * 65_536,
        "def " * 65_536,
        "def cedar f() { " + "(" * 65_536,
        "def cedar f() { " * 10_000,
        "def cedar f(" + "?x, " * 20_000,
        "def cedar f() { true" + " && true" * 60_000 + " };",
        "def cedar f() { !" + "!" * 60_000 + "true };",
        "def temporal f() { " + "exists (x: Long). " * 5_000 + " };",
        "def temporal f() { x == 1" + " && x == 1" * 5_000 + " };",
    ],
)  # fmt: skip
def test_text_that_would_overflow_cedars_stack_never_reaches_it(hostile: str) -> None:
    policies, findings = compiled(hostile)
    assert policies == ()
    assert findings


def test_the_deepest_nesting_that_is_let_through_compiles() -> None:
    depth = MAX_NESTING - 2
    text = (
        f'@id("a") permit (principal, action, resource) when {{ {"(" * depth}true{")" * depth} }};'
    )
    assert compiled(text)[1] == []


def test_a_long_set_of_literals_is_no_nesting() -> None:
    names = ", ".join(f'"{i}"' for i in range(2_000))
    text = f'@id("a") permit (principal, action, resource) when {{ [{names}].contains("1") }};'
    assert compiled(text)[1] == []


PIECES = st.sampled_from(
    [
        "@id", "(", ")", '"a"', "permit", "forbid", "principal", "action", "resource", ",", ";",
        "when", "unless", "temporal", "{", "}",
        "cedar", "?x", "f(", "guardrails", "tp(x)",
        "context", ".", "x", "==", "1", "has", "def", "//",
        "\n", "@modify", '"drop input.x"', "@hold", "&&", "true", " ", "[", "]", "in", "Action",
        "::",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map(" ".join))
def test_no_statement_disappears(text: str) -> None:
    policies, findings = compile_file("p.dw", text, PolicySetName.TOOLS)
    code = "\n".join(line.split("//")[0] for line in text.split("\n"))
    if code.strip():
        assert policies or findings
    for policy in policies:
        assert policy.text in text
