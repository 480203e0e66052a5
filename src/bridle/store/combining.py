"""Group commit by combining: concurrent callers share a commit, a lone caller commits inline.

There is no writer thread. The caller that finds the writer free leads: it begins the transaction,
runs its own job and those queued meanwhile, commits once, hands the lead to the next caller in
the queue and wakes the others. It knows nothing of SQL; a `Transaction` does that part.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from bridle.model.errors import StoreError, UsageError
from bridle.store.failures import failure

T = TypeVar("T")
X = TypeVar("X")
V_co = TypeVar("V_co", covariant=True)

BATCH = 64
"""Most jobs of one commit: it bounds how long a leader works for others."""


class Transaction(Protocol[V_co]):
    """What the combiner needs of a driver's transaction."""

    @property
    def alive(self) -> bool:
        """False once the transaction can no longer be committed."""
        ...

    @property
    def committed(self) -> bool:
        """True once it has been committed, whatever was raised since."""
        ...

    def begin(self) -> None:
        """Begin."""
        ...

    def run(self, job: Callable[[V_co], Any]) -> Any:
        """Run a job so that its failure undoes the job and nothing else."""
        ...

    def commit(self) -> None:
        """Commit everything, or raise."""
        ...

    def undo(self) -> None:
        """Undo everything."""
        ...


class _State(Enum):
    NEW = 0
    QUEUED = 1
    LEADING = 2
    TAKEN = 3
    DONE = 4


class _Job(Generic[X]):
    __slots__ = ("call", "error", "relaxed", "result", "state", "wake")

    def __init__(self, call: Callable[[X], Any], *, relaxed: bool) -> None:
        self.call = call
        self.relaxed = relaxed
        self.state = _State.NEW
        self.result: Any = None
        self.error: BaseException | None = None
        self.wake: threading.Lock | None = None


class _Round(Generic[X]):
    """One batch under way: the leader's own job first."""

    def __init__(self, own: _Job[X]) -> None:
        self.jobs = [own]
        self.transaction: Transaction[X] | None = None
        self.interrupt: BaseException | None = None
        self.error: BaseException | None = None


