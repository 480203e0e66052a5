"""The comparison with peers: the same rules for all, and a line by name for who is not there."""

from pathlib import Path

import pytest

from bench import calls, harness, peer_worker, peers, rules
from bridle.bundle.load import load
from bridle.governor.governor import Governor
from bridle.model.verdict import Effect


@pytest.mark.parametrize("count", [1, 10, 100])
def test_none_of_so_many_rules_matches_and_the_call_is_allowed(tmp_path: Path, count: int) -> None:
    root = rules.write_bundle(tmp_path / "bundle", count)
    bundle = load(root)
    own = [policy for policy in bundle.policies if not policy.id.startswith("bridle.")]
    assert len(own) == count + 1
    assert calls.engine_call(bundle, rules.READ)() is Effect.ALLOW


def test_reads_are_relaxed_and_writes_are_strict_in_one_bundle(tmp_path: Path) -> None:
    root = rules.write_bundle(tmp_path / "bundle", 2)
    governor = Governor.open(root, state=tmp_path / "state", embedded=True)
    for ask in (rules.READ, rules.WRITE):
        assert calls.governor_call(governor, ask)() == Effect.ALLOW
    leaves = governor.core.store.write(lambda tx: [leaf.data for leaf in tx.leaves()])
    governor.close()
    decisions = [leaf for leaf in leaves if b'"kind":"decision"' in leaf]
    assert [b'"durability":"relaxed"' in leaf for leaf in decisions] == [True, False]


def measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> harness.Report:
    monkeypatch.setattr(peers, "SIZES", (1, 10))
    report = harness.Report("sample", {})
    peers.measure(report, folder, seconds=0)
    return report


def test_peers_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PYTHON", tmp_path / "nowhere")
    report = measured(tmp_path, monkeypatch)
    assert len(report.rows) == 3 * 2
    assert all(name in report.notes[-1] for name in peer_worker.CASES)


@pytest.mark.skipif(not peers.PYTHON.exists(), reason="the peers' environment: make peers")
def test_peers_that_are_installed_stand_beside_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = measured(tmp_path, monkeypatch)
    assert {f"{name}, 10 rules" for name in peer_worker.CASES} <= {row.case for row in report.rows}
    assert all(row.value > 0 for row in report.rows)
    assert report.versions["attenu-guard"] == "0.21.0"
