"""Conditions as programs write them: sound ones are made, others are refused at once."""

from collections.abc import Callable
from typing import Any

import pytest

from bridle.model.errors import UsageError
from bridle.trust.grants import conditions as c
from bridle.trust.grants.claims import Predicate, Range


def test_each_makes_the_one_member_it_is_named_for() -> None:
    assert c.eq("a") == Predicate(eq="a")
    assert c.one_of("a", 1) == Predicate(in_=("a", 1))
    assert c.between(1, "2.5") == Predicate(range=Range(1, "2.5"))
    assert c.between(most=3) == Predicate(range=Range(None, 3))
    assert c.prefix("a") == Predicate(prefix="a")
    assert c.suffix("a") == Predicate(suffix="a")
    assert c.path_under("/a") == Predicate(path_under="/a")
    assert c.host("a.example", "*.b.example") == Predicate(host=("a.example", "*.b.example"))
    assert c.cidr("10.0.0.0/8") == Predicate(cidr=("10.0.0.0/8",))
    assert c.subset(1) == Predicate(subset=(1,))
    assert c.matches("a+") == Predicate(re2="a+")
    assert c.anything() == Predicate(any=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: c.eq(1.5),  # type: ignore[arg-type]
        lambda: c.eq(None),  # type: ignore[arg-type]
        lambda: c.eq(2**64),
        lambda: c.one_of(["a"]),  # type: ignore[arg-type]
        c.between,
        lambda: c.between(2, 1),
        lambda: c.between(0.5, 1),  # type: ignore[arg-type]
        lambda: c.between("1e5"),
        lambda: c.prefix(""),
        lambda: c.prefix(1),  # type: ignore[arg-type]
        lambda: c.suffix(""),
        lambda: c.path_under("a/b"),
        lambda: c.host("https://a.example/"),
        lambda: c.host(["a"]),  # type: ignore[arg-type]
        lambda: c.cidr("10.0.0.1/8"),
        lambda: c.cidr(10),  # type: ignore[arg-type]
        lambda: c.subset(1.5),  # type: ignore[arg-type]
        lambda: c.matches("("),
        lambda: c.matches(""),
    ],
)
def test_a_condition_that_would_be_refused_is_not_made(make: Callable[[], Any]) -> None:
    with pytest.raises(UsageError) as error:
        make()
    assert error.value.code == "predicate_invalid"
