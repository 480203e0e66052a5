"""Whether two predicates can hold for one value: told where that is easy, else taken for yes.

For notes to people who hand on. Nothing is decided by it: each link is asked by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bridle.trust.grants.claims import Predicate, Range, Scalar
from bridle.trust.grants.matching import matchers, readings

_TEXTS = frozenset({"prefix", "suffix", "path_under", "host", "cidr", "re2"})
# Of any type, and of the second nobody knows what it is a digest of.
_UNSEEN = frozenset({"any", "sha256"})
_SCHEMES = ("http://", "https://")


def disjoint(one: Predicate, other: Predicate) -> bool:
    """Whether no value satisfies both. Of ill-formed predicates, yes."""
    if matchers.ill_formed(one) or matchers.ill_formed(other):
        return True
    for mine, theirs in ((one, other), (other, one)):
        values = _values(mine)
        if values is not None:
            return not any(map(matchers.compiled(theirs), values))
    first, second = _member(one), _member(other)
    if _UNSEEN & {first, second}:
        unlike = first == second == "sha256" and one.sha256 != other.sha256
        return unlike or _never(one) or _never(other)
    if _kind(first) != _kind(second) or _never(one) or _never(other):
        return True
    for left, right, mine, theirs in (
        (first, second, one, other),
        (second, first, other, one),
    ):
        if apart := _APART.get((left, right)):
            return apart(getattr(mine, left), getattr(theirs, right))
    return False


def cost(one: Predicate, other: Predicate) -> int:
    """Return about how many values are compared, or characters matched, to tell."""
    finite = [each for each in (_values(one), _values(other)) if each]
    if finite and (one.re2 is not None or other.re2 is not None):
        return 1 + sum(len(str(value)) for values in finite for value in values)
    networks = len(one.cidr or ()) * len(other.cidr or ())
    hosts = len(one.host or ()) * len(other.host or ())
    return 4 + networks + hosts + sum(map(len, finite))


def _values(predicate: Predicate) -> tuple[Scalar, ...] | None:
    return (predicate.eq,) if predicate.eq is not None else predicate.in_


def _never(predicate: Predicate) -> bool:
    """Whether nothing satisfies it: no names, no networks, no numbers between."""
    if predicate.range is not None:
        return matchers.empty(predicate.range)
    return predicate.host == () or predicate.cidr == ()


def _member(predicate: Predicate) -> str:
    return next(each for each in matchers.MEMBERS if getattr(predicate, each) is not None)


def _kind(member: str) -> str:
    return "text" if member in _TEXTS else member


def _ranges(one: Range, other: Range) -> bool:
    least = [Decimal(each) for each in (one.min, other.min) if each is not None]
    most = [Decimal(each) for each in (one.max, other.max) if each is not None]
    return bool(least and most) and max(least) > min(most)


def _prefixes(one: str, other: str) -> bool:
    return not (one.startswith(other) or other.startswith(one))


def _suffixes(one: str, other: str) -> bool:
    return not (one.endswith(other) or other.endswith(one))


def _paths(one: str, other: str) -> bool:
    return _prefixes(one.rstrip("/") + "/", other.rstrip("/") + "/")


def _prefix_path(prefix: str, base: str) -> bool:
    """A path that begins with `prefix` may be the base, or anything below it."""
    return not base.startswith(prefix) and _prefixes(prefix, base.rstrip("/") + "/")


def _hosts(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return not any(_same_host(mine, theirs) for mine in one for theirs in other)


def _same_host(one: str, other: str) -> bool:
    if one.startswith("*.") and other.startswith("*."):
        return not _suffixes(one[1:], other[1:])
    for name, above in ((one, other), (other, one)):
        if above.startswith("*.") and name.endswith(above[1:]):
            return True
    return one == other


def _prefix_host(prefix: str, names: tuple[str, ...]) -> bool:
    if all(_prefixes(prefix, scheme) for scheme in _SCHEMES):
        return True
    authority = prefix.partition("://")[2]
    if "/" not in authority:
        return False
    return not matchers.compiled(Predicate(host=names))(prefix)


def _networks(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    mine, theirs = (
        [net for text in texts if (net := readings.network_of(text)) is not None]
        for texts in (one, other)
    )
    return not any(
        left.version == right.version and left.overlaps(right) for left in mine for right in theirs
    )


def _always(one: Any, other: Any) -> bool:
    del one, other
    return True


# A URL, a path and an address are never the same text: they differ in how they begin, or in `/`.
_APART: dict[tuple[str, str], Callable[[Any, Any], bool]] = {
    ("range", "range"): _ranges,
    ("prefix", "prefix"): _prefixes,
    ("suffix", "suffix"): _suffixes,
    ("path_under", "path_under"): _paths,
    ("prefix", "path_under"): _prefix_path,
    ("host", "host"): _hosts,
    ("prefix", "host"): _prefix_host,
    ("cidr", "cidr"): _networks,
    ("host", "path_under"): _always,
    ("host", "cidr"): _always,
    ("cidr", "path_under"): _always,
}
