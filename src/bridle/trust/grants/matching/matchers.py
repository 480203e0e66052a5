"""The test that one predicate is: whether it is well-formed, and the compiled function of a value.

Every test is total: it answers for any JSON value, and costs time linear in it. What it cannot
read it does not hold for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any, Protocol, cast

import re2 as _re2
from msgspec import structs

from bridle.trust.grants.claims import Predicate, Range, Scalar
from bridle.trust.grants.matching import digests, readings

LONGEST_PATTERN = 1_024
LONGEST_MATCHED = 2_048
"""Characters of a text that a pattern is matched with; it holds for no longer one."""

_PATTERN_MEMORY = 32 * 1_024
_LEAST, _MOST = -(2**63), 2**63 - 1
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# Tables of Unicode classes are costly to compile, and differ between releases of the engine.
_UNICODE_CLASS = re.compile(r"\\[pPXC]")
MEMBERS = (
    "eq", "in_", "range", "prefix", "suffix", "path_under", "host", "cidr", "subset", "re2", "any",
    "sha256",
)  # fmt: skip
_TEXTS = frozenset({"prefix", "suffix", "path_under", "re2", "sha256"})
_LISTS = frozenset({"in_", "host", "cidr", "subset"})

Test = Callable[[Any], bool]


class Pattern(Protocol):
    """A compiled pattern of RE2."""

    def fullmatch(self, text: str) -> object | None:
        """Match all of a text."""
        ...


def made(predicate: Predicate) -> Test | str:
    """Return the test of a value, which never raises, or what is wrong with the predicate."""
    only = _only(predicate)
    if only is None:
        return "exactly one test is given"
    name, value = only
    wrong = _wrong(name, value)
    return wrong or _TESTS[name](value) or "a pattern is none of RE2, or too large"


def ill_formed(predicate: Predicate) -> str:
    """Return what is wrong with a predicate, or nothing. Patterns are not compiled here."""
    only = _only(predicate)
    return _wrong(*only) if only else "exactly one test is given"


def empty(bounds: Range) -> bool:
    """Whether no number is within well-formed bounds."""
    if bounds.min is None or bounds.max is None:
        return False
    return Decimal(bounds.min) > Decimal(bounds.max)


def compiled(predicate: Predicate) -> Test:
    """Return the test of a value. It never raises; an ill-formed predicate holds for nothing."""
    found = made(predicate)
    return _nothing if isinstance(found, str) else found


def _only(predicate: Predicate) -> tuple[str, Any] | None:
    """Return the one member that is given, by name; nothing where none or several are."""
    values = structs.astuple(predicate)
    if values.count(None) != len(MEMBERS) - 1:
        return None
    for at, value in enumerate(values):
        if value is not None:
            return MEMBERS[at], value
    return None


def _wrong(name: str, value: Any) -> str:
    # What was decoded has the types of its members; what a program made may have any.
    if name in _TEXTS and type(value) is not str:
        return "this test is for a text"
    if name in _LISTS and type(value) is not tuple:
        return "this test is for several values"
    return _CHECKS[name](value)


@lru_cache(maxsize=512)
def pattern(text: str) -> Pattern | None:
    """Return a pattern compiled by RE2 within its memory, or nothing."""
    engine: Any = _re2
    options = engine.Options()
    options.log_errors = False
    # What a match costs grows with the program a pattern becomes, and this bounds the program.
    options.max_mem = _PATTERN_MEMORY
    try:
        return cast("Pattern", engine.compile(text, options))
    except (engine.error, UnicodeError):
        return None


# --- well-formed ---------------------------------------------------------------------------------


def _scalar_wrong(value: Any) -> str:
    if type(value) is int:
        return "" if _LEAST <= value <= _MOST else "integers have 64 bits"
    return "" if type(value) in (str, bool) else "values are texts, integers and booleans"


def _scalars_wrong(values: Iterable[Any]) -> str:
    return next((wrong for value in values if (wrong := _scalar_wrong(value))), "")


def _range_wrong(bounds: Any) -> str:
    if type(bounds) is not Range or (bounds.min is None and bounds.max is None):
        return "a range has one bound at least"
    for bound in (bounds.min, bounds.max):
        if type(bound) is int and not _LEAST <= bound <= _MOST:
            return "integers have 64 bits"
        if type(bound) is str and not _DECIMAL.fullmatch(bound):
            return "a bound is an integer, or a decimal as text without exponent"
        if bound is not None and type(bound) not in (int, str):
            return "a bound is an integer, or a decimal as text"
    return ""


def _affix_wrong(text: str) -> str:
    return "" if text else "an empty text would hold for every text: `any` says so"


def _base_wrong(text: str) -> str:
    return "" if readings.is_path(text) else "a path is absolute, without `.`, `..` and odd parts"


def _hosts_wrong(names: Iterable[Any]) -> str:
    for name in names:
        if type(name) is not str:
            return "a host is a text"
        plain = name.removeprefix("*.")
        if not readings.is_host(plain):
            return "a host is a name in lower case, a dotted IPv4 address, or `*.` and a name"
        if plain != name and plain.rpartition(".")[2].isdigit():
            return "an address has nothing below it"
    return ""


def _networks_wrong(texts: Iterable[Any]) -> str:
    good = all(type(text) is str and readings.network_of(text) is not None for text in texts)
    return "" if good else "a network is `address/length` in its one text, no bits of hosts set"


def _pattern_wrong(text: str) -> str:
    if not 0 < len(text) <= LONGEST_PATTERN:
        return f"a pattern has 1 to {LONGEST_PATTERN} characters"
    return "a pattern has no Unicode classes" if _UNICODE_CLASS.search(text) else ""


def _digest_wrong(text: str) -> str:
    return "" if _DIGEST.fullmatch(text) else "a digest is 64 hex digits in lower case"


def _any_wrong(value: bool) -> str:  # noqa: FBT001
    return "" if value is True else "`any` is true or not there"


_CHECKS: dict[str, Callable[[Any], str]] = {
    "eq": _scalar_wrong,
    "in_": _scalars_wrong,
    "range": _range_wrong,
    "prefix": _affix_wrong,
    "suffix": _affix_wrong,
    "path_under": _base_wrong,
    "host": _hosts_wrong,
    "cidr": _networks_wrong,
    "subset": _scalars_wrong,
    "re2": _pattern_wrong,
    "any": _any_wrong,
    "sha256": _digest_wrong,
}


# --- tests ---------------------------------------------------------------------------------------


def _nothing(value: Any) -> bool:
    del value
    return False


def _anything(value: Any) -> bool:
    del value
    return True


def _equal(expected: Scalar) -> Test:
    kind = type(expected)
    # True is not 1, and 1.0 is not 1: a tool may well tell them apart.
    return lambda value: type(value) is kind and value == expected


def _one_of(values: Iterable[Scalar]) -> Test:
    sets: dict[type, set[Scalar]] = {}
    for each in values:
        sets.setdefault(type(each), set()).add(each)

    def test(value: object) -> bool:
        kind = type(value)
        # Only what is in a set's type is looked up: an array has no hash.
        return kind in sets and value in sets[kind]

    return test


def _subset(values: Iterable[Scalar]) -> Test:
    one = _one_of(values)

    def test(value: object) -> bool:
        return type(value) is list and all(map(one, cast("list[object]", value)))

    return test


def _between(bounds: Range) -> Test:
    low = Decimal(bounds.min) if isinstance(bounds.min, str) else bounds.min
    high = Decimal(bounds.max) if isinstance(bounds.max, str) else bounds.max
    # An integer is compared with integers: its digits, however many, are never spelled out.
    first = int(low.to_integral_value(ROUND_CEILING)) if isinstance(low, Decimal) else low
    last = int(high.to_integral_value(ROUND_FLOOR)) if isinstance(high, Decimal) else high

    def test(value: Any) -> bool:
        if type(value) is int:
            return (first is None or value >= first) and (last is None or value <= last)
        if type(value) is not Decimal or not value.is_finite():
            return False
        return (low is None or value >= low) and (high is None or value <= high)

    return test


def _prefix(expected: str) -> Test:
    return lambda value: type(value) is str and value.startswith(expected)


def _suffix(expected: str) -> Test:
    return lambda value: type(value) is str and value.endswith(expected)


def _path_under(base: str) -> Test:
    below = base if base == "/" else base + "/"

    def test(value: Any) -> bool:
        if type(value) is not str or not (value == base or value.startswith(below)):
            return False
        return readings.is_path(value)

    return test


def _host(names: Iterable[str]) -> Test:
    given = tuple(names)
    exact = frozenset(name for name in given if not name.startswith("*."))
    above = frozenset(name[1:] for name in given if name.startswith("*."))

    def test(value: Any) -> bool:
        found = readings.host_of(value) if type(value) is str else ""
        return bool(found) and (found in exact or any(map(above.__contains__, _parents(found))))

    return test


def _parents(host: str) -> list[str]:
    """Return `.b.c` and `.c` of `a.b.c`."""
    return [host[place:] for place, letter in enumerate(host) if letter == "."]


def _cidr(texts: Iterable[str]) -> Test:
    found = [net for text in texts if (net := readings.network_of(text)) is not None]
    groups: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
    for net in found:
        shift = net.max_prefixlen - net.prefixlen
        groups[net.version].setdefault(shift, set()).add(int(net.network_address) >> shift)

    def test(value: Any) -> bool:
        address = readings.address_of(value) if type(value) is str else None
        if address is None:
            return False
        number = int(address)
        return any(number >> shift in nets for shift, nets in groups[address.version].items())

    return test


def _matches(text: str) -> Test | None:
    expression = pattern(text)
    if expression is None:
        return None

    def test(value: Any) -> bool:
        if type(value) is not str or len(value) > LONGEST_MATCHED:
            return False
        try:
            return expression.fullmatch(value) is not None
        except UnicodeError:  # half of a surrogate pair is no character
            return False

    return test


def _same(digest: str) -> Test:
    return lambda value: digests.digest_of(value) == digest


_TESTS: dict[str, Callable[[Any], Test | None]] = {
    "eq": _equal,
    "in_": _one_of,
    "range": _between,
    "prefix": _prefix,
    "suffix": _suffix,
    "path_under": _path_under,
    "host": _host,
    "cidr": _cidr,
    "subset": _subset,
    "re2": _matches,
    "any": lambda given: _anything if given is True else _nothing,
    "sha256": _same,
}
