"""kill -9 between any two events, then another process, agent, session or mission: a rule that
looks back still fires, and no sooner than it should. See `trials`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.desk import environment
from crash.past import trials


def run(folder: Path, number: int, seed: int, mutant: str = "") -> dict[str, Any]:
    command = [sys.executable, trials.__file__, str(folder), str(number), str(seed)]
    done = subprocess.run(
        [*command, *([mutant] if mutant else [])],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def assert_remembered(told: dict[str, Any], trials_run: int) -> None:
    assert told["wrong"] == []
    found = told["found"]
    assert found["trials"] == trials_run
    # A trial in which nobody died, or nothing happened, would prove nothing.
    assert found["killed"] >= 2 * trials_run
    assert found["answer"] > 10 * trials_run


def test_after_a_few_deaths_the_past_is_what_was_acknowledged(images: Path) -> None:
    assert_remembered(run(images / "t", 2, 0), 2)


@pytest.mark.slow
def test_after_many_deaths_the_past_is_what_was_acknowledged(
    images: Path, count: Callable[[int, int], int]
) -> None:
    number = count(60, 1_000)
    told = run(images / "t", number, 1)
    print(json.dumps(told["found"]))
    assert_remembered(told, number)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", trials.MUTANTS)
def test_a_governor_that_remembers_wrongly_is_found_out(mutant: str, images: Path) -> None:
    assert run(images / "t", 20, 2, mutant)["wrong"]
