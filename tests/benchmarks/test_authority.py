"""The benchmark of authority: every broker has its rows, and what stays shut is no figure."""

from pathlib import Path

import pytest

from bench import authority, harness, jailed, openings


def test_every_broker_that_opens_here_has_its_rows_and_its_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {name: make for name, make in openings.known().items() if name in ("sealed", "header")}
    monkeypatch.setattr(openings, "known", lambda: kept)
    report = harness.Report("sample", {})
    authority.brokers(report, tmp_path, seconds=0)
    assert {row.case.partition(":")[0] for row in report.rows} == set(kept)
    assert len(report.claims) == len(kept)
    assert report.notes == []


def test_a_system_that_cannot_be_had_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: Path) -> None:
        raise RuntimeError("no server here")

    kept = {"sealed": openings.known()["sealed"], "database": absent}
    monkeypatch.setattr(openings, "known", lambda: kept)
    report = harness.Report("sample", {})
    authority.brokers(report, tmp_path, seconds=0)
    assert report.notes == ["not measured: database (RuntimeError: no server here)"]


def test_a_system_that_stays_shut_is_no_figure(tmp_path: Path) -> None:
    with (
        openings.opened(tmp_path, "sealed", openings.known()["sealed"]) as opening,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(opening._bench, "opens", lambda _: False)
        with pytest.raises(RuntimeError, match="stayed shut"):
            opening.direct()


def test_where_no_jail_can_be_had_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jailed, "missing", lambda: "bubblewrap is not installed")
    report = harness.Report("sample", {})
    authority.starts(report, seconds=0)
    assert report.notes == ["not measured: jails (bubblewrap is not installed)"]
    assert report.rows == []
