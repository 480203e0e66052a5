"""Ways of a tool, or of its author, to bring a result past what judges it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle

TOML = {
    "bridle.toml": 'format = 1\nname = "attacks"\noperators = ["ben"]\n',
    "agents.toml": '[users.ana]\n[users.ben]\n[agents.bot]\nowner = "ana"\n',
    "missions.toml": '[missions.m]\nagents = ["bot"]\ntools = ["*"]\ndomains = ["d"]\n'
    '[missions.m.budgets.money]\nlimit = 10\nmeasure = { pay = "input.amount" }\n',
    "systems.toml": '[domains.d]\n[systems.s]\ndomain = "d"\n'
    '[tools.get]\nsystem = "s"\neffect = "write"\ninput = { type = "object" }\n'
    '[tools.pay]\nsystem = "s"\neffect = "write"\n'
    '[tools.pay.input]\ntype = "object"\nproperties = { amount = { type = "number" } }\n',
    "policies/all.dw": '@id("all") permit (principal, action in Action::"call", resource);',
}


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bridle.Agent]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, text in TOML.items():
        file = tmp_path / "bundle" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    with bridle.open(tmp_path / "bundle", embedded=True) as governor:
        yield governor.start_mission("m", user="ana").agent("bot")


@pytest.mark.parametrize(
    "result",
    ["y" * 1_200_000, "y" * 4_500_000, '"' * 1_500_000, "\x01" * 800_000, '"' * 10_000_000],
    ids=["large", "larger than a frame", "once escaped", "much escaped", "huge"],
)
def test_a_result_does_not_outgrow_its_limit(bot: bridle.Agent, result: str) -> None:
    with pytest.raises(bridle.Denied) as caught:
        bot.call("get", effect=lambda: result, key="k")
    assert caught.value.code == "limit_exceeded"
    # It ran, once, and is known to have: asking again neither runs it nor brings the result.
    with pytest.raises(bridle.Denied):
        bot.call("get", effect=lambda: pytest.fail("it ran twice"), key="k")


@pytest.mark.parametrize("args", [{}, {"amount": 10.0001}])
def test_an_amount_that_is_absent_or_above_is_not_free(bot: bridle.Agent, args: dict) -> None:
    with pytest.raises(bridle.Denied) as caught:
        bot.call("pay", args, effect=lambda: pytest.fail("it ran"))
    assert caught.value.code == "budget_exhausted"


def test_a_negative_amount_gives_nothing_back(bot: bridle.Agent) -> None:
    paid: list[float] = []

    def pay(amount: float) -> None:
        paid.append(amount)

    for amount in (10, -1000):
        bot.call("pay", {"amount": amount}, effect=pay)
    with pytest.raises(bridle.Denied):
        bot.call("pay", {"amount": 0.0001}, effect=pay)
    assert paid == [10, -1000]
