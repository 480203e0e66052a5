"""Arguments become a canonical, typed value or are refused, never repaired."""

import pytest

from engine.reading import closed, code, normaliser, read, tool

TO = tool(closed("to", to="string", note="string"), note="content")


@pytest.mark.parametrize(
    "name", ["T", "t ", " t", "t\u200b", "\uff54", "x.t", "t.x", "", "t\0", "T" * 99]
)
def test_a_tool_is_found_by_its_exact_name_only(name):
    assert code(normaliser(TO).normalise(name, '{"to":"x"}')) == "unknown_tool"
    assert code(normaliser(TO).output(name, "1")) == "unknown_tool"


def test_the_text_stays_the_callers_byte_for_byte():
    text = ' {\n "to" : "a\\u0062c" , "note":"\\t" }\n'
    typed = read(TO, text)
    assert typed.text == text
    assert typed.value == {"to": "abc", "note": "\t"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a\u200bb", "format character"),
        ("a\u202eb", "right-to-left override"),
        ("a\u00adb", "soft hyphen"),
        ("\ufeffa", "byte order mark"),
        ("a\nb", "newline"),
        ("a\tb", "tab"),
        ("a\0b", "NUL"),
        ("a\x1b[2J", "escape"),
        ("a\x7f", "delete"),
        ("a\x85b", "next line"),
        ("a\u2028b", "line separator"),
        ("a\u0378", "unassigned"),
        ("a\uffff", "noncharacter"),
        (" a", "leading space"),
        ("a ", "trailing space"),
        (" ", "only a space"),
        ("a\u00a0", "no-break space"),
        ("\u3000a", "ideographic space"),
        ("e\u0301", "decomposed"),
        ("\u212b", "angstrom sign, a singleton"),
        ("\U0002f800", "compatibility ideograph"),
        ("\u0344", "excluded from composition"),
    ],
)
def test_a_steering_string_that_is_not_canonical_is_refused(text, why):
    assert code(read(TO, {"to": text})) == "not_canonical", why
    nested = tool(closed(o=closed(l={"type": "array", "items": {"type": "string"}})))
    assert code(read(nested, {"o": {"l": ["fine", text]}})) == "not_canonical", why


@pytest.mark.parametrize(
    "text", ["", "a b", "naïve", "Ünïcode ok", "漢字", "👍", "a@b.example", "'"]
)
def test_a_canonical_steering_string_passes(text):
    assert code(read(TO, {"to": text})) == "ok"


@pytest.mark.parametrize(
    "text", [" a\n\tb ", "👩\u200d💻", "re\u0301sume\u0301", "a\u202eb", "\ue000"]
)
def test_content_may_hold_what_prose_holds(text):
    assert code(read(TO, {"to": "x", "note": text})) == "ok"


@pytest.mark.parametrize("text", ["a\rb", "a\x1b[2Jb", "a\0b", "\x85", "\u0378", "\ufffe", "\x0b"])
def test_content_has_no_other_control_and_no_unassigned_character(text):
    assert code(read(TO, {"to": "x", "note": text})) == "not_canonical"


def test_meanings_cover_everything_below_until_a_deeper_one_is_declared():
    inner = closed(
        a="string", b=closed(c="string"), l={"type": "array", "items": {"type": "string"}}
    )
    one = tool(closed(o=inner), o="content", o__b="selector")
    assert code(read(one, {"o": {"a": "x\n", "l": ["y\n"]}})) == "ok"
    assert code(read(one, {"o": {"b": {"c": "x\n"}}})) == "not_canonical"
    items = tool(closed(l={"type": "array", "items": inner}), **{"l[]__a": "content"})
    assert code(read(items, {"l": [{"a": "x\n"}]})) == "ok"
    assert code(read(items, {"l": [{"a": "x\n", "b": {"c": "y\n"}}]})) == "not_canonical"


def test_keys_of_open_objects_follow_the_rule_of_their_place():
    open_object = {"type": "object", "additionalProperties": True}
    steering = tool(closed(o=open_object))
    content = tool(closed(o=open_object), o="content")
    for key in ("a\u200bb", " a", "e\u0301"):
        assert code(read(steering, {"o": {key: 1}})) == "not_canonical"
        assert code(read(content, {"o": {key: 1}})) == "ok"
    for one in (steering, content):
        assert code(read(one, {"o": {"a\0b": 1}})) == "not_canonical"
        assert code(read(one, {"o": {"k": ["ok", {"x": "a\0"}]}})) == "not_canonical"


def test_a_meaning_declared_inside_an_open_object_counts_there():
    one = tool(
        closed(o={"type": "object", "additionalProperties": True}), o="content", o__id="selector"
    )
    assert code(read(one, {"o": {"text": "a\n"}})) == "ok"
    assert code(read(one, {"o": {"id": "a\n"}})) == "not_canonical"


