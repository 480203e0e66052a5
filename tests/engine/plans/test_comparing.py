"""Arguments are a step's only if all of them are, results looked up."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.plans.comparing import UNKNOWN, at, fits
from bridle.engine.plans.reading import read
from bridle.model.plan import PlanStep

RESULTS: dict[str, Any] = {"a": {"to": "ana", "list": [1, {"x": Decimal("1.5")}], "none": None}}


def planned(args: dict[str, Any]) -> PlanStep:
    steps = [{"id": "a", "tool": "t"}, {"id": "b", "tool": "u", "args": args}]
    return read(json.dumps({"version": 1, "steps": steps})).steps[1]


def result(step: str) -> Any:
    return RESULTS.get(step, UNKNOWN)


def is_step(args: dict[str, Any], given: Any) -> bool:
    return fits(planned(args), given, result)


@pytest.mark.parametrize(
    ("args", "given", "same"),
    [
        ({}, {}, True),
        ({}, {"x": 1}, False),
        ({"x": 1}, {}, False),
        ({"x": 1}, {"x": 1}, True),
        ({"x": 1}, {"x": True}, False),
        ({"x": 1}, {"x": Decimal("1.0")}, True),
        ({"x": "1"}, {"x": 1}, False),
        ({"x": None}, {}, False),
        ({"x": [1, 2]}, {"x": [2, 1]}, False),
        ({"x": [1]}, {"x": [1, 1]}, False),
        ({"x": {"$from": "a", "path": "/to"}}, {"x": "ana"}, True),
        ({"x": {"$from": "a", "path": "/to"}}, {"x": "eve"}, False),
        ({"x": {"$from": "a", "path": "/list/1/x"}}, {"x": Decimal("1.5")}, True),
        ({"x": {"$from": "a", "path": "/list/01"}}, {"x": 1}, False),
        ({"x": {"$from": "a", "path": "/list/-1"}}, {"x": 1}, False),
        ({"x": {"$from": "a", "path": "/none"}}, {"x": None}, True),
        ({"x": {"$from": "a", "path": "/gone"}}, {"x": None}, False),
        ({"x": [{"$from": "a", "path": "/to"}]}, {"x": ["ana"]}, True),
        ({"x": {"$from": "a"}}, {"x": RESULTS["a"]}, True),
    ],
)
def test_an_action_is_the_step_when_everything_is_the_same(
    args: dict[str, Any], given: Any, same: bool
) -> None:
    assert is_step(args, given) is same


def test_what_has_no_result_is_never_the_same() -> None:
    step = planned({"x": {"$from": "a", "path": ""}})
    assert not fits(step, {"x": UNKNOWN}, lambda _: UNKNOWN)


@given(st.lists(st.text(max_size=4), max_size=5).map(tuple))
def test_no_pointer_leads_out_of_a_value(path: tuple[str, ...]) -> None:
    at(RESULTS["a"], path)
