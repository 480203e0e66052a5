"""An agent in a mission: the handle through which its tool calls are governed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from msgspec import structs

from bridle.client import binding, guard
from bridle.client.attempt import arguments, gate
from bridle.client.errors import Denied, Held
from bridle.client.handing import Giver
from bridle.client.planning import Cited, Planner, assert_cites, digest_of, key_of
from bridle.client.provenance import Known, text_of
from bridle.client.transport.channel import Channel, ask
from bridle.client.used import texts
from bridle.model.action import Action
from bridle.model.calls import Beat, Begin, Decide, Done, Listing, Redeem, ToolsOf
from bridle.model.errors import BridleError, UsageError
from bridle.model.outcome import Outcome
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Release, Verdict
from bridle.trust import context

if TYPE_CHECKING:
    from bridle.client.mission import Mission
    from bridle.client.transport.runs import Run
    from bridle.trust.grants.chain import Chain

Args = Mapping[str, Any] | str | None
OnDenied = Literal["raise", "return"]

_ADAPTER = "python"
_acting: ContextVar[tuple[Agent, ...]] = ContextVar("bridle_acting", default=())


class Session(Protocol):
    """Where an agent's calls go, and the handle that names its session."""

    @property
    def is_open(self) -> bool:
        """Whether `handle` is there without asking the governor."""
        ...

    def open(self) -> str:
        """Return the handle, asking the governor for one if need be."""
        ...

    @property
    def channel(self) -> Channel:
        """The way for an agent's calls."""
        ...

    @property
    def handle(self) -> str:
        """The session's secret handle."""
        ...

    @property
    def run(self) -> Run:
        """Handle, key and grant."""
        ...

    @property
    def chain(self) -> Chain:
        """The chain of its grant. Raises `UsageError` for a session without a key."""
        ...

    def close(self) -> None:
        """Make the handle worthless."""
        ...


