"""AgentDojo's suites as installed by `make agentdojo`: without its agents, at a fixed time of day.

`agentdojo.agent_pipeline` imports the clients of every model that it knows. None is called here,
so none is installed: the package's name is filled in beforehand, and only its modules that run
ground truths are loaded. Runs in AgentDojo's environment, not in Bridle's.
"""

from __future__ import annotations

import datetime
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

NAMES = ("banking", "slack", "travel", "workspace")
VERSIONS = ("v1", "v1.2.2")

# The day on which the workspace is set; its tools would stamp what they write with the clock.
_MOMENT = datetime.datetime(2024, 5, 15, 12, 0)  # noqa: DTZ001 (as the tools write it: no zone)
_STAMPING = ("email_client", "cloud_drive_client")


def load(version: str) -> dict[str, Any]:
    """Return the four suites of a benchmark version, as `agentdojo.task_suite.TaskSuite`s."""
    _without_clients()
    suites = importlib.import_module("agentdojo.task_suite").get_suites(version)
    _stop_the_clock()
    return {name: suites[name] for name in NAMES}


def _without_clients() -> None:
    if "agentdojo.agent_pipeline" in sys.modules:
        return
    found = importlib.util.find_spec("agentdojo")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("agentdojo is not installed here: make agentdojo")
    pipeline = ModuleType("agentdojo.agent_pipeline")
    pipeline.__path__ = [str(Path(found.origin).parent / "agent_pipeline")]
    models = ModuleType("agentdojo.agent_pipeline.llms")
    models.__path__ = []
    # The one name that the tool executor takes from a client: what a model without one answers.
    google = ModuleType("agentdojo.agent_pipeline.llms.google_llm")
    google.EMPTY_FUNCTION_NAME = "<empty-function>"  # type: ignore[attr-defined]
    for module in (pipeline, models, google):
        sys.modules[module.__name__] = module


def _stop_the_clock() -> None:
    stopped = SimpleNamespace(datetime=SimpleNamespace(now=lambda: _MOMENT))
    for name in _STAMPING:
        module = importlib.import_module(f"agentdojo.default_suites.v1.tools.{name}")
        module.datetime = stopped  # type: ignore[attr-defined]
