"""Says in words what one link of a chain allows. For humans: nothing is decided by these texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from bridle.trust.grants.claims import Claims, Detail, Predicate, Range, Scalar


def caveats(claims: Claims) -> tuple[str, ...]:
    """Return what narrows a link, one sentence each, in the order of its claims.

    Texts of the link stand in them as JSON strings, so that none can pass for a sentence of ours;
    what cannot be seen on a terminal is the caller's to spell out.
    """
    said = [text for detail in claims.authorization_details for text in _detail(detail)]
    if claims.lbl is not None:
        most = _listed(claims.lbl)
        said.append(f"only tools without labels{f' but {most}' if most else ''}")
    for budget, limit in claims.bud.items():
        said.append(f"at most {_name(limit)} of budget {_name(budget)}")
    if claims.task:
        said.append(f"for the task {_quoted(claims.task)}")
    left = claims.del_max_depth - claims.del_depth
    said.append("not to be handed on" if left <= 0 else f"may be handed on {_times(left)}")
    return tuple(said)


def condition(predicate: Predicate) -> str:
    """Return the test of one argument in words: `begins with "https://docs.example/"`."""
    said = [text for text in _tests(predicate) if text]
    # One that says nothing, or two things, holds for nothing.
    return said[0] if len(said) == 1 else "satisfies nothing (ill-formed)"


def _detail(detail: Detail) -> Iterable[str]:
    where = ""
    if detail.domains is not None:
        where += f"; in domains {_listed(detail.domains) or 'none'}"
    if detail.effects is not None:
        where += f"; effects {_listed(detail.effects) or 'none'}"
    free = [_name(name) for name, tool in detail.tools.items() if tool.args is None]
    if free:
        yield f"{', '.join(free)}{where}"
    for name, tool in detail.tools.items():
        if tool.args is not None:
            yield f"{_name(name)}{_arguments(tool.args)}{where}"


def _arguments(args: Mapping[str, Predicate]) -> str:
    if not args:
        return " without arguments"
    return " where " + " and ".join(
        f"{_name(name)} {condition(test)}" for name, test in args.items()
    )


def _tests(test: Predicate) -> Iterable[str]:
    yield "" if test.eq is None else f"is {_quoted(test.eq)}"
    yield "" if test.in_ is None else f"is one of {_listed(test.in_) or 'nothing'}"
    yield "" if test.range is None else _range(test.range)
    yield "" if test.prefix is None else f"begins with {_quoted(test.prefix)}"
    yield "" if test.suffix is None else f"ends with {_quoted(test.suffix)}"
    yield "" if test.path_under is None else f"is the path {_quoted(test.path_under)} or below"
    yield "" if test.host is None else f"is a URL of host {_listed(test.host) or 'nothing'}"
    yield "" if test.cidr is None else f"is an address in {_listed(test.cidr) or 'nothing'}"
    yield "" if test.subset is None else f"holds only {_listed(test.subset) or 'nothing'}"
    yield "" if test.re2 is None else f"matches all of {_quoted(test.re2)}"
    yield "" if test.any is None else "is anything or absent"
    yield "" if test.sha256 is None else f"is the value of digest {_name(test.sha256)}"


def _range(bounds: Range) -> str:
    least, most = (None if each is None else _name(str(each)) for each in (bounds.min, bounds.max))
    if least is not None and most is not None:
        return f"is from {least} to {most}"
    if least is not None:
        return f"is at least {least}"
    return f"is at most {most}" if most is not None else "is a number"


def _listed(values: Iterable[Scalar]) -> str:
    return ", ".join(map(_quoted, values))


def _name(name: str) -> str:
    """A tool or argument as it is, unless it could pass for more than a name."""
    return name if name.isascii() and name.isprintable() and " " not in name else _quoted(name)


def _quoted(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False)


def _times(number: int) -> str:
    return "once more" if number == 1 else f"{number} times more"
