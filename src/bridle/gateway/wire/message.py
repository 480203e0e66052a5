"""One line of MCP's stdio transport → a JSON-RPC message, or the reason it goes nowhere.

Read once and strictly, so that what is judged here cannot mean something else to whoever gets the
same bytes. Nothing is forwarded or answered here.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Any

import msgspec
from msgspec import Raw, Struct

from bridle.engine import strict_json
from bridle.engine.case import Refusal
from bridle.language.plain import is_object
from bridle.model.errors import BridleError

Id = str | int

LONGEST_FROM_CLIENT = 8 * 1024 * 1024
LONGEST_FROM_SERVER = 64 * 1024 * 1024
"""Bytes of one line. Arguments and results are bounded far below by the bundle's limits."""

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602

_KEYS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_METHOD = re.compile(r"[A-Za-z0-9_$./-]{1,128}")
_MOST_EXACT = 2**53 - 1
_LONGEST_ID = 256
# Line ends for some readers: of Python's `splitlines`, and of Node's `readline`.
_BREAKS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ANY_BREAK = re.compile("[\x85\u2028\u2029]")

_fields = msgspec.json.Decoder(dict[str, Raw])
_items = msgspec.json.Decoder(list[Raw])
_encode = msgspec.json.Encoder().encode


class MessageError(BridleError):
    """A line that is not passed on. `number` is the JSON-RPC code, `id` whom an answer would reach.

    `method` is what the line seems to ask for, where that much can be read.
    """

    code = "malformed"

    def __init__(self, message: str, number: int, *, id: Id | None = None, code: str = "") -> None:  # noqa: A002
        super().__init__(message, code=code or None)
        self.number = number
        self.id = id


class Kind(Enum):
    """What a message is."""

    REQUEST = "request"
    NOTIFICATION = "notification"
    RESPONSE = "response"


class Message(Struct, frozen=True):
    """A message and the very bytes it came as (`line`, without its end).

    `value` is the whole object as read, `id` is None for a notification.
    """

    kind: Kind
    line: bytes
    value: dict[str, Any]
    method: str = ""
    id: Id | None = None

    @property
    def key(self) -> str:
        """What its id is known by. Some readers take `1` and `"1"` for one; so does this."""
        return str(self.id)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters, empty where there are none."""
        found: Any = self.value.get("params")
        return found if is_object(found) else {}

    @property
    def meta(self) -> dict[str, Any]:
        """`params._meta`, empty where there is none."""
        found: Any = self.params.get("_meta")
        return found if is_object(found) else {}

    def raw(self, *path: str) -> bytes | None:
        """The bytes of a member, as they were written; None where it is absent."""
        found: bytes | None = self.line
        for name in path:
            found = member(found, name) if found is not None else None
        return found

    def replaced(self, value: bytes, *path: str) -> bytes:
        """The line with one member's value replaced; every other value keeps its bytes."""
        return replaced(self.line, value, *path)


def member(object_: bytes, name: str) -> bytes | None:
    """Return the text of one member of an object's text; None where it is absent."""
    part = _fields.decode(object_).get(name)
    return None if part is None else bytes(part)


def replaced(object_: bytes, value: bytes, *path: str) -> bytes:
    """Return an object's text with the member at `path` replaced; the others keep their bytes."""
    if not path:
        return value
    members = {name: bytes(part) for name, part in _fields.decode(object_).items()}
    members[path[0]] = replaced(members.get(path[0], b"{}"), value, *path[1:])
    return b"{" + b",".join(_encode(name) + b":" + text for name, text in members.items()) + b"}"


def items(array: bytes) -> list[bytes]:
    """Return the elements of an array's text, each as it was written."""
    return [bytes(part) for part in _items.decode(array)]


def array_of(elements: list[bytes]) -> bytes:
    """Return the text of an array of elements that are texts already."""
    return b"[" + b",".join(elements) + b"]"


