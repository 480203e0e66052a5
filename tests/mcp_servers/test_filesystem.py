"""@modelcontextprotocol/server-filesystem behind Bridle, asserted at the folder."""

from collections.abc import Callable

import pytest

from mcp_servers.stage import Client, Stage, said

pytestmark = pytest.mark.mcp

RULES = """
@id("no-cards-in") @reason("card numbers are not written")
@modify("redact input.content: payment_card")
forbid (principal, action == Action::"filesystem.write_file", resource)
when { context.facts has content && context.facts.content.found.contains("payment_card") };

@id("notes-only") @reason("only notes are written")
forbid (principal, action == Action::"filesystem.write_file", resource)
unless { context.input.path like "*.txt" };

@id("no-keys-out") @reason("keys are not shown")
@modify("redact output.content[].text: secret_key;
         redact output.structuredContent.content: secret_key")
forbid (principal, action == Action::"filesystem.read_text_file:result", resource)
when { (context.facts has content && context.facts.content.found.contains("secret_key")) ||
       (context.facts has structuredContent &&
        context.facts.structuredContent.found.contains("secret_key")) };
"""


@pytest.fixture
def files(stage: Callable[[str], Stage]) -> Stage:
    return stage("filesystem")


def test_folders_wait_for_a_human_and_nothing_moves(files: Stage) -> None:
    (files.home / "a").write_text("a")

    async def use(client: Client) -> None:
        make = {"path": str(files.home / "new")}
        held = await client.call_tool("create_directory", make)
        assert not (files.home / "new").exists()
        await governed.approve(held)
        assert not (await client.call_tool("create_directory", make)).is_error
        assert (files.home / "new").is_dir()
        move = {"source": str(files.home / "a"), "destination": str(files.home / "b")}
        assert "forbidden" in said(await client.call_tool("move_file", move))
        assert sorted(p.name for p in files.home.iterdir()) == ["a", "new"]

    with files.governed() as governed:
        governed.through(use)


def test_what_is_written_and_read_is_rewritten_in_every_place(files: Stage) -> None:
    files.effects(write_file="read")
    files.rules(RULES)
    (files.home / "key").write_text("use AKIAIOSFODNN7EXAMPLE here")

    async def use(client: Client) -> None:
        async def write(name: str, text: str) -> bool:
            args = {"path": str(files.home / name), "content": text}
            return not (await client.call_tool("write_file", args)).is_error

        assert await write("bill.txt", "4111 1111 1111 1111,\npaid")
        assert (files.home / "bill.txt").read_text() == "[redacted:payment_card],\npaid"
        assert not await write("bill.sh", "rm -rf /")
        assert not (files.home / "bill.sh").exists()
        shown = await client.call_tool("read_text_file", {"path": str(files.home / "key")})
        assert shown.content[0].text == "use [redacted:secret_key] here"
        assert shown.structured_content == {"content": "use [redacted:secret_key] here"}

    with files.governed() as governed:
        governed.through(use)
