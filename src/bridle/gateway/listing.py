"""What tools an MCP server has: starts it, asks for `tools/list`, ends it. Judges nothing.

Just enough of a client for that (Model Context Protocol over stdio, revisions to 2025-11-25 with
their handshake, 2026-07-28 without one). Calls no tool.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Any

from msgspec import Struct

from bridle.bundle.definition import MAX_BYTES, definition_digest
from bridle.gateway.wire import message
from bridle.gateway.wire.child import Child, ServerError
from bridle.gateway.wire.lines import BrokenPipe, LineReader, LineTooLongError, LineWriter
from bridle.gateway.wire.message import Kind, Message, MessageError
from bridle.language.plain import is_array, is_object

HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"

MAX_PAGES = 200

_MOST_CHATTER = 10_000  # lines that answer nothing
_GRACE = 2.0
_PREFIX = "io.modelcontextprotocol/"
_CLIENT = {"name": "bridle", "version": "1"}


class Listed(Struct, frozen=True):
    """A server's name and version as it gives them, and its definitions in its own order."""

    name: str
    version: str
    revision: str
    tools: tuple[dict[str, Any], ...]


def list_tools(command: Sequence[str], *, timeout: float = 60.0) -> Listed:
    """Start a server (in the current folder and environment) and return its tools.

    `timeout` (seconds) bounds the whole conversation. Raises `ServerError`.
    """
    with tempfile.TemporaryFile() as said, contextlib.ExitStack() as ends:
        child = Child(command, said)
        ends.callback(child.close)
        ends.callback(child.stop, _GRACE)
        late = threading.Event()

        def give_up() -> None:
            late.set()
            child.kill()

        clock = threading.Timer(timeout, give_up)
        clock.daemon = True
        clock.start()
        try:
            return _Conversation(child).listed()
        except ServerError as problem:
            why = f"no answer within {timeout:g} s" if late.is_set() else problem.message
            raise ServerError(f"{command[0]}: {why}", hint=_last_words(said)) from None
        finally:
            clock.cancel()


def _last_words(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - 2_000))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return "\n".join(["the server's last words:", *lines[-8:]]) if lines else ""


class _Conversation:
    """The questions, one after the other; what the server says in between is not for us."""

    def __init__(self, child: Child) -> None:
        self._reader = LineReader(child.stdout, message.LONGEST_FROM_SERVER)
        self._writer = LineWriter(child.stdin)
        self._asked = 0
        self._meta: dict[str, Any] = {}

    def listed(self) -> Listed:
        try:
            info, revision = self._greeted()
            tools = tuple(self._tools())
        except BrokenPipe:
            raise ServerError("the server has ended") from None
        return Listed(_text(info, "name"), _text(info, "version"), revision, tools)

    def _greeted(self) -> tuple[Any, str]:
        params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": _CLIENT}
        answer = self._ask("initialize", params)
        if "error" not in answer.value:
            result = answer.value["result"]
            self._send(message.notification("notifications/initialized", {}))
            return result.get("serverInfo"), _text(result, "protocolVersion")
        self._meta = {
            "_meta": {
                f"{_PREFIX}protocolVersion": STATELESS,
                f"{_PREFIX}clientInfo": _CLIENT,
                f"{_PREFIX}clientCapabilities": {},
            }
        }
        found = self._ask("server/discover", {})
        result = found.value.get("result", {})
        told = result.get("_meta")
        info = told.get(f"{_PREFIX}serverInfo") if is_object(told) else None
        return info or result.get("serverInfo"), STATELESS

    def _tools(self) -> Iterator[dict[str, Any]]:
        size, names, cursor = 0, set[str](), ""
        for _ in range(MAX_PAGES):
            answer = self._ask("tools/list", {"cursor": cursor} if cursor else {})
            for raw in _page(answer):
                size += len(raw)
                tool = _definition(raw)
                if tool["name"] in names or size > MAX_BYTES:
                    raise ServerError(_unusable(tool["name"], names))
                names.add(tool["name"])
                yield tool
            cursor = _text(answer.value["result"], "nextCursor")
            if not cursor:
                return
        raise ServerError("its list of tools has no end")

    def _ask(self, method: str, params: dict[str, Any]) -> Message:
        self._asked += 1
        text = json.dumps({**params, **self._meta}).encode()
        self._send(message.request(self._asked, method, text))
        for _ in range(_MOST_CHATTER):
            answer = self._next()
            if answer is None:
                continue
            if answer.kind is Kind.RESPONSE and answer.id == self._asked:
                return answer
            if answer.kind is Kind.REQUEST:
                self._answer(answer)
        raise ServerError("it talks, and does not answer")

    def _next(self) -> Message | None:
        """Read a message; None for a line that does not look like one."""
        try:
            line = self._reader.next()
        except LineTooLongError as error:
            raise ServerError(f"it cannot be read: {error.message}") from None
        if line is None:
            raise ServerError("the server has ended")
        if not line.lstrip().startswith(b"{"):
            return None
        try:
            return message.read(line, longest=message.LONGEST_FROM_SERVER)
        except MessageError as error:
            raise ServerError(f"it cannot be read: {error.message}") from None

    def _answer(self, asked: Message) -> None:
        if asked.method == "ping":
            self._send(message.result(asked.id, b"{}"))
        else:
            self._send(message.error(asked.id, message.METHOD_NOT_FOUND, "not available"))

    def _send(self, line: bytes) -> None:
        self._writer.write(line)


def _page(answer: Message) -> list[bytes]:
    error = answer.value.get("error")
    if error is not None:
        raise ServerError(f"it does not list its tools: {_text(error, 'message')[:200]}")
    if not is_array(answer.value["result"].get("tools")):
        raise ServerError("its answer is no list of tools")
    return message.items(answer.raw("result", "tools") or b"[]")


def _definition(raw: bytes) -> dict[str, Any]:
    tool: Any = json.loads(raw)
    if not is_object(tool) or not isinstance(tool.get("name"), str):
        raise ServerError("it lists a tool without a name")
    try:
        definition_digest(tool)
    except ValueError as error:
        raise ServerError(f"its definition of {tool['name'][:80]!r}: {error}") from None
    return tool


def _unusable(name: str, names: set[str]) -> str:
    if name in names:
        return f"it lists {name[:80]!r} twice, and nobody can say which one a call would reach"
    return f"its definitions have more than {MAX_BYTES:,} bytes"


def _text(value: Any, key: str) -> str:
    found = value.get(key) if is_object(value) else None
    return found if isinstance(found, str) else ""
