"""What one link allows: its predicates, checked once and then applied to each request.

That every link of a chain must allow is `verify`'s job. Nothing here raises for any request, and
what it costs grows with the request and the link, never with their product but for patterns, which
are few and short and read short texts only.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from threading import Lock
from typing import Any, Protocol

from bridle.trust.grants.claims import DETAIL_TYPE, Claims, Detail, Predicate
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.matching import matchers

MOST_PATTERNS = 8
"""Patterns (`re2`) in one link."""
MOST_PATTERN_TEXT = 1_024
"""Characters of all patterns of one link."""

_TOOL = re.compile(r"[A-Za-z0-9_.:@+-]{1,256}")
_LONGEST_TOOL = 256
_CACHED = 2_048
_TOOLS_KEPT = 64
_LONGEST_SHOWN = 64


class Asked(Protocol):
    """What of a request predicates look at. `args` are the arguments as strict JSON was read.

    Integers are `int`, fractions `Decimal`; a `float` satisfies nothing but `any`.
    """

    @property
    def tool(self) -> str:
        """Its exact name."""
        ...

    @property
    def domain(self) -> str:
        """The domain of the tool's system (empty: none)."""
        ...

    @property
    def effect(self) -> str:
        """`read`, `write` or `irreversible`."""
        ...

    @property
    def labels(self) -> Any:
        """The labels of the tool (texts)."""
        ...

    @property
    def args(self) -> Mapping[str, Any]:
        """By name."""
        ...


_Made = Callable[[str, Predicate], matchers.Test]


def _lenient(name: str, predicate: Predicate) -> matchers.Test:
    del name
    return matchers.compiled(predicate)


def _strict(name: str, predicate: Predicate) -> matchers.Test:
    test = matchers.made(predicate)
    if isinstance(test, str):
        raise GrantError(GrantCode.MALFORMED, f"predicate of argument {shown(name)}: {test}")
    return test


class _Tool:
    """What the arguments must satisfy; `needed` are those that may not be absent."""

    __slots__ = ("needed", "tests")

    def __init__(self, args: Mapping[str, Predicate], made: _Made) -> None:
        self.tests = {name: made(name, each) for name, each in args.items()}
        self.needed = frozenset(name for name, each in args.items() if each.any is None)

    def refused(self, args: Mapping[str, Any]) -> str:
        given = self.tests
        for name, value in args.items():
            test = given.get(name)
            # INVARIANT: I4 a tool that is constrained takes no argument that its grant is silent on
            if test is None:
                return f"argument {shown(name)} is not granted"
            if not test(value):
                return f"argument {shown(name)} is not as the grant has it"
        if self.needed.issubset(args):
            return ""
        return f"argument {shown(min(self.needed.difference(args)))} is missing"


class _Entry:
    __slots__ = ("domains", "effects", "tools")

    def __init__(self, detail: Detail, made: _Made) -> None:
        known = detail.type == DETAIL_TYPE
        self.domains = None if detail.domains is None else frozenset(detail.domains)
        self.effects = None if detail.effects is None else frozenset(detail.effects)
        self.tools = {
            name: None if each.args is None else _Tool(each.args, made)
            for name, each in (detail.tools if known else {}).items()
        }

    def granted(self, names: tuple[str, ...]) -> tuple[_Tool | None, ...]:
        """Return what the entry says of a tool, under each of the names it may have there."""
        return tuple(self.tools[name] for name in names if name in self.tools)

    def refused(self, asked: Asked, granted: tuple[_Tool | None, ...]) -> str:
        if self.domains is not None and asked.domain not in self.domains:
            return f"the domain of tool {shown(asked.tool)} is not granted"
        if self.effects is not None and asked.effect not in self.effects:
            return f"what tool {shown(asked.tool)} does ({shown(asked.effect)}) is not granted"
        args = asked.args
        for tool in granted:
            if tool is not None and (why := tool.refused(args)):
                return f"tool {shown(asked.tool)}: {why}"
        return ""