@pytest.mark.parametrize(
    ("schema", "value", "place"),
    [
        (closed("a", a="string"), {}, "required (a)"),
        (closed(a="string"), {"b": 1}, "additionalProperties (a property that nobody declared)"),
        (closed(a="string"), {"A": "x"}, "additionalProperties (a property that nobody declared)"),
        (closed(a="string"), {"a": None}, "a: type (string)"),
        (closed(a="string"), {"a": ["x"]}, "a: type (string)"),
        (closed(a="integer"), {"a": True}, "a: type (integer)"),
        (closed(a="integer"), {"a": "1"}, "a: type (integer)"),
        (closed(a="number"), {"a": True}, "a: type (number)"),
        (closed(a={"enum": ["x"]}), {"a": "y"}, "a: enum (x)"),
        (closed(o=closed(l={"type": "array", "items": {"type": "string", "maxLength": 2}})),
         {"o": {"l": ["ok", "secret"]}}, "o.l[1]: maxLength (2)"),
        (closed(o={"type": "object", "additionalProperties": {"type": "integer"}}),
         {"o": {"secret": "x"}}, "o.*: type (integer)"),
        (closed(a={"type": "string", "pattern": "^[a-z]+$"}), {"a": "secret9"},
         "a: pattern (^[a-z]+$)"),
        (closed(a={"type": "string", "pattern": "^\\d+$"}), {"a": "१२"}, "a: pattern (^\\d+$)"),
    ],
)  # fmt: skip
def test_a_mismatch_names_the_place_and_never_the_value(schema, value, place):
    refusal = read(tool(schema), value)
    assert code(refusal) == "schema_mismatch"
    assert refusal.text == place
    assert "secret" not in refusal.text


def test_a_refused_string_is_named_by_its_place_and_never_repeated():
    one = tool(closed(to={"type": "array", "items": {"type": "string"}}, o={"type": "object"}))
    assert read(one, {"to": ["x", "secret\0"]}).text == "to[1]: a character of category Cc"
    assert read(one, {"o": {"secret": {"k": "secret "}}}).text.startswith("o.*.*: ")
    assert "secret" not in read(one, {"o": {"secret\0": 1}}).text


def test_limits_are_named_and_count_code_points_items_and_keys():
    one = tool(
        closed(s="string", l={"type": "array"}, o={"type": "object"}), s="content", o="content"
    )
    limits = {"string": 4, "items": 2, "keys": 3, "depth": 3}
    assert (
        code(read(one, {"s": "👍" * 4, "l": [1, 2], "o": {"a": 1, "b": 2, "cccc": {}}}, **limits))
        == "ok"
    )
    for value, name in (
        ({"s": "abcde"}, "limits.string = 4"),
        ({"l": [1, 2, 3]}, "limits.items = 2"),
        ({"o": {"a": 1, "b": 2, "c": 3, "d": 4}}, "limits.keys = 3"),
        ({"o": {"abcde": 1}}, "limits.string = 4"),
        ({"l": [[[1]]]}, "deeper than 3"),
    ):
        refusal = read(one, value, **limits)
        assert code(refusal) == "limit_exceeded"
        assert name in refusal.text
    assert code(read(one, {"s": "abcd"}, args_bytes=12)) == "limit_exceeded"


def test_a_schema_that_cannot_be_used_runs_nothing():
    for schema in (
        {"type": "nonsense"},
        {"pattern": "(?=x)"},
        {"$ref": "https://elsewhere.example/x"},
    ):
        assert code(read(tool(closed(a=schema)), {"a": "x"})) == "internal"


def test_references_branches_and_recursion_are_read():
    schema = closed(n={"$ref": "#/$defs/node"}) | {
        "$defs": {
            "node": closed(
                text="string",
                price={"anyOf": [{"type": "number"}, {"type": "null"}]},
                next={"$ref": "#/$defs/node"},
            )
        }
    }
    one = tool(schema, n__text="content")
    deep = '{"n":{"text":"a\\n","next":{"price":1.5,"next":{"price":null,"text":"b"}}}}'
    assert code(read(one, deep)) == "ok"
    assert code(read(one, deep.replace('"b"', '"b\\n"'))) == "not_canonical"
    assert code(read(one, deep.replace("1.5", '"x"'))) == "schema_mismatch"


def test_a_result_may_be_anything_within_size_depth_and_schema():
    free = normaliser(tool(), result_bytes=2_000, depth=4)
    for text in ("null", '"a\\u0000\\r\\u200b"', "[1e400, -0, 0.123456789]", '{"a b":[" x "]}'):
        assert free.output("t", text).text == text
    assert code(free.output("t", '"' + "x" * 2_000 + '"')) == "limit_exceeded"
    assert code(free.output("t", "[[[[[]]]]]")) == "limit_exceeded"
    assert code(free.output("t", '{"__entity":1}')) == "reserved_input"
    typed = normaliser(tool(output=closed("n", n="number")))
    assert code(typed.output("t", '{"n":1.23456789e-5}')) == "ok"
    assert code(typed.output("t", '{"n":"x"}')) == "schema_mismatch"
