"""What the grammar holds is what the reference's holds: random conditions, whole and damaged.

Compared is whether a text is read at all, and what Cedar is given for it. What it means is compared
elsewhere.
"""

import re

import pytest
from dogwood import native
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.language.lexer import Source, tokens
from bridle.language.program import read
from bridle.language.temporal.printing import text as printed
from tests.language.temporal.trees import BOUND, WORDS, conditions

SCHEMA = """
namespace D {
  entity User;
  entity Gateway;
  action "A" appliesTo { principal: [User], resource: [Gateway], context: { "input": {} } };
}
"""

# The reference's parser says what it found instead; all its other refusals come after parsing.
_SYNTAX = re.compile(r"(in `def temporal` body: )?(unexpected|expected|`let`)")
_OURS = {"history_syntax", "macro_syntax", "policy_syntax"}
_OWN_LIMITS = {"integer_range", "policy_too_large", "hidden_character"}
_PARAMETERS = ", ".join(f"?{name}" for name in sorted({*WORDS, *BOUND}))
_NO_CALL = ("expected the name of a variable", "a decimal is written as a string")
_IN_MACRO = "macro_in_macro"
"""What the reference finds while it parses, or just after, depending on what stands behind it.

`tp(…)` and `decimal(…)` of something else are calls for it, of macros that nobody can define.
"""

DAMAGE = st.sampled_from(
    [
        "(", ")", "!", "&&", "||", "==", "{", "}", "{ }", "x", "5", "1", "-", "since", "within",
        "1h", "10 m", "formerly within 1h", "previous within 1h", "since within 1h", "f(", "tp(t)",
        "count for (t: T). where", "sum a for (a: T). where", "exists (x: T).", "?a", "$t", ".",
        ",", "::", ":", '"s"', "[1]", "*", "decimal", "context", "principal", "true",
    ]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, *, macros: bool) -> str:
    """Draw the text of a condition, in half of all cases with a few words changed."""
    text = printed(draw(conditions(macros=macros, levels=3)))
    if draw(st.booleans()):
        return text
    words = [token.text for token in tokens(Source("p.dw", text))]
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(words) - 1))
        way = draw(st.sampled_from(["drop", "insert", "swap", "repeat"]))
        if way == "drop" and len(words) > 1:
            del words[place]
        elif way == "insert":
            words.insert(place, draw(DAMAGE))
        elif way == "swap":
            other = min(len(words) - 1, place + draw(st.integers(1, 3)))
            words[place], words[other] = words[other], words[place]
        else:
            words[place:place] = words[place : place + draw(st.integers(1, 6))]
    return " ".join(words)


def affordable(text: str) -> bool:
    """Whether the reference's parser, which reads brackets within brackets twice, will end."""
    depth = deepest = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    return text.isascii() and deepest <= 7


def agree(text: str) -> None:
    try:
        native.lower_to_cedar(text, SCHEMA, None)
        theirs = ""
    except RuntimeError as error:
        theirs = str(error)
    _, findings = read({"p.dw": text})
    codes = {finding.code for finding in findings}
    if codes & _OWN_LIMITS or "macro-in-macro" in theirs or _IN_MACRO in codes:
        assert codes
        return
    if any(message in finding.message for message in _NO_CALL for finding in findings):
        assert theirs
        return
    assert bool(codes & _OURS) == bool(_SYNTAX.match(theirs)), (theirs, findings)


@given(damaged(macros=False).filter(affordable))
def test_a_condition_is_read_when_the_reference_reads_it(text: str) -> None:
    agree(f"permit (principal, action, resource) when temporal {{ {text} }};")


@given(damaged(macros=True).filter(affordable))
def test_the_body_of_a_macro_is_read_when_the_reference_reads_it(text: str) -> None:
    agree(f"def temporal m({_PARAMETERS}) {{ {text} }};")


@pytest.mark.parametrize(
    "text",
    [
        'decimal("1.0") == ?a',
        '(decimal("1.0") == ?a)',
        '?a == decimal("1.0")',
        'decimal("1.0")',
        "tp(?n)",
        "(tp(?n))",
        "tp(?n) && ?p",
        "?p && tp(?n)",
    ],
)
def test_how_the_body_of_a_macro_may_begin(text: str) -> None:
    agree(f"def temporal m({_PARAMETERS}, ?p) {{ {text} }};")


@pytest.mark.slow
@settings(max_examples=300)
@given(damaged(macros=False).filter(affordable), damaged(macros=True).filter(affordable))
def test_many_conditions_are_read_when_the_reference_reads_them(text: str, body: str) -> None:
    agree(f"permit (principal, action, resource) when temporal {{ {text} }};")
    agree(f"def temporal m({_PARAMETERS}) {{ {body} }};")
