"""Grants as a tree: everyone below whom they have it from, with what they may and what they did."""

from typing import Any

import pytest

from bridle.cli import grants

NOW = 1_767_225_600_000
MINUTE = 60_000


def row(name: str, parent: str = "", *, depth: int = 0, **more: Any) -> dict[str, Any]:
    plain = {
        "grant": name * 16,
        "parent": parent * 16,
        "depth": depth,
        "mission": "mis_1",
        "user": "ana",
        "agent": f"agent-{name}",
        "state": "active",
        "workload": "",
        "revoked": False,
        "running": 0,
        "actions": 0,
        "budgets": {},
        "caveats": [f"caveat of {name}"],
        "expires": NOW + 15 * MINUTE,
    }
    return plain | more


def shown(rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> str:
    grants.show(rows, NOW)
    return capsys.readouterr().out


def test_what_was_dispatched_names_the_workload(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("a"), row("b", "a", depth=1, state="dispatched", workload="courier")]
    assert "bbbbbbbbbbbbbbbb  dispatched  to courier  expires" in shown(rows, capsys)


def test_what_was_handed_on_stands_below_whom_it_came_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        row("a"),
        row("e"),
        row("b", "a", depth=1),
        row("c", "a", depth=1),
        row("d", "b", depth=2),
        row("f", mission="mis_2", user="ben"),
    ]
    end = "active  expires in 15m"
    assert shown(rows, capsys).splitlines() == [
        "mis_1  for ana",
        f"  agent-a  aaaaaaaaaaaaaaaa  {end}",
        "  │   caveat of a",
        f"  ├ agent-b  bbbbbbbbbbbbbbbb  {end}",
        "  │ │   caveat of b",
        f"  │ └ agent-d  dddddddddddddddd  {end}",
        "  │       caveat of d",
        f"  └ agent-c  cccccccccccccccc  {end}",
        "        caveat of c",
        f"  agent-e  eeeeeeeeeeeeeeee  {end}",
        "      caveat of e",
        "",
        "mis_2  for ben",
        f"  agent-f  ffffffffffffffff  {end}",
        "      caveat of f",
    ]


def test_live_use_and_the_end_stand_beside_each(capsys: pytest.CaptureFixture[str]) -> None:
    budgets = {"calls": {"limit": "5", "used": "2"}}
    used = row("a", running=1, actions=2, budgets=budgets)
    line = shown([used], capsys).splitlines()[1]
    assert line.endswith("active  1 running  2 actions  calls 2/5  expires in 15m")
    gone = row("a", state="ended", expires=NOW - 90_000, actions=None)
    assert shown([gone], capsys).splitlines()[1].endswith("ended  expired 1m 30s ago")
    revoked = row("a", revoked=True)
    assert "revoked" in shown([revoked], capsys)


def test_every_row_is_shown_once_even_without_its_parent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [row("b", "z", depth=1), row("c", "b", depth=2)]
    out = shown(rows, capsys)
    assert [out.count(f"caveat of {name}") for name in "bc"] == [1, 1]


def test_a_thousand_deep_is_shown_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{index:016x}" for index in range(1_000)]
    rows = [
        row("a", depth=index) | {"grant": name, "parent": names[index - 1] if index else ""}
        for index, name in enumerate(names)
    ]
    out = shown(rows, capsys)
    assert all(name in out for name in names)


def test_what_names_and_caveats_hide_is_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown([row("a", agent="a\u202eb", caveats=["x\x1b[31m", "y\n  agent-z  active"])], capsys)
    assert "a<U+202E>b" in out
    assert "x<U+001B>[31m" in out
    assert "y<U+000A>  agent-z" in out


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0s"),
        (999, "0s"),
        (61_000, "1m 1s"),
        (3_600_000, "1h"),
        (3_601_000, "1h"),
        (86_400_000 * 2 + 7_200_000, "2d 2h"),
        (86_400_000 * 9, "9d"),
    ],
)
def test_spans_are_said_in_two_units(milliseconds: int, said: str) -> None:
    assert grants.span(milliseconds) == said
