"""Between Python and JSON: exact where it matters, refused or opaque where JSON cannot follow."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import types
from collections import UserDict, deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.client.attempt import arguments, results
from bridle.client.attempt.arguments import ArgumentError
from bridle.model.outcome import Outcome, OutcomeKind

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES))
def test_json_arguments_arrive_as_they_were(args: dict[str, Any]) -> None:
    back = arguments.from_text(arguments.to_text(args))
    assert json.dumps(back) == json.dumps(args)


@given(VALUES)
def test_json_results_are_encoded_as_they_are(value: Any) -> None:
    text = results.encode(value)
    assert text is not None
    assert json.loads(text) == value


@pytest.mark.parametrize(
    "args",
    [
        {1: "a"},
        {None: "a"},
        {"a": {True: 1}},
        {"a": [{(1, 2): 3}]},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": object()},
        {"a": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)},
        {"a": decimal.Decimal("NaN")},
        {"a": decimal.Decimal("0.12345678901234567890")},
        {"a": range(3)},
    ],
    ids=lambda args: type(next(iter(args.values()))).__name__ + str(next(iter(args))),
)
def test_what_is_no_json_is_refused_here(args: dict[Any, Any]) -> None:
    with pytest.raises(ArgumentError):
        arguments.to_text(args)


def test_endless_nesting_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(ArgumentError):
        arguments.to_text(loop)


def test_numbers_that_are_none_stay_visible_to_the_governor() -> None:
    text = arguments.to_text({"a": float("nan"), "b": float("inf"), "c": float("-inf")})
    assert text == '{"a":NaN,"b":Infinity,"c":-Infinity}'


def test_half_a_character_stays_visible_to_the_governor() -> None:
    assert arguments.to_text({"a": "\ud800é"}) == '{"a":"\\ud800\\u00e9"}'


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (("a", 1), '["a",1]'),
        (types.MappingProxyType({"b": 2}), '{"b":2}'),
        (decimal.Decimal("12.50"), "12.5"),
        (decimal.Decimal(10**30), "1" + "0" * 30),
        (Colour.RED, '"red"'),
        (10**40, "1" + "0" * 40),
    ],
)
def test_what_has_one_meaning_in_json_is_taken(value: Any, text: str) -> None:
    assert arguments.to_text({"a": value}) == f'{{"a":{text}}}'


@dataclasses.dataclass
class Row:
    id: int
    at: dt.date


class Model:
    """What a pydantic model looks like from outside."""

    def model_dump(self, mode: str) -> dict[str, str]:
        return {"mode": mode}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Row(1, dt.date(2026, 1, 2)), '{"id":1,"at":"2026-01-02"}'),
        (Model(), '{"mode":"json"}'),
        (b"abc", '"YWJj"'),
        (UserDict({"a": 1}), '{"a":1}'),
        (deque([1, 2]), "[1,2]"),
        (pathlib.PurePosixPath("/a"), '"/a"'),
        ([Model(), None], '[{"mode":"json"},null]'),
        (Colour.RED, '"red"'),
        ({"n": 2**80}, '{"n":1208925819614629174706176}'),
    ],
    ids=lambda v: type(v).__name__,
)
def test_common_results_can_be_judged(value: Any, text: str) -> None:
    assert results.encode(value) == text


class Explosive:
    @property
    def model_dump(self) -> None:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [object(), "\ud800", Explosive(), lambda: None, {"a": object()}, ValueError("x")],
    ids=lambda v: type(v).__name__,
)
def test_a_result_that_json_cannot_carry_is_opaque(value: Any) -> None:
    assert results.outcome_of(value) == Outcome(OutcomeKind.OK, opaque=True)


def test_a_result_too_large_for_a_frame_is_opaque() -> None:
    assert results.outcome_of("x" * (4 * 1024 * 1024)).opaque


def test_keys_that_fall_together_in_json_both_stay_visible() -> None:
    assert results.encode({1: "secret", "1": "fine"}) == '{"1":"secret","1":"fine"}'


def test_no_result_is_no_output() -> None:
    assert results.outcome_of(None) == Outcome(OutcomeKind.OK)
    assert results.decode("") is None


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (ValueError("x" * 10_000), "ValueError"),
        (OSError(2, "gone"), "FileNotFoundError"),
        (UnreadableError(), "UnreadableError"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "\udfff"), "UnicodeEncodeError"),
    ],
)
def test_any_exception_can_be_reported(problem: Exception, code: str) -> None:
    outcome = results.error_of(problem)
    assert (outcome.kind, outcome.error) == (OutcomeKind.ERROR, code)
    assert len(outcome.message) <= 2000
    outcome.message.encode()


@pytest.mark.parametrize("code", [7, "", None, ["x"]])
def test_a_code_that_is_no_text_is_not_a_code(code: Any) -> None:
    problem = ValueError()
    problem.code = code  # type: ignore[attr-defined]
    assert results.error_of(problem).error == "ValueError"
