"""A refused action as an exception: `Denied` is final, `Held` waits for a human.

Inside Bridle a denial is a value; only here, at the Python edge, it is raised. The rest of the
exception tree is `bridle.model.errors`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from bridle.model.errors import BridleError, UsageError
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Receipt


class Denied(BridleError):  # noqa: N818 - a public name of the vocabulary; a denial is no error
    """The action (or its result) was refused. Nothing in it is unsafe to show to the agent.

    `code` is the first reason's code, `reason` a sentence, `reasons` all of them, `receipt` where
    the record lies (None when the governor could not be asked) and `action` the action's id.
    """

    code = "forbidden"

    def __init__(  # noqa: PLR0913 - all but one by name
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        action: str = "",
        reasons: tuple[Reason, ...] = (),
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.action = action
        self.reasons = reasons
        self.receipt = receipt

    @property
    def reason(self) -> str:
        """Why, in words an agent may read."""
        return self.message


class PerformedError(BridleError):
    """The governor's side carried the action out, and it failed.

    `code` says how (`docs/python.md`). `reached` is false where nothing has
    happened; otherwise it may have taken effect. `action` is the action's id.
    """

    code = "perform_failed"

    def __init__(
        self, message: str, *, code: str | None = None, action: str = "", reached: bool = True
    ) -> None:
        super().__init__(message, code=code)
        self.action = action
        self.reached = reached


class Origin(Protocol):
    """Who was held: pickles as a reference, and finds the way back from wherever it is loaded."""

    def way_back(self, approval: str, action: str) -> Resumption:
        """Return what can be done about an approval; opens a session where there is none."""
        ...


class Resumption(Protocol):
    """What a `Held` can still do: the way back to the governor, and the effect that waits."""

    @property
    def origin(self) -> Origin | None:
        """Who was held."""
        ...

    def wait(self, timeout: float | None) -> str:
        """Return the approval's status once it is settled, or `pending` after `timeout` seconds."""
        ...

    def resume(self, effect: Callable[..., Any] | None) -> Any:
        """Go on with what was approved, by this effect or (None) by the one that was held."""
        ...

    async def await_(self, timeout: float | None) -> str:  # noqa: ASYNC109 - the twin of `wait`
        """Do as `wait` does, without blocking the event loop."""
        ...

    async def aresume(self, effect: Callable[..., Any] | None) -> Any:
        """Do as `resume` does, for an async effect or inside an event loop."""
        ...


class Held(BridleError):  # noqa: N818 - a public name of the vocabulary; a hold is no error
    """The action (or its result) waits for a human.

    `approval_id` names the request, `action` the action. Pickled, it keeps these and a reference to
    its agent, but no handle and no effect: whoever loads it opens a session (which needs the
    operator's connection) and resumes with an effect of their own.
    """

    code = ReasonCode.HELD.value

    def __init__(  # noqa: PLR0913 - all but one by name
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        approval_id: str = "",
        action: str = "",
        reasons: tuple[Reason, ...] = (),
        receipt: Receipt | None = None,
        resumption: Resumption | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.approval_id = approval_id
        self.action = action
        self.reasons = reasons
        self.receipt = receipt
        self._resumption = resumption
        self._origin: Origin | None = None

    @property
    def reason(self) -> str:
        """Why, in words an agent may read."""
        return self.message

    def wait(self, timeout: float | None = None) -> str:
        """Wait until the hold is settled; return its status, `pending` after `timeout` seconds.

        A governor that is being restarted is waited for as well. Raises `UnreachableError` when
        none has answered for a minute.
        """
        return self._way_back().wait(timeout)

    def resume(self, effect: Callable[..., Any] | None = None) -> Any:
        """Run the effect as approved (or fetch the held result) and return what it returns.

        `effect` takes the place of the one that was held; its arguments are those approved. It is
        needed for an action whose `Held` was loaded from a pickle. Raises `Denied`, or `Held` again
        while nobody approved or when something new objects.
        """
        return self._way_back().resume(effect)

    async def await_(self, timeout: float | None = None) -> str:  # noqa: ASYNC109 - twin of `wait`
        """The async twin of `wait`."""
        return await (await self._away_back()).await_(timeout)

    async def aresume(self, effect: Callable[..., Any] | None = None) -> Any:
        """The async twin of `resume`."""
        return await (await self._away_back()).aresume(effect)

    def __getstate__(self) -> dict[str, Any]:
        # The way back holds the session's handle and the effect: neither leaves the process.
        way = self._resumption
        origin = way.origin if way is not None else self._origin
        return {**self.__dict__, "_resumption": None, "_origin": origin}

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message,), self.__getstate__())

    def _way_back(self) -> Resumption:
        if self._resumption is None:
            if self._origin is None:
                raise UsageError(
                    "this Held does not know whose it is and cannot go on",
                    hint="repeat the call with the same key: an approved hold is then redeemed",
                )
            self._resumption = self._origin.way_back(self.approval_id, self.action)
        return self._resumption

    async def _away_back(self) -> Resumption:
        if self._resumption is not None:
            return self._resumption
        from bridle.client.attempt import waiting

        return await waiting.to_the_end(self._way_back)
