"""The floor of governed calls, and the crowd that makes them: both do what they say they do."""

from pathlib import Path

import pytest

from bench import harness, load, workload
from bench.calls import bundle_of
from bridle.engine.cedar.entities import entities


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> load.Governed:
    folder = tmp_path_factory.mktemp("load")
    root = workload.write_bundle(folder / "bundle", 10, "strict")
    made = load.Governed(root, folder / "state")
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> load.Log:
    made = load.Log(tmp_path / "floor.db")
    yield made
    made.close()


def test_a_governed_call_is_two_commits_and_three_records(governed: load.Governed) -> None:
    call = governed.caller()
    before = governed.commits
    assert call() == {"booked": True, "reference": workload.ARGS["reference"]}
    assert governed.commits == before + 2
    assert governed.record_bytes() > 1_000


def test_the_floor_makes_one_cedar_call_and_as_many_commits(
    governed: load.Governed, log: load.Log
) -> None:
    bundle = bundle_of(governed.governor)
    bare = workload.Bare(10, bundle.schemas.judging, list(entities(bundle)))
    load.floor_caller(bare, log, b"x" * 2_000)()
    assert log.commits == 2
    rows = log._connection.execute("SELECT length(data) FROM log").fetchall()
    assert rows == [(1_000,), (1_000,)]
    assert log._connection.execute("PRAGMA synchronous").get == 2


def test_callers_at_once_share_commits_and_all_are_counted(log: load.Log) -> None:
    crowd = load.Crowd([lambda: log.append(b"x")] * 8)
    assert crowd.per_second(0.05) > 0
    assert log._connection.execute("SELECT count(*) FROM log").get == crowd.done >= log.commits


def test_what_a_caller_raised_ends_the_round() -> None:
    with pytest.raises(ZeroDivisionError):
        load.Crowd([lambda: 1 // 0]).per_second(0.01)


def test_every_number_of_callers_has_its_rows_and_its_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "ROUND", 0.02)
    monkeypatch.setattr(load, "CALLERS", (1, 4))
    report = harness.Report("sample", {})
    load.measure(report, tmp_path, rounds=1)
    assert [claim.claim.split(":")[0] for claim in report.claims] == [
        "guard_floor_1",
        "guard_floor_4",
    ]
    assert all(claim.bound == 0.6 and claim.least for claim in report.claims)
    assert [row.case for row in report.rows if row.metric == "rate"] == [
        "guard floor, 1 caller",
        "guard, strict, 1 caller",
        "guard, strict, served, 1 caller",
        "guard floor, 4 callers",
        "guard, strict, 4 callers",
        "guard, strict, served, 4 callers",
    ]
