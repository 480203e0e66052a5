"""Keeps the catalogue true to the server: asks for its tools, and sees every list that passes.

Asking is answered later, by whoever reads the server's lines; nobody waits here but a call that
comes before the first list.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bridle.gateway.catalogue import Catalogue, definitions_of
from bridle.gateway.wire import message, methods
from bridle.gateway.wire.message import Message

_MOST_PAGES = 500
_PROTOCOL = "io.modelcontextprotocol/"

_encode = msgspec.json.Encoder().encode


class Definitions:
    """The server's list of tools, as far as it is known. Safe for threads.

    `ask` sends a `tools/list` with these parameters (a text) and calls back with its answer. With
    `everything`, clients are shown tools that the mission cannot use as well. What is older than
    `age` (seconds) is asked for again: not every server says that its tools have changed.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        ask: Callable[[bytes, Callable[[Message | None], None]], None],
        *,
        everything: bool = False,
        age: float = 60.0,
    ) -> None:
        self._catalogue = catalogue
        self._ask = ask
        self._everything = everything
        self._age = age
        self._seen_at = 0.0
        self._lock = threading.Lock()
        self._known = threading.Event()
        self._asked = False
        self._stale = False
        self._meta = b""

    def spoken(self, request: Message) -> None:
        """Note how the client presents itself, where each request has to say it (2026-07-28)."""
        if request.method == methods.INITIALIZE:
            self._meta = b""
        elif any(name.startswith(_PROTOCOL) for name in request.meta):
            self._meta = _own_meta(request)

    def begin(self) -> None:
        """Ask for the tools unless that has been done."""
        with self._lock:
            asked, self._asked = self._asked, True
        if not asked:
            self._page(_Round(), "")

    def changed(self) -> None:
        """What was known holds no longer. Ask anew."""
        # INVARIANT: I9 — from here on no call is judged by a definition from before.
        with self._lock:
            asking = self._asked and not self._known.is_set()
            self._known.clear()
            self._asked, self._stale = True, asking
        if not asking:
            self._page(_Round(), "")

    def wait(self, seconds: float) -> bool:
        """Whether the tools are known (and not too old), after at most so many seconds."""
        self.begin()
        if self._known.is_set():
            if time.monotonic() - self._seen_at <= self._age:
                return True
            self.changed()
        if self._known.wait(seconds):
            return True
        with self._lock:
            if not self._known.is_set():
                # INVARIANT: I9 — who does not say what its tools are now has none of those before.
                self._catalogue.define({})
        return self._known.is_set()

    def filtered(self, answer: Message) -> bytes:
        """Return the line of a client's list without the tools it may not see; see the list too."""
        result: dict[str, Any] = answer.value.get("result", {})
        # INVARIANT: I9 — a client that folds case would take `Tools` for the list, unseen here.
        if any(key != "tools" and key.casefold() == "tools" for key in result):
            raise ValueError("the server lists tools in an odd spelling")
        if methods.needed_by_answer(answer) != frozenset():
            raise ValueError("the server's answer is no list, or more than one")
        tools: Any = result.get("tools")
        if tools is None:
            return answer.line
        page = definitions_of(tools)
        self._catalogue.amend(page)
        shown = [self._shows(tool["name"], page) for tool in tools]
        if all(shown):
            return answer.line
        elements = message.items(answer.raw("result", "tools") or b"[]")
        kept = [text for text, show in zip(elements, shown, strict=True) if show]
        return answer.replaced(message.array_of(kept), "result", "tools")

    def _shows(self, wire: str, page: dict[str, str]) -> bool:
        return self._catalogue.shows(wire, page[wire], everything=self._everything)

    def _page(self, round_: _Round, cursor: str) -> None:
        members = [b'"_meta":' + self._meta] if self._meta else []
        members += [b'"cursor":' + _encode(cursor)] if cursor else []
        params = b"{" + b",".join(members) + b"}"
        self._ask(params, lambda answer: self._seen(round_, answer))

    def _seen(self, round_: _Round, answer: Message | None) -> None:
        try:
            cursor = round_.add(answer)
        except ValueError:
            # INVARIANT: I2 — of a list that cannot be read, nothing counts as defined.
            round_.definitions, cursor = {}, ""
        if cursor:
            self._page(round_, cursor)
            return
        with self._lock:
            again, self._stale = self._stale, False
            if not again:
                self._catalogue.define(round_.definitions)
                self._seen_at = time.monotonic()
                self._known.set()
        if again:
            # The list has changed while it was being read. One walk at a time, however often.
            self._page(_Round(), "")


class _Round:
    """One walk through all pages."""

    def __init__(self) -> None:
        self.definitions: dict[str, str] = {}
        self._cursors: set[str] = set()

    def add(self, answer: Message | None) -> str:
        """Take a page; return the cursor of the next one. Raises `ValueError`."""
        found: Any = answer.value.get("result") if answer is not None else None
        if found is None:
            raise ValueError("the server gave no list")
        self.definitions = definitions_of(found.get("tools"), self.definitions)
        cursor: Any = found.get("nextCursor")
        if cursor is None:
            return ""
        if not isinstance(cursor, str) or cursor in self._cursors:
            raise ValueError("the server's pages have no end")
        self._cursors.add(cursor)
        if len(self._cursors) > _MOST_PAGES:
            raise ValueError("the server has too many pages")
        return cursor


def _own_meta(request: Message) -> bytes:
    """The client's own account of itself, without what belongs to one request alone."""
    raw = request.raw("params", "_meta") or b"{}"
    kept = [
        _encode(name) + b":" + text
        for name in request.meta
        if name.startswith(_PROTOCOL) and (text := message.member(raw, name)) is not None
    ]
    return b"{" + b",".join(kept) + b"}"
