"""kill -9, at any moment and at chosen instructions: nothing acknowledged is lost or doubled, no
step runs twice unseen, and everything opens and goes on with nothing mended.

A trial and what is checked after it are in `rig` and `books`. At the end stand governors that break
a promise each: the same books show it.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.desk import environment
from crash.kills import rig
from crash.kills.journal import Journal, read

# Kills on one store, before the next store begins.
_BATCH = 50


def trial(folder: Path, victim: str, kills: int, seed: int, mutant: str = "") -> dict[str, Any]:
    folder.mkdir(mode=0o700)
    command = [sys.executable, rig.__file__, str(folder), victim, str(kills), str(seed)]
    done = subprocess.run(
        [*command, *([mutant] if mutant else [])],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    errors = folder / "errors"
    said = errors.read_text()[-4_000:] if errors.exists() else ""
    assert done.returncode == 0, done.stderr + said
    told: dict[str, Any] = json.loads(done.stdout)
    if not mutant:
        assert told["wrong"] == [], said
        assert min(told["kills"].values()) >= kills
        # A trial in which nothing happened would prove nothing.
        assert told["seen"]["effects"] > kills / 4
        assert told["seen"]["told"] > kills
    return told


def test_a_line_in_which_its_writer_died_is_no_line_and_harms_none_after_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).write("told", index=1)
    with path.open("ab") as file:
        file.write(path.read_bytes()[1:20])
    Journal(path).write("told", index=2)
    assert [line["index"] for line in read(path)] == [1, 2]


def test_after_a_few_kills_of_everybody_everything_is_there_once(tmp_path: Path) -> None:
    trial(tmp_path / "trial", "all", 3, 0)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["governor", "client", "worker"])
def test_killed_many_times_nothing_is_lost_doubled_or_run_twice(
    victim: str, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    done = [
        trial(tmp_path / str(number), victim, _BATCH, number)
        for number in range(count(200, 1_000) // _BATCH)
    ]
    print(victim, json.dumps([{**each["kills"], **each["seen"]} for each in done]))
    print("died at", dict(sum((Counter(each["died"]) for each in done), Counter())))
    # Deaths between start and report were among them, and surfaced.
    assert sum(each["seen"]["unknown"] for each in done) > 0


@pytest.mark.slow
def test_all_killed_at_the_same_time_nothing_is_lost_doubled_or_run_twice(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    for number in range(count(1, 5)):
        trial(tmp_path / str(number), "all", 30, 100 + number)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "victim", "kills", "shown"),
    [
        ("answers before the commit", "governor", 12, "acknowledged and lost"),
        ("starts without a record", "client", 2, "effects without a record"),
        ("runs again after a lapse", "client", 25, "run twice without a human"),
        ("starts what runs", "client", 15, "two live starts"),
        ("gives back what may be spent", "client", 40, "charges"),
        ("lets a checkpoint out before its commit", "governor", 40, "governor ended by itself"),
        ("does not own up to an end", "governor", 3, "how governors ended"),
    ],
)
def test_a_governor_that_breaks_a_promise_is_caught(
    mutant: str, victim: str, kills: int, shown: str, tmp_path: Path
) -> None:
    told = trial(tmp_path / "trial", victim, kills, 7, mutant)
    assert [wrong for wrong in told["wrong"] if wrong.startswith(shown)], told