class Agent(Giver, Planner):
    """A deciding agent within one mission. Safe for threads, tasks and forked processes.

    `with agent:` makes it the agent that `bridle.govern`ed functions act as, in this thread or
    task only. Pickled, it is a reference: whoever loads it opens a session of their own, which
    needs the operator's connection.
    """

    def __init__(  # noqa: PLR0913 - all but four by name
        self,
        mission: Mission,
        name: str,
        executor: str,
        session: Session,
        *,
        line: str = "",
        requester: str = "",
        steps_of: str = "",
    ) -> None:
        self.mission = mission
        self.name = name
        self.executor = executor
        self._session = session
        self._line = line
        self._requester = requester
        self._steps = context.steps_of(steps_of) if steps_of else ""
        self._lock = threading.Lock()
        self._tools: dict[str, dict[str, Any]] | None = None

    def call(  # noqa: PLR0913 - all but two by name
        self,
        tool: str,
        args: Args = None,
        *,
        effect: Callable[..., Any] | None = None,
        key: str | None = None,
        on_denied: OnDenied = "raise",
        stream: bool = False,
        provenance: Known | None = None,
        plan: Cited | None = None,
        step: str = "",
    ) -> Any:
        """Act: judge, run `effect` with the judged arguments by name, judge its result, return it.

        `args` is a mapping of JSON values or the exact JSON text. `key` names this step of the
        plan: the same key and arguments are the same action, run at most once; without it each
        call is a new action. Raises `Denied` or `Held` (`on_denied="return"` returns them), and
        whatever the effect raises. An iterator comes back as a list; `stream=True` yields its items
        as they come, where no rule can judge the tool's results (`UsageError` otherwise).

        `provenance` says of arguments, by name, where they came from, as far as you know: it can
        only make the verdict stricter. `plan` and `step` say which step of a plan that was checked
        (`check_plan`) this is: policies see whether it is, and the step is its `key` by default.

        Without `effect` the governor's side carries the action out, for tools that say how: then
        `PerformedError` says that it failed, and `UnreachableError` that nobody here knows.
        """
        _check(effect, on_denied, stream=stream)
        assert_cites(plan, step)
        if effect is not None and guard.needs_loop(effect):
            raise UsageError(f"the effect of {tool!r} is async", hint="use `await agent.acall(…)`")
        wait = self._patience(tool) if effect is None else None
        asked = self._freeze(tool, args, key_of(plan, step) if key is None else key)
        if isinstance(asked, Denied):
            return _refuse(asked, on_denied)
        if stream and effect is not None:
            self._assert_streams(tool)
            intent = self._intent(asked, provenance=provenance, plan=plan, step=step)
            return guard.stream(self._session.channel, intent, effect)
        try:
            intent = self._intent(asked, wait=wait, provenance=provenance, plan=plan, step=step)
            return guard.guard(self._session.channel, intent, effect)
        except (Denied, Held) as refusal:
            if refusal.action != asked.id:
                raise  # it came from a call inside the effect
            return _refuse(refusal, on_denied)

    async def acall(  # noqa: PLR0913 - as `call`
        self,
        tool: str,
        args: Args = None,
        *,
        effect: Callable[..., Any] | None = None,
        key: str | None = None,
        on_denied: OnDenied = "raise",
        stream: bool = False,
        provenance: Known | None = None,
        plan: Cited | None = None,
        step: str = "",
    ) -> Any:
        """The async twin of `call`. `effect` may be sync; it then runs in a thread.

        With `stream=True` the result is an async iterator.
        """
        from bridle.client.attempt import waiting

        _check(effect, on_denied, stream=stream)
        assert_cites(plan, step)
        if not self._session.is_open:
            await waiting.to_the_end(self._session.open)
        wait = await waiting.to_the_end(self._patience, tool) if effect is None else None
        asked = self._freeze(tool, args, key_of(plan, step) if key is None else key)
        if isinstance(asked, Denied):
            return _refuse(asked, on_denied)
        if stream and effect is not None:
            await waiting.to_the_end(self._assert_streams, tool)
            intent = self._intent(asked, provenance=provenance, plan=plan, step=step)
            return guard.astream(self._session.channel, intent, effect)
        try:
            intent = self._intent(asked, wait=wait, provenance=provenance, plan=plan, step=step)
            return await guard.aguard(self._session.channel, intent, effect)
        except (Denied, Held) as refusal:
            if refusal.action != asked.id:
                raise  # as in `call`
            return _refuse(refusal, on_denied)

    def decide(  # noqa: PLR0913 - all but two by name
        self,
        tool: str,
        args: Args = None,
        *,
        key: str | None = None,
        provenance: Known | None = None,
        plan: Cited | None = None,
        step: str = "",
    ) -> Verdict:
        """Judge an action and record the decision, without running anything.

        Never raises for a refusal: a governor that cannot be asked is a `deny` too.
        """
        assert_cites(plan, step)
        asked = self._freeze(tool, args, key_of(plan, step) if key is None else key)
        if isinstance(asked, Denied):
            return _unasked(asked)
        try:
            intent = self._intent(asked, start=False, provenance=provenance, plan=plan, step=step)
            return gate.judge(self._session.channel, intent)
        except Denied as refusal:
            return _unasked(refusal)

    async def adecide(  # noqa: PLR0913 - as `decide`
        self,
        tool: str,
        args: Args = None,
        *,
        key: str | None = None,
        provenance: Known | None = None,
        plan: Cited | None = None,
        step: str = "",
    ) -> Verdict:
        """The async twin of `decide`."""
        from bridle.client.attempt import waiting

        return await waiting.to_the_end(
            lambda: self.decide(tool, args, key=key, provenance=provenance, plan=plan, step=step)
        )

    def action_of(self, key: str) -> str:
        """Return the id of the action that this agent's step with this key is, or would be."""
        return self._action("", key).id

    def begin(self, verdict: Verdict) -> Verdict:
        """Start a decided action, right before the platform runs its effect with `verdict.args`.

        Returns the verdict with `attempt` set. Raises `Denied` when it may not start any more.
        """
        call = Begin(session=self._session.handle, action=verdict.action)
        started = gate.judge(self._session.channel, gate.Intent(call, verdict.action))
        if not started.effect.runs:
            raise gate.refusal(started)
        if not started.attempt or started.args != verdict.args:
            raise Denied(
                "the start is not that of this verdict",
                code="protocol_error",
                action=verdict.action,
            )
        return started

    def beat(self, verdict: Verdict) -> None:
        """Renew the lease of a started action (`lease_ms`): whoever runs it does so in time.

        Raises `RefusedError` where the lease has lapsed, or the effect is to stop.
        """
        ask(
            self._session.channel, Beat(session=self._session.handle, attempt=verdict.attempt), Done
        )

    def observe(
        self, verdict: Verdict, outcome: Outcome, *, used: Mapping[str, Any] | None = None
    ) -> Release:
        """Report what came of a started action and return whether its result may pass, and as what.

        `used` is what it really used up, by name of budget, as in `bridle.Used`.
        Raises `UnreachableError` when the outcome did not arrive; it may be reported again.
        """
        if not verdict.attempt:
            raise UsageError("this verdict started nothing", hint="pass what `begin` returned")
        call = Begin(session=self._session.handle, action=verdict.action)
        intent = gate.Intent(call, verdict.action)
        told = texts(used or {})
        return gate.report(self._session.channel, intent, verdict.attempt, outcome, told)

    def held(self, approval_id: str) -> Held:
        """Return what waits for a human under this id, to wait for it and to resume it.

        It has to be this agent's, in this mission. Raises `NotFoundError`.
        """
        row = guard.approval_of(self._session.channel, self._session.handle, approval_id)
        action = str(row.get("action", ""))
        return Held(
            f"the approval of {row.get('tool')} is {row.get('status')}",
            approval_id=approval_id,
            action=action,
            resumption=self.way_back(approval_id, action),
        )

    async def aheld(self, approval_id: str) -> Held:
        """The async twin of `held`."""
        from bridle.client.attempt import waiting

        return await waiting.to_the_end(self.held, approval_id)

    def resume(self, approval_id: str, *, effect: Callable[..., Any] | None = None) -> Any:
        """Go on with what was approved under this id, whichever process asked for it.

        `effect` runs with the arguments that were approved; a held result needs none.
        Raises as `Held.resume`.
        """
        return self.held(approval_id).resume(effect)

    async def aresume(self, approval_id: str, *, effect: Callable[..., Any] | None = None) -> Any:
        """The async twin of `resume`."""
        return await (await self.aheld(approval_id)).aresume(effect)

    def way_back(self, approval: str, action: str) -> guard.HeldEffect:
        """Return what can be done about an approval of this agent's; see `held`."""
        call = Redeem(session=self._session.handle, approval=approval, action=action)
        intent = gate.Intent(call, action, origin=self)
        return guard.HeldEffect(self._session.channel, intent, None, approval)

    def tool(
        self, name: str, *, key: binding.KeyFunction | None = None, performed: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a function so that calling it acts with the tool `name` as this agent.

        Positional and keyword arguments are bound to the function's parameters; `key`, called with
        them, names the step. Sync, async, generator and async generator functions keep their kind.
        With `performed` the governor's side carries it out: the function only says what the tool's
        arguments are, and its body never runs.
        """

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            return binding.governed(function, name, lambda: self, key, performed=performed)

        return decorate

    def tools(self) -> list[dict[str, Any]]:
        """The tools this agent's mission can ever use: name, description, effect, system, input."""
        return ask(self._session.channel, ToolsOf(session=self._session.handle), Listing).rows

    def close(self) -> None:
        """End the session: its handle is worthless from here on."""
        self._session.close()

    def __enter__(self) -> Self:
        _acting.set((*_acting.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        acting = _acting.get()
        if not acting or acting[-1] is not self:
            raise UsageError("`with agent:` blocks must end in the order they began")
        _acting.set(acting[:-1])

    def __repr__(self) -> str:
        return f"<bridle.Agent {self.name} of {self.mission.id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_revive, (self.mission, self.name, self.executor))

    # --- inside ---------------------------------------------------------------------------------

    def _action(self, tool: str, key: str) -> Action:
        return Action(
            mission=self.mission.id,
            # What was handed on belongs to all that it came through.
            agent=self._line or self.name,
            tool=tool,
            args="",
            key=self._steps + key,
            adapter=_ADAPTER,
            executor=self.executor,
        )

    def _freeze(self, tool: str, args: Args, key: str | None) -> Action | Denied:
        """Fix what is asked, or say that it cannot be asked at all."""
        action = self._action(tool, os.urandom(16).hex() if key is None else key)
        name = ""
        try:
            name = action.id
            # INVARIANT: I3 — from here on only this text counts, whatever becomes of the objects.
            return structs.replace(action, args=arguments.to_text(args))
        except arguments.ArgumentError as problem:
            return Denied(problem.message, code=problem.code, action=name)
        except UnicodeEncodeError:
            code = ReasonCode.MALFORMED.value
            return Denied("the key is no valid Unicode", code=code, action=name)

    def _intent(  # noqa: PLR0913 - all but one by name
        self,
        action: Action,
        *,
        start: bool = True,
        wait: float | None = None,
        provenance: Known | None = None,
        plan: Cited | None = None,
        step: str = "",
    ) -> gate.Intent:
        """Return what to ask. With `wait`, the governor's side is to carry it out."""
        call = Decide(
            session=self._session.handle,
            tool=action.tool,
            args=action.args,
            key=action.key,
            adapter=action.adapter,
            start=start,
            requester=self._requester,
            perform=wait is not None,
            provenance=text_of(provenance),
            plan=digest_of(plan),
            step=step,
        )
        return gate.Intent(call, action.id, origin=self, wait=wait)

    def _patience(self, tool: str) -> float:
        """Seconds to wait for what the governor's side carries out.

        Raises `UsageError` for a tool that it does not carry out.
        """
        try:
            row = self._known(tool)
            if row.get("performed") is False:
                # The bundle may have changed since.
                row = self._known(tool, anew=True)
        except UsageError:
            raise
        except BridleError:
            # Whoever cannot be asked this cannot be asked the rest either: that is said there.
            row = {}
        if row.get("performed") is False:
            raise UsageError(
                f"the governor's side does not carry out {tool!r}",
                hint="pass effect=…, the function that does it",
            )
        return guard.patience(int(row.get("timeout_ms", 0)))

    def _known(self, tool: str, *, anew: bool = False) -> dict[str, Any]:
        """Return what the governor says of a tool; empty where this agent can never use it."""
        with self._lock:
            if self._tools is None or anew:
                self._tools = {row["name"]: row for row in self.tools()}
            return self._tools.get(tool, {})

    def _assert_streams(self, tool: str) -> None:
        row = self._known(tool)
        # INVARIANT: I2 — streamed items are out before a rule could judge them, so a tool that is
        # not known to be free of release rules is not streamed.
        if row.get("release_rules", True):
            raise UsageError(
                f"results of {tool!r} are judged before they are released",
                hint="leave stream=True out: the items then come as one list",
            )


def current() -> Agent:
    """Return the agent of the innermost `with agent:` around this. Raises `UsageError`."""
    acting = _acting.get()
    if not acting:
        raise UsageError(
            "no agent acts here",
            hint="call governed functions inside `with agent:`; a new thread starts without one",
        )
    return acting[-1]


def _check(effect: Callable[..., Any] | None, on_denied: str, *, stream: bool) -> None:
    if effect is not None and not callable(effect):
        raise UsageError("effect= must be the function that does it")
    if stream and effect is None:
        raise UsageError("what the governor's side carries out comes back as a whole")
    if on_denied not in ("raise", "return"):
        raise UsageError("on_denied is 'raise' or 'return'")
    if stream and on_denied == "return":
        raise UsageError("a stream is judged at its first item, so its refusal can only be raised")


def _refuse(refusal: Denied | Held, on_denied: str) -> Denied | Held:
    if on_denied == "return":
        return refusal
    raise refusal


def _unasked(refusal: Denied) -> Verdict:
    known = {code.value for code in ReasonCode}
    code = refusal.code if refusal.code in known else ReasonCode.STORE_UNAVAILABLE
    reason = Reason(ReasonCode(code), refusal.message)
    return Verdict(action=refusal.action, effect=Effect.DENY, reasons=(reason,))


def _revive(mission: Mission, name: str, executor: str) -> Agent:
    from bridle.client.mission import revive

    return revive(mission, name, executor)
