"""Predicate denial of service: what holders write is total and linear, and no clock decides."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from bridle.trust.grants.claims import Predicate, Range
from bridle.trust.grants.codes import GrantError
from trust.forging import Line, details, judged, refused, request
from trust.office import Office, only

BACKTRACKING = ["(a+)+$", "(a|aa)+$", "(.*a){12}", "((a*)*)*b"]


@pytest.mark.parametrize("pattern", BACKTRACKING)
def test_patterns_that_others_backtrack_on_are_answered(pattern: str) -> None:
    line = Line(details(web_get={"x": Predicate(re2=pattern)}))
    # An engine that backtracks would take longer than anybody waits.
    assert refused(line, line.texts, request(x="a" * 4_000 + "!")) == "not_granted"


@pytest.mark.parametrize("pattern", ["(?:x{1000}){1000}", "(", "a" * 2_000, "\\pL", "(?P<n>a)\\1"])
def test_patterns_that_are_none_or_grow_are_refused_when_signed(pattern: str) -> None:
    with pytest.raises(GrantError) as refusal:
        Line(details(web_get={"x": Predicate(re2=pattern)}))
    assert refusal.value.code == "link_malformed"


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


ODD: list[Any] = [
    None, True, 1, -1, 2**100_000, Decimal("1E+999999"), Decimal("NaN"), "", "\ud800", "a" * 10**6,
    [], {}, deep(10_000), {"a": {"b": []}}, 0.1,
]  # fmt: skip
TESTS = [
    Predicate(eq="a"), Predicate(in_=(1, "a", True)), Predicate(range=Range(min="-0.5", max=7)),
    Predicate(prefix="a"), Predicate(suffix="a"), Predicate(path_under="/a"),
    Predicate(host=("*.example",)), Predicate(cidr=("10.0.0.0/8", "2001:db8::/32")),
    Predicate(subset=("a", 1)), Predicate(re2="a.*"), Predicate(any=True),
]  # fmt: skip


@pytest.mark.parametrize("test", TESTS, ids=repr)
def test_every_value_gets_an_answer(test: Predicate) -> None:
    line = Line(details(web_get={"x": test}))
    for value in ODD:
        assert refused(line, line.texts, request(x=value)) in {"", "not_granted"}


def test_nothing_is_refused_for_being_slow() -> None:
    line = Line(*[details(web_get={"x": Predicate(re2="[a-z]*")})] * 9)
    verifier = line.verifier()
    with ThreadPoolExecutor(16) as pool:
        told = set(pool.map(lambda _: judged(verifier, line.texts, request(x="a")), range(4_000)))
    assert told == {("", -1)}


def test_the_governor_answers_whatever_a_grant_says() -> None:
    office = Office()
    run = office.run().hand("scout", only("note.write", text=Predicate(re2="(a+)+b")))
    assert run.act("note.write", text="a" * 4_000) == "not_granted"
    assert run.act("note.write", text="aab") == ""
    assert len(office.ran) == 1
