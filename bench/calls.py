"""One decision as a function of no arguments: by the pure engine, and by an embedded governor."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from bench import workload
from bridle.bundle.bundle import Bundle
from bridle.engine.case import Case, MissionView, Refusal
from bridle.engine.engine import Engine
from bridle.governor.governor import Governor
from bridle.model.calls import Caller, Decide, Judged, Opened, OpenSession, StartMission


class WorkloadError(Exception):
    """The workload does not do what it says, so its timings would mean nothing."""


@dataclass(frozen=True)
class Ask:
    """What is asked, by whom: the same question for the engine and for the governor."""

    tool: str = workload.TOOL
    args: str = workload.TEXT
    agent: str = workload.AGENT
    user: str = workload.USER
    executor: str = workload.EXECUTOR


def bundle_of(governor: Governor) -> Bundle:
    """Return the bundle in force, which the governor has loaded already."""
    return governor.core.write(lambda turn: turn.bundle)


def engine_call(bundle: Bundle, ask: Ask) -> Callable[[], object]:
    """Return one round of the pure engine: argument text in, judgement out."""
    engine = Engine(bundle)
    mission = MissionView(
        id="m1", template=workload.MISSION, purpose="settle what is due", labels=("internal",)
    )

    def call() -> object:
        typed = engine.normalise(ask.tool, ask.args)
        if isinstance(typed, Refusal):
            raise WorkloadError(typed.text)
        case = Case(
            tool=ask.tool,
            typed=typed,
            agent=ask.agent,
            user=ask.user,
            mission=mission,
            now=workload.NOW,
            executor=ask.executor,
        )
        return engine.judge(case).effect

    return call


def governor_call(governor: Governor, ask: Ask) -> Callable[[], object]:
    """Return one `Decide` of a new action by an agent of a started mission."""
    caller = Caller(operator=True, method="embedded")

    def opened(call: StartMission | OpenSession) -> str:
        reply = governor.handle(caller, call)
        if not isinstance(reply, Opened):
            raise WorkloadError(repr(reply))
        return reply.id

    mission = opened(StartMission(template=workload.MISSION, user=ask.user))
    session = opened(OpenSession(mission=mission, agent=ask.agent, executor=ask.executor))
    keys = itertools.count()

    def call() -> object:
        decide = Decide(session=session, tool=ask.tool, args=ask.args, key=str(next(keys)))
        reply = governor.handle(caller, decide)
        if not isinstance(reply, Judged):
            raise WorkloadError(repr(reply))
        return reply.verdict.effect

    return call
