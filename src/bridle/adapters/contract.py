"""What an adapter says of a step in an engine or framework, and what is done with it.

An adapter reads the engine's own object for a step and answers four questions; everything hard is
in the client behind it, and in the governor behind that. It never decides, counts or reads a clock.
"""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

from bridle.client.agent import Agent
from bridle.client.attempt import waiting
from bridle.client.errors import Denied
from bridle.model.errors import BridleError, UnreachableError, UsageError
from bridle.model.reason import ReasonCode
from bridle.trust.grants.matching.digests import canonical

if TYPE_CHECKING:
    from bridle.client.worker import Worker

Native = TypeVar("Native", contravariant=True)  # noqa: PLC0105 - the engine's word for it


_UNDECIDED = (
    UnreachableError.code,
    ReasonCode.STORE_UNAVAILABLE.value,
    # It runs elsewhere, or did so when its worker was lost: what comes of that is not known yet.
    ReasonCode.ALREADY_STARTED.value,
    ReasonCode.LEASE_LAPSED.value,
)


class Deed(Struct, frozen=True):
    """What a step does: the tool, its arguments by name, and the reference it was dispatched by.

    The reference is empty where an agent carries out itself what it decided.
    """

    tool: str
    arguments: Mapping[str, Any]
    reference: str


class Adapter(Protocol[Native]):
    """What is known of one engine. `native` is the engine's own object for a step."""

    def identify(self, native: Native) -> str:
        """Name the step within its task: run, step and index, never the attempt."""
        ...

    def describe(self, native: Native) -> Deed:
        """Say what the step does, as the engine would do it now. May raise `UsageError`."""
        ...

    def apply(self, native: Native, arguments: Mapping[str, Any]) -> None:
        """Put these arguments where the engine really reads them."""
        ...

    def refuse(self, native: Native, refusal: BridleError) -> BaseException:
        """Return what tells the engine so: `Held` suspends or comes again, `Denied` never does.

        What `is_undecided` is neither: a governor that could not be asked, or a step that runs
        elsewhere.
        """
        ...


def carry_out(
    adapter: Adapter[Native], native: Native, carrier: Worker | Agent, proceed: Callable[[], Any]
) -> Any:
    """Have a step decided, run it as what was decided, and report it. Returns its result.

    A workload takes up what was dispatched; an agent, in its own process, acts itself.
    `proceed` is the engine's own way on. The guard runs it, inside the effect that is reported:
    what it raises comes as it is, every refusal as what the adapter makes of it.
    """
    ran = _Ran()
    try:
        deed = adapter.describe(native)
        agent = acting(carrier, deed)

        def run(**arguments: Any) -> Any:
            _applied(adapter, native, deed, arguments)
            with ran:
                return proceed()

        return agent.call(deed.tool, deed.arguments, effect=run, key=adapter.identify(native))
    except BridleError as problem:
        if ran.raised(problem):
            raise
        raise adapter.refuse(native, problem) from problem


async def acarry_out(
    adapter: Adapter[Native],
    native: Native,
    carrier: Worker | Agent,
    proceed: Callable[[], Awaitable[Any]],
) -> Any:
    """The async twin of `carry_out`."""
    ran = _Ran()
    try:
        deed = adapter.describe(native)
        agent = await waiting.to_the_end(functools.partial(acting, carrier, deed))

        async def run(**arguments: Any) -> Any:
            _applied(adapter, native, deed, arguments)
            with ran:
                return await proceed()

        key = adapter.identify(native)
        return await agent.acall(deed.tool, deed.arguments, effect=run, key=key)
    except BridleError as problem:
        if ran.raised(problem):
            raise
        raise adapter.refuse(native, problem) from problem


def is_undecided(refusal: BridleError) -> bool:
    """Whether nothing is decided yet, so that an engine may ask again as after any failure."""
    return isinstance(refusal, UnreachableError) or refusal.code in _UNDECIDED


def acting(carrier: Worker | Agent, deed: Deed) -> Agent:
    """Return who acts: an agent itself, or what a workload takes up. Raises as `Worker.take`."""
    return carrier if isinstance(carrier, Agent) else carrier.take(deed.reference)


class WorkerOfProcess:
    """The worker of this process, opened when it is first asked for: engines fork their steps."""

    def __init__(self, opening: Callable[[], Worker]) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._opened: tuple[int, Worker] | None = None

    def get(self) -> Worker:
        """Return it: a process that was forked has none of its parent's. Raises as `opening`."""
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), self._opening())
            return self._opened[1]


class _Ran:
    """What the effect itself raised: that is the engine's, and no refusal."""

    def __init__(self) -> None:
        self._problem: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        self._problem = problem

    def raised(self, problem: BaseException) -> bool:
        """Whether this is what the effect raised."""
        return problem is self._problem


def _applied(
    adapter: Adapter[Native], native: Native, deed: Deed, arguments: Mapping[str, Any]
) -> None:
    """Have the engine do what was decided, and look whether it will. Raises `Denied`."""
    decided = _text(arguments)
    if _text(deed.arguments) != decided:
        adapter.apply(native, arguments)
    # INVARIANT: I3 — read again where the engine reads: a change that is lost is no change.
    found = adapter.describe(native)
    if found.tool != deed.tool or _text(found.arguments) != decided:
        raise Denied("the engine would not run what was decided", code="not_applied")


def _text(arguments: Mapping[str, Any]) -> str:
    """Return arguments as the one text by which they are compared. Raises `UsageError`."""
    try:
        return canonical(json.loads(json.dumps(arguments), parse_float=Decimal))
    except (TypeError, ValueError, RecursionError) as problem:
        raise UsageError(f"the step's arguments are no JSON: {problem}") from problem
