"""OpenAI Agents SDK: each call of a tool is decided before it is done, and carried out once.

    triage = bridle.connect("bundle/").start_mission("tickets", user="ana").agent("triage")
    desk = Agent("desk", tools=governed(triage, [send_mail], task="ticket-7"))

The model is told of a refusal and goes on. A hold is an interruption for approval; whoever approves
it in the SDK grants nothing: the governor is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from agents import FunctionTool, RunContextWrapper
from agents.tool_context import ToolContext
from msgspec import Struct

from bridle.adapters.contract import Deed, acarry_out, acting, is_undecided
from bridle.client.agent import Agent
from bridle.client.attempt import waiting
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError
from bridle.model.verdict import Effect


class UndecidedError(ConnectionError):
    """What ends a run whose governor could not be asked."""


class HeldError(RuntimeError):
    """What ends a run that goes on before a human has answered; its state may be run again."""


class _DeniedError(Exception):
    """A call was refused: the model is told."""


def governed(
    agent: Agent | Worker,
    tools: Iterable[Any],
    names: Mapping[str, str] | None = None,
    *,
    task: str = "",
    reference: str = "",
) -> list[FunctionTool]:
    """Return these tools such that each call is decided as `agent`, within `task`.

    `names` gives the names in the bundle of tools that are called otherwise here. Within a task the
    model's id of a call names it. A workload takes up `reference`. Raises `UsageError` for what is
    no function tool: hosted tools are carried out where nobody is asked.
    """
    return [_governed(_Gate(agent, names or {}, task, reference), tool) for tool in tools]


def _governed(gate: _Gate, tool: Any) -> FunctionTool:
    if not isinstance(tool, FunctionTool):
        raise UsageError(
            f"{type(tool).__name__} is no function tool, and is carried out where nobody is asked"
        )

    async def invoke(context: ToolContext[Any], given: str) -> Any:
        native = _Call(tool, _arguments(given), context.tool_call_id)
        try:
            return await acarry_out(gate, native, gate.agent, lambda: native.run(context))
        except _DeniedError as denied:
            return denied.args[0]

    async def waits(context: RunContextWrapper[Any], given: dict[str, Any], call_id: str) -> bool:
        asked = tool.needs_approval
        own = await asked(context, given, call_id) if callable(asked) else asked
        native = _Call(tool, given, call_id)
        return await waiting.to_the_end(gate.holds, native) or own

    return replace(tool, on_invoke_tool=invoke, needs_approval=waits)


class _Call(Struct):
    """A call as it is about to happen."""

    tool: FunctionTool
    arguments: dict[str, Any]
    id: str

    async def run(self, context: ToolContext[Any]) -> Any:
        """Run the tool with the arguments as they are now."""
        return await self.tool.on_invoke_tool(context, json.dumps(self.arguments))


class _Gate:
    def __init__(
        self, agent: Agent | Worker, names: Mapping[str, str], task: str, reference: str
    ) -> None:
        self.agent = agent
        self._names = names
        self._task = task
        self._reference = reference

    def holds(self, native: _Call) -> bool:
        """Whether a human has to answer first. What cannot be said now is said at the call."""
        try:
            deed = self.describe(native)
            agent = acting(self.agent, deed)
            verdict = agent.decide(deed.tool, deed.arguments, key=self.identify(native))
        except BridleError:
            return False
        return verdict.effect is Effect.HOLD

    def identify(self, native: _Call) -> str:
        if not native.id:
            raise UsageError("a tool call without an id")
        return json.dumps([self._task, native.id])

    def describe(self, native: _Call) -> Deed:
        name = native.tool.qualified_name
        return Deed(self._names.get(name, name), native.arguments, self._reference)

    def apply(self, native: _Call, arguments: Mapping[str, Any]) -> None:
        native.arguments = dict(arguments)

    def refuse(self, native: _Call, refusal: BridleError) -> BaseException:
        del native
        kind: Callable[[str], BaseException] = _DeniedError
        if isinstance(refusal, Held):
            kind = HeldError
        elif is_undecided(refusal):
            kind = UndecidedError
        return kind(str(refusal))


def _arguments(given: str) -> dict[str, Any]:
    """Return what the model gave. Raises `ValueError` or `TypeError`, which end the run."""
    found = json.loads(given or "{}")
    if not isinstance(found, dict):
        raise TypeError("a tool's arguments are an object")
    return found
