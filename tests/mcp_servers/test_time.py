"""mcp-server-time behind Bridle: it has no effect but its answer, so that is what is looked at."""

import json
from collections.abc import Callable

import pytest

from mcp_servers.stage import Client, Stage, said

pytestmark = pytest.mark.mcp

RULES = """
@id("one-clock") @reason("all times are told in UTC") @modify("set input.timezone \\"UTC\\"")
forbid (principal, action == Action::"time.get_current_time", resource)
when { context.input.timezone != "UTC" };

@id("ask-first") @reason("an owner is asked about New York") @hold("owners")
forbid (principal, action == Action::"time.convert_time", resource)
when { context.input.target_timezone == "America/New_York" };

@id("not-mars") @reason("nobody lives there")
forbid (principal, action == Action::"time.convert_time", resource)
when { context.input.target_timezone like "Mars/*" };

@id("no-summer-time") @reason("summer time is confusing")
forbid (principal, action == Action::"time.convert_time:result", resource)
when { context.facts has content && context.facts.content.length > 0 &&
       context.input.source_timezone == "Europe/London" };
"""


@pytest.fixture
def clock(stage: Callable[[str], Stage]) -> Stage:
    made = stage("time")
    made.rules(RULES)
    return made


def test_times_are_told_as_policy_wants_them(clock: Stage) -> None:
    def converting(target: str, source: str = "UTC") -> dict[str, str]:
        return {"source_timezone": source, "time": "12:00", "target_timezone": target}

    async def use(client: Client) -> None:
        told = await client.call_tool("get_current_time", {"timezone": "Asia/Tokyo"})
        assert json.loads(told.content[0].text)["timezone"] == "UTC"
        there = converting("America/New_York")
        await governed.approve(await client.call_tool("convert_time", there))
        told = await client.call_tool("convert_time", there)
        assert json.loads(told.content[0].text)["target"]["timezone"] == "America/New_York"
        denied = await client.call_tool("convert_time", converting("Mars/Olympus"))
        assert "nobody lives there" in said(denied)
        london = await client.call_tool("convert_time", converting("UTC", "Europe/London"))
        assert "summer time is confusing" in said(london)

    with clock.governed() as governed:
        governed.through(use)
