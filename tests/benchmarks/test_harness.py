"""The benchmarks' own arithmetic: percentiles, turns, claims, and the form of what they print."""

import json
from pathlib import Path

import pytest

from bench import harness, workload
from bench.harness import Claim, Report
from bridle.bundle.load import load


def report(figure: float) -> Report:
    made = Report("sample", {"python": "3.11"}, claims=[Claim("stays small", 1.3, figure)])
    made.add("floor", "p50", 100.0, "us")
    made.add("ours", "p50", 250.0, "us", ("floor", 100.0))
    return made


def test_a_percentile_is_a_sample_that_so_many_do_not_exceed() -> None:
    samples = [float(n) for n in range(100, 0, -1)]
    shares = (0.0, 0.01, 0.5, 0.99, 1.0)
    assert [harness.percentile(samples, s) for s in shares] == [1, 1, 50, 99, 100]
    assert harness.percentile([7.0], 0.5) == 7


def test_every_call_gets_as_many_turns_and_none_is_always_first() -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "abc"}
    taken = harness.interleave(calls, seconds=0, warm=0, least=6)
    assert {name: len(samples) for name, samples in taken.items()} == {"a": 6, "b": 6, "c": 6}
    assert "".join(order) == "abcbcacab" * 2


def test_the_json_has_the_keys_that_readers_rely_on() -> None:
    found = json.loads(report(1.2).as_json())
    assert set(found) == {"name", "versions", "rows", "claims"}
    assert found["rows"][1] == {
        "case": "ours",
        "metric": "p50",
        "value": 250.0,
        "unit": "us",
        "against": "floor",
        "ratio": 2.5,
    }
    claim = {"claim": "stays small", "bound": 1.3, "figure": 1.2, "holds": True}
    assert found["claims"] == [claim]


def test_the_table_says_which_claim_fails() -> None:
    assert "FAILS  stays small: 1.31 (at most 1.3)" in report(1.31).as_table()
    assert "2.50 x floor" in report(1.31).as_table()


def test_a_claim_may_ask_for_at_least_its_bound() -> None:
    assert [Claim("fast", 0.6, f, least=True).holds for f in (0.59, 0.6, 2.0)] == [
        False,
        True,
        True,
    ]


def test_a_goal_that_is_missed_is_said_and_fails_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missed = Report("sample", {}, claims=[Claim("fast", 0.6, 0.5, least=True, goal=True)])
    with pytest.raises(SystemExit) as ended:
        harness.run(lambda *, quick: missed, [])
    assert ended.value.code == 0
    assert "MISSED fast: 0.50 (at least 0.6)" in capsys.readouterr().out
    assert json.loads(missed.as_json())["claims"][0]["holds"] is False


@pytest.mark.parametrize(("figure", "status"), [(1.3, 0), (1.31, 1)])
def test_a_failed_claim_is_the_exit_code(
    figure: float, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        harness.run(lambda *, quick: report(figure), ["--json", "--quick"])
    assert ended.value.code == status
    assert "load average" in json.loads(capsys.readouterr().out)["versions"]


@pytest.mark.parametrize("count", [10, 100])
def test_the_workload_is_a_bundle_of_so_many_policies_on_259_entities(
    tmp_path: Path, count: int
) -> None:
    bundle = load(workload.write_bundle(tmp_path / "bundle", count))
    own = [policy for policy in bundle.policies if not policy.id.startswith("bridle.")]
    assert len(own) == count
    kinds = ("teams", "users", "agents", "workloads", "domains", "systems")
    assert sum(len(getattr(bundle, kind)) for kind in kinds) == 259


def test_the_slice_of_the_bare_call_is_the_forbids_and_the_one_permit() -> None:
    ids = [line for line in workload.sliced(1000).splitlines() if line.startswith("@id")]
    assert ids == [*(f'@id("{name}")' for name in workload.FORBIDS), '@id("permit-0")']
