"""A desk at which plans are checked, and their steps cited."""

import json
from typing import Any

from bridle.model import calls
from bridle.model.plan import Forecast
from bridle.model.verdict import Verdict
from governor.desk import AGENT, Desk, changed, judged, text_of

PLAN_ONLY = changed(("bridle.toml", "", "\n[boundaries]\nplan_only = true\n"))


def text(*steps: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "steps": steps})


def step(name: str, tool: str, after: tuple[str, ...] = (), **args: Any) -> dict[str, Any]:
    return {"id": name, "tool": tool, "args": args, "after": list(after)}


def taken(name: str, path: str = "") -> dict[str, str]:
    return {"$from": name, "path": path}


def checked(desk: Desk, *steps: dict[str, Any], session: str = "") -> Forecast:
    call = calls.CheckPlan(session=session or desk.session(), plan=text(*steps))
    reply = desk.ask(call, AGENT)
    assert isinstance(reply, calls.Planned), reply
    return reply.forecast


def effects(found: Forecast) -> dict[str, str]:
    return {each.step: each.effect.value for each in found.steps}


def do(
    desk: Desk,
    plan: str,
    name: str,
    tool: str,
    *,
    key: str = "",
    session: str = "",
    start: bool = True,
    **args: Any,
) -> Verdict:
    call = calls.Decide(
        session=session or desk.session(),
        tool=tool,
        args=text_of(args),
        key=key or f"plan/{name}",
        start=start,
        plan=plan,
        step=name,
    )
    return judged(desk.ask(call, AGENT))


def deviates(verdict: Verdict) -> bool:
    return "boundary.plan_only" in {reason.policy for reason in verdict.reasons}
