"""Each example runs with one command, on the real engine, and shows what its page says."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [pytest.mark.engines, pytest.mark.timeout(120)]


SAID = {
    "dbos": ["kim@customer.example", "lee@customer.example"],
    "langgraph": ["kim@customer.example", "20 EUR", "lee@customer.example", "500 EUR"],
}


@pytest.mark.parametrize("engine", SAID)
def test_an_example_runs_with_one_command(engine: str) -> None:
    if find_spec(engine) is None:
        pytest.skip(f"not run: `make engines` brings {engine}")
    assert "python run.py" in (EXAMPLES / engine / "README.md").read_text()
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=EXAMPLES / engine,
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
