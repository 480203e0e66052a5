"""Checks a plan against a bundle, in a throw-away store: nothing has been done, nothing is kept."""

from __future__ import annotations

import time

from bridle.bundle.bundle import Bundle, Defaults
from bridle.governor.throwaway import OPERATOR, governor_over
from bridle.model.calls import (
    Call,
    CheckPlan,
    Failed,
    Opened,
    OpenSession,
    Planned,
    Reply,
    StartMission,
)
from bridle.model.errors import BridleError, RefusedError, UsageError
from bridle.model.plan import Forecast


def check(bundle: Bundle, text: str, who: Defaults, prompt: str = "") -> Forecast:
    """Judge a plan (its JSON text) as `who` would have it judged at the start of a mission, now.

    Raises `UsageError` (`plan_invalid`), `RefusedError` where the mission cannot be started.
    """
    now = time.time_ns() // 1_000_000
    governor, _ = governor_over(bundle, leases=False, seed=b"bridle plan", start=now)
    try:

        def asked(call: Call) -> Reply:
            reply = governor.handle(OPERATOR, call)
            if isinstance(reply, Failed):
                raise _error(reply)
            return reply

        start = StartMission(template=who.mission, user=who.user, prompt=prompt)
        mission = _opened(asked(start))
        opening = OpenSession(mission=mission, agent=who.agent, executor=who.executor)
        reply = asked(CheckPlan(session=_opened(asked(opening)), plan=text))
    finally:
        governor.close()
    if not isinstance(reply, Planned):
        raise UsageError("the plan was not judged")
    return reply.forecast


def _opened(reply: Reply) -> str:
    return reply.id if isinstance(reply, Opened) else ""


def _error(failed: Failed) -> BridleError:
    kind = UsageError if failed.code == "plan_invalid" else RefusedError
    return kind(failed.message, code=failed.code, hint=failed.hint)
