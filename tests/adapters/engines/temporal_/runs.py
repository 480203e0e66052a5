"""Runs of workflows: their histories, and what is under way in them."""

from __future__ import annotations

import time
import uuid
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.history.v1 import HistoryEvent


class Activity:
    """One that was asked for and has not closed: which attempt, and when what is due."""

    def __init__(self, number: int, asked: Any) -> None:
        self.number = number
        self.asked = asked
        self.attempt = 1
        self.due = time.monotonic()
        self.began: float | None = None

    @property
    def token(self) -> str:
        return f"{self.number}/{self.attempt}"

    def again(self, delay: float | None = None) -> bool:
        """Have it tried again. False where its retry policy has no attempt left."""
        policy = self.asked.retry_policy
        if policy.maximum_attempts and self.attempt >= policy.maximum_attempts:
            return False
        if delay is None:
            first = seconds(policy.initial_interval) or 1.0
            delay = first * (policy.backoff_coefficient or 2.0) ** (self.attempt - 1)
        self.attempt, self.began, self.due = self.attempt + 1, None, time.monotonic() + delay
        return True


class Run:
    """One run of a workflow: its history, and what is under way in it."""

    def __init__(self, asked: Any, parent: tuple[Run, int] | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.workflow = asked.workflow_id
        self.kind = asked.workflow_type
        self.queue = asked.task_queue.name
        self.parent = parent
        self.closed = False
        self.events: list[HistoryEvent] = []
        self.activities: dict[int, Activity] = {}
        self.timers: dict[int, tuple[float, str]] = {}
        # The workflow task: due, or started at this time; and what happened while it was away.
        self.due = False
        self.asked = 0
        self.began: float | None = None
        self.previous = 0
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self.note(
            "workflow_execution_started",
            workflow_type=asked.workflow_type,
            task_queue=asked.task_queue,
            input=asked.input,
            header=asked.header,
            workflow_id=self.workflow,
            original_execution_run_id=self.id,
            first_execution_run_id=self.id,
            workflow_task_timeout=Duration(seconds=10),
            attempt=1,
        )
        self.wake()

    @property
    def execution(self) -> WorkflowExecution:
        return WorkflowExecution(workflow_id=self.workflow, run_id=self.id)

    def note(self, kind: str, **told: Any) -> int:
        """Write an event down and return its number."""
        event = HistoryEvent(
            event_id=len(self.events) + 1,
            event_type=EventType.Value(f"EVENT_TYPE_{kind.upper()}"),
            **{f"{kind}_event_attributes": told},
        )
        event.event_time.GetCurrentTime()
        self.events.append(event)
        return event.event_id

    def happen(self, kind: str, **told: Any) -> None:
        """Write down what the workflow has to be told; what comes while it decides, afterwards."""
        if self.closed:
            return
        if self.began is not None:
            self._waiting.append((kind, told))
        else:
            self._tell(kind, told)
            self.wake()

    def _tell(self, kind: str, told: dict[str, Any]) -> None:
        if kind.startswith("activity_task_"):
            activity: Activity = told.pop("of")
            told["scheduled_event_id"] = activity.number
            told["started_event_id"] = self.note(
                "activity_task_started",
                scheduled_event_id=activity.number,
                attempt=activity.attempt,
            )
        self.note(kind, **told)

    def wake(self) -> None:
        if not self.due and not self.closed:
            self.due = True
            self.asked = self.note("workflow_task_scheduled")

    def begin(self) -> None:
        self.due, self.began = False, time.monotonic()
        self.note("workflow_task_started", scheduled_event_id=self.asked)

    def decided(self) -> int:
        """End the workflow task; return its number."""
        started = len(self.events)
        self.previous, self.began = started, None
        return self.note(
            "workflow_task_completed", scheduled_event_id=self.asked, started_event_id=started
        )

    def catch_up(self) -> None:
        """Write down what happened while the workflow decided."""
        waiting, self._waiting = self._waiting, []
        for kind, told in waiting:
            self.happen(kind, **told)

    def forget(self) -> None:
        """Ask again for a decision that nobody gave."""
        started = len(self.events)
        self.note(
            "workflow_task_timed_out",
            scheduled_event_id=self.asked,
            started_event_id=started,
            timeout_type=TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE,
        )
        self.began = None
        self.catch_up()
        self.wake()


def seconds(duration: Duration) -> float:
    """Return a duration in seconds."""
    return duration.seconds + duration.nanos / 1e9
