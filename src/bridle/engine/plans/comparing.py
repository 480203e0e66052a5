"""Whether the arguments that are asked for are what the plan says, results looked up."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bridle.engine.normalise.steering import same
from bridle.language.plain import is_array, is_object
from bridle.model.plan import PlanStep, Reference

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Unknown:
    """What a reference leads to where nothing is known there."""

    __slots__ = ()


UNKNOWN = Unknown()

Results = Callable[[str], Any]
"""Returns the result of a step by its id, as its agent was given it; `UNKNOWN` for none."""


def fits(step: PlanStep, args: Any, results: Results) -> bool:
    """Whether arguments are those of this step, with what it takes from results in its place."""
    return _equal(step.args, args, results)


def at(value: Any, path: tuple[str, ...]) -> Any:
    """Return what a JSON pointer leads to in a value; `UNKNOWN` where that is nothing."""
    for token in path:
        if is_object(value) and token in value:
            value = value[token]
        elif is_array(value) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return UNKNOWN
    return value


def _equal(planned: Any, given: Any, results: Results) -> bool:
    if isinstance(planned, Reference):
        # INVARIANT: I2 — a value that cannot be looked up is not the one that was planned.
        found = results(planned.step)
        value = at(found, planned.path) if found is not UNKNOWN else UNKNOWN
        return value is not UNKNOWN and same(value, given)
    if is_object(planned):
        alike = is_object(given) and planned.keys() == given.keys()
        return alike and all(_equal(planned[key], given[key], results) for key in planned)
    if is_array(planned):
        alike = is_array(given) and len(planned) == len(given)
        return alike and all(_equal(p, g, results) for p, g in zip(planned, given, strict=True))
    return same(planned, given)
