"""@modelcontextprotocol/server-everything behind Bridle: every kind of content and of traffic."""

from collections.abc import Callable
from typing import Any

import pytest

from mcp_servers.stage import Client, Stage, said, whole

pytestmark = pytest.mark.mcp

RULES = """
@id("no-environment") @reason("the environment is nobody's business")
forbid (principal, action == Action::"everything.get-env", resource);

@id("whisper") @reason("messages are short") @modify("truncate input.message 5")
forbid (principal, action == Action::"everything.echo", resource)
when { context.facts has message && context.facts.message.length > 5 };

@id("look-at-sums") @reason("an owner looks at sums") @hold("owners")
forbid (principal, action == Action::"everything.get-sum:result", resource)
when { context.facts has content && context.facts.content.length > 0 };

@id("warm-only") @reason("only warm places")
forbid (principal, action == Action::"everything.get-structured-content:result", resource)
when { context.output has structuredContent &&
       context.output.structuredContent.temperature.lessThan(decimal("34.0")) };
"""


@pytest.fixture
def everything(stage: Callable[[str], Stage]) -> Stage:
    return stage("everything")


def test_calls_and_results_of_every_kind_are_governed(everything: Stage) -> None:
    everything.rules(RULES)

    async def use(client: Client) -> None:
        assert "nobody's business" in said(await client.call_tool("get-env", {}))
        echoed = await client.call_tool("echo", {"message": "hello, world"})
        assert echoed.content[0].text == "Echo: hello"
        held = await client.call_tool("get-sum", {"a": 2, "b": 3})
        assert "5" not in said(held).partition("hold_")[0]
        await governed.approve(held)
        assert "5" in (await client.call_tool("get-sum", {"a": 2, "b": 3})).content[0].text
        cold = await client.call_tool("get-structured-content", {"location": "New York"})
        assert "only warm places" in said(cold)

    with everything.governed() as governed:
        governed.through(use)


def test_progress_and_long_work_come_through(everything: Stage) -> None:
    async def use(client: Client) -> tuple[Any, list[float]]:
        seen: list[float] = []

        async def heard(progress: float, total: float | None, message: str | None) -> None:
            seen.append(progress)

        result = await client.call_tool(
            "trigger-long-running-operation",
            {"duration": 1, "steps": 4},
            progress_callback=heard,
        )
        return whole(result), seen

    plain = everything.directly(use)
    assert plain[1] == [1, 2, 3, 4]
    with everything.governed() as governed:
        assert governed.through(use) == plain


def test_what_no_policy_judges_is_refused(everything: Stage) -> None:
    async def use(client: Client) -> list[str]:
        refused = []
        resources = (await client.list_resources()).resources
        prompts = (await client.list_prompts()).prompts
        for ask in (
            lambda: client.read_resource(resources[0].uri),
            lambda: client.get_prompt(prompts[0].name, {}),
        ):
            try:
                await ask()
            except Exception as error:
                refused.append(str(error))
        return refused

    assert everything.directly(use) == []
    with everything.governed() as governed:
        assert len(governed.through(use)) == 2
        assert governed.through(use, "--pass", "resources,prompts") == []
