"""Applies `@modify` operators to a value. Pure: the input is never changed, the result is new.

A path that leads nowhere changes nothing, except that `set` gives an object that is there a
property that is not. An operator that meets a value of another type raises `RemedyError`; whoever
judges turns that into a denial. The result is not trusted: it is encoded, read and judged again
like input from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from bridle.engine.detect import UNSEARCHED, Detectors, Expression, PatternError, Span
from bridle.language.plain import is_array, is_object
from bridle.language.remedy import (
    Clamp,
    Drop,
    Mask,
    Modify,
    Redact,
    Replace,
    SetTo,
    Truncate,
)
from bridle.model.errors import BridleError

ELEMENTS = "[]"
REDACTION_ROUNDS = 8
"""How often a text is searched again after redaction; then it is replaced as a whole."""

_Change = Callable[[Any], Any]


class RemedyError(BridleError):
    """An operator that cannot be applied to the value it met. Its message names no value."""

    code = "remedy_failed"


def apply(ops: Iterable[Modify], root: str, value: Any, detectors: Detectors) -> Any:
    """Return `value` after every operator, in order.

    `root` is what the paths start from (`input` or `output`). Raises `RemedyError`.
    """
    for op in ops:
        if op.path.root != root:
            raise RemedyError(f"the path {op.path} does not start at {root}")
        if isinstance(op, Drop):
            value = _drop(value, op.path.steps, op)
        else:
            value = _at(value, op.path.steps, _change(op, detectors), op)
    return value


# --- walking ------------------------------------------------------------------------------------


def _at(value: Any, steps: tuple[str, ...], change: _Change, op: Modify) -> Any:
    """Return a copy with `change` applied to everything that the steps lead to."""
    if not steps:
        return change(value)
    if value is None:
        return None
    step, rest = steps[0], steps[1:]
    if step == ELEMENTS:
        return [_at(item, rest, change, op) for item in _list(value, op)]
    members = _object(value, op)
    if step not in members:
        return {**members, step: change(None)} if isinstance(op, SetTo) and not rest else members
    return {k: _at(v, rest, change, op) if k == step else v for k, v in members.items()}


def _drop(value: Any, steps: tuple[str, ...], op: Modify) -> Any:
    if value is None:
        return None
    if not steps:
        raise RemedyError(f"{op.path} as a whole cannot be dropped")
    step, rest = steps[0], steps[1:]
    if step == ELEMENTS:
        items = _list(value, op)
        return [_drop(item, rest, op) for item in items] if rest else []
    members = _object(value, op)
    if not rest:
        return {k: v for k, v in members.items() if k != step}
    return {k: _drop(v, rest, op) if k == step else v for k, v in members.items()}


def _list(value: Any, op: Modify) -> list[Any]:
    if is_array(value):
        return value
    raise _unfit(op, "array")


def _object(value: Any, op: Modify) -> dict[str, Any]:
    if is_object(value):
        return value
    raise _unfit(op, "object")


def _unfit(op: Modify, wanted: str) -> RemedyError:
    return RemedyError(f"{type(op).__name__.lower()} {op.path}: there is no {wanted} here")


# --- operators ----------------------------------------------------------------------------------


def _change(op: Modify, detectors: Detectors) -> _Change:
    if isinstance(op, SetTo):
        return lambda _: op.value
    if isinstance(op, Clamp):
        return lambda value: _clamp(value, op)
    if isinstance(op, Truncate):
        return lambda value: _truncate(value, op)
    if isinstance(op, Mask):
        return lambda value: _mask(value, op)
    if isinstance(op, Redact):
        return lambda value: _redact(value, op, detectors)
    if isinstance(op, Replace):
        return lambda value: _replace(value, op)
    raise RemedyError(f"there is no operator {type(op).__name__}")


def _clamp(value: Any, op: Clamp) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _unfit(op, "number")
    # Integers and decimals compare exactly, whatever their size.
    if op.low is not None and op.high is not None and op.low > op.high:
        raise RemedyError(f"clamp {op.path}: the range is empty")
    if op.low is not None and value < op.low:
        return op.low
    return op.high if op.high is not None and value > op.high else value


def _truncate(value: Any, op: Truncate) -> Any:
    if value is None:
        return None
    if isinstance(value, str) or is_array(value):
        return value[: op.length]
    raise _unfit(op, "text or array")


def _mask(value: Any, op: Mask) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _unfit(op, "text")
    hidden = max(0, len(value) - op.keep)
    return "*" * hidden + value[hidden:]


def _replace(value: Any, op: Replace) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _unfit(op, "text")
    made: list[str] = []
    done = 0
    for start, end in _compiled(op.pattern).text_spans(value):
        made += (value[done:start], op.text)
        done = end
    return "".join((*made, value[done:]))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Expression:
    try:
        return Expression(pattern)
    except PatternError as e:
        raise RemedyError(f"a pattern of `replace` cannot be used: {e}") from e


# --- redaction ----------------------------------------------------------------------------------


def _redact(value: Any, op: Redact, detectors: Detectors) -> Any:
    """Redact every text at and below a place, the keys of objects included."""
    if isinstance(value, str):
        return redact_text(value, op.detectors, detectors)
    if is_array(value):
        return [_redact(item, op, detectors) for item in value]
    if is_object(value):
        made = {
            redact_text(key, op.detectors, detectors): _redact(item, op, detectors)
            for key, item in value.items()
        }
        if len(made) != len(value):
            raise RemedyError(f"redact {op.path}: two keys become the same")
        return made
    return value


def redact_text(text: str, names: tuple[str, ...], detectors: Detectors) -> str:
    """Replace every find by `[redacted:<detector>]`, until nothing is found any more.

    Overlapping finds are one, named after the first. Where pieces that are left keep joining into
    new finds, or the text cannot be searched in full, the whole text is replaced.
    """
    rounds = 0
    while spans := detectors.find(text, names):
        rounds += 1
        if rounds > REDACTION_ROUNDS or any(s.detector == UNSEARCHED for s in spans):
            return f"[redacted:{min(names)}]"
        text = _without(text, spans)
    return text


def _without(text: str, spans: list[Span]) -> str:
    made: list[str] = []
    done = 0
    for start, end, name in _merged(spans):
        made += (text[done:start], f"[redacted:{name}]")
        done = end
    return "".join((*made, text[done:]))


def _merged(spans: list[Span]) -> list[tuple[int, int, str]]:
    """Unite overlapping spans. The widest of those that start first gives its name."""
    merged: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end, s.detector)):
        if merged and span.start < merged[-1][1]:
            start, end, name = merged[-1]
            merged[-1] = (start, max(end, span.end), name)
        else:
            merged.append((span.start, span.end, span.detector))
    return merged
