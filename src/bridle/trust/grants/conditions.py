"""Conditions on arguments, as a program writes them: `prefix("https://docs.example/")`.

Each returns a `Predicate` and raises `UsageError` (`predicate_invalid`) for one that would be
refused. What each means stands with `Predicate`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bridle.model.errors import UsageError
from bridle.trust.grants.claims import Predicate, Range, Scalar
from bridle.trust.grants.matching import digests, matchers


def eq(value: Scalar) -> Predicate:
    """The argument is this text, integer or boolean. `True` is not 1."""
    return _sound(Predicate(eq=value))


def one_of(*values: Scalar) -> Predicate:
    """The argument is one of these. Of none, nothing is."""
    return _sound(Predicate(in_=values))


def between(least: int | str | None = None, most: int | str | None = None) -> Predicate:
    """The argument is a number from `least` to `most`, both included.

    Bounds are integers, or decimals as text (`"0.5"`): a `float` is not what it is written as.
    """
    made = _sound(Predicate(range=Range(min=least, max=most)))
    if matchers.empty(Range(min=least, max=most)):
        raise UsageError("no number is at least one bound and at most the other", code=_CODE)
    return made


def prefix(text: str) -> Predicate:
    """The argument is a text that begins so. For URLs, `host` says more."""
    return _sound(Predicate(prefix=text))


def suffix(text: str) -> Predicate:
    """The argument is a text that ends so."""
    return _sound(Predicate(suffix=text))


def path_under(base: str) -> Predicate:
    """The argument is an absolute path: `base` or below, without `.` and `..`."""
    return _sound(Predicate(path_under=base))


def host(*names: str) -> Predicate:
    """The argument is an http(s) URL whose host is one of these; `*.a.example`: any below it."""
    return _sound(Predicate(host=names))


def cidr(*networks: str) -> Predicate:
    """The argument is an IP address in one of these networks (`10.0.0.0/8`, `2001:db8::/32`)."""
    return _sound(Predicate(cidr=networks))


def subset(*values: Scalar) -> Predicate:
    """The argument is an array, and each item one of these."""
    return _sound(Predicate(subset=values))


def matches(pattern: str) -> Predicate:
    """All of the argument matches a pattern of RE2; texts of at most 2,048 characters do."""
    made = _sound(Predicate(re2=pattern))
    if matchers.pattern(pattern) is None:
        raise UsageError("this is no pattern of RE2, or too large a one", code=_CODE)
    return made


def same(value: Any) -> Predicate:
    """The argument is this value, of any type and size: the grant carries its digest alone."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise UsageError(f"no condition: {problem}", code=_CODE) from problem
    return _sound(Predicate(sha256=digests.digest_of(json.loads(text, parse_float=Decimal))))


def exactly(args: Mapping[str, Any]) -> dict[str, Predicate]:
    """These arguments and no others, each as it is: what a single call is granted by.

    Short texts, integers and booleans stand in the grant, anything else by its digest.
    """
    return {name: eq(value) if _is_short(value) else same(value) for name, value in args.items()}


def anything() -> Predicate:
    """The argument is anything, or absent."""
    return Predicate(any=True)


_CODE = "predicate_invalid"
_SHORT = 64


def _is_short(value: Any) -> bool:
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is bool or (type(value) is str and len(value) <= _SHORT)


def _sound(predicate: Predicate) -> Predicate:
    if why := matchers.ill_formed(predicate):
        raise UsageError(f"no condition: {why}", code=_CODE)
    return predicate
