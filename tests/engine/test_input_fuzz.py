"""Whatever comes in: a typed value or a refusal, never an exception, and never unbounded time."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridle.engine.case import Refusal, Typed
from bridle.engine.normalise import Normaliser
from bypass.probes import SHARED
from engine.reading import bundle, closed, detectors, tool

OPEN = {"type": "object", "additionalProperties": True}
TOOL = tool(
    closed(
        "s", s="string", n="number", i="integer", l={"type": "array", "items": {"type": "string"}},
        o=OPEN, u={"type": ["string", "number", "object", "null"]},
    ),
    o="content",
    i={"int64": True},
    output=closed("s", s="string", n="number", u={}),
)  # fmt: skip
READER = Normaliser(bundle(TOOL))
FREE = Normaliser(bundle(tool(OPEN)))
DETECTORS = detectors(TOOL)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["s", "n", "i", "l", "o", "u", "__entity"]) | st.text(), inner
        )
    ),
    max_leaves=15,
)


def check(typed):
    assert isinstance(typed, Typed | Refusal)
    if isinstance(typed, Refusal):
        assert typed.text
        return
    assert len(typed.digest) == 64


def put(text):
    for reader in (READER, FREE):
        for answer in (reader.normalise("t", text), reader.output("t", text)):
            check(answer)
    typed = READER.normalise("t", text)
    if isinstance(typed, Typed):
        json.dumps([READER.cedar_input("t", typed.value), DETECTORS.facts("t", typed.value)])
    result = READER.output("t", text)
    if isinstance(result, Typed):
        json.dumps(
            [READER.cedar_output("t", result.value), DETECTORS.facts_output("t", result.value)]
        )


@given(anything)
def test_any_json_is_answered(value):
    put(json.dumps(value))
    put(json.dumps(value, ensure_ascii=False))


@given(st.fixed_dictionaries({"s": anything}, optional=dict.fromkeys("nilou", anything)))
def test_any_json_in_the_right_places_is_answered(value):
    put(json.dumps(value))


@given(st.binary(max_size=300))
@example(b'{"s":"x","n":1E+999999999999999999}')
@example(b'{"s":"x","u":1e-999999999999999999}')
@example(b'{"s":"x","n":' + b"9" * 5_000 + b"}")
def test_any_bytes_are_answered(data):
    put(data.decode("latin-1"))
    put(data.decode("utf-8", "surrogateescape"))


@given(st.sampled_from([p for p in SHARED if len(p.text) < 2_000]), st.data())
def test_mutated_probes_are_answered(probe, data):
    text = probe.text
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.sampled_from(['"', "\\", "{", "]", "e9", "-", "\\ud800", "\0", ",", ""])
        )
        text = text[:place] + piece + text[place + data.draw(st.integers(0, 3)) :]
    put(text)


@pytest.mark.parametrize("number", ["1E+999999999999999999", "1e-999999999999999999", "9" * 50_000])
@pytest.mark.parametrize("schema", ["number", "integer", {"multipleOf": 3}, {"enum": [1.5]}])
def test_absurd_numbers_of_results_cost_nothing_absurd(schema, number):
    reader = Normaliser(
        bundle(tool(output=closed(n=schema if isinstance(schema, dict) else {"type": schema})))
    )
    check(reader.output("t", f'{{"n":{number}}}'))
