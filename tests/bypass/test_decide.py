"""Every probe through `bridle decide`: all of them in one process, as its user would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bypass.probes import BUNDLE, PROBES, Probe


def line(probe: Probe) -> dict:
    args = {"args": probe.args} if probe.raw is None else {"args_raw": probe.raw}
    return {"type": "action", "id": probe.id, "tool": probe.tool, **args}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return decide([line(probe) for probe in PROBES], tmp_path_factory.mktemp("decide"))


def decide(lines: list[dict], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridle", "decide", str(BUNDLE)],
        input="".join(json.dumps(each) + "\n" for each in lines),
        env={**os.environ, "XDG_STATE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def verdicts(run: subprocess.CompletedProcess[str]) -> dict[str, dict]:
    found = [json.loads(each) for each in run.stdout.splitlines()]
    return {verdict["id"]: verdict for verdict in found}


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.id)
def test_bridle_decide_gives_a_probe_its_effect(verdicts: dict, probe: Probe) -> None:
    verdict = verdicts[probe.id]
    assert verdict["effect"] == probe.ruled, (probe.note, verdict)


def test_a_refused_probe_says_why_and_hands_out_no_arguments(verdicts: dict) -> None:
    refused = [verdicts[probe.id] for probe in PROBES if probe.ruled != "allow"]
    assert [
        v for v in refused if "args" in v or not v["reasons"] or not v["reasons"][0]["code"]
    ] == []


def test_one_line_answers_each_line_in_order_and_denials_are_no_failure(
    run: subprocess.CompletedProcess[str],
) -> None:
    assert [json.loads(each)["id"] for each in run.stdout.splitlines()] == [p.id for p in PROBES]
    assert (run.returncode, run.stderr) == (0, "")


def test_two_runs_print_the_same_bytes_and_leave_nothing_behind(
    run: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert decide([line(probe) for probe in PROBES], tmp_path).stdout == run.stdout
    assert list(tmp_path.iterdir()) == []  # its store was a throw-away one
