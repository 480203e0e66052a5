"""A whole Airflow, as `airflow standalone` starts it: scheduler, triggerer, tasks of their own."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.model import calls

EXAMPLE = Path(__file__).parents[4] / "examples" / "airflow"
MAILS = {
    "allowed": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "denied": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "held": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}
pytestmark = [
    pytest.mark.engines,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("airflow") is None, reason="not run: `make airflow` brings it"),
]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Where the example's DAG, gate and bundle lie, and an Airflow's settings beside them."""
    bundle = shutil.copytree(EXAMPLE / "bundle", tmp_path / "bundle")
    for name in ("dags", "config"):
        shutil.copytree(EXAMPLE / name, tmp_path / "airflow" / name)
    words = tmp_path / "passphrase"
    words.write_text("correct horse battery staple")
    words.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    plain = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW_")}
    found = {
        **plain,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "XDG_STATE_HOME": f"{tmp_path}/state",
        "BRIDLE_KEYS": f"{tmp_path}/keys",
        "BRIDLE_PASSPHRASE_FILE": str(words),
        "BRIDLE_BUNDLE": str(bundle),
        "AIRFLOW_HOME": f"{tmp_path}/airflow",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "bridle", "keys", "new", "workload", "mailer", "--json"]
    made = json.loads(subprocess.check_output(command, env=found))
    with (bundle / "agents.toml").open("a") as agents:
        agents.write(f'key = "{made["public"]}"\n')
    return found


@pytest.fixture
def standalone(environ: dict[str, str], tmp_path: Path) -> Iterator[None]:
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            stdout=log,
            stderr=log,
            env=environ,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def until(look: Callable[[], Any], seconds: float = 300.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(1)
    return found


def rows(home: str, query: str) -> list[tuple[Any, ...]]:
    """Ask Airflow's own database; nothing where it is not there yet."""
    try:
        with closing(sqlite3.connect(f"file:{home}/airflow.db?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def test_a_run_of_a_whole_airflow_is_governed(
    environ: dict[str, str],
    standalone: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = environ["AIRFLOW_HOME"]
    monkeypatch.setenv("XDG_STATE_HOME", environ["XDG_STATE_HOME"])
    with bridle.open(environ["BRIDLE_BUNDLE"], idle_exit=3.0) as governor:
        triage = governor.start_mission("tickets", user="ana").agent("triage")
        assert until(lambda: rows(home, "SELECT dag_id FROM dag WHERE dag_id = 'answers'"))
        for name, mail in MAILS.items():
            tools = {"mail.send": bridle.exactly(mail)}
            reference = triage.dispatch("mailer", task=name, tools=tools)
            conf = json.dumps({**mail, "bridle_context": reference})
            command = [sys.executable, "-m", "airflow", "dags", "trigger", "answers"]
            command += ["--run-id", name, "--conf", conf]
            subprocess.run(command, env=environ, check=True, capture_output=True)
        (waiting,) = until(governor.approvals)
        assert until(lambda: ("deferred",) in rows(home, "SELECT state FROM task_instance"))
        governor.approve(waiting["id"], as_user="ana")
        over = "SELECT run_id, state FROM dag_run WHERE state IN ('success', 'failed')"
        assert until(lambda: len(rows(home, over)) == 3)
        assert dict(rows(home, over)) == {
            "allowed": "success",
            "denied": "failed",
            "held": "success",
        }
        done = governor.rows(calls.Attempts(state="ok"))
        assert {(row["agent"], row["executor"]) for row in done} == {("triage", "mailer")}
        assert len(done) == 2
    said = b"".join(each.read_bytes() for each in Path(home, "logs").rglob("*") if each.is_file())
    for name, mail in MAILS.items():
        assert (f"the mail to {mail['to']} leaves".encode() in said) == (name != "denied")
