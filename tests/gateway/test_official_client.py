"""The official MCP client through the proxy, in both revisions, beside the same without it."""

import asyncio
import sys
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from gateway.office import Office

ASSISTANT = """
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
server = MCPServer("assistant")

@server.tool()
def add(a: int, b: int) -> int:
    "Adds two numbers"
    return a + b

@server.tool()
async def count(to: int, ctx: Context) -> str:
    "Counts, and says how far it is"
    for n in range(to):
        await ctx.report_progress(n + 1, to)
    return str(to)

@server.tool()
def broken() -> str:
    "Fails"
    raise ValueError("no such thing")

server.run("stdio")
"""

POLICIES = """
@id("all") permit (principal, action, resource);
@id("hundred") @reason("not a hundred")
forbid (principal, action == Action::"sink.add", resource) when { context.input.a == 100 };
@id("two-hundred") @reason("too much") @hold("leads")
forbid (principal, action == Action::"sink.add", resource) when { context.input.a == 200 };
"""


def behind(office: Office, *options: str, server: list[str]) -> StdioServerParameters:
    command = office.command("mcp", str(office.bundle), *options, "--", *server)
    return StdioServerParameters(command=command[0], args=command[1:], env=office.environment)


def direct(office: Office, server: list[str]) -> StdioServerParameters:
    return StdioServerParameters(command=server[0], args=server[1:], env=office.environment)


async def talk(parameters: StdioServerParameters, mode: str, calls: list[tuple[str, dict]]) -> Any:
    """List the tools and call some; return all of it as plain data."""
    told: list[float] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        del total, message
        told.append(done)

    async with Client(stdio_client(parameters), mode=mode) as client:
        tools = (await client.list_tools()).tools
        results = [
            await client.call_tool(name, arguments, progress_callback=progress)
            for name, arguments in calls
        ]
    return (
        [tool.model_dump(by_alias=True, exclude_unset=True) for tool in tools],
        [result.model_dump(by_alias=True) for result in results],
        told,
    )


MODES = ["legacy", "2026-07-28", pytest.param("auto", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory):
    """A server made with the official package, its tools pinned as it lists them."""
    folder = tmp_path_factory.mktemp("assistant")
    script = folder / "assistant.py"
    script.write_text(ASSISTANT)
    server = [sys.executable, str(script)]
    plain = Office(folder)
    tools, _, _ = asyncio.run(talk(direct(plain, server), "legacy", []))
    made = folder / "governed"
    made.mkdir()
    office = Office(made, tools=tools, policies=POLICIES)
    systems = (office.bundle / "systems.toml").read_text()
    lines = [line for line in systems.splitlines() if "text" not in line and "sink =" not in line]
    (office.bundle / "systems.toml").write_text("\n".join(lines))
    with office.serving():
        yield office, server


@pytest.mark.parametrize("mode", MODES)
def test_through_the_proxy_everything_is_as_without_it(assistant, mode: str):
    office, server = assistant
    calls = [("add", {"a": 2, "b": 3}), ("count", {"to": 3}), ("broken", {})]
    without = asyncio.run(talk(direct(office, server), mode, calls))
    governed = asyncio.run(talk(behind(office, server=server), mode, calls))
    assert governed == without
    assert governed[2] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("mode", MODES)
def test_the_official_client_is_told_of_denials_and_holds(assistant, mode: str):
    office, server = assistant
    calls = [("add", {"a": 100, "b": 1}), ("add", {"a": 200, "b": 1}), ("add", {"a": 7, "b": 1})]
    _, results, _ = asyncio.run(talk(behind(office, server=server), mode, calls))
    denied, held, done = results
    assert (denied["isError"], held["isError"], done["isError"]) == (True, True, False)
    assert "(forbidden): not a hundred" in denied["content"][0]["text"]
    assert "is pending" in held["content"][0]["text"]
    assert done["content"][0]["text"] == "8"