_Granted = tuple[tuple[_Entry, tuple[_Tool | None, ...]], ...]


class Granted:
    """What one link allows, compiled: for as many requests as there are."""

    __slots__ = ("_granted", "claims", "entries", "labels")

    def __init__(self, claims: Claims, made: _Made = _lenient) -> None:
        # Holding the claims keeps their identity from being given to others.
        self.claims = claims
        self.entries = tuple(_Entry(each, made) for each in claims.authorization_details)
        self.labels = None if claims.lbl is None else frozenset(claims.lbl)
        self._granted: dict[str, _Granted] = {}

    def refused(self, asked: Asked) -> str:
        """Return nothing if this allows the request, or why not, as `allows`."""
        if self.labels is not None and not self.labels.issuperset(asked.labels):
            return f"tool {shown(asked.tool)} has a label that is not granted"
        why = ""
        for entry, tools in self._granted.get(asked.tool) or self._found(asked.tool):
            why = entry.refused(asked, tools)
            if not why:
                return ""
        return why or f"tool {shown(asked.tool)} is not granted"

    def _found(self, tool: str) -> _Granted:
        """Return the entries that grant a tool, with what they say of it. Remembered."""
        names = named(tool) if len(tool) <= _LONGEST_TOOL else ()
        found = [(entry, entry.granted(names)) for entry in self.entries]
        granted = tuple(each for each in found if each[1])
        if granted and len(self._granted) < _TOOLS_KEPT:
            self._granted[tool] = granted
        return granted


_links: OrderedDict[int, Granted] = OrderedDict()
_lock = Lock()


def allows(claims: Claims, request: Asked) -> str:
    """Return nothing if this link allows the request, or why not: which place, never which value.

    Any request gets an answer. A link that `check` refuses allows nothing where it is ill-formed.
    """
    link = _links.get(id(claims))
    return (link or _compiled(claims)).refused(request)


def check(claims: Claims) -> Granted:
    """Return what a link allows; refuse one with an ill-formed predicate.

    Raises `GrantError` (`link_malformed`): none or several members, a number that JSON cannot carry
    exactly, an empty prefix, no host name, no absolute path, no network, no pattern of RE2, or more
    patterns than may be.
    """
    patterns = [each.re2 for each in _predicates(claims) if isinstance(each.re2, str)]
    # Before any is compiled: that costs more than all else that a link may have.
    if len(patterns) > MOST_PATTERNS or sum(map(len, patterns)) > MOST_PATTERN_TEXT:
        raise GrantError(
            GrantCode.MALFORMED,
            f"a link has {MOST_PATTERNS} patterns at most, {MOST_PATTERN_TEXT} characters in all",
        )
    return Granted(claims, _strict)


def shown(name: str) -> str:
    """Return a name as it may stand in a reason: on one line, clipped, and no other text's part."""
    clipped = name[:_LONGEST_SHOWN] + ("…" if len(name) > _LONGEST_SHOWN else "")
    plain = clipped.isascii() and clipped.isprintable() and " " not in clipped and clipped
    return clipped if plain else ascii(clipped)


def _predicates(claims: Claims) -> list[Predicate]:
    granted = [each for detail in claims.authorization_details for each in detail.tools.values()]
    return [predicate for tool in granted if tool.args for predicate in tool.args.values()]


def _compiled(claims: Claims) -> Granted:
    made = Granted(claims)
    with _lock:
        _links[id(claims)] = made
        if len(_links) > _CACHED:
            _links.popitem(last=False)
    return made


@lru_cache(maxsize=4_096)
def named(tool: str) -> tuple[str, ...]:
    """Return what a grant may call a tool: its name, `prefix.*` for each of its prefixes, `*`."""
    parts = tool.split(".")
    above = (".".join((*parts[:count], "*")) for count in range(len(parts)))
    # What no tool is called is granted by no name, not even by one that is meant for all below.
    return (tool, *above) if _TOOL.fullmatch(tool) else ()
