"""An Airflow of the tests' own: its home, its database, and runs of its DAGs in this process."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# Read when Airflow is imported, which is once in a process.
HOME = Path(tempfile.mkdtemp(prefix="bridle-airflow-"))
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).with_name("dags")),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL="0",
    AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
)
TOOLS = {
    "get.step": "page.get",
    "put.step": "page.put",
    "classic.step": "page.get",
    "positional.step": "page.get",
    "mapped.step": "page.get",
}
HARMLESS = ["airflow.providers.standard.operators.empty.EmptyOperator"]
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def migrated() -> None:
    """Make the database, once."""
    if _MADE:
        return
    _MADE.append(HOME)
    atexit.register(shutil.rmtree, HOME, ignore_errors=True)
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True)


def run(dag_id: str, nth: int, **conf: Any) -> Any:
    """Run a DAG to its end; the same `nth` is the same run. Returns the run."""
    from airflow.dag_processing.dagbag import DagBag

    if not _DAGS:
        _DAGS.update(DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags)
    when = _BEGAN + timedelta(minutes=nth)
    # The run's id is made of the latter.
    return _DAGS[dag_id].test(logical_date=when, run_after=when, run_conf=conf)


def disconnected() -> None:
    """Give back the connection that this thread holds."""
    from airflow import settings

    settings.get_session().remove()


_MADE: list[Path] = []
_DAGS: dict[str, Any] = {}
