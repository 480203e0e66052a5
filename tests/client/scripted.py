"""A responder that speaks the real protocol on real sockets, and says what a test tells it to."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from bridle.client.agent import Agent
from bridle.client.bridle import Bridle
from bridle.client.opening import connect
from bridle.model import calls, public_key
from bridle.model.action import action_id
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Release, Verdict
from bridle.server.acceptor import Server
from bridle.server.listening import agents_door, operator_door
from bridle.trust import proof
from bridle.trust.proof import Challenge, Claim

MISSION = "mis_1"
AGENT = "triage"

Decided = Callable[[calls.Decide], calls.Reply]
Released = Callable[[calls.Observe], calls.Reply]


class Scripted:
    """Allows and releases everything, until `decided` or `released` say otherwise."""

    def __init__(self) -> None:
        self.instance, self.store = "5a" * 32, "store1"
        self.calls: list[calls.Call] = []
        self.callers: list[calls.Caller] = []
        self.logins: list[tuple[calls.Login, Challenge]] = []
        self.distrusted: tuple[str, ...] = ()
        self.decided: Decided = self.allow
        self.released: Released = self.release
        self.redeemed: Callable[[calls.Redeem], calls.Reply] = self.nothing
        self.beaten: Callable[[calls.Beat], calls.Reply] = lambda _: calls.Done()
        self.begun: Callable[[calls.Begin], calls.Reply] = lambda call: self.start(
            call.action, args=self.asked[call.action]
        )
        self.status = "pending"
        self.subject, self.held = "action", ""
        self.streams: set[str] = set()
        self.lease_ms = 60_000
        self.ticks = 0
        self.closed = False
        self.heard = threading.Condition()
        self.asked: dict[str, str] = {}
        self._actions: dict[str, str] = {}
        self._count = itertools.count()

    def lasting(self, tool: str) -> bool:
        """Whether what a tool does cannot be undone: nothing here is."""
        return not tool

    def handle(self, caller: calls.Caller, call: calls.Call) -> calls.Reply:  # noqa: PLR0911
        with self.heard:
            self.calls.append(call)
            self.callers.append(caller)
            self.heard.notify_all()
        match call:
            case calls.Decide():
                return self.decided(call)
            case calls.Begin():
                return self.begun(call)
            case calls.Observe():
                return self.released(call)
            case calls.Beat():
                return self.beaten(call)
            case calls.Redeem():
                return self.redeemed(call)
            case calls.OpenSession():
                return calls.Opened(id=f"ses_{call.agent}")
            case calls.StartMission():
                return calls.Opened(id=MISSION)
            case calls.ApprovalOf():
                row = {"id": call.approval, "status": self.status, "action": self.held, "tool": "t"}
                return calls.Listing(rows=[{**row, "subject": self.subject}])
            case calls.ToolsOf():
                rows = [{"name": t, "release_rules": False} for t in self.streams]
                return calls.Listing(rows=[*rows, {"name": "judged", "release_rules": True}])
            case calls.Status():
                return calls.Listing(rows=[{"active": "d", "on_disk": "d"}])
            case calls.Missions():
                return calls.Listing(rows=[])
            case _:
                return calls.Done()

    def login(
        self, caller: calls.Caller, call: calls.Login, challenge: Challenge
    ) -> calls.Caller | calls.Failed:
        self.logins.append((call, challenge))
        if not proof.holds(challenge, Claim(call.kind, call.name, call.key), call.signature):
            return calls.Failed(code="not_proven", message="no")
        named = {"user" if call.kind == "user" else "workload": call.name}
        return structs.replace(caller, key=public_key.fingerprint(call.key), **named)

    def distrust(self, caller: calls.Caller, spoken_for: tuple[str, ...]) -> None:
        self.distrusted += spoken_for

    def tick(self) -> None:
        self.ticks += 1

    def close(self) -> None:
        self.closed = True

    # --- what it may say ------------------------------------------------------------------------

    def allow(self, call: calls.Decide, **changes: Any) -> calls.Judged:
        self.asked[act(call)] = call.args
        return self._say(act(call), call.start, {"args": call.args} | changes)

    def start(self, action: str, /, **changes: Any) -> calls.Judged:
        return self._say(action, True, changes)

    def _say(self, action: str, start: bool, changes: dict[str, Any]) -> calls.Judged:
        attempt = f"att_{next(self._count)}" if start else ""
        self._actions[attempt] = action
        fields: dict[str, Any] = {
            "action": action,
            "effect": Effect.ALLOW,
            "attempt": attempt,
            "lease_ms": self.lease_ms if start else 0,
        }
        return calls.Judged(verdict=Verdict(**(fields | changes)))

    def nothing(self, call: calls.Call) -> calls.Reply:
        return calls.Failed(code="not_found", message="no such thing")

    def release(self, call: calls.Observe, **changes: Any) -> calls.Released:
        fields: dict[str, Any] = {
            "action": self._actions.get(call.attempt, ""),
            "effect": Effect.ALLOW,
        }
        return calls.Released(release=Release(**(fields | changes)))

    # --- what it heard --------------------------------------------------------------------------

    def of(self, kind: type) -> list[Any]:
        with self.heard:
            return [call for call in self.calls if isinstance(call, kind)]

    def outcomes(self) -> list[str]:
        return [call.outcome.kind.value for call in self.of(calls.Observe)]

    def wait_for(self, kind: type, count: int = 1) -> list[Any]:
        """Wait until `count` calls of a kind were heard."""
        with self.heard:
            enough = self.heard.wait_for(
                lambda: sum(isinstance(c, kind) for c in self.calls) >= count, timeout=30
            )
            assert enough, f"{kind.__name__} was not heard {count} times"
        return self.of(kind)


def act(call: calls.Decide) -> str:
    return action_id(MISSION, call.session.removeprefix("ses_"), call.adapter, call.key)


def refusal(effect: Effect, code: ReasonCode, text: str = "no", **more: Any) -> dict[str, Any]:
    return {"effect": effect, "reasons": (Reason(code, text),), "args": "", "attempt": "", **more}


@contextmanager
def served(handler: Any, folder: Path, **settings: Any) -> Iterator[Server]:
    """Serve `handler` on the two sockets in `folder`."""
    limits = settings.pop("limits", {})
    doors = (
        agents_door(folder / "agents.sock", **limits),
        operator_door(folder / "operator.sock"),
    )
    server = Server(handler, doors, store="store1", version="0", **settings)
    server.listen()
    thread = threading.Thread(target=server.run, name="test-server")
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


def attached(folder: Path, *, timeout: float = 10.0) -> tuple[Bridle, Agent]:
    """Connect as an agent whose session an operator opened."""
    bridle = connect(folder / "agents.sock", role="agent", timeout=timeout)
    return bridle, bridle.attach("ses_triage", mission=MISSION, agent=AGENT)


def until(true: Callable[[], bool]) -> None:
    """Wait until `true`, which nothing tells us of."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


class Sink:
    """A tool with a memory: what it was given, each time it ran."""

    def __init__(self, result: Any = "done") -> None:
        self.got: list[dict[str, Any]] = []
        self.result = result

    def __call__(self, **arguments: Any) -> Any:
        self.got.append(arguments)
        return self.result(**arguments) if callable(self.result) else self.result

    @property
    def ran(self) -> int:
        return len(self.got)
