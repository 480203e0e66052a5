"""The ledger's benchmark: what is hashed beside what, real leaves, receipts that hold."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from bench import harness, leaves, ledger, load, peer_worker, peers, unrecorded, workload
from bench.leaves import Run
from bridle.ledger import tree
from bridle.model.record import LeafKind
from bridle.store.base import Tx
from bridle.store.rows import ROWS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return leaves.governed_run(tmp_path_factory.mktemp("ledger"), 5)


def rows_of(report: harness.Report) -> dict[tuple[str, str], float]:
    return {(row.case, row.metric): row.value for row in report.rows}


def test_the_leaves_are_those_of_governed_calls(run: Run) -> None:
    assert run.calls == 5
    assert run.records >= 3 * run.calls
    assert [entry.kind for entry in run.entries] == [
        LeafKind.DECISION,
        LeafKind.STARTED,
        LeafKind.OUTCOME,
    ]


def test_bare_hashing_appending_and_verifying_come_to_the_same_root(run: Run) -> None:
    expected = tree.root_of(leaf.data for leaf in run.leaves)
    assert ledger.bare_root(run.leaves) == expected
    assert ledger.appended(run.leaves) == expected
    assert ledger.verified(run) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 8])
def test_bare_hashing_is_the_root_of_any_number_of_leaves(run: Run, size: int) -> None:
    some = run.leaves[:size]
    assert ledger.bare_root(some) == tree.root_of(leaf.data for leaf in some)


def test_a_log_that_does_not_verify_is_not_timed(run: Run) -> None:
    broken = Run(run.calls, run.leaves[:-1], run.frontier, run.entries, run.folder, run.bundle)
    with pytest.raises(ledger.LedgerError):
        ledger.verified(broken)


def test_hashing_has_a_claim_for_appending_and_one_for_verifying(run: Run) -> None:
    report = harness.Report("sample", {})
    ledger.hashing(report, run, seconds=0)
    assert [(c.claim.split(":")[0], c.bound) for c in report.claims] == [
        ("ledger_append", 4.0),
        ("ledger_verify", 4.0),
    ]
    assert all(value > 0 for value in rows_of(report).values())


def test_records_are_written_whole(run: Run) -> None:
    report = harness.Report("sample", {})
    ledger.records(report, run, seconds=0)
    assert next(iter(rows_of(report).values())) > 0


def test_receipts_hold_and_read_few_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "SIZES", (300, 3_000))
    report = harness.Report("sample", {})
    ledger.receipts(report, seconds=0)
    found = rows_of(report)
    for size in ("300", "3,000"):
        assert 0 < found[f"receipt, {size} leaves", "hashes read"] < 1_000
    assert [claim.claim.split(":")[0] for claim in report.claims] == ["ledger_receipt"]


def test_the_store_and_its_export_are_verified_before_they_are_timed(
    run: Run, tmp_path: Path
) -> None:
    report = harness.Report("sample", {})
    ledger.audits(report, run, tmp_path, seconds=0)
    assert [case for case, _ in rows_of(report)] == [
        "audit verify, the store",
        "audit export, no payloads",
        "audit verify --export",
    ]
    assert (tmp_path / "export-0" / "checkpoint").is_file()


def test_sizes_are_those_of_the_store_on_disk(run: Run) -> None:
    report = harness.Report("sample", {})
    ledger.sizes(report, run)
    found = rows_of(report)
    mean = sum(len(leaf.data) for leaf in run.leaves) / run.records
    assert found["store", "the leaf, per record"] == pytest.approx(mean)
    assert found["store", "all of the log, in pages, per record"] > mean


def test_peers_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PYTHON", tmp_path / "nowhere")
    report = harness.Report("sample", {})
    ledger.others(report, tmp_path, entries=5)
    assert not report.rows
    assert all(name in report.notes[0] for name in peer_worker.LEDGERS)


@pytest.mark.skipif(not peers.PYTHON.exists(), reason="the peers' environment: make peers")
def test_an_entry_of_each_peer_is_timed(tmp_path: Path) -> None:
    report = harness.Report("sample", {})
    ledger.others(report, tmp_path, entries=5)
    assert len(report.rows) == len(peer_worker.LEDGERS)
    assert all(row.value > 0 for row in report.rows)


def test_without_the_ledger_nothing_is_recorded_and_the_rest_is_done(tmp_path: Path) -> None:
    root = workload.write_bundle(tmp_path / "bundle", 10, "strict")

    def rows(governed: load.Governed) -> tuple[int, int]:
        store = governed.governor.core.store

        def both(tx: Tx) -> tuple[int, int]:
            return tx.frontier().size, sum(tx.count(kind) for kind in ROWS)

        return store.write(both)

    with (
        closing(load.Governed(root, tmp_path / "with")) as ours,
        closing(load.Governed(root, tmp_path / "without")) as bare,
        unrecorded.without_ledger(bare),
    ):
        grown: list[tuple[int, int]] = []
        for each in (ours, bare):
            call = each.caller()
            call()  # makes the mission's key
            before, commits = rows(each), each.commits
            assert call() == {"booked": True, "reference": workload.ARGS["reference"]}
            assert each.commits == commits + 2
            after = rows(each)
            grown.append((after[0] - before[0], after[1] - before[1]))
    assert grown == [(3, 2), (0, 2)]


def test_every_number_of_callers_has_its_rows_and_the_most_has_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "ROUND", 0.02)
    monkeypatch.setattr(load, "CALLERS", (1, 4))
    report = harness.Report("sample", {})
    unrecorded.measure(report, tmp_path, rounds=1)
    assert [claim.claim.split(":")[0] for claim in report.claims] == ["ledger_share_4"]
    assert report.claims[0].bound == 0.9
    assert report.claims[0].least
    assert [row.case for row in report.rows if row.metric == "rate"] == [
        "governed calls without the ledger, 1 caller",
        "governed calls, 1 caller",
        "governed calls without the ledger, 4 callers",
        "governed calls, 4 callers",
        "governed calls, unsigned, 4 callers",
    ]
