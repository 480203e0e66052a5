"""The agents for whom this gateway asks: each reference or run is taken up once, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from bridle.client.agent import Agent
from bridle.client.worker import Worker
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Release, Verdict

_MOST = 1_024

A = TypeVar("A", Verdict, Release)


class Run(Struct, frozen=True, forbid_unknown_fields=True):
    """A run of a pipeline that humans wrote, as `Worker.pipeline` has it."""

    pipeline: str
    definition: str
    run: str
    mission: str
    given: str = ""


class Takings:
    """What was taken up lately. Safe for threads."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._kept: OrderedDict[str | Run, Agent] = OrderedDict()

    def asked(self, whose: str | Run, ask: Callable[[Agent], A]) -> A:
        """Return what `ask` is answered for the agent of a reference or run.

        Where the session has ended in the meantime it is opened anew, once. Raises `RefusedError`
        for what may not be taken up, `UsageError` for what is no reference, `UnreachableError`.
        """
        agent, kept = self._taken(whose)
        answer = ask(agent)
        if not kept or not _is_over(answer):
            return answer
        with self._lock:
            self._kept.pop(whose, None)
        return ask(self._taken(whose)[0])

    def agent(self, whose: str | Run) -> Agent:
        """Return the agent of a reference or run. Raises as `asked`."""
        return self._taken(whose)[0]

    def _taken(self, whose: str | Run) -> tuple[Agent, bool]:
        with self._lock:
            if (found := self._kept.get(whose)) is not None:
                self._kept.move_to_end(whose)
                return found, True
        # Not under the lock: nobody waits for somebody else's governor's answer.
        taken = self._take(whose)
        with self._lock:
            self._kept[whose] = taken
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return taken, False

    def _take(self, whose: str | Run) -> Agent:
        if isinstance(whose, str):
            return self._worker.take(whose)
        return self._worker.pipeline(
            whose.pipeline,
            definition=whose.definition,
            run=whose.run,
            mission=whose.mission,
            given=whose.given,
        )


def _is_over(answer: Verdict | Release) -> bool:
    return any(reason.code is ReasonCode.NO_SESSION for reason in answer.reasons)
