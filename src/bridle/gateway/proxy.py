"""The proxy between one client and one server: what passes, what is judged, what is refused.

Works on lines; reads and writes nothing by itself beyond the writers it is given.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from bridle.client.access import Access
from bridle.gateway.calling import call as tool_call
from bridle.gateway.calling.call import Call, State
from bridle.gateway.calling.calls import Calls
from bridle.gateway.catalogue import Catalogue
from bridle.gateway.definitions import Definitions
from bridle.gateway.wire import message, methods
from bridle.gateway.wire.lines import BrokenPipe, Job, LineWriter
from bridle.gateway.wire.message import Id, Kind, Message, MessageError

_LIST_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_MOST_LATE = 1_000
_MOST_PENDING = 10_000
_SERVER_ENDED = -32_000

Tell = Callable[[str], None]


class Rules(Struct, frozen=True, kw_only=True):
    """What an operator has settled: groups of methods that pass, what lists show, how long to wait.

    `wait` is in seconds.
    """

    passes: frozenset[str] = frozenset()
    everything: bool = False
    wait: float = 0.0


class Asked(Struct, frozen=True):
    """A request that was passed on (or, with `then`, one of our own): its answer is awaited."""

    id: Id
    method: str
    then: Callable[[Message | None], None] | None = None


class Proxy:
    """Takes lines of both sides.

    `from_client` and `from_server` run in order; what they return may run beside other calls.
    `tell` gets a word about each line that was dropped; it never repeats what the line said.
    """

    def __init__(  # noqa: PLR0913 - all but one by name
        self,
        access: Access,
        catalogue: Catalogue,
        *,
        client: LineWriter,
        server: LineWriter,
        rules: Rules,
        tell: Tell,
    ) -> None:
        self._client = client
        self._server = server
        self._passes = rules.passes
        self._tell = tell
        self._lock = threading.Lock()
        self._pending: dict[str, Asked | Call] = {}
        self._late: dict[str, Call | None] = {}
        self._of_server: set[str] = set()
        self._calls: set[Call] = set()
        self._drained = threading.Condition(self._lock)
        self._own = f"bridle-{os.urandom(8).hex()}-"
        self._count = 0
        self.definitions = Definitions(catalogue, self._ask_for_tools, everything=rules.everything)
        self.calls = Calls(
            access,
            catalogue=catalogue,
            client=client,
            server=server,
            answered=self._answered,
            finished=self._finished,
            wait=rules.wait,
            passes=rules.passes,
        )

    # --- from the client -------------------------------------------------------------------------

    def from_client(self, line: bytes) -> Job | None:
        """Take a line of the client."""
        try:
            found = message.read(line, longest=message.LONGEST_FROM_CLIENT)
        except MessageError as refused:
            self._tell(f"a line of the client was refused: {refused.message}")
            self._decline(refused.id, refused.number, refused.message)
            return None
        if found.kind is Kind.REQUEST:
            return self._request(found)
        if found.kind is Kind.RESPONSE:
            self._response_to_server(found)
            return None
        return self._notification(found)

    def oversized(self, why: str) -> None:
        """A line of the client was too long to be read at all."""
        self._decline(None, message.INVALID_REQUEST, why)

    def _request(self, found: Message) -> Job | None:
        self.definitions.spoken(found)
        if found.method == methods.CALL:
            return self._call(found)
        needed = methods.needed_by_client(found)
        if not self._lets(needed):
            self._decline(found.id, message.METHOD_NOT_FOUND, _refusal(found.method, needed))
        elif self._expect(found, Asked(_known(found.id), found.method)):
            self._to_server(found.line)
        return None

    def _call(self, found: Message) -> Job | None:
        fault = tool_call.fault(found, passes=self._passes)
        if fault:
            self._decline(found.id, message.INVALID_PARAMS, fault)
            return None
        call = Call(found)
        if not self._expect(found, call):
            return None
        with self._lock:
            self._calls.add(call)
        return partial(self._run, call)

    def _run(self, call: Call) -> None:
        # Without a list no tool is the one that was pinned, and the governor says so.
        self.definitions.wait(_LIST_SECONDS)
        self.calls.run(call)

    def _expect(self, found: Message, entry: Asked | Call) -> bool:
        """Note that an answer will come; refuse an id that is in use, or could be one of ours."""
        # INVARIANT: I3 — one id, one request: no answer can be taken for that to another.
        with self._lock:
            taken = found.key in self._pending or found.key in self._late
            full = len(self._pending) >= _MOST_PENDING
            if not taken and not full and not found.key.startswith(self._own):
                self._pending[found.key] = entry
                return True
        why = "too many requests are in flight" if full else "this id is in use"
        self._decline(found.id, message.INVALID_REQUEST, why)
        return False

    def _notification(self, found: Message) -> Job | None:
        if not self._lets(methods.needed_by_notification(found, of_client=True)):
            self._tell(f"a message without an id was dropped: {_shown(found.method)}")
            return None
        if found.method == methods.CANCELLED:
            return self._cancel(found)
        self._to_server(found.line)
        if found.method == methods.INITIALIZED:
            self.definitions.begin()
        return None

    def _cancel(self, found: Message) -> Job | None:
        key = str(found.params.get("requestId"))
        with self._lock:
            entry = self._pending.get(key)
            if entry is None or (isinstance(entry, Asked) and entry.then is not None):
                return None
            if len(self._late) >= _MOST_LATE:
                # INVARIANT: I3 — an id is not free before its answer has come: it would be taken
                # for that to the next call. So this one goes on.
                self._tell("too many cancelled requests are unanswered")
                return None
        told = self.calls.cancel(entry) if isinstance(entry, Call) else True
        if not told:
            return None
        with self._lock:
            self._pending.pop(key, None)
            self._late[key] = entry if isinstance(entry, Call) else None
        self._to_server(found.line)
        return partial(self.calls.cancelled, entry) if isinstance(entry, Call) else None

    def _response_to_server(self, found: Message) -> None:
        with self._lock:
            expected = found.key in self._of_server
            self._of_server.discard(found.key)
        if expected:
            self._to_server(found.line)
        else:
            self._tell("an answer to nothing was dropped")

    # --- from the server -------------------------------------------------------------------------

    def from_server(self, line: bytes) -> Job | None:
        """Take a line of the server."""
        line = self.calls.credentials.scrubbed(line)
        try:
            found = message.read(line, longest=message.LONGEST_FROM_SERVER)
            self.calls.credentials.require_none(found)
        except MessageError as refused:
            self._tell(f"a line of the server was dropped: {refused.message}")
            return self._unreadable(line, refused)
        if found.kind is Kind.RESPONSE:
            return self._response(found)
        if found.kind is Kind.REQUEST:
            self._ask_client(found)
        elif not self._lets(methods.needed_by_notification(found, of_client=False)):
            self._tell(f"a message of the server was dropped: {_shown(found.method)}")
        else:
            if found.method == methods.TOOLS_CHANGED:
                self.definitions.changed()
            self._to_client(found.line)
        return None

    def _response(self, found: Message) -> Job | None:
        with self._lock:
            entry = self._pending.get(found.key)
            if isinstance(entry, Asked):
                del self._pending[found.key]
            elif entry is None and found.key in self._late:
                entry = self._late.pop(found.key)
        if isinstance(entry, Call):
            return self._outcome(entry, found)
        if isinstance(entry, Asked):
            return self._pass_back(entry, found)
        self._tell("an answer of the server to nothing was dropped")
        return None

    def _outcome(self, call: Call, found: Message) -> Job | None:
        if call.takes():
            return partial(self.calls.settle, call, found)
        if call.state is State.CANCELLED:
            return partial(self.calls.late, call, found)
        # INVARIANT: I2 — the server cannot know this call yet, so this is no answer to it.
        self._tell("an answer of the server to a call it was not sent was dropped")
        return None

    def _pass_back(self, asked: Asked, found: Message) -> Job | None:
        if asked.then is not None:
            asked.then(found)
            return None
        if asked.method == methods.LIST and "result" in found.value:
            return partial(self._list, found)
        needed = methods.needed_by_answer(found)
        if needed is None or not needed <= self._passes:
            self._tell(f"an answer to {_shown(asked.method)} was withheld")
            text = "Bridle withholds the server's answer: it wants input, or became a task"
            self._to_client(message.error(asked.id, _SERVER_ENDED, text))
        else:
            self._to_client(found.line)
        return None

    def _list(self, found: Message) -> None:
        try:
            # A page alone does not show that a later one lists the same name again.
            self.definitions.wait(_LIST_SECONDS)
            self.calls.refresh()
            line = self.definitions.filtered(found)
        except Exception as problem:
            # INVARIANT: I2 — a list that cannot be looked through is not shown.
            self._tell(f"a list of tools was withheld: {type(problem).__name__}")
            text = "Bridle could not look through the list of tools"
            line = message.error(found.id, _SERVER_ENDED, text)
        self._to_client(line)

    def _unreadable(self, line: bytes, refused: MessageError) -> Job | None:
        """A line that nobody can read for sure ends the call it may be the answer to."""
        key = message.guessed_answer(line)
        with self._lock:
            entry = self._pending.get(key) if key is not None else None
        if isinstance(entry, Call):
            why = f"The server's answer cannot be read ({refused.message})"
            return partial(self.calls.lose, [entry], "unreadable", why)
        if isinstance(entry, Asked):
            self._fail(entry, f"the server's answer cannot be read ({refused.message})")
        return None

    def _ask_client(self, found: Message) -> None:
        needed = methods.needed_by_server(found)
        if not self._lets(needed):
            self._tell(f"a request of the server was refused: {_shown(found.method)}")
            number, text = message.METHOD_NOT_FOUND, _refusal(found.method, needed)
            self._to_server(message.error(found.id, number, text))
            return
        with self._lock:
            if len(self._of_server) >= _MOST_LATE:
                self._tell("too many requests of the server are open")
                return
            self._of_server.add(found.key)
        self._to_client(found.line)

    # --- the ends --------------------------------------------------------------------------------

    def drained(self, seconds: float, *states: State) -> bool:
        """Whether nothing is left to do about calls (in these states), after at most so long.

        A call that waits for a human is not waited for: nobody is there for the answer.
        """
        until = time.monotonic() + seconds
        with self._lock:
            while self._busy(states) and (left := until - time.monotonic()) > 0:
                # The end of a call is told; that it has only come further is not.
                self._drained.wait(min(left, _LOOK_SECONDS))
            return not self._busy(states)

    def server_ended(self, why: str) -> None:
        """The server will answer nothing more: say so to everybody who waits."""
        self.calls.stop()
        # A call that is stuck on its way to a server that does not read could not be ended.
        self._server.close()
        with self._lock:
            entries = list(self._pending.values())
        self.calls.lose((e for e in entries if isinstance(e, Call)), "server_ended", why)
        for entry in entries:
            if not isinstance(entry, Call):
                self._fail(entry, why)

    def _busy(self, states: tuple[State, ...]) -> list[Call]:
        left = (call for call in self._calls if not call.waits)
        return [call for call in left if not states or call.state in states]

    def _fail(self, asked: Asked, why: str) -> None:
        with self._lock:
            self._pending.pop(str(asked.id), None)
        if asked.then is not None:
            asked.then(None)
        else:
            self._to_client(message.error(asked.id, _SERVER_ENDED, why))

    def _answered(self, call: Call) -> None:
        with self._lock:
            if self._pending.get(call.message.key) is call:
                del self._pending[call.message.key]

    def _finished(self, call: Call) -> None:
        with self._lock:
            self._calls.discard(call)
            self._drained.notify_all()

    # --- writing ---------------------------------------------------------------------------------

    def _ask_for_tools(self, params: bytes, then: Callable[[Message | None], None]) -> None:
        with self._lock:
            self._count += 1
            asked = Asked(f"{self._own}{self._count}", methods.LIST, then)
            self._pending[str(asked.id)] = asked
        try:
            self._server.write(message.request(asked.id, methods.LIST, params))
        except BrokenPipe:
            self._fail(asked, "the server has ended")

    def _to_server(self, line: bytes) -> None:
        try:
            self._server.write(line)
        except BrokenPipe:
            return  # the end of its output says the same, and is acted upon

    def _to_client(self, line: bytes) -> None:
        try:
            self._client.write(line)
        except BrokenPipe:
            return  # likewise

    def _lets(self, needed: str | None) -> bool:
        """Whether what needs a group (empty: none, None: it never passes) may pass."""
        return needed is not None and (not needed or needed in self._passes)

    def _decline(self, id: Id | None, number: int, text: str) -> None:  # noqa: A002
        with self._lock:
            in_use = str(id) in self._pending
        # With an id that is in use it would be taken for the answer to the request in flight.
        answered = None if in_use else id
        self._to_client(message.error(answered, number, f"Bridle refuses this: {text}"))


def _known(id: Id | None) -> Id:  # noqa: A002
    assert id is not None
    return id


def _refusal(method: str, needed: str | None) -> str:
    if needed is None:
        return f"{_shown(method)} is not governed yet and does not pass"
    return f"{_shown(method)} is not governed; an operator lets it pass with --pass {needed}"


def _shown(method: str) -> str:
    return method[:64]
