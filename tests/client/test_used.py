"""`bridle.Used`: beside its result an effect says what it used, and the caller sees the result."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.used import texts
from bridle.model import calls
from bridle.model.calls import Agents
from client.desk import copied
from client.scripted import Scripted

BUDGETS = """
[users.ana.budgets.tokens]
limit = 10000
measure = { "desk.search" = 1000, "desk.comment" = 1000 }
"""


@pytest.fixture
def gov(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bridle.Bridle]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bundle = copied(tmp_path)
    agents = bundle / "agents.toml"
    text = agents.read_text("utf-8").replace(
        "[workloads.worker-1]", "[workloads.worker-1]\nreports_use = true"
    )
    agents.write_text(text + BUDGETS, "utf-8")
    with bridle.open(bundle, embedded=True) as governor:
        yield governor


@pytest.fixture
def triage(gov: bridle.Bridle) -> bridle.Agent:
    return gov.start_mission("ticket-desk", user="ana").agent("triage", executor="worker-1")


def tokens(gov: bridle.Bridle) -> str:
    [row] = gov.rows(Agents(kind="user", id="ana"))
    return row["budgets"][0]["used"]


def search(query: str) -> bridle.Used:
    return bridle.Used({"query": query}, {"tokens": 812})


def test_the_caller_gets_the_result_and_the_budget_what_was_used(gov, triage) -> None:
    assert triage.call("desk.search", {"query": "a"}, effect=search) == {"query": "a"}
    assert tokens(gov) == "812"


def test_the_async_twin_does_the_same(gov, triage) -> None:
    async def later(query: str) -> bridle.Used:
        return search(query)

    async def both() -> list[Any]:
        one = await triage.acall("desk.search", {"query": "a"}, effect=later)
        two = await triage.acall("desk.search", {"query": "b"}, effect=search)
        return [one, two]

    assert asyncio.run(both()) == [{"query": "a"}, {"query": "b"}]
    assert tokens(gov) == "1624"


def test_a_repeat_gets_the_stored_result_and_uses_nothing(gov, triage) -> None:
    for _ in range(3):
        assert triage.call("desk.search", {"query": "a"}, effect=search, key="k") == {"query": "a"}
    assert tokens(gov) == "812"


def test_what_is_iterated_is_the_result(gov, triage) -> None:
    def items(query: str) -> bridle.Used:
        return bridle.Used(iter([query, query]), {"tokens": Decimal("0.5")})

    assert triage.call("desk.search", {"query": "a"}, effect=items) == ["a", "a"]
    assert tokens(gov) == "0.5"


def test_decorated_functions_say_it_too(gov, triage) -> None:
    governed = triage.tool("desk.search")(search)
    assert governed(query="a") == {"query": "a"}
    assert tokens(gov) == "812"


def test_a_platform_passes_it_with_the_outcome(gov, triage) -> None:
    started = triage.begin(triage.decide("desk.search", {"query": "a"}))
    triage.observe(started, bridle.Outcome("ok", output="{}"), used={"tokens": 3.25})
    assert tokens(gov) == "3.25"


def test_an_effect_that_raises_has_used_all_that_was_reserved(gov, triage) -> None:
    def fails(id: int, body: str) -> None:  # noqa: A002 - an argument's name
        raise OSError(body)

    with pytest.raises(OSError, match="x"):
        triage.call("desk.comment", {"id": 1, "body": "x"}, effect=fails)
    assert tokens(gov) == "1000"


def test_who_is_not_trusted_gets_the_result_and_pays_in_full(gov) -> None:
    agent = gov.start_mission("ticket-desk", user="ana").agent("triage")
    assert agent.call("desk.search", {"query": "a"}, effect=search) == {"query": "a"}
    assert tokens(gov) == "1000"


def test_used_that_is_no_mapping_is_refused_inside_the_effect() -> None:
    with pytest.raises(TypeError, match="names of budgets"):
        bridle.Used("x", 812)  # type: ignore[arg-type]


class Rude:
    def __str__(self) -> str:
        return "\ud800" * 1_000


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        (812, "812"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (Decimal("1E+3"), "1000"),
        ("12.50", "12.50"),
        (float("nan"), "nan"),
        (Decimal("1e999999999"), "1E+999999999"),
        (-1, "-1"),
        (None, "None"),
    ],
)
def test_amounts_are_told_as_plain_numbers_or_as_they_are(amount: Any, told: str) -> None:
    assert texts({"n": amount}) == {"n": told}


def test_what_no_socket_carries_is_spelt_out() -> None:
    assert texts({Rude(): Rude()}).keys() == {"\\ud800" * 128}  # type: ignore[dict-item]


def test_nothing_is_said_of_use_where_the_effect_says_nothing(
    governor: Scripted, agent: bridle.Agent
) -> None:
    agent.call("t", effect=lambda: "done")
    assert governor.of(calls.Observe)[0].used == {}
