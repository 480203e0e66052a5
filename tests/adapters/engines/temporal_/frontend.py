"""What of a Temporal server a real client, core and worker need, in memory.

Workflows with activities, retries, timers, signals, children and time-outs. Not: sticky queues,
updates, schedules, cancellation. Each workflow task is given the whole history, so that a worker
that has died is replaced by any other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import (
    CommandType,
    RetryState,
    TaskQueueKind,
    TimeoutType,
    WorkflowIdReusePolicy,
)
from temporalio.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice import v1 as said
from temporalio.api.workflowservice.v1 import (
    WorkflowServiceServicer,
    add_WorkflowServiceServicer_to_server,
)

from adapters.engines.temporal_.runs import Activity, Run, seconds

# ruff: noqa: N802 - the names of the service's calls

REJECT_DUPLICATE = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
# How long an empty poll is kept waiting, how often time-outs are looked for, in seconds.
_POLL = 2.0
_TICK = 0.02
# How long a worker may take for a workflow task before another one is asked.
_WORKFLOW_TASK = 3.0


class Frontend(WorkflowServiceServicer):
    """The service. `address` is where it answers once `serving`.

    Of the workflows in `losing` it loses the first answer of each activity, and has it tried again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._runs: dict[str, Run] = {}
        self._ended = False
        self.address = ""
        self.losing: set[str] = set()

    def history(self, workflow: str) -> list[HistoryEvent]:
        """Return the events of a workflow's newest run."""
        with self._changed:
            return list(self._newest(workflow).events)

    def _newest(self, workflow: str) -> Run:
        return [run for run in self._runs.values() if run.workflow == workflow][-1]

    @contextmanager
    def serving(self) -> Iterator[Frontend]:
        pool = ThreadPoolExecutor(64)
        server = grpc.server(pool)
        add_WorkflowServiceServicer_to_server(self, server)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        clock = threading.Thread(target=self._tick)
        clock.start()
        try:
            yield self
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            clock.join()
            server.stop(None).wait()
            pool.shutdown()

    # What a worker and a client ask when they begin.

    def GetSystemInfo(self, request: Any, context: Any) -> Any:
        able = said.GetSystemInfoResponse.Capabilities(
            signal_and_query_header=True,
            internal_error_differentiation=True,
            activity_failure_include_heartbeat=True,
            encoded_failure_attributes=True,
        )
        return said.GetSystemInfoResponse(server_version="1.29.0", capabilities=able)

    def DescribeNamespace(self, request: Any, context: Any) -> Any:
        found = said.DescribeNamespaceResponse()
        found.namespace_info.name = request.namespace
        return found

    def ShutdownWorker(self, request: Any, context: Any) -> Any:
        return said.ShutdownWorkerResponse()

    # Clients.

    def StartWorkflowExecution(self, request: Any, context: Any) -> Any:
        with self._changed:
            once = request.workflow_id_reuse_policy == REJECT_DUPLICATE
            for run in self._runs.values():
                if run.workflow == request.workflow_id and (once or not run.closed):
                    _abort_started(context, run)
            run = self._start(request)
            return said.StartWorkflowExecutionResponse(run_id=run.id, started=True)

    def SignalWorkflowExecution(self, request: Any, context: Any) -> Any:
        with self._changed:
            self._newest(request.workflow_execution.workflow_id).happen(
                "workflow_execution_signaled",
                signal_name=request.signal_name,
                input=request.input,
                header=request.header,
            )
            self._changed.notify_all()
        return said.SignalWorkflowExecutionResponse()

    def GetWorkflowExecutionHistory(self, request: Any, context: Any) -> Any:
        wanted = request.execution
        with self._changed:
            run = self._runs.get(wanted.run_id) or self._newest(wanted.workflow_id)
            if request.wait_new_event:
                self._await(lambda: run if run.closed else None)
                if not run.closed:
                    return said.GetWorkflowExecutionHistoryResponse(
                        history=History(), next_page_token=b"more"
                    )
                return said.GetWorkflowExecutionHistoryResponse(
                    history=History(events=run.events[-1:])
                )
            return said.GetWorkflowExecutionHistoryResponse(history=History(events=run.events))

    # Workers: decisions.

    def PollWorkflowTaskQueue(self, request: Any, context: Any) -> Any:
        if request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY:
            return self._nothing(said.PollWorkflowTaskQueueResponse(), context)
        with self._changed:
            run = self._await(lambda: self._undecided(request.task_queue.name), context)
            if run is None or not context.is_active():
                return said.PollWorkflowTaskQueueResponse()
            run.begin()
            answer = said.PollWorkflowTaskQueueResponse(
                task_token=f"{run.id}/{len(run.events)}".encode(),
                workflow_execution=run.execution,
                workflow_type=run.kind,
                previous_started_event_id=run.previous,
                started_event_id=len(run.events),
                attempt=1,
                history=History(events=run.events),
                workflow_execution_task_queue=request.task_queue,
            )
            _timed(answer, "scheduled_time", "started_time")
            return answer

    def RespondWorkflowTaskCompleted(self, request: Any, context: Any) -> Any:
        with self._changed:
            run = self._deciding(request.task_token, context)
            number = run.decided()
            for command in request.commands:
                self._obey(run, command, number)
            run.catch_up()
            self._changed.notify_all()
        return said.RespondWorkflowTaskCompletedResponse()

    def RespondWorkflowTaskFailed(self, request: Any, context: Any) -> Any:
        with self._changed:
            self._deciding(request.task_token, context).forget()
            self._changed.notify_all()
        return said.RespondWorkflowTaskFailedResponse()

    # Workers: activities.

    def PollActivityTaskQueue(self, request: Any, context: Any) -> Any:
        with self._changed:
            found = self._await(lambda: self._undone(request.task_queue.name), context)
            if found is None or not context.is_active():
                return said.PollActivityTaskQueueResponse()
            run, activity = found
            activity.began = time.monotonic()
            asked = activity.asked
            answer = said.PollActivityTaskQueueResponse(
                task_token=f"{run.id}/{activity.token}".encode(),
                workflow_namespace="default",
                workflow_type=run.kind,
                workflow_execution=run.execution,
                activity_type=asked.activity_type,
                activity_id=asked.activity_id,
                header=asked.header,
                input=asked.input,
                attempt=activity.attempt,
                schedule_to_close_timeout=asked.schedule_to_close_timeout,
                start_to_close_timeout=asked.start_to_close_timeout,
                heartbeat_timeout=asked.heartbeat_timeout,
                retry_policy=asked.retry_policy,
            )
            _timed(answer, "scheduled_time", "current_attempt_scheduled_time", "started_time")
            return answer

    def RecordActivityTaskHeartbeat(self, request: Any, context: Any) -> Any:
        with self._changed:
            self._doing(request.task_token, context)
        return said.RecordActivityTaskHeartbeatResponse()

    def RespondActivityTaskCompleted(self, request: Any, context: Any) -> Any:
        with self._changed:
            run, activity = self._doing(request.task_token, context)
            if activity.attempt > 1 or run.workflow not in self.losing or not activity.again(0.05):
                del run.activities[activity.number]
                run.happen("activity_task_completed", of=activity, result=request.result)
            self._changed.notify_all()
        return said.RespondActivityTaskCompletedResponse()

    def RespondActivityTaskFailed(self, request: Any, context: Any) -> Any:
        with self._changed:
            run, activity = self._doing(request.task_token, context)
            info = request.failure.application_failure_info
            delay = seconds(info.next_retry_delay) if info.HasField("next_retry_delay") else None
            final = info.non_retryable or (
                info.type in activity.asked.retry_policy.non_retryable_error_types
            )
            if final or not activity.again(delay):
                del run.activities[activity.number]
                state = (
                    RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
                    if final
                    else RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
                )
                run.happen(
                    "activity_task_failed", of=activity, failure=request.failure, retry_state=state
                )
            self._changed.notify_all()
        return said.RespondActivityTaskFailedResponse()

    # Within, with the lock held.

    def _start(self, asked: Any, parent: tuple[Run, int] | None = None) -> Run:
        run = Run(asked, parent)
        self._runs[run.id] = run
        self._changed.notify_all()
        return run

    def _undecided(self, queue: str) -> Run | None:
        ready = (run for run in self._runs.values() if run.due and run.queue == queue)
        return next(ready, None)

    def _undone(self, queue: str) -> tuple[Run, Activity] | None:
        now = time.monotonic()
        for run in self._runs.values():
            for activity in run.activities.values():
                to = activity.asked.task_queue.name or run.queue
                if to == queue and activity.began is None and activity.due <= now:
                    return run, activity
        return None

    def _await(self, look: Callable[[], Any], context: Any = None) -> Any:
        until = time.monotonic() + _POLL
        while (found := look()) is None and time.monotonic() < until and not self._ended:
            if context is not None and not context.is_active():
                return None
            self._changed.wait(0.25)
        return found

    def _nothing(self, answer: Any, context: Any) -> Any:
        with self._changed:
            self._await(lambda: None, context)
        return answer

    def _deciding(self, token: bytes, context: Any) -> Run:
        name, _, number = token.decode().partition("/")
        run = self._runs[name]
        if run.began is None or len(run.events) != int(number):
            context.abort(grpc.StatusCode.NOT_FOUND, "another worker decides by now")
        return run

    def _doing(self, token: bytes, context: Any) -> tuple[Run, Activity]:
        name, number, _ = token.decode().split("/")
        run = self._runs[name]
        activity = run.activities.get(int(number))
        if activity is None or token.decode() != f"{run.id}/{activity.token}":
            context.abort(grpc.StatusCode.NOT_FOUND, "this attempt is over")
        assert activity is not None
        return run, activity

    def _obey(self, run: Run, command: Command, number: int) -> None:
        kind = CommandType.Name(command.command_type).removeprefix("COMMAND_TYPE_").lower()
        asked = getattr(command, f"{kind}_command_attributes")
        since = {"workflow_task_completed_event_id": number}
        if kind == "schedule_activity_task":
            kept = ("activity_id", "activity_type", "task_queue", "header", "input", "retry_policy")
            times = ("schedule_to_close_timeout", "start_to_close_timeout", "heartbeat_timeout")
            told = {name: getattr(asked, name) for name in kept + times}
            at = run.note("activity_task_scheduled", **told, **since)
            run.activities[at] = Activity(at, asked)
        elif kind == "start_timer":
            told = {
                "timer_id": asked.timer_id,
                "start_to_fire_timeout": asked.start_to_fire_timeout,
            }
            at = run.note("timer_started", **told, **since)
            run.timers[at] = (
                time.monotonic() + seconds(asked.start_to_fire_timeout),
                asked.timer_id,
            )
        elif kind == "start_child_workflow_execution":
            self._bear(run, asked, since)
        elif kind == "complete_workflow_execution":
            run.note("workflow_execution_completed", result=asked.result, **since)
            self._close(run, "completed", result=asked.result)
        elif kind == "fail_workflow_execution":
            run.note("workflow_execution_failed", failure=asked.failure, **since)
            self._close(run, "failed", failure=asked.failure)
        else:
            raise NotImplementedError(kind)

    def _bear(self, run: Run, asked: Any, since: dict[str, int]) -> None:
        kept = ("workflow_id", "workflow_type", "task_queue", "header", "input")
        at = run.note(
            "start_child_workflow_execution_initiated",
            **{name: getattr(asked, name) for name in kept},
            **since,
        )
        child = self._start(asked, (run, at))
        started = {"workflow_execution": child.execution, "workflow_type": child.kind}
        run.note("child_workflow_execution_started", initiated_event_id=at, **started)
        run.wake()

    def _close(self, run: Run, how: str, **told: Any) -> None:
        run.closed, run.due = True, False
        run.activities.clear()
        run.timers.clear()
        if run.parent is not None:
            above, at = run.parent
            above.happen(
                f"child_workflow_execution_{how}",
                workflow_execution=run.execution,
                workflow_type=run.kind,
                initiated_event_id=at,
                started_event_id=at + 1,
                **told,
            )

    def _tick(self) -> None:
        while not self._ended:
            time.sleep(_TICK)
            with self._changed:
                for run in list(self._runs.values()):
                    self._look_at(run, time.monotonic())
                self._changed.notify_all()

    def _look_at(self, run: Run, now: float) -> None:
        for at, (when, name) in list(run.timers.items()):
            if when <= now:
                del run.timers[at]
                run.happen("timer_fired", timer_id=name, started_event_id=at)
        for activity in list(run.activities.values()):
            most = seconds(activity.asked.start_to_close_timeout)
            if activity.began is not None and most and activity.began + most <= now:
                self._late(run, activity)
        if run.began is not None and run.began + _WORKFLOW_TASK <= now:
            run.forget()

    def _late(self, run: Run, activity: Activity) -> None:
        if not activity.again():
            del run.activities[activity.number]
            info = TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
            failure = Failure(message="activity timed out", timeout_failure_info=info)
            run.happen("activity_task_timed_out", of=activity, failure=failure)


def _abort_started(context: Any, run: Run) -> None:
    """Refuse to start a workflow again, with the detail that clients know this by."""
    status = GrpcStatus(code=grpc.StatusCode.ALREADY_EXISTS.value[0], message="it was started")
    status.details.add().Pack(WorkflowExecutionAlreadyStartedFailure(run_id=run.id))
    context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
    context.abort(grpc.StatusCode.ALREADY_EXISTS, status.message)


def _timed(answer: Any, *moments: str) -> None:
    for moment in moments:
        getattr(answer, moment).GetCurrentTime()
