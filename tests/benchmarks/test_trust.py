"""The benchmark of trust: chains are real, bombs are as meant, and revocations reach the other."""

from pathlib import Path

import pytest

from bench import bombs, chains, fencing, harness, peer_worker, peers, trust
from bench.calls import WorkloadError
from bench.chains import Handed, Proved
from bench.withdrawn import Withdrawn
from bridle.model.verdict import Effect
from bridle.trust.grants.codes import GrantError


@pytest.mark.parametrize("depth", [0, 8])
def test_a_chain_has_so_many_handoffs_and_its_leaf_is_proved(depth: int) -> None:
    handed = Handed(depth)
    for cached in (False, True):
        assert len(handed.admitting(cached=cached)().links) == depth + 1
    proved = Proved(handed)
    proved.renew(2)
    proved()
    proved()
    with pytest.raises(IndexError):
        proved()


def test_a_list_of_revoked_ids_does_what_it_costs() -> None:
    handed = Handed(3)
    handed.admitting(chains.revoked(1_000), cached=True)
    digest = handed.admitting(cached=True)().links[1].digest
    dead = chains.revoked(10)
    dead.revoked_at[f"grant:{digest}"] = 1
    with pytest.raises(GrantError) as refusal:
        handed.admitting(dead, cached=True)
    assert refusal.value.code == "revoked"


def test_every_bomb_is_refused_or_held_as_it_says() -> None:
    for call in bombs.made(Handed(8)).values():
        call()


def test_a_bomb_that_is_none_is_noticed() -> None:
    handed = Handed(2)
    with pytest.raises(WorkloadError):
        bombs._reading(handed, handed.texts, refused=True)()


def test_a_governor_with_revoked_rows_looks_again_in_every_epoch(tmp_path: Path) -> None:
    with Withdrawn(tmp_path, 100, 8) as governed:
        before = governed._governor.core.write(lambda turn: turn.globals.epoch)
        governed.advance()
        assert governed() is Effect.ALLOW
        assert governed._governor.core.write(lambda turn: turn.globals.epoch) == before + 1


def test_a_revocation_reaches_the_agents_process(tmp_path: Path) -> None:
    report = harness.Report("sample", {})
    fencing.measure(report, tmp_path, trials=2)
    assert [row.metric for row in report.rows] == ["p50", "p99"] * 3
    assert all(row.value > 0 for row in report.rows)
    assert len(report.claims) == 1


def test_peers_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PYTHON", tmp_path / "nowhere")
    monkeypatch.setattr(trust, "DEPTHS", (0, 8))
    report = harness.Report("sample", {})
    trust.ladder(report, tmp_path, seconds=0)
    assert [row.case for row in report.rows].count(trust.V) == 1
    assert report.notes == ["not installed, so not measured (`make peers`): Tenuo, Biscuit"]
    assert len(report.claims) == 3


@pytest.mark.skipif(not peers.PYTHON.exists(), reason="the peers' environment: make peers")
def test_peers_that_are_installed_stand_beside_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "DEPTHS", (0, 8))
    report = harness.Report("sample", {})
    trust.ladder(report, tmp_path, seconds=0)
    cases = {row.case for row in report.rows}
    assert {f"{name}, depth 8" for name in peer_worker.CHAINS} <= cases
