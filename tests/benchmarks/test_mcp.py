"""The benchmark of the proxy: what it times is the echo, through the proxy and not around it."""

import asyncio
from pathlib import Path

import pytest

from bench import front, harness, mcp


def test_a_refusal_is_no_measurement() -> None:
    with pytest.raises(RuntimeError):
        front.check({"isError": True, "content": [{"type": "text", "text": front.TEXT}]})
    with pytest.raises(RuntimeError):
        front.check({"content": [{"type": "text", "text": "no"}]})


def test_the_commits_of_a_call_are_left_out_of_what_the_proxy_takes() -> None:
    report = harness.Report("mcp", {})
    p50 = {"direct": 100.0, "strict": 400.0, "relaxed": 150.0}
    p50 |= {"strict commits": 260.0, "relaxed commits": 10.0}
    mcp.told(report, "", 1, [{name: [value] for name, value in p50.items()}])
    assert [(c.figure, c.holds) for c in report.claims] == [(1.4, True), (1.4, True)]


@pytest.mark.slow
def test_both_clients_and_both_durabilities_have_rows_and_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "_TURN", 2)
    monkeypatch.setattr(mcp, "_LEAST", 1)
    monkeypatch.setattr(mcp, "IN_FLIGHT", (1, 2))
    report = harness.Report("mcp", {})
    asyncio.run(mcp._measure(report, tmp_path, seconds=0))
    assert [(c.claim.split(":")[0], c.bound) for c in report.claims] == [
        ("1 in flight, strict", 1.5),
        ("1 in flight, relaxed", 1.4),
        ("2 in flight, strict", 1.5),
        ("2 in flight, relaxed", 1.4),
    ]
    cases = {row.case for row in report.rows}
    assert {
        "2 in flight, direct",
        "bare lines, 1 in flight, strict",
        "1 in flight, strict commits",
    } <= cases
