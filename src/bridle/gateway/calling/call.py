"""One `tools/call` in flight: what it asks, how far it has come, and what its answer means.

judging → running → over; judging → over; running → cancelled.
"""

from __future__ import annotations

import threading
from enum import Enum
from functools import cached_property
from typing import Any

import msgspec

from bridle.client.attempt import results
from bridle.client.attempt.gate import Intent, Started
from bridle.client.transport.channel import Channel
from bridle.gateway.calling import credentials, repeats
from bridle.gateway.wire import methods
from bridle.gateway.wire.message import Message
from bridle.model.calls import Decide
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Release, Verdict

_KNOWN = frozenset({"name", "arguments", "_meta"})
_CONTINUES = frozenset({"inputResponses", "requestState"})
_TASK = "task"
_FOLDED = frozenset(key.casefold() for key in (*_KNOWN, *_CONTINUES, _TASK))

_encode = msgspec.json.Encoder().encode


class State(Enum):
    """How far a call has come. Only a running one can be answered by the server."""

    JUDGING = "judging"
    RUNNING = "running"
    CANCELLED = "cancelled"
    OVER = "over"


class Attempt:
    """A started attempt: what the verdict lets run, and the lease to be kept alive meanwhile."""

    def __init__(self, channel: Channel, intent: Intent, verdict: Verdict) -> None:
        self.verdict = verdict
        self._channel = channel
        self._intent = intent
        self._started = Started(channel, intent, verdict)
        # Key of `_meta` and value; kept for the call that goes on with it, and shown to nobody.
        self.credential: tuple[str, str] | None = None

    def keep_alive(self) -> None:
        """Renew the lease until `let_go`."""
        if self._started.pulse.over:
            self._started = Started(self._channel, self._intent, self.verdict)
        self._started.pulse.start()

    def let_go(self) -> None:
        """Renew the lease no longer."""
        self._started.pulse.stop()

    def may_go_on(self, definition: str) -> bool:
        """Whether the governor lets it run still, and its tool is defined as when it was judged."""
        call, pulse = self._intent.call, self._started.pulse
        same = isinstance(call, Decide) and call.definition == definition
        return same and pulse.beat() and not pulse.lost

    def report(self, outcome: Outcome) -> Release:
        """Report the outcome. Raises `UnreachableError` when it did not arrive."""
        return self._started.report(outcome)

    def abandon(self) -> None:
        """Report that the server was never asked. Never raises."""
        self._started.abandoned()


class Call:
    """A call, from its request to its answer. `lock` guards the change from state to state."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.wire = str(message.params["name"])
        raw = message.raw("params", "arguments")
        self.args = "{}" if raw is None else raw.decode()
        self.lock = threading.Lock()
        self.state = State.JUDGING
        # Only humans can bring it further: nobody waits for it who leaves.
        self.waits = False
        self.attempt: Attempt | None = None

    @cached_property
    def sameness(self) -> str:
        """What it has in common with calls that mean the same."""
        return repeats.sameness(self.wire, self.message.params.get("arguments", {}))

    @property
    def modern(self) -> bool:
        """Whether the client speaks a revision whose requests name it, as of 2026-07-28."""
        return "io.modelcontextprotocol/protocolVersion" in self.message.meta

    @property
    def progress_token(self) -> str | int | None:
        """What the client wants progress reported under."""
        token: Any = self.message.meta.get("progressToken")
        return token if isinstance(token, str | int) and not isinstance(token, bool) else None

    @property
    def continues(self) -> str | None:
        """What this call goes on with: it brings the input that an earlier one has asked for."""
        params = self.message.params
        if not _CONTINUES & params.keys():
            return None
        return f"{self.sameness}|{params.get('requestState', '')!r}"

    def line(self) -> bytes:
        """What the server is sent: the client's own bytes, unless arguments were rewritten."""
        # INVARIANT: I3 — the server gets exactly the arguments of the verdict.
        granted = self.attempt.verdict.args if self.attempt is not None else ""
        line = self.message.line
        if granted != self.args:
            line = self.message.replaced(granted.encode(), "params", "arguments")
        held = self.attempt.credential if self.attempt is not None else None
        return line if held is None else credentials.placed(line, *held)

    def runs(self, attempt: Attempt) -> None:
        """Note the start. The lease is kept alive from here on."""
        self.attempt = attempt
        attempt.keep_alive()
        self.state = State.RUNNING

    def takes(self) -> bool:
        """Whether the server may answer this call now; it is over for everyone else then."""
        with self.lock:
            if self.state is not State.RUNNING:
                return False
            self.ends()
            return True

    def ends(self, state: State = State.OVER) -> None:
        """Stop renewing the lease. The caller holds the lock."""
        self.state = state
        if self.attempt is not None:
            self.attempt.let_go()


def fault(message: Message, *, passes: frozenset[str]) -> str:
    """Say what is wrong with the parameters of a `tools/call`, if anything is."""
    params = message.params
    if not isinstance(params.get("name"), str):
        return "the call names no tool"
    if _TASK in params:
        return "tasks are not governed yet, so no call may become one"
    odd = params.keys() - _KNOWN
    if odd & _CONTINUES:
        if "elicitation" not in passes:
            return "input for a call passes only with --pass elicitation"
        odd -= _CONTINUES
    # INVARIANT: I3 — a key that differs only in case is another one here and the same elsewhere.
    if any(key.casefold() in _FOLDED or not key.isascii() for key in odd):
        return "a key of the call in an odd spelling"
    if odd and "other" not in passes:
        return "a key that tools/call does not have passes only with --pass other"
    return ""


def outcome_of(answer: Message) -> Outcome:
    """Return what came of a call by the server's answer, its whole text to be judged.

    An answer that is no end of the call (a task, a wish for input) leaves it unknown.
    """
    if "error" in answer.value:
        return _error_outcome(answer)
    found: dict[str, Any] = answer.value["result"]
    text = (answer.raw("result") or b"").decode()
    if methods.needed_by_answer(answer) != frozenset():
        return Outcome(OutcomeKind.UNKNOWN, error="not_complete")
    kind = OutcomeKind.OK if found.get("isError", False) is False else OutcomeKind.ERROR
    return _outcome(kind, text, "tool_error" if kind is OutcomeKind.ERROR else "")


def _error_outcome(answer: Message) -> Outcome:
    """A JSON-RPC error reaches the model like a tool error, so it is judged as one, in full."""
    error: dict[str, Any] = answer.value["error"]
    code, text = error.get("code"), (answer.raw("error") or b"").decode()
    said = {"content": [{"type": "text", "text": text}], "isError": True}
    name = str(code) if isinstance(code, int) else "rpc_error"
    return _outcome(OutcomeKind.ERROR, _encode(said).decode(), name)


def _outcome(kind: OutcomeKind, text: str, error: str) -> Outcome:
    sent = results.fitting(text)
    return Outcome(kind, output=sent, opaque=sent != text, error=error)
