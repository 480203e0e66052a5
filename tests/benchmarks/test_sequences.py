"""The benchmark of sequences: its rules all apply, and both sides judge the same events alike."""

from pathlib import Path

import pytest

from bench import harness, histories, peers, recalling, reference, sequences
from bench.recalling import Embedded, Remembered
from bridle.bundle.load import load
from bridle.engine.temporal.partition import Partition
from bridle.model.verdict import Effect

FILES = {"policies/all.dw": histories.rules()}


def test_every_rule_applies_and_no_two_are_equal(tmp_path: Path) -> None:
    bundle = load(histories.write_bundle(tmp_path / "bundle", FILES))
    leaves = {leaf.digest for policy in bundle.policies for leaf in policy.leaves}
    assert len(leaves) == histories.RULES


@pytest.mark.parametrize("kind", histories.KINDS)
def test_each_kind_of_rule_is_kept_by_the_history_and_broken_without_it(
    tmp_path: Path, kind: str
) -> None:
    number = list(histories.KINDS).index(kind)
    broken = {"requires_before", "requires_since", "distinct_actors"}
    lines = histories.rules(number + 1).split("@id(")
    alone = {"policies/all.dw": f"@id({lines[number + 1]}@id({lines[-1]}"}
    engine = histories.engine_of(tmp_path / "bundle", alone)
    ours = Remembered(engine, 100)
    assert ours() is Effect.ALLOW
    ours._partition = Partition(engine.programs["mission"], ours.atoms)
    assert ours() is (Effect.DENY if kind in broken else Effect.ALLOW)


def test_the_governor_judges_the_same_and_keeps_a_short_history_short(tmp_path: Path) -> None:
    with Embedded(tmp_path, FILES, 40) as governed:
        assert governed.grown > 0
        assert {governed() for _ in range(3)} == {Effect.ALLOW}
        first = governed._session
        for _ in range(100):
            governed()
        governed.renew()
        assert governed._session != first
        assert governed() == Effect.ALLOW


@pytest.mark.parametrize("case", [reference.AGGREGATE, reference.PREVIOUS], ids=lambda c: c.name)
def test_the_reference_and_the_engine_allow_the_same(
    tmp_path: Path, case: reference.Sequence
) -> None:
    engine = histories.engine_of(tmp_path / "bundle", {case.file: case.rules})
    assert Remembered(engine, 20, scope=case.scope, story=case.story)() is Effect.ALLOW
    theirs = reference.Replayed(case, 20)
    assert theirs.whole().strip().endswith("(time point 20): true")
    assert theirs.bare().strip() == ""


def test_the_rule_of_the_pair_objects_once_the_first_tool_was_called(tmp_path: Path) -> None:
    engine = histories.engine_of(tmp_path / "bundle", {"policies/all.dw": recalling.PAIR})
    ours = Remembered(engine, 20)
    assert ours() is Effect.ALLOW
    step = histories.Step("close", histories.EventKind.REQUEST, 7, 1)
    ours._partition.add(ours._teller.event(step, ours._now))
    assert ours() is Effect.DENY


def test_a_peer_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PYTHON", tmp_path / "python")
    report = harness.Report("sample", {})
    sequences.paired(report, tmp_path, rounds=1)
    assert report.rows == []
    assert report.notes == ["not installed, so not measured (`make peers`): Invariant"]


def test_what_no_window_reaches_takes_up_no_state(tmp_path: Path) -> None:
    report = harness.Report("sample", {})
    sequences.bounded(report, tmp_path, events=14_000)
    (claim,) = report.claims
    assert claim.holds
    assert claim.figure > 0.9
