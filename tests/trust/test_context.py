"""References that travel: one text each, no secret, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.trust import context
from bridle.trust.context import Carrier, Reference
from bridle.trust.grants.codes import GrantCode, GrantError

LEAF = "ab" * 32
PLAIN = Reference("mis_1", "invoice 7; é", LEAF)
TEXT = f"v1; mission=mis_1; task=invoice%207%3B%20%C3%A9; leaf={LEAF}"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def refused(text: str) -> None:
    with pytest.raises(GrantError) as error:
        context.parse(text)
    assert error.value.code == GrantCode.CONTEXT


def test_a_reference_is_written_and_read() -> None:
    assert context.format(PLAIN) == TEXT
    assert context.parse(TEXT) == PLAIN
    assert context.parse(context.format(Reference("m", "", LEAF))).task == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "v1", TEXT + " ", " " + TEXT, TEXT + "\n", TEXT.replace("v1", "v2"),
        TEXT.replace("v1", "V1"), TEXT.replace("; ", ";"), TEXT.replace("%20", " "),
        TEXT.replace("%3B", "%3b"), TEXT.replace("invoice", "%69nvoice"),
        TEXT.replace("%C3%A9", "%C3"), TEXT.replace("%C3%A9", "%ED%A0%80"),
        TEXT.replace("%C3%A9", "%00"), TEXT.replace("%C3%A9", "%0D%0AX: y"),
        TEXT.replace("%C3%A9", "é"), TEXT.replace("%C3%A9", "%"), TEXT.replace("ab", "AB"),
        TEXT.replace("ab", "a", 1), TEXT + "; leaf=" + LEAF, TEXT.replace("mis_1", ""),
        TEXT.replace("mis_1", "a" * 129), TEXT.replace("mis_1", "a b"),
        TEXT.replace("invoice", "a" * 257), f"v1; task=; mission=m; leaf={LEAF}",
        TEXT.replace("mission", "Mission"), TEXT + "; x=y", "x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_the_one_text_of_a_reference_is_refused(text: str) -> None:
    refused(text)


@given(st.text(max_size=256).filter(lambda task: task.isprintable() or not task))
def test_every_task_travels_and_comes_back(task: str) -> None:
    try:
        text = context.format(Reference("mis_1", task, LEAF))
    except GrantError as error:
        assert len(task.encode()) * 3 > context.MAX_CHARACTERS - 200
        assert error.code == GrantCode.CONTEXT  # noqa: PT017
        return
    assert text.isascii()
    assert text.isprintable()
    assert context.parse(text).task == task


@given(
    st.one_of(st.text(st.characters(codec=None)), st.text("v1; mision=takef%0ABab", max_size=90))
)
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        found = context.parse(text)
    except GrantError as error:
        assert error.code == GrantCode.CONTEXT  # noqa: PT017
    else:
        assert context.format(found) == text


@given(st.integers(0, len(TEXT) - 1), st.characters(codec=None))
def test_a_changed_reference_is_refused_or_says_so(place: int, letter: str) -> None:
    text = TEXT[:place] + letter + TEXT[place + 1 :]
    try:
        found = context.parse(text)
    except GrantError:
        return
    assert (found == PLAIN) == (text == TEXT)


def test_a_reference_cannot_carry_more_lines_or_fields() -> None:
    for wrong in (Reference("m; leaf=x", "", LEAF), Reference("m", "a\r\nb", LEAF),
                  Reference("m", "", "x"), Reference("m", "a" * 257, LEAF),
                  Reference("m", "\ud800", LEAF), Reference("", "", LEAF)):  # fmt: skip
        with pytest.raises(GrantError) as error:
            context.format(wrong)
        assert error.value.code == GrantCode.CONTEXT


# --- with a trace --------------------------------------------------------------------------------


def test_a_message_carries_reference_and_trace_and_nothing_stays_of_another() -> None:
    headers = {"bridle-context": "old", "TraceState": "old=1", "accept": "*/*"}
    Carrier(PLAIN, PARENT, "a=1,b=2").inject(headers)
    assert headers == {
        "accept": "*/*", "Bridle-Context": TEXT, "traceparent": PARENT, "tracestate": "a=1,b=2",
    }  # fmt: skip
    assert context.extract(headers) == Carrier(PLAIN, PARENT, "a=1,b=2")
    Carrier().inject(headers)
    assert headers == {"accept": "*/*"}


def test_several_references_are_none() -> None:
    with pytest.raises(GrantError):
        context.extract({"Bridle-Context": TEXT, "bridle-context": TEXT})
    with pytest.raises(GrantError):
        context.extract_pairs([("Bridle-Context", TEXT), ("Bridle-Context", TEXT)])
    with pytest.raises(GrantError):
        context.extract({"bridle-context": TEXT + ", " + TEXT})


@pytest.mark.parametrize(
    "parent",
    [
        "", PARENT.upper(), PARENT + "-00", PARENT[:-1], PARENT.replace("00-4", "ff-4", 1),
        "00-" + "0" * 32 + PARENT[35:], PARENT[:36] + "0" * 16 + "-01", PARENT + " ",
        "0" + PARENT, PARENT.replace("-", "_"), PARENT + "\r\nx: y",
    ],
)  # fmt: skip
def test_an_ill_formed_trace_is_dropped_with_its_state(parent: str) -> None:
    found = context.extract({"traceparent": parent, "tracestate": "a=1"})
    assert found == Carrier()
    headers: dict[str, str] = {}
    Carrier(None, parent, "a=1").inject(headers)
    assert headers == {}


def test_a_trace_of_a_later_version_is_passed_on() -> None:
    later = PARENT.replace("00-4", "cc-4", 1) + "-what-follows"
    assert context.extract({"traceparent": later}).traceparent == later


def test_two_traces_are_none() -> None:
    found = context.extract_pairs([("traceparent", PARENT), ("traceparent", PARENT)])
    assert found == Carrier()


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (["a=1", "b=2"], "a=1,b=2"),
        (["a=1 , b=2,"], "a=1,b=2"),
        (["t@v=x y"], "t@v=x y"),
        (["a=1,a=2"], ""),
        (["A=1"], ""),
        (["a"], ""),
        (["a=\x01"], ""),
        (["a=1\r\nx: y"], ""),
        (["a=é"], ""),
        ([",".join(f"k{each}=1" for each in range(33))], ""),
        (["a=" + "1" * 200 + ",b=" + "2" * 200 + ",c=" + "3" * 200],
         "a=" + "1" * 200 + ",b=" + "2" * 200),
    ],
)  # fmt: skip
def test_a_trace_state_is_passed_on_in_order_or_not_at_all(given: list[str], passed: str) -> None:
    pairs = [("traceparent", PARENT), *(("tracestate", each) for each in given)]
    assert context.extract_pairs(pairs).tracestate == passed


@given(st.dictionaries(
    st.sampled_from(["traceparent", "TRACESTATE", "Bridle-Context", "x"]),
    st.one_of(st.text(st.characters(codec=None)), st.sampled_from([TEXT, PARENT, "a=1"])),
))  # fmt: skip
def test_what_is_read_of_any_headers_can_be_sent_as_it_is(headers: dict[str, str]) -> None:
    try:
        found = context.extract(headers)
    except GrantError as error:
        assert error.code == GrantCode.CONTEXT  # noqa: PT017
        return
    sent: dict[str, str] = {}
    found.inject(sent)
    assert context.extract(sent) == found
    assert all(value.isprintable() and value.isascii() for value in sent.values())