class Combiner(Generic[X]):
    """Runs the jobs of concurrent callers in shared transactions.

    `open_transaction(durable)` makes the next transaction; `explain` turns a driver's exception
    into a `StoreError`, and returns None for what is no error of the driver.

    An asynchronous exception (Ctrl-C) may arrive between any two steps. The order of the steps
    therefore matters: a job is in the round before it leaves the queue, marked before it is
    listed, and settling may run twice.
    """

    def __init__(
        self,
        open_transaction: Callable[[bool], Transaction[X]],
        explain: Callable[[BaseException], StoreError | None],
    ) -> None:
        self._open = open_transaction
        self._explain = explain
        self._mutex = threading.Lock()
        self._idle = threading.Condition(self._mutex)
        self._queue: deque[_Job[X]] = deque()
        self._leading: _Job[X] | None = None
        self._closed = False
        self._thread = 0

    def submit(self, call: Callable[[X], T], *, relaxed: bool) -> T:
        """Run `call` in a shared transaction and return its result after the commit."""
        if self._thread == threading.get_ident():
            raise UsageError("a job may not write to the store: it is inside a write already")
        job = _Job(call, relaxed=relaxed)
        try:
            self._enlist(job)
            if job.wake is not None:
                job.wake.acquire()
            if job.state is _State.LEADING:
                self._lead(_Round(job))
        except BaseException:
            self._abandon(job)
            raise
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def close(self) -> bool:
        """Refuse new jobs and wait for those under way. Returns False when closed already."""
        if self._thread == threading.get_ident():
            raise UsageError("a job may not close the store")
        with self._mutex:
            first, self._closed = not self._closed, True
            while self._leading is not None:
                self._idle.wait()
        return first

    def _enlist(self, job: _Job[X]) -> None:
        with self._mutex:
            if self._closed:
                raise failure("store_closed", "the store is closed")
            if self._leading is None:
                job.state = _State.LEADING
                self._leading = job
            else:
                job.wake = threading.Lock()
                job.wake.acquire()
                job.state = _State.QUEUED
                self._queue.append(job)

    def _lead(self, batch: _Round[X]) -> None:
        """Run one batch, settle it and pass the lead on."""
        try:
            try:
                self._work(batch)
            except Exception as problem:
                batch.error = self._explain(problem) or problem
            self._settle(batch)
        except BaseException as problem:
            batch.interrupt = problem
            self._settle(batch)
        if batch.interrupt is not None:
            raise batch.interrupt

    def _work(self, batch: _Round[X]) -> None:
        self._thread = threading.get_ident()
        durable = self._wants_sync(batch.jobs[0])
        batch.transaction = transaction = self._open(durable)
        transaction.begin()
        self._run_all(batch, transaction, durable=durable)
        transaction.commit()

    def _wants_sync(self, own: _Job[X]) -> bool:
        with self._mutex:
            return not own.relaxed or any(not job.relaxed for job in self._queue)

    def _run_all(self, batch: _Round[X], transaction: Transaction[X], *, durable: bool) -> None:
        job: _Job[X] | None = batch.jobs[0]
        while job is not None:
            self._run(batch, transaction, job)
            if not transaction.alive:
                raise job.error or failure("store_unavailable", "the transaction was given up")
            if batch.interrupt is not None:
                return
            job = self._take(batch, durable=durable)

    def _run(self, batch: _Round[X], transaction: Transaction[X], job: _Job[X]) -> None:
        try:
            job.result = transaction.run(job.call)
        except Exception as problem:
            job.error = self._explain(problem) or problem
        except BaseException as problem:
            job.error = problem
            if job is not batch.jobs[0] and _on_main_thread():
                # A signal that met the leader while it worked for another caller is its own.
                job.error = failure("store_interrupted", "the write was interrupted")
                batch.interrupt = problem

    def _take(self, batch: _Round[X], *, durable: bool) -> _Job[X] | None:
        """Move the next job into the batch; a strict one waits when the batch does not sync."""
        with self._mutex:
            while self._queue and len(batch.jobs) < BATCH:
                job = self._queue[0]
                if job.state is _State.QUEUED and not durable and not job.relaxed:
                    return None
                if job.state is _State.QUEUED:
                    batch.jobs.append(job)
                    job.state = _State.TAKEN
                    self._queue.popleft()
                    return job
                self._queue.popleft()
        return None

    def _settle(self, batch: _Round[X]) -> None:
        """Give every job its outcome, pass the lead on, wake the callers. May run twice."""
        if self._leading is batch.jobs[0]:  # once passed on, the transaction may be another's
            self._conclude(batch)
            self._pass_on(batch.jobs[0])
        for job in batch.jobs:
            if job.wake is not None and job.wake.locked():
                job.wake.release()

    def _conclude(self, batch: _Round[X]) -> None:
        transaction = batch.transaction
        if transaction is None or not transaction.committed:
            # INVARIANT: I2, I7. Nothing of a batch that did not commit is told to anyone.
            for job in batch.jobs:
                job.error = job.error or self._lost(batch)
            if transaction is not None:
                with contextlib.suppress(Exception):  # `begin` tries again
                    transaction.undo()
        for job in batch.jobs:
            job.state = _State.DONE

    def _lost(self, batch: _Round[X]) -> BaseException:
        error = batch.error
        if isinstance(error, StoreError):  # one of its own for each caller: tracebacks differ
            return StoreError(error.message, code=error.code, hint=error.hint)
        if error is not None:
            return failure("store_unavailable", f"the store failed: {error}")
        return failure("store_interrupted", "the write was interrupted")

    def _pass_on(self, job: _Job[X]) -> None:
        """Make the first caller in the queue the leader, if `job` leads."""
        with self._mutex:
            if self._leading is not job:
                return
            self._thread = 0
            while self._queue and self._queue[0].state is not _State.QUEUED:
                self._queue.popleft()
            if not self._queue:
                self._leading = None
                self._idle.notify_all()
                return
            heir = self._queue[0]
            heir.state = _State.LEADING
            self._leading = heir
            if heir.wake is not None:
                heir.wake.release()
            self._queue.popleft()

    def _abandon(self, job: _Job[X]) -> None:
        """Leave without harm to the others, from whatever state the interruption found."""
        with self._mutex:
            if job.state is _State.QUEUED:
                job.state = _State.DONE
        if job.state is _State.LEADING:
            job.state = _State.DONE
            self._pass_on(job)


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
