"""The agents for whom this gateway asks: each is opened once, kept, and opened anew when over."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from msgspec import Struct

from bridle.client.agent import Agent
from bridle.client.worker import Worker
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Release, Verdict

_MOST = 1_024

K = TypeVar("K", bound=Hashable)
A = TypeVar("A", Verdict, Release)


class Kept(Generic[K]):
    """The agents that were asked lately, by what `opening` opens them for. Safe for threads.

    `over` are the codes with which a session, and no word about the action, is refused.
    """

    def __init__(
        self, opening: Callable[[K], Agent], over: tuple[ReasonCode, ...] = (ReasonCode.NO_SESSION,)
    ) -> None:
        self._opening = opening
        self._over = over
        self._lock = threading.Lock()
        self._agents: OrderedDict[K, Agent] = OrderedDict()

    def asked(self, whose: K, ask: Callable[[Agent], A]) -> A:
        """Return what `ask` is answered for the agent of `whose`.

        Where one that was kept is over, it is opened anew, once. Raises as `opening`.
        """
        agent, kept = self._found(whose)
        answer = ask(agent)
        if not kept or not any(reason.code in self._over for reason in answer.reasons):
            return answer
        with self._lock:
            self._agents.pop(whose, None)
        return ask(self._found(whose)[0])

    def agent(self, whose: K) -> Agent:
        """Return the agent of `whose`. Raises as `opening`."""
        return self._found(whose)[0]

    def _found(self, whose: K) -> tuple[Agent, bool]:
        with self._lock:
            if (found := self._agents.get(whose)) is not None:
                self._agents.move_to_end(whose)
                return found, True
        # Not under the lock: nobody waits for what the governor answers somebody else.
        opened = self._opening(whose)
        with self._lock:
            self._agents[whose] = opened
            if len(self._agents) > _MOST:
                self._agents.popitem(last=False)
        return opened, False


class Run(Struct, frozen=True, forbid_unknown_fields=True):
    """A run of a pipeline that humans wrote, as `Worker.pipeline` has it."""

    pipeline: str
    definition: str
    run: str
    mission: str
    given: str = ""


Takings = Kept[str | Run]
"""What was dispatched to the workload, by its reference, and runs of pipelines."""


def takings(worker: Worker) -> Takings:
    """Return what takes references up, and opens runs, as a workload.

    Raises `RefusedError` for what may not be taken up, `UsageError` for what is no reference,
    `UnreachableError`.
    """

    def take(whose: str | Run) -> Agent:
        if isinstance(whose, str):
            return worker.take(whose)
        return worker.pipeline(
            whose.pipeline,
            definition=whose.definition,
            run=whose.run,
            mission=whose.mission,
            given=whose.given,
        )

    return Kept(take)
