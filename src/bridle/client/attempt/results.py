"""Results between Python and the wire: encoded for judging, decoded when the governor rewrote them.

A result that JSON cannot carry is `opaque`: the governor is told that there was one, and judges it
without seeing it. Iterators are drained here, within a bound, because a result that still runs
cannot be judged.
"""

from __future__ import annotations

import inspect
import io
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, TypeGuard, cast

import msgspec

from bridle.client.errors import Denied
from bridle.model.errors import NotReachedError, ProtocolError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import ReasonCode

# Bytes of a drained iterator where the governor states no other limit.
RESULT_BYTES = 1_048_576
# Larger results do not fit into a frame beside their envelope and are judged unseen.
_MAX_OUTPUT = 3 * 1024 * 1024
# A character takes at most so many bytes of JSON text: a control character, as an escape.
_WIDEST = 6
# What an item that JSON cannot carry counts against the bound.
_OPAQUE_ITEM = 1_024
_MAX_CODE = 200
_MAX_MESSAGE = 2_000


def outcome_of(value: Any) -> Outcome:
    """Return the outcome `ok` with `value` as its output, opaque where JSON cannot carry it.

    Of a text too large for a frame the beginning goes along, so that the bundle's limit on results
    holds for it as for any other.
    """
    if value is None:
        return Outcome(OutcomeKind.OK)
    text = encode(value)
    if text is None:
        return Outcome(OutcomeKind.OK, opaque=True)
    sent = fitting(text)
    return Outcome(OutcomeKind.OK, output=sent, opaque=sent != text)


def error_of(problem: BaseException) -> Outcome:
    """Return the outcome of an effect that raised: the exception's own code, or its class.

    A `NotReachedError` says that nothing has happened.
    """
    code = getattr(problem, "code", None)
    if not isinstance(code, str) or not code:
        code = type(problem).__name__
    kind = OutcomeKind.ERROR if isinstance(problem, Exception) else OutcomeKind.UNKNOWN
    if isinstance(problem, NotReachedError):
        kind = OutcomeKind.NOT_STARTED
    return Outcome(kind, error=_clean(code)[:_MAX_CODE], message=_text(problem)[:_MAX_MESSAGE])


def encode(value: Any) -> str | None:
    """Return `value` as JSON text, or None where JSON cannot carry it."""
    try:
        return msgspec.json.encode(value, enc_hook=_hook).decode()
    except Exception:
        # Foreign objects run their own code here; whatever it raises means "not encodable".
        return None


def decode(text: str) -> Any:
    """Return what a released output holds. Raises `ProtocolError` when it is not JSON."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ProtocolError("the released result is not JSON") from problem


def drained(result: Any, limit: int, action: str = "") -> Any:
    """Return `result`, an iterator as a list; `Denied` (`limit_exceeded`) past `limit` bytes."""
    if not is_iterator(result):
        return result
    tally = _Tally(limit, action)
    try:
        for item in result:
            tally.add(item)
    finally:
        _close(result)
    return tally.items


async def adrained(result: AsyncIterator[Any], limit: int, action: str = "") -> list[Any]:
    """Return the items of an async iterator. Raises as `drained` does."""
    tally = _Tally(limit, action)
    try:
        async for item in result:
            tally.add(item)
    finally:
        close = getattr(result, "aclose", None)
        if close is not None:
            await close()
    return tally.items


def items_of(value: Any) -> list[Any]:
    """Return the items of a drained result; whatever it was rewritten into is the only item."""
    return value if _is_list(value) else [value]


def is_iterator(result: Any) -> TypeGuard[Iterator[Any]]:
    """Whether `result` still has to run to yield its items. Open files are no such results."""
    return isinstance(result, Iterator) and not isinstance(result, io.IOBase)


def is_async_iterator(result: Any) -> TypeGuard[AsyncIterator[Any]]:
    """Whether `result` still has to run, in an event loop, to yield its items."""
    return isinstance(result, AsyncIterator)


def is_async(result: Any) -> bool:
    """Whether `result` needs an event loop: an awaitable or an async iterator."""
    return inspect.isawaitable(result) or isinstance(result, AsyncIterator)


class _Tally:
    """Items and their size so far."""

    def __init__(self, limit: int, action: str) -> None:
        self.items: list[Any] = []
        self._left = limit
        self._action = action

    def add(self, item: Any) -> None:
        text = encode(item)
        self._left -= _OPAQUE_ITEM if text is None else len(text.encode()) + 1
        if self._left < 0:
            raise Denied(
                "the result has more bytes than may be held back for judging",
                code=ReasonCode.LIMIT_EXCEEDED.value,
                action=self._action,
                hint="yield less, raise limits.result_bytes, or use stream=True where no rule "
                "judges this tool's results",
            )
        self.items.append(item)


def fitting(text: str) -> str:
    """Return the text, or as much of it as a frame carries, where quotes and others are escaped."""
    if len(text) * _WIDEST + 2 <= _MAX_OUTPUT:
        return text
    while (size := len(msgspec.json.encode(text))) > _MAX_OUTPUT:
        text = text[: min(len(text) * _MAX_OUTPUT // size, len(text) - 1)]
    return text


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _close(result: Any) -> None:
    close = getattr(result, "close", None)
    if close is not None:
        close()


def _hook(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, Mapping):
        return dict(cast("Iterable[tuple[Any, Any]]", value.items()))
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, deque | range):
        return list(cast("deque[Any]", value))
    raise NotImplementedError(type(value).__name__)


def _text(problem: BaseException) -> str:
    try:
        return _clean(str(problem))
    except Exception:
        return ""


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
