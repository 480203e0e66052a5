"""The benchmark of provenance: what is asked for is new, and what is copied is found."""

from pathlib import Path

from bench import harness, provenance
from bench.provenance import Mission, Writer


def test_no_arguments_are_asked_for_twice_and_they_take_a_kilobyte() -> None:
    writer = Writer(1)
    made = [writer.arguments() for _ in range(200)]
    assert len({m["body"] for m in made}) == len(made)
    assert all(900 <= len(str(m)) <= 1_200 for m in made)
    assert Writer(1).arguments() == made[0]


def test_what_is_written_anew_is_unknown_and_what_is_copied_tells_its_result() -> None:
    mission = Mission(100, 1)
    new, copied = mission.asking(1)(), mission.copying(1)()
    assert new.arguments["body"].unknown
    assert not copied.arguments["body"].unknown
    assert not copied.arguments["body"].trusted
    assert copied.arguments["body"].sources


def test_every_size_has_its_row_and_every_bound_its_claim(tmp_path: Path) -> None:
    report = harness.Report("sample", {})
    kept = dict(provenance.SIZES)
    try:
        provenance.SIZES.clear()
        provenance.SIZES.update({"1 MB": 20, "10 MB": 40})
        provenance.origins(report, tmp_path, rounds=5)
    finally:
        provenance.SIZES.update(kept)
    assert {row.case for row in report.rows} >= {"origins after 1 MB", "origins after 10 MB"}
    claims = [claim.claim.partition(":")[0] for claim in report.claims]
    assert claims == ["provenance_cost", "provenance_flat"]


def test_a_full_index_has_been_full_in_both_halves() -> None:
    report = harness.Report("sample", {})
    provenance.state(report)
    arrays, imprints = report.rows
    caps = (provenance.TRUSTED_MOST + provenance.OTHERS_MOST) / 1e6
    assert 0.9 * caps <= imprints.value <= caps
    assert imprints.value < arrays.value <= provenance.MOST
