"""A workload that carries out what agents decided elsewhere: queues, schedulers, pipelines."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bridle.client import delegating
from bridle.client.opening import connect
from bridle.model import calls
from bridle.model.errors import UsageError
from bridle.trust import context

if TYPE_CHECKING:
    from bridle.client.agent import Agent
    from bridle.client.bridle import Bridle
    from bridle.trust.credential import Credential


def worker(
    bundle_or_socket: str | os.PathLike[str] = "",
    *,
    credential: Credential,
    timeout: float = 10.0,
) -> Worker:
    """Connect as a workload, which `credential` (`unlock`) proves on every connection.

    Where the governor is, and what is raised, as in `connect`.
    """
    if credential.kind != "workload":
        raise UsageError(f"{credential.name!r} is a {credential.kind}, and this is for workloads")
    governor = connect(bundle_or_socket, role="agent", timeout=timeout, credential=credential)
    return Worker(governor, credential)


class Worker:
    """A workload on its connections. Safe for threads, tasks and forked processes."""

    def __init__(self, governor: Bridle, credential: Credential) -> None:
        self.name = credential.name
        self.governor = governor
        self._holder = credential.holder()

    def take(self, reference: str, *, task: str = "") -> Agent:
        """Take up what an agent dispatched to this workload, and return what acts for it.

        What this does is decided by that agent, and carried out by this workload: within what was
        dispatched, and as steps of its task. A `key` is a step's name within the task, so that a
        task that is delivered again meets its own steps. `task`, where the engine knows it, has to
        be the one that the reference names. Raises `RefusedError` for what was dispatched to
        another workload, revoked, has ended or is over; `UsageError` for another task.
        """
        wanted = context.parse(reference)
        if not wanted.task or (task and task != wanted.task):
            raise UsageError(
                f"the reference is for the task {wanted.task!r}, not {task!r}",
                code="task_mismatch",
                hint="hand on each reference with the task that it was made for",
            )
        return delegating.taken_up(
            self.governor, self._holder, wanted, self.name, steps_of=wanted.task
        )

    def pipeline(
        self, name: str, *, definition: str, run: str, mission: str, given: str = ""
    ) -> Agent:
        """Open a run of a pipeline that this workload runs, and return what decides in it.

        It decides as the pipeline's author, who has registered `definition`: the digest of what
        this process runs (`bridle.definition`). `run` is the run's id in its engine: whoever opens
        it again acts in the same `mission`, which is started from this template, and meets its own
        steps. `given` is what the run was started with. Raises `RefusedError`:
        `definition_unknown`, `definition_withdrawn`, `run_differs` for an id of another
        definition's run, `not_for_workload`.
        """
        return delegating.opened_run(
            self.governor,
            self.name,
            calls.OpenRun(
                pipeline=name,
                definition=definition,
                run=run,
                mission=mission,
                given=given,
                holder="",
            ),
        )

    def close(self) -> None:
        """Close the connections. What is under way reports on others."""
        self.governor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<bridle.Worker {self.name}>"
