"""A refused action as an exception: `Denied` is final, `Held` waits for a human.

Inside Bridle a denial is a value; only here, at the Python edge, it is raised. The rest of the
exception tree is `bridle.model.errors`.
"""

from __future__ import annotations

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


class Resumption(Protocol):
    """What a `Held` can still do: the way back to the governor, and the effect that waits."""

    def wait(self, timeout: float | None) -> str:
        """Return the approval's status once it is settled, or `pending` after `timeout` seconds."""
        ...

    def resume(self) -> Any:
        """Go on with what was approved."""
        ...

    async def await_(self, timeout: float | None) -> str:  # noqa: ASYNC109 - the twin of `wait`
        """Do as `wait` does, without blocking the event loop."""
        ...

    async def aresume(self) -> Any:
        """Do as `resume` does, for an async effect or inside an event loop."""
        ...


class Held(BridleError):  # noqa: N818 - a public name of the vocabulary; a hold is no error
    """The action (or its result) waits for a human.

    `approval_id` names the request, `action` the action. A pickled `Held` keeps these but not its
    way back: it cannot wait or resume.
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

    @property
    def reason(self) -> str:
        """Why, in words an agent may read."""
        return self.message

    def wait(self, timeout: float | None = None) -> str:
        """Wait until the hold is settled; return its status, `pending` after `timeout` seconds.

        Raises `UnreachableError` when the governor does not answer.
        """
        return self._way_back().wait(timeout)

    def resume(self) -> Any:
        """Run the effect as approved (or fetch the held result) and return what it returns.

        Raises `Denied`, or `Held` again while nobody approved or when something new objects.
        """
        return self._way_back().resume()

    async def await_(self, timeout: float | None = None) -> str:  # noqa: ASYNC109 - twin of `wait`
        """The async twin of `wait`."""
        return await self._way_back().await_(timeout)

    async def aresume(self) -> Any:
        """The async twin of `resume`."""
        return await self._way_back().aresume()

    def __getstate__(self) -> dict[str, Any]:
        # The way back holds the session's handle and the effect: neither leaves the process.
        return {**self.__dict__, "_resumption": None}

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message,), self.__getstate__())

    def _way_back(self) -> Resumption:
        if self._resumption is None:
            raise UsageError(
                "this Held came from another process and cannot go on",
                hint="repeat the call with the same key: an approved hold is then redeemed",
            )
        return self._resumption
