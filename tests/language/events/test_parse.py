"""Event schema text → declarations: what is taken, and what is refused where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.language.errors import LanguageError
from bridle.language.events.ast import (
    DEFAULT_MAX_WINDOW,
    Declared,
    EventSchema,
    NamedType,
    RecordType,
    Reference,
    SelectorType,
    Spread,
)
from bridle.language.events.default import TEXT, default
from bridle.language.events.parse import MAX_NESTING, parse
from bridle.language.lexer import Source

HEAD = "decision event <A>::request { "


def read(text: str) -> EventSchema:
    return parse(Source("e.dwschema", text))


def refused(text: str) -> LanguageError:
    with pytest.raises(LanguageError) as caught:
        read(text)
    return caught.value


def test_a_declaration_keeps_its_kind_its_fields_and_what_they_are_pinned_to() -> None:
    schema = read(
        "max_window = 48h // as long as that\n"
        "decision event <A>::request {\n"
        "  ...inputs(A),\n"
        "  pin who: principalType(A) = principal,\n"
        "  pin team: Ns::Team = principal.team.lead,\n"
        "  meta: { pin session: String = context.session.id, ...outputs(A), },\n"
        "}\n"
        "event<B>::held{}"
    )
    request, held = schema.declarations
    assert schema.max_window == 48 * 3600
    assert (request.kind, request.decision, held.kind, held.decision) == (
        *("request", True),
        *("held", False),
    )
    spread, who, team, meta = request.members
    assert isinstance(spread, Spread)
    assert spread.selector == "inputs"
    assert isinstance(who, Declared)
    assert (who.type, who.pin) == (SelectorType("principalType"), Reference("principal"))
    assert isinstance(team, Declared)
    assert (team.type, team.pin) == (
        NamedType("Ns::Team"),
        Reference("principal", ("team", "lead")),
    )
    assert isinstance(meta, Declared)
    assert isinstance(meta.type, RecordType)
    session = meta.type.members[0]
    assert isinstance(session, Declared)
    assert session.pin == Reference("context", ("session", "id"))


def test_without_a_word_a_window_may_look_back_a_day() -> None:
    assert read(HEAD + "}").max_window == DEFAULT_MAX_WINDOW == 86_400


def test_a_window_that_no_number_holds_is_clamped_not_wrapped() -> None:
    assert read("max_window = 9223372036854775807d " + HEAD + "}").max_window == 2**63 - 1


@pytest.mark.parametrize(
    "fields",
    [
        "pin: String",
        "pin pin: String = context.x",
        "event: String, decision: Long, max_window: Bool",
        "principal: String, if: Bool",
        "inputs: inputs",
        "x: {}",
    ],
)
def test_words_are_key_words_only_where_they_can_be_nothing_else(fields: str) -> None:
    assert len(read(f"decision event <decision>::event {{ {fields} }}").declarations) == 1


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "event_schema_empty", (1, 1)),
        ("max_window = 1h", "event_schema_empty", (1, 1)),
        ("max_window = 0s " + HEAD + "}", "event_schema_window", (1, 14)),
        ("max_window = 9223372036854775808s " + HEAD + "}", "event_schema_window", (1, 14)),
        ("max_window = 24 " + HEAD + "}", "event_schema_syntax", (1, 17)),
        ("max_window = 1h\nmax_window = 2h", "event_schema_syntax", (2, 1)),
        (HEAD + "}\nmax_window = 2h", "event_schema_syntax", (2, 1)),
        ("decision decision event <A>::r {}", "event_schema_syntax", (1, 10)),
        (HEAD + "}\nevent <B>::request {}", "event_schema_duplicate", (2, 1)),
        (HEAD + "a: Long, a: Long }", "event_schema_duplicate", (1, 40)),
        (HEAD + "m: { a: Long, a: Long } }", "event_schema_duplicate", (1, 45)),
        (HEAD + "...inputs(A), input: Long }", "event_schema_duplicate", (1, 45)),
        (HEAD + "...inputs(A), ...inputs(A) }", "event_schema_duplicate", (1, 45)),
        (HEAD + "...inputs(B) }", "event_schema_selector", (1, 41)),
        (HEAD + "...principalType(A) }", "event_schema_selector", (1, 34)),
        (HEAD + "x: outputs(A) }", "event_schema_selector", (1, 34)),
        (HEAD + "pin x: Long }", "event_schema_pin", (1, 31)),
        (HEAD + "x: Long = context.x }", "event_schema_pin", (1, 31)),
        (HEAD + "pin x: { a: Long } = context.x }", "event_schema_pin", (1, 31)),
        (HEAD + "pin x: Long = context }", "event_schema_pin", (1, 45)),
        (HEAD + "pin x: Long = action }", "event_schema_syntax", (1, 45)),
        (HEAD + "pin a.b: Long = context.x }", "event_schema_syntax", (1, 35)),
        (HEAD + ".. .inputs(A) }", "event_schema_syntax", (1, 31)),
        (HEAD + ", }", "event_schema_syntax", (1, 31)),
        (HEAD + "x: Set<String> }", "event_schema_syntax", (1, 37)),
        (HEAD + "x: Long", "event_schema_syntax", (1, 38)),
    ],
)
def test_what_is_no_event_schema_is_refused_at_its_place(
    text: str, code: str, place: tuple[int, int]
) -> None:
    found = refused(text).finding
    assert found.code == code
    assert (found.location.line, found.location.column) == place
    assert found.message


def test_braces_within_braces_have_a_limit() -> None:
    deep = "x: { " * 5_000 + "}" * 5_000
    assert refused(HEAD + deep + " }").code == "event_schema_too_deep"
    allowed = "x: { " * (MAX_NESTING - 1) + "}" * (MAX_NESTING - 1)
    assert read(HEAD + allowed + " }").declarations


def test_the_built_in_schema_pins_the_caller_on_every_kind() -> None:
    schema = default()
    assert [(d.kind, d.decision) for d in schema.declarations] == [
        ("request", True),
        ("response", False),
        ("error", False),
    ]
    members = [m for d in schema.declarations for m in d.members if isinstance(m, Declared)]
    pins = [m.name for m in members if m.pin]
    assert pins == ["callerPrincipal"] * 3


PIECES = [*"{}<>():=,.@", "::", "...", "event", "decision", "pin", "A", "inputs", "x", "48", "h"]


def outcome(text: str) -> str:
    """Return the code of the refusal, if it is one; anything but a refusal with a place escapes."""
    try:
        read(text)
    except LanguageError as error:
        return error.finding.code if error.finding.location.line else ""
    return "taken"


@given(
    st.one_of(st.text(max_size=80), st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
)
def test_any_text_is_a_schema_or_refused_with_a_place(text: str) -> None:
    assert outcome(text)


@given(st.data())
def test_a_damaged_schema_is_a_schema_or_refused_with_a_place(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(begin, len(TEXT)))
    instead = data.draw(st.one_of(st.just(""), st.sampled_from(PIECES), st.text(max_size=5)))
    assert outcome(TEXT[:begin] + instead + TEXT[end:])