def read(line: bytes, *, longest: int) -> Message:
    """Read a line (without its end). Raises `MessageError`."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise MessageError("the line is not UTF-8", PARSE_ERROR) from None
    # INVARIANT: I3 — a carriage return (or what some readers take for a line's end) would make two
    # messages of one for them, the second of which nobody has judged.
    if "\r" in text:
        raise MessageError("a carriage return within a message", PARSE_ERROR, id=_guessed(text))
    if not text.isascii() and _ANY_BREAK.search(text):
        text = _ANY_BREAK.sub(lambda found: _BREAKS[found[0]], text)
        line = text.encode()
    value: Any = strict_json.parse_result(text, size=longest, depth=strict_json.DEEPEST)
    if isinstance(value, Refusal):
        raise MessageError(value.text, PARSE_ERROR, id=_guessed(text), code=value.code)
    return _message(line, value)


def _message(line: bytes, value: Any) -> Message:
    if not is_object(value):
        what = "batches are not taken" if isinstance(value, list) else "a message is an object"
        raise MessageError(what, INVALID_REQUEST)
    found = _id(value)
    refused = _fault(value, found)
    if refused:
        answerable = found if "method" in value else None
        raise MessageError(refused, INVALID_REQUEST, id=answerable)
    kind = _kind(value)
    return Message(kind=kind, line=line, value=value, method=value.get("method", ""), id=found)


def _kind(value: dict[str, Any]) -> Kind:
    if "method" not in value:
        return Kind.RESPONSE
    return Kind.REQUEST if "id" in value else Kind.NOTIFICATION


def _fault(value: dict[str, Any], found: Id | None) -> str:
    """Say what is wrong with a message's envelope, if anything is."""
    # INVARIANT: I3 — no other key beside these: some readers fold case (`Method`), and then the
    # last one counts for them.
    if value.keys() - _KEYS:
        return "a key that JSON-RPC does not have"
    if value.get("jsonrpc") != "2.0":
        return "the message does not say jsonrpc 2.0"
    if "id" in value and found is None:
        return "the id is no short text and no exact integer"
    return _answer_fault(value) if "method" not in value else _call_fault(value)


def _answer_fault(value: dict[str, Any]) -> str:
    if "id" not in value:
        return "an answer without an id"
    if ("result" in value) == ("error" in value) or "params" in value:
        return "an answer has either a result or an error"
    part: Any = value["result"] if "result" in value else value["error"]
    return "" if is_object(part) else "the result or error is no object"


def _call_fault(value: dict[str, Any]) -> str:
    if "result" in value or "error" in value:
        return "a request with a result"
    if not isinstance(value["method"], str) or not _METHOD.fullmatch(value["method"]):
        return "the method is no plain name"
    if "params" in value and not is_object(value["params"]):
        return "the parameters are no object"
    return ""


def _id(value: dict[str, Any]) -> Id | None:
    found: Any = value.get("id")
    if isinstance(found, str) and len(found) <= _LONGEST_ID:
        return found
    # A larger integer is another one to whoever reads numbers as doubles.
    exact = isinstance(found, int) and not isinstance(found, bool) and abs(found) <= _MOST_EXACT
    return found if exact else None


def _guessed(text: str) -> Id | None:
    """The id of a request that cannot be read strictly, for an answer that says so."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _id(value) if is_object(value) and "method" in value else None


def guessed_answer(line: bytes) -> str | None:
    """What the request is known by that an unreadable line seems to answer, if it does."""
    try:
        value: Any = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    found = _id(value) if is_object(value) and "method" not in value else None
    return None if found is None else str(found)


def result(id: Id | None, value: bytes) -> bytes:  # noqa: A002
    """Return the line of an answer. `value` is the result's text."""
    return b'{"jsonrpc":"2.0","id":' + _encode(id) + b',"result":' + value + b"}"


def error(id: Id | None, number: int, text: str) -> bytes:  # noqa: A002
    """Return the line of a JSON-RPC error."""
    return _encode({"jsonrpc": "2.0", "id": id, "error": {"code": number, "message": text}})


def request(id: Id, method: str, params: bytes) -> bytes:  # noqa: A002
    """Return the line of a request of our own. `params` is the text of an object."""
    head = b'{"jsonrpc":"2.0","id":' + _encode(id)
    return head + b',"method":' + _encode(method) + b',"params":' + params + b"}"


def notification(method: str, params: dict[str, Any]) -> bytes:
    """Return the line of a notification of our own."""
    return _encode({"jsonrpc": "2.0", "method": method, "params": params})
