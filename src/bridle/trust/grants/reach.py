"""What of a grant can have no effect, told to whoever hands it on. A lint: it decides nothing.

Every link of a chain is asked about every action, so that what a child says beyond its parents is
without effect, and mostly a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation

from msgspec import Struct

from bridle.trust.grants.claims import Claims, Detail, Predicate, ToolGrant
from bridle.trust.grants.matching import matchers, overlap
from bridle.trust.grants.predicates import named, shown
from bridle.trust.grants.wording import condition

MOST_NOTES = 32


_MOST_WORK = 20_000


class _Bundle(Struct):
    """The tools there are, and how much is still looked into: grants are made by anybody."""

    tools: tuple[str, ...]
    known: frozenset[str]
    work: int = _MOST_WORK

    def spend(self, amount: int) -> bool:
        """Whether so much more is looked into."""
        self.work -= amount
        return self.work >= 0

    def covered(self, name: str) -> tuple[str, ...]:
        """Return the tools that a grant means by `name` (an exact one: as it is)."""
        if not name.endswith("*"):
            return (name,)
        return tuple(tool for tool in self.tools if name in named(tool))


def unreachable(parents: Sequence[Claims], child: Claims, tools: Iterable[str]) -> tuple[str, ...]:
    """Return notes, one sentence each: what of `child` can have no effect below `parents`, and why.

    `parents` are the claims of the links above, root first; `tools` are those of the bundle. No
    note is no promise that all of it has: only what is easily told is. At most 32, and of grants
    that are made to be costly only what is found soon.
    """
    sorted_tools = tuple(sorted(tools))
    bundle = _Bundle(sorted_tools, frozenset(sorted_tools))
    notes = [*_limits(parents, child)]
    for detail in child.authorization_details:
        notes += _detail(parents, detail, bundle)
    return tuple(dict.fromkeys(notes))[:MOST_NOTES]


def _limits(parents: Sequence[Claims], child: Claims) -> Iterable[str]:
    if not parents:
        return
    above = parents[-1]
    if child.del_depth > min(each.del_max_depth for each in parents):
        yield f"{shown(above.agent)} may not hand on: this grant would be refused"
    elif child.del_max_depth > above.del_max_depth:
        yield f"it may be handed on no deeper than {above.del_max_depth} links, as what is above it"
    if child.exp > above.exp:
        yield f"it ends later than the grant of {shown(above.agent)}: it would be refused"
    for name, limit in child.bud.items():
        caps = [each.bud[name] for each in parents if name in each.bud]
        if caps and _number(limit) > min(map(_number, caps)):
            least = min(caps, key=_number)
            yield f"budget {shown(name)}: a grant above has {shown(least)} at most"
    for label in child.lbl or ():
        if any(each.lbl is not None and label not in each.lbl for each in parents):
            yield f"label {shown(label)} is not granted above"


def _detail(parents: Sequence[Claims], detail: Detail, bundle: _Bundle) -> Iterable[str]:
    for name, tool in detail.tools.items():
        covered = bundle.covered(name)
        if not bundle.known.intersection(covered):
            yield f"tool {shown(name)}: there is no such tool"
            continue
        yield from _narrowed(name, tool)
        for parent in parents:
            found = list(_all_beyond(parent, detail, tool, covered, bundle))
            # Of a pattern, some of the tools may well be out of reach.
            if len(found) == len(covered) and found:
                yield f"tool {shown(name)}: {found[0]} (grant of {shown(parent.agent)})"
        yield from _outside(parents, detail, name, covered, bundle)


def _all_beyond(
    parent: Claims, detail: Detail, tool: ToolGrant, covered: Sequence[str], bundle: _Bundle
) -> Iterable[str]:
    """Yield why for each of the tools, up to the first that `parent` may allow."""
    for name in covered:
        why = _beyond(parent, detail, tool, name, bundle)
        if why is None:
            return
        yield why


def _beyond(
    parent: Claims, detail: Detail, tool: ToolGrant, name: str, bundle: _Bundle
) -> str | None:
    """Return why `parent` never allows the tool under the child's conditions, None if it may."""
    why = "it is not granted"
    for entry in parent.authorization_details:
        if not bundle.spend(1):
            return None
        granted = _granted(entry, name)
        if not granted:
            continue
        found = _kept_out(entry, detail) or _arguments(granted, tool, bundle)
        if not found:
            return None
        why = found
    return why


def _granted(entry: Detail, name: str) -> list[ToolGrant]:
    return [entry.tools[each] for each in named(name) if each in entry.tools]


def _kept_out(entry: Detail, detail: Detail) -> str:
    for what, mine, theirs in (
        ("domains", detail.domains, entry.domains),
        ("effects", detail.effects, entry.effects),
    ):
        if mine is not None and theirs is not None and not set(mine) & set(theirs):
            return f"none of its {what} is granted"
    return ""


def _outside(
    parents: Sequence[Claims],
    detail: Detail,
    name: str,
    covered: Sequence[str],
    bundle: _Bundle,
) -> Iterable[str]:
    """Tell of single domains and effects that no entry above has for any of the tools."""
    for parent in parents:
        if not bundle.spend(len(covered) * len(parent.authorization_details)):
            return
        entries = [
            entry
            for entry in parent.authorization_details
            if any(_granted(entry, one) for one in covered)
        ]
        for what, mine, theirs in (
            ("domain", detail.domains or (), [entry.domains for entry in entries]),
            ("effect", detail.effects or (), [entry.effects for entry in entries]),
        ):
            if not theirs or None in theirs:
                continue
            allowed = {each for some in theirs for each in some or ()}
            for each in mine:
                if each not in allowed:
                    agent = shown(parent.agent)
                    yield f"tool {shown(name)}: {what} {shown(each)} is not granted to {agent}"


def _arguments(granted: Sequence[ToolGrant], tool: ToolGrant, bundle: _Bundle) -> str:
    """Return why no arguments satisfy the child's conditions and all of an entry's, or nothing."""
    mine = tool.args
    for grant in granted:
        if grant.args is None or mine is None:
            continue
        for name, test in mine.items():
            above = grant.args.get(name)
            if above is None and test.any is None:
                return f"argument {shown(name)} is not granted"
            if above is not None and _apart(test, above, bundle):
                return f"no argument {shown(name)} that {condition(test)} is granted"
        for name, test in grant.args.items():
            if test.any is None and name not in mine:
                return f"argument {shown(name)} is needed above, and not granted here"
    return ""


def _apart(test: Predicate, above: Predicate, bundle: _Bundle) -> bool:
    # Both hold for an argument that is absent.
    if (test.any and above.any) or not bundle.spend(overlap.cost(test, above)):
        return False
    return overlap.disjoint(test, above)


def _narrowed(name: str, tool: ToolGrant) -> Iterable[str]:
    """Tell of conditions that say another thing than they seem to."""
    for argument, test in (tool.args or {}).items():
        where = f"tool {shown(name)}: argument {shown(argument)}"
        if matchers.ill_formed(test):
            yield f"{where}: the condition is ill-formed, and nothing satisfies it"
        elif test.prefix is not None and _open_ended(test.prefix):
            begun = shown(test.prefix)
            yield f"{where}: {begun} also begins {begun}.other.example; end it with /, or use host"


def _open_ended(prefix: str) -> bool:
    scheme, _, rest = prefix.partition("://")
    return scheme.lower() in {"http", "https"} and bool(rest) and "/" not in rest


def _number(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)
