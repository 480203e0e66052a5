"""The grammar of `@modify` and `@hold`."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.language.errors import LanguageError
from bridle.language.lexer import Source
from bridle.language.remedy import (
    Clamp,
    Drop,
    Mask,
    Modify,
    Path,
    Redact,
    Replace,
    SetTo,
    Truncate,
)
from bridle.language.remedy_grammar import parse_hold, parse_modify
from bridle.language.source import Annotation, contents

A = Path("input", ("a",))


def annotation(name: str, value: str) -> tuple[Source, Annotation]:
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    source = Source("p.dw", f'@{name}("{text}")\nforbid (principal, action, resource);')
    (statement,) = contents(source).statements
    found = statement.annotation(name)
    assert found is not None
    assert found.value == value
    return source, found


def modify(text: str) -> tuple[Modify, ...]:
    return parse_modify(*annotation("modify", text))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("set input.a 1", SetTo(A, 1)),
        ("set input.a -0.25", SetTo(A, Decimal("-0.25"))),
        ('set input.a {"x": [1, ";", null]}', SetTo(A, {"x": [1, ";", None]})),
        ("drop input.a", Drop(A)),
        ("drop output", Drop(Path("output"))),
        ("clamp input.a 1..5", Clamp(A, 1, 5)),
        ("clamp input.a ..5.5", Clamp(A, None, Decimal("5.5"))),
        ("clamp input.a -5..", Clamp(A, -5, None)),
        ("clamp input.a 1 .. 5", Clamp(A, 1, 5)),
        ("truncate input.a 0", Truncate(A, 0)),
        ("mask input.a keep 4", Mask(A, 4)),
        ("redact input.a: email", Redact(A, ("email",))),
        ("redact input.a : email,iban , email", Redact(A, ("email", "iban"))),
        ("replace input.a /x+/ -> y", Replace(A, "x+", "y")),
        ("replace input.a /x;\\/y/ → a b ", Replace(A, "x;/y", "a b")),
        ('replace input.a /x/ -> " ; "', Replace(A, "x", " ; ")),
        ("replace input.a /x/ ->", Replace(A, "x", "")),
        ("drop input.a[].b-c", Drop(Path("input", ("a", "[]", "b-c")))),
        ('drop input."a.b"[][]', Drop(Path("input", ("a.b", "[]", "[]")))),
    ],
)
def test_each_operator_is_read(text: str, wanted: Modify) -> None:
    assert modify(text) == (wanted,)


def test_several_operators_are_separated_outside_quotes_and_patterns() -> None:
    text = 'set input.a ";"; replace input.a /;/ -> x; drop input.a;'
    assert modify(text) == (SetTo(A, ";"), Replace(A, ";", "x"), Drop(A))


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("shred input.a", 0),
        ("drop inputs.a", 5),
        ("drop input.", 11),
        ("drop input.a b", 13),
        ("set input.a", 11),
        ("set input.a {x}", 12),
        ("set input.a NaN", 12),
        ('set input.a {"x":1,"x":2}', 12),
        ("set input.a 1.23456", 12),
        ("set input.a 9223372036854775808", 12),
        ("clamp input.a ..", 16),
        ("clamp input.a 5..1", 14),
        ("clamp input.a 1.23456..2", 15),
        ("truncate input.a -1", 17),
        ("truncate input.a many", 17),
        ("mask input.a 4", 13),
        ("redact input.a email", 15),
        ("redact input.a: E", 16),
        ("replace input.a x -> y", 16),
        ("replace input.a /x/ y", 20),
        ("replace input.a /(?=x)/ -> y", 16),
        ("replace input.a /(/ -> y", 16),
        ("drop input.a; ; drop input.a", 14),
        ("set input.a " + "[" * 100_000, 12),
    ],
)
def test_a_mistake_is_refused_where_it_stands(text: str, offset: int) -> None:
    source, found = annotation("modify", text)
    with pytest.raises(LanguageError) as caught:
        parse_modify(source, found)
    place = caught.value.finding.location
    shift = len('@modify("') + text[:offset].count("\\") + text[:offset].count('"')
    assert (place.line, place.column) == (1, offset + shift + 1)


def test_a_modify_has_a_bounded_number_of_operators() -> None:
    with pytest.raises(LanguageError):
        modify("drop input.a;" * 33)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("leads", (("leads", 0),)),
        ("leads:2", (("leads", 2),)),
        (" leads : 2 , ops ", (("leads", 2), ("ops", 0))),
    ],
)
def test_a_hold_names_groups_and_numbers(text: str, wanted: tuple) -> None:
    assert parse_hold(*annotation("hold", text)) == wanted


@pytest.mark.parametrize("text", ["", "a,", "a:", "a:0", "a:x", "a a", "a,a", ":2", "a:9999999999"])
def test_a_hold_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse_hold(*annotation("hold", text))
    assert caught.value.finding.code == "hold_syntax"


@given(st.text(alphabet='sedrop input.a[]"{}/\\;:→->0129 ,keptru', max_size=60))
def test_any_text_is_operators_or_one_located_error(text: str) -> None:
    found, lines = (), []
    try:
        found = modify(text)
    except LanguageError as error:
        lines = [error.finding.location.line]
    assert all(isinstance(o, Modify) for o in found)
    assert set(lines) <= {1}
    assert found or lines
