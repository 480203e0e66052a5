"""Random programs over random histories at length, another seed each time."""

from __future__ import annotations

import itertools
import secrets

import pytest

from differential import crowd
from differential.features import NODES, OPERATORS
from differential.spoiling import WAYS
from differential.worlds import PINNINGS

MET = {
    *NODES.values(), *OPERATORS, *(f"nesting {n}" for n in range(5)),
    *(f"pins: {name}" for name in (*PINNINGS, "built in")),
    "own partition", "whole history", "permit", "forbid", "when", "unless", "inline marker",
    "several kinds decide", "since, negated left", "since, positive left", "join", "anti-join",
    "correlated aggregate", "nested aggregate", "no such value", "equal stamps", "null",
    "window boundary", "missing output", "missing input", "no context", "clock going back",
    "event request", "event response", "event error", "event attempt", "near the ends of Long",
    "by specification", "by incremental engine", "by interrupted engine", "both verdicts",
    *(f"plan: {name}" for name in (
        "look-up by key", "running sum", "unbroken runs", "every event kept",
        "each match looked at",
        "rows that stand", "rows that others block", "rows blocked since", "rows blocked twice",
        "rows of a position", "sum of rows",
    )),
}  # fmt: skip
"""What a run must have met. Each is met hundreds of times as often as is asked here."""

pytestmark = pytest.mark.slow


@pytest.mark.timeout(7200)
def test_twenty_thousand_cases_find_no_difference(count, pytestconfig):
    wanted = count(20_000, 200_000)
    seed = pytestconfig.getoption("--seed")
    first = secrets.randbelow(2**40) if seed is None else seed
    print(f"--seed {first}")
    result = crowd.play(itertools.count(first), enough=lambda tally: tally["cases"] >= wanted)
    print(result.report())
    assert not result.differences, f"--seed {first}\n{result.differences[0]}"
    met = result.tally
    assert met["cases"] >= wanted
    assert [name for name in sorted(MET) if met[name] < wanted // 500] == []
    assert [w.__name__ for w in WAYS if met[f"spoiled: {w.__name__}"] < wanted // 10_000] == []
    assert met["spoiled, refused"] >= wanted // 100
    discarded = sum(n for name, n in met.items() if name.startswith("discarded"))
    assert discarded < wanted // 200
