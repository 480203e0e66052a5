"""Text → condition: what the grammar holds, what is refused where, and that any text ends."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.language.errors import LanguageError
from bridle.language.lexer import Source
from bridle.language.temporal.ast import (
    AggregateCall,
    And,
    Comparison,
    Condition,
    ContextField,
    Count,
    Exists,
    Formerly,
    IntegerLiteral,
    Not,
    Predicate,
    Previous,
    ScopeField,
    Since,
    TextLiteral,
    Variable,
    Wildcard,
    Window,
)
from bridle.language.temporal.cursor import MAX_DEPTH, MAX_TOKENS
from bridle.language.temporal.parse import body, condition
from bridle.language.temporal.printing import text as printed
from bridle.language.temporal.tree import walk
from tests.language.temporal.trees import bare, conditions

A, B = 'D::Action::"A"::request{}', 'D::Action::"B"::request{}'


def parsed(text: str) -> Condition:
    return condition(Source("p.dw", text), 0, len(text))


def refused(text: str) -> tuple[str, int]:
    with pytest.raises(LanguageError) as error:
        parsed(text)
    assert error.value.finding.location.line == 1
    return error.value.code, error.value.finding.location.column


def parsed_or_refused(text: str) -> Condition | None:
    try:
        return parsed(text)
    except LanguageError as error:
        place = error.finding.location
        if not 1 <= place.line <= text.count("\n") + 1 or place.column < 1:
            pytest.fail(f"no such place: {place}")
        return None


@given(conditions())
def test_what_is_printed_parses_back_to_the_same_tree(tree: Condition) -> None:
    text = printed(tree)
    assert bare(parsed(text)) == bare(tree)
    assert printed(parsed(text)) == text


@given(conditions(macros=True))
def test_the_same_holds_with_calls_parameters_and_fresh_variables(tree: Condition) -> None:
    assert bare(parsed(printed(tree))) == bare(tree)


@given(conditions())
def test_spans_lie_within_the_text_and_within_their_parent(tree: Condition) -> None:
    text = printed(tree)
    whole = parsed(text)
    assert text[whole.span.start : whole.span.end].strip("() ") != ""
    for node in walk(whole):
        span = getattr(node, "span", None)
        if span is not None:
            assert 0 <= span.start < span.end <= len(text)
        if isinstance(node, Predicate):
            assert text[span.start : span.end] == printed(node)


def test_negation_binds_tighter_than_since_and_both_tighter_than_and() -> None:
    tree = parsed(f"!{A} since within 1h {B} && {A}")
    assert isinstance(tree, And)
    assert isinstance(tree.left, Since)
    assert isinstance(tree.left.left, Not)
    assert tree.left.window == Window(1, "h")


def test_and_leans_to_the_left() -> None:
    tree = parsed(f"{A} && {B} && {A}")
    assert isinstance(tree, And)
    assert isinstance(tree.left, And)


def test_exists_reaches_to_the_right_as_far_as_it_can() -> None:
    tree = parsed(f"exists (x: Long). {A} && x > 1")
    assert isinstance(tree, Exists)
    assert isinstance(tree.body, And)


def test_an_aggregate_on_the_left_takes_parentheses_and_on_the_right_takes_all_that_follows() -> (
    None
):
    left = parsed(f"(count for (t: Timepoint). where {A} && tp(t)) == 3")
    right = parsed(f"0 < count for (t: Timepoint). where {A} && tp(t)")
    assert isinstance(left, Comparison)
    assert isinstance(left.left, Count)
    assert isinstance(right, Comparison)
    assert isinstance(right.right, Count)
    assert bare(left.left) == bare(right.right)


def test_a_body_that_ends_by_itself_leaves_the_comparison_to_its_aggregate() -> None:
    tree = parsed(f"count for (t: Timepoint). where formerly within 1h ({A} && tp(t)) > 5")
    assert isinstance(tree, Comparison)
    assert isinstance(tree.left, Count)
    assert bare(tree.right) == bare(IntegerLiteral(5))


def test_an_aggregate_compared_within_the_atom_of_an_operator() -> None:
    tree = parsed(f"formerly within 1h (count for (t: Timepoint). where {A} && tp(t)) == 2")
    assert isinstance(tree, Formerly)
    assert isinstance(tree.body, Comparison)


def test_a_call_is_a_value_where_it_is_compared_and_a_condition_elsewhere() -> None:
    tree = parsed("f(1h) && (g(x)) == 3 && h(1) > 2")
    kinds = [type(node).__name__ for node in walk(tree)]
    assert kinds.count("Call") == 1
    assert kinds.count("AggregateCall") == 2
    assert bare(parsed("g(x) == 3")) == bare(parsed("(g(x)) == 3"))


def test_wildcards_are_written_in_two_ways() -> None:
    tree = parsed('Action::"a"::request{ x: _, y: *, z: __ }')
    assert isinstance(tree, Predicate)
    assert [field.term for field in tree.fields][:2] == [Wildcard(), Wildcard()]
    assert isinstance(tree.fields[2].term, Variable)


def test_words_of_the_language_are_names_where_names_stand() -> None:
    tree = parsed("formerly == count && exists < previous && tp != sum")
    names = [node.name for node in walk(tree) if isinstance(node, Variable)]
    assert names == ["formerly", "count", "exists", "previous", "tp", "sum"]


def test_context_principal_and_resource_are_read_with_their_paths() -> None:
    tree = parsed("context.input.user == principal && principalId == resource.a.b")
    terms = [n for n in walk(tree) if isinstance(n, ContextField | ScopeField | Variable)]
    assert [bare(t) for t in terms] == [
        bare(ContextField(("input", "user"))),
        bare(ScopeField(("principal",))),
        bare(Variable("principalId")),
        bare(ScopeField(("resource", "a", "b"))),
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r'"a\"b"', 'a"b'),
        (r'"\x41\u{42}\u{1F6_00}"', "AB\U0001f600"),
        (r'"\n\t\\\0\r\'"', "\n\t\\\0\r'"),
        ('"é"', "é"),
    ],
)
def test_strings_are_decoded_as_cedar_does(written: str, value: str) -> None:
    tree = parsed(f"{written} == x")
    assert isinstance(tree, Comparison)
    assert tree.left == TextLiteral(value)


def test_long_is_the_range_of_integers() -> None:
    tree = parsed("-9223372036854775808 < 9223372036854775807")
    assert isinstance(tree, Comparison)
    assert (tree.left, tree.right) == (IntegerLiteral(-(2**63)), IntegerLiteral(2**63 - 1))


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("", "history_syntax", ""),
        (f"{A} || {B}", "history_syntax", "||"),
        (f"formerly {A}", "history_syntax", "D"),
        (f"formerly within {A}", "history_syntax", "D"),
        (f"formerly within 5 {A}", "history_syntax", "D"),
        (f"formerly within 5w {A}", "history_syntax", "w"),
        (f"formerly within 1h formerly within 1h {A}", "history_syntax", "within 1h D"),
        (f"formerly within 1h !{A}", "history_syntax", "!"),
        ("formerly within 1h exists (x: Long). x > 1", "history_syntax", ": Long"),
        (f"{A} since {B}", "history_syntax", 'D::Action::"B"'),
        (f"let n = count for (t: Timepoint). where {A} in n > 1", "history_syntax", "n ="),
        ("x = 1", "history_syntax", "="),
        ("x", "history_syntax", ""),
        ("1 + 1 == 2", "history_syntax", "+"),
        ("(x) == 1", "history_syntax", "== 1"),
        ("((count for (t: Timepoint). where tp(t))) == 1", "history_syntax", "== 1"),
        ("((f(x))) == 1", "history_syntax", "== 1"),
        (f"({A}) == 1", "history_syntax", "== 1"),
        ("[(x)] == y", "history_syntax", "(x"),
        ("decimal(1) == x", "history_syntax", "1)"),
        ('Action::"a"::request', "history_syntax", ""),
        ('Action::"a"', "history_syntax", ""),
        ('Action::"a"{}', "history_syntax", "{}"),
        ('"a"::request{}', "history_syntax", "::"),
        ('Action::"a"::request{ x: 1, }', "history_syntax", "}"),
        ('Action::"a"::request{ x.1: 1 }', "history_syntax", "1: 1"),
        ('Action::"a"::request{ x }', "history_syntax", "}"),
        ("tp(5)", "history_syntax", "5"),
        ("f(1,)", "history_syntax", ")"),
        ("$x", "history_syntax", ""),
        ("- 5 == x", "history_syntax", "5 =="),
        ("9223372036854775808 == x", "integer_range", "9223372036854775808"),
        ("-9223372036854775809 == x", "integer_range", "9223372036854775809"),
        ("1" * 5_000 + " == x", "integer_range", "1" * 5_000),
        (f"formerly within {'9' * 19}s {A}", "integer_range", "9" * 19),
        (r'"\q" == x', "policy_syntax", r"\q"),
        (r'"\*" == x', "policy_syntax", r"\*"),
        ('"\u200b" == x', "hidden_character", "\u200b"),
        ("countfor (t: Timepoint). where tp(t) == 1", "history_syntax", ": Time"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_at_its_place(text: str, code: str, at: str) -> None:
    found, column = refused(text)
    assert (found, text[column - 1 :][: len(at)]) == (code, at)
    assert at or column == len(text) + 1


def test_only_the_given_part_of_a_file_is_read_and_places_count_from_its_beginning() -> None:
    text = f"// a comment\nwhen temporal {{ {A} && }};"
    source = Source("p.dw", text)
    start, end = text.index("{") + 1, text.rindex("}")
    with pytest.raises(LanguageError) as error:
        condition(source, start, end)
    assert str(error.value.finding.location) == f"p.dw:2:{text.split(chr(10))[1].rindex('}') + 1}"


def test_the_body_of_a_macro_may_be_an_aggregate_alone_and_a_condition_may_not() -> None:
    text = f"count for ($t: Timepoint). where formerly within ?w ({A} && tp($t))"
    assert isinstance(body(Source("p.dw", text), 0, len(text)), Count)
    refused(text)
    compared = f"{text} > 5"
    with pytest.raises(LanguageError) as error:
        body(Source("p.dw", compared), 0, len(compared))
    assert "parentheses" in error.value.hint


PIECES = st.sampled_from(
    [
        "formerly", "previous", "since", "within", "1h", "10 m", "exists", "(", ")", "{", "}", "x",
        ":", "Long", ".", "&&", "!", "tp", "count", "sum", "for", "where", ",", "==", "<", "5", "-",
        '"s"', "D::", 'Action::"a"::request{', "context.a", "principal", "*", "_", "?p", "$t", "[",
        "]", "decimal(", "true", "//", "\n", "||", "f(",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map(" ".join))
def test_any_words_are_parsed_or_refused_with_a_place(text: str) -> None:
    tree = parsed_or_refused(text)
    assert tree is None or bare(parsed(printed(tree))) == bare(tree)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    tree = parsed_or_refused(text)
    assert tree is None or bare(parsed(printed(tree))) == bare(tree)


@given(conditions(macros=True), st.data())
def test_a_condition_with_a_piece_cut_out_or_repeated_is_parsed_or_refused(
    tree: Condition, data: st.DataObject
) -> None:
    text = printed(tree)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    again = data.draw(st.integers(0, 2))
    mutant = text[:start] + text[start:end] * again + text[end:]
    found = parsed_or_refused(mutant)
    assert found is None or bare(parsed(printed(found))) == bare(found)


HOSTILE = {
    "brackets": "(" * 60_000,
    "closed brackets": "(" * 5_000 + A + ")" * 5_000,
    "negations": "!" * 60_000 + A,
    "conjuncts": f"{A} && " * 5_000 + A,
    "exists": "exists (x: Long). " * 5_000 + A,
    "arrays": "x == " + "[" * 60_000,
    "aggregates": "count for (t: Timepoint). where " * 5_000,
    "right operands": "1 == count for (t: Timepoint). where " * 5_000,
    "calls": "f(" * 60_000,
    "compared calls": "(f(" * 30_000,
    "operators": f"formerly within 1h ({A} && " * 5_000,
    "since": f"{A} since within 1h (" * 5_000,
    "names": "a::" * 60_000,
    "members": "context" + ".a" * 60_000,
    "blocks": "?p" + "{}" * 60_000,
    "fields": 'Action::"a"::request{' + "x: 1, " * 60_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_deep_and_long_text_is_refused_and_never_overflows(name: str) -> None:
    limit = sys.getrecursionlimit()
    assert limit == 1_000, "the stack that production has"
    with pytest.raises(LanguageError):
        parsed(HOSTILE[name])


def test_the_deepest_and_longest_that_is_let_through_parses() -> None:
    deep = MAX_DEPTH - 1
    parsed(f"{A} && " * deep + A)
    parsed("!" * deep + A)
    many = ", ".join("1" for _ in range((MAX_TOKENS - 10) // 2))
    parsed(f"x == [{many}]")
    with pytest.raises(LanguageError):
        parsed(f"{A} && " * (deep + 1) + A)
    with pytest.raises(LanguageError):
        parsed("!" * (deep + 1) + A)


def test_the_work_grows_with_the_text_and_no_faster() -> None:
    # Counted in calls of Python functions, so that no clock decides.
    def calls(text: str) -> int:
        count = 0

        def counting(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(counting)
        try:
            parsed(text)
        finally:
            sys.setprofile(None)
        return count

    def nested(width: int) -> str:
        calls = ", ".join("g(f(1h, (count for (t: T). where tp(t)) == 1))" for _ in range(width))
        return f"f({calls})"

    assert calls(nested(80)) < 12 * calls(nested(8))


def test_aggregate_calls_as_arguments_read_as_conditions() -> None:
    tree = parsed("bind(n, count_within(1h, f(x)), n > 2)")
    assert [type(n).__name__ for n in walk(tree)].count("Call") == 3
    assert not any(isinstance(n, AggregateCall | Previous) for n in walk(tree))
