"""LangChain: each tool call of an agent is decided before it is done, and carried out once.

    triage = bridle.connect("bundle/").start_mission("tickets", user="ana").agent("triage")
    desk = create_agent(model, [send_mail], middleware=[Governed(triage)], checkpointer=saver)

Put it last: what stands behind it comes between the decision and the tool. The model is told of a
refusal and goes on; a hold interrupts the run, and whoever resumes it has the governor asked again.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain.messages import AIMessage, ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command, interrupt
from msgspec import Struct

from bridle.adapters.contract import Deed, acarry_out, carry_out, is_undecided
from bridle.client.agent import Agent
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError

CONTEXT = "bridle_context"
"""What carries the reference in `configurable`, where a workload runs what agents dispatched."""

Handler = Callable[[ToolCallRequest], ToolMessage | Command]
AsyncHandler = Callable[[ToolCallRequest], Awaitable[ToolMessage | Command]]


class UndecidedError(ConnectionError):
    """What ends a run whose governor could not be asked. It may be run on from its checkpoint."""


class _DeniedError(Exception):
    """A call was refused: the model is told."""


class _HeldError(Exception):
    """A call waits for a human."""


class _ToolError(Exception):
    """The tool answered with an error of its own."""


class Governed(AgentMiddleware):
    """Middleware that has every tool call decided as `agent`, or as what a workload took up.

    `tools` gives the names in the bundle of tools that are called otherwise here.
    """

    def __init__(self, agent: Agent | Worker, tools: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._agent = agent
        self._gate = _Gate(tools or {})

    def wrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> ToolMessage:
        """Have the call decided, and run as what was decided. Raises `UndecidedError`."""
        native = _Call(request)

        def proceed() -> Any:
            return _said(handler(native.request))

        while True:
            try:
                return native.answer(carry_out(self._gate, native, self._agent, proceed))
            except _HeldError as held:
                # What it is resumed with grants nothing: the governor is asked again.
                interrupt(held.args[0])
            except (_DeniedError, _ToolError) as problem:
                return native.answer(problem.args[0], status="error")

    async def awrap_tool_call(self, request: ToolCallRequest, handler: AsyncHandler) -> ToolMessage:
        """The async twin of `wrap_tool_call`."""
        native = _Call(request)

        async def proceed() -> Any:
            return _said(await handler(native.request))

        while True:
            try:
                return native.answer(await acarry_out(self._gate, native, self._agent, proceed))
            except _HeldError as held:
                # What it is resumed with grants nothing: the governor is asked again.
                interrupt(held.args[0])
            except (_DeniedError, _ToolError) as problem:
                return native.answer(problem.args[0], status="error")


class _Call(Struct):
    """A call as it is about to happen."""

    request: ToolCallRequest

    def answer(self, value: Any, status: str = "success") -> ToolMessage:
        """Return a result as the model gets it: nothing of the tool's own but what was judged."""
        call = self.request.tool_call
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return ToolMessage(text, tool_call_id=call["id"], name=call["name"], status=status)


class _Gate:
    def __init__(self, tools: Mapping[str, str]) -> None:
        self._tools = tools

    def identify(self, native: _Call) -> str:
        """Name the call by the model's message, which keeps its id in every checkpoint."""
        call, state = native.request.tool_call, native.request.state
        for message in reversed(state["messages"]):
            if isinstance(message, AIMessage) and any(
                made["id"] == call["id"] for made in message.tool_calls
            ):
                if message.id and call["id"]:
                    return json.dumps([_where(native, "thread_id"), message.id, call["id"]])
                break
        raise UsageError("a tool call that no message of the model's asked for by id")

    def describe(self, native: _Call) -> Deed:
        call = native.request.tool_call
        tool = self._tools.get(call["name"], call["name"])
        return Deed(tool, call["args"], _where(native, CONTEXT))

    def apply(self, native: _Call, arguments: Mapping[str, Any]) -> None:
        call = {**native.request.tool_call, "args": dict(arguments)}
        native.request = native.request.override(tool_call=call)

    def refuse(self, native: _Call, refusal: BridleError) -> BaseException:
        del native
        if isinstance(refusal, Held):
            return _HeldError({"approval": refusal.approval_id, "text": str(refusal)})
        return (UndecidedError if is_undecided(refusal) else _DeniedError)(str(refusal))


def _where(native: _Call, name: str) -> str:
    return str(native.request.runtime.config.get("configurable", {}).get(name, ""))


def _said(answer: Any) -> Any:
    """Return what a tool said, as policies judge it. Raises `_ToolError` where that is an error."""
    if not isinstance(answer, ToolMessage):
        raise UsageError("the tool answers with a command, which no policy can judge")
    if answer.status == "error":
        raise _ToolError(answer.content)
    return _data(answer.content)


def _data(content: Any) -> Any:
    """Return objects and lists, which LangChain makes text of, as what they were."""
    if isinstance(content, str) and content[:1] in ("{", "["):
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return content
    return content
