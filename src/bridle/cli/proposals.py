"""What an approver wants instead of what a hold asks: arguments and terms, from the options."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import click
import msgspec
from msgspec import Struct

from bridle.bundle.parse.table import milliseconds
from bridle.model.calls import Terms

Function = TypeVar("Function", bound=Callable[..., Any])

_EDITOR = "\0editor"
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Proposal(Struct, frozen=True):
    """`args` (exact JSON text) is empty where they stay as they are."""

    args: str = ""
    terms: Terms | None = None


class Wanted(Struct, frozen=True, kw_only=True):
    """The options as they were given."""

    edit: str | None
    sets: tuple[str, ...]
    once: bool
    for_mission: bool
    count: int | None
    expires: str | None
    free: tuple[str, ...]
    most: tuple[str, ...]
    labels: tuple[str, ...]

    def proposal(self, row: dict[str, Any]) -> Proposal:
        """Return what is proposed for this hold. Raises `click.UsageError`."""
        if self.once and self.for_mission:
            raise click.UsageError("it is approved once or for the mission, not both")
        args = _edited(self.edit, row["args"]) if self.edit is not None else ""
        if self.sets:
            args = _with(args or row["args"], self.sets)
        if self.once and not args:
            # The arguments as they stand, and with them none of the terms that others proposed.
            args = row["args"]
        return Proposal(args, self._terms())

    def _terms(self) -> Terms | None:
        given = (self.count, self.expires, self.free, self.most, self.labels)
        if not self.for_mission:
            if any(each not in (None, ()) for each in given):
                raise click.UsageError("these options go with --for-mission")
            return None
        expires = milliseconds(self.expires) if self.expires is not None else 0
        if expires < 0:
            raise click.UsageError("--expires is a duration such as 30m, 8h or 7d")
        return Terms(
            count=1 if self.count is None else self.count,
            expires_ms=expires,
            free=self.free,
            most=dict(_pair(each, "--most") for each in self.most),
            labels=self.labels or None,
        )


def options(function: Function) -> Function:
    """Add the options from which a `Wanted` is made."""
    for add in reversed(_OPTIONS):
        function = add(function)
    return function


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--edit",
        is_flag=False,
        flag_value=_EDITOR,
        default=None,
        metavar="FILE",
        help="Approve the arguments in FILE (- is standard input; alone: $EDITOR) instead.",
    ),
    click.option(
        "--set", "sets", multiple=True, metavar="PATH=JSON", help="Approve with one changed value."
    ),
    click.option("--once", is_flag=True, help="This action only, whatever others proposed."),
    click.option("--for-mission", is_flag=True, help="Further such actions of the mission, too."),
    click.option("--count", type=int, default=None, help="How many more (1)."),
    click.option("--expires", metavar="DURATION", default=None, help="For how long."),
    click.option("--any", "free", multiple=True, metavar="ARG", help="Any value of ARG will do."),
    click.option("--most", multiple=True, metavar="ARG=N", help="Any number up to N will do."),
    click.option(
        "--label", "labels", multiple=True, help="Only while the mission carries no other label."
    ),
)


def reach(terms: dict[str, Any]) -> str:
    """Say in words how far an exception (or the terms of one) reaches."""
    parts = [f"{terms['count']} more"] if "used" not in terms else []
    parts += [f"any {name}" for name in terms["free"]]
    parts += [f"{name} up to {most}" for name, most in terms["most"].items()]
    if terms.get("expires_ms"):
        parts.append(f"for {terms['expires_ms'] // 1000} s")
    if terms.get("labels") is not None:
        parts.append(f"labels within {', '.join(terms['labels'])}")
    return "; ".join(parts)


def _edited(source: str, before: str) -> str:
    if source == "-":
        return sys.stdin.read().strip()
    if source != _EDITOR:
        try:
            return Path(source).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise click.UsageError(f"{source} cannot be read as text") from problem
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("--edit alone needs a terminal: name a file, or - for input")
    # Laid out, and every number as it was written.
    text = click.edit(msgspec.json.format(before, indent=2), extension=".json")
    if text is None or not text.strip():
        raise click.UsageError("nothing was edited: approve without --edit, or deny")
    return text.strip()


def _with(text: str, sets: tuple[str, ...]) -> str:
    """Return the arguments with values set at their paths; every other number stays exact."""
    try:
        value = json.loads(text, parse_float=Decimal)
    except ValueError as problem:
        raise click.UsageError("the arguments are no JSON to set anything in") from problem
    for each in sets:
        path, new = _pair(each, "--set")
        _put(value, path, _value(path, new))
    return _encode(value).decode()


def _put(value: Any, path: str, new: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        value = cast("Any", value).get(name) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise click.UsageError(f"there is nothing to set at {path}: use --edit")
    value[last] = new


def _value(path: str, text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except ValueError as problem:
        hint = f"text needs quotes: --set '{path}=\"…\"'"
        raise click.UsageError(f"the value for {path} is no JSON; {hint}") from problem


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"{option} takes NAME=VALUE, not {text!r}")
    return name, value


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)
