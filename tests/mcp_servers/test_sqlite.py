"""mcp-server-sqlite behind Bridle, asserted at the database."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from mcp_servers.stage import Client, Stage, said

pytestmark = pytest.mark.mcp

RULES = """
@id("no-cards-in") @reason("no card numbers") @modify("redact input.query: payment_card")
forbid (principal, action == Action::"sqlite.write_query", resource)
when { context.facts has query && context.facts.query.found.contains("payment_card") };

@id("no-drop") @reason("nothing is dropped")
forbid (principal, action == Action::"sqlite.write_query", resource)
when { context.input.query like "*DROP*" || context.input.query like "*drop*" };

@id("no-mail-out") @reason("addresses stay inside")
forbid (principal, action == Action::"sqlite.read_query:result", resource)
when { context.facts has content && context.facts.content.found.contains("email") };
"""


@pytest.fixture
def sqlite(stage: Callable[[str], Stage]) -> Stage:
    made = stage("sqlite")
    with closing(sqlite3.connect(made.home / "data.db")) as database, database:
        database.execute("CREATE TABLE notes (text)")
    return made


def rows(stage: Stage, query: str = "SELECT text FROM notes") -> list[Any]:
    with closing(sqlite3.connect(stage.home / "data.db")) as database:
        return [row[0] for row in database.execute(query)]


def test_a_server_that_says_nothing_of_its_tools_gets_nothing_unasked(sqlite: Stage) -> None:
    async def use(client: Client) -> None:
        drop = {"query": "DROP TABLE notes"}
        assert "forbidden" in said(await client.call_tool("write_query", drop))
        held = await client.call_tool("read_query", {"query": "SELECT 1 AS one"})
        await governed.approve(held)
        answer = await client.call_tool("read_query", {"query": "SELECT 1 AS one"})
        assert answer.content[0].text == "[{'one': 1}]"

    with sqlite.governed() as governed:
        governed.through(use)
    assert rows(sqlite, "SELECT name FROM sqlite_master") == ["notes"]


def test_queries_are_rewritten_denied_and_their_results_withheld(sqlite: Stage) -> None:
    # A query steers, and is looked at as well.
    sqlite.edit(
        "systems.toml",
        ('arguments.query.sink = "command"', 'arguments.query.detect = ["payment_card"]'),
    )
    sqlite.effects(write_query="read", read_query="read")
    sqlite.rules(RULES)

    async def use(client: Client) -> None:
        async def write(query: str) -> Any:
            return await client.call_tool("write_query", {"query": query})

        assert not (await write("INSERT INTO notes VALUES ('4111 1111 1111 1111')")).is_error
        assert not (await write("INSERT INTO notes VALUES ('ana@example.com')")).is_error
        assert "nothing is dropped" in said(await write("DROP TABLE notes"))
        assert "not_canonical" in said(await write("DELETE\u200bFROM notes"))
        query = {"query": "SELECT text FROM notes"}
        assert "addresses stay inside" in said(await client.call_tool("read_query", query))

    with sqlite.governed() as governed:
        governed.through(use)
    assert rows(sqlite) == ["[redacted:payment_card]", "ana@example.com"]
