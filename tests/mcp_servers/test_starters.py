"""What holds in front of each of the five servers, with the starter as `init --mcp` wrote it."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from bridle.bundle.load import load
from mcp_servers.stage import Client, Stage, definitions, said, whole

pytestmark = pytest.mark.mcp


def readings(stage: Stage) -> list[tuple[str, dict[str, Any]]]:
    """Calls that read, and answer the same each time."""
    repository = str(stage.home)
    if stage.server == "git":
        subprocess.run(["git", "init", "-q", stage.home], check=True)
    (stage.home / "note.txt").write_text("Grüße, 世界 🌍\n")
    return {
        "git": [
            ("git_status", {"repo_path": repository}),
            ("git_diff_unstaged", {"repo_path": repository}),
            ("git_log", {"repo_path": "/nowhere"}),
        ],
        "sqlite": [
            ("list_tables", {}),
            ("read_query", {"query": "SELECT 1 AS one, 'é' AS two"}),
            ("read_query", {"query": "SELECT nothing"}),
        ],
        "time": [
            (
                "convert_time",
                {"source_timezone": "Asia/Tokyo", "time": "12:30", "target_timezone": "UTC"},
            ),
            ("get_current_time", {"timezone": "Nowhere/Else"}),
        ],
        "filesystem": [
            ("read_text_file", {"path": str(stage.home / "note.txt")}),
            ("list_directory", {"path": str(stage.home)}),
            ("read_text_file", {"path": str(stage.home / "missing")}),
            ("read_text_file", {"path": "/etc/passwd"}),
        ],
        "everything": [
            ("echo", {"message": "hello"}),
            ("get-sum", {"a": 1, "b": 2}),
            ("get-tiny-image", {}),
            ("get-structured-content", {"location": "Chicago"}),
            ("get-annotated-message", {"messageType": "error", "includeImage": True}),
        ],
    }[stage.server]


def test_a_starter_checks_passes_its_scenarios_and_leaves_no_tool_out(any_stage: Stage) -> None:
    checked = any_stage.bridle("check", any_stage.bundle, "--strict")
    assert checked.returncode == 0, checked.stdout
    tested = any_stage.bridle("test", any_stage.bundle)
    assert tested.returncode == 0, tested.stdout
    names = set(any_stage.directly(definitions))
    assert {tool.wire for tool in load(any_stage.bundle).tools.values()} == names
    assert f"{len(names)} passed" in tested.stdout


def test_through_bridle_everything_reads_as_without_it(any_stage: Stage) -> None:
    calls = readings(any_stage)

    async def use(client: Client) -> tuple[Any, list[Any]]:
        tools = await definitions(client)
        return tools, [whole(await client.call_tool(name, args)) for name, args in calls]

    if any_stage.server == "sqlite":  # it says nothing of itself, so nothing was guessed to read
        any_stage.effects(list_tables="read", read_query="read")
    plain = any_stage.directly(use)
    with any_stage.governed() as governed:
        assert governed.through(use) == plain


def test_a_narrow_mission_sees_and_uses_its_own_tools_only(any_stage: Stage) -> None:
    name, args = readings(any_stage)[0]
    server, tools = any_stage.server, load(any_stage.bundle).tools.values()
    mine = next(tool for tool in tools if tool.wire == name)
    other = next(tool for tool in tools if tool.wire != name)
    any_stage.edit("missions.toml", (f'tools = ["{server}.*"]', f'tools = ["{mine.name}"]'))
    any_stage.effects(**{name: "read", other.wire: "read"})

    async def use(client: Client) -> None:
        assert list(await definitions(client)) == [name]
        assert not (await client.call_tool(name, args)).is_error
        assert "unknown_tool" in said(await client.call_tool(other.wire, {}))

    with any_stage.governed() as governed:
        governed.through(use)


def repinned(stage: Stage, name: str) -> None:
    """Pin a definition that the server does not give: as if it had changed its mind since."""
    stage.effects(**{name: "read"})
    old = f'"name": "{name}",'
    stage.edit(f"tools/{stage.server}.json", (old, f'{old} "x-note": "Another",'))


def test_what_is_not_as_pinned_is_hidden_and_denied(any_stage: Stage) -> None:
    name, args = readings(any_stage)[0]
    repinned(any_stage, name)

    async def use(client: Client) -> None:
        shown = await definitions(client)
        assert name not in shown
        assert len(shown) == len(load(any_stage.bundle).tools) - 1
        assert "tool_changed" in said(await client.call_tool(name, args))

    with any_stage.governed() as governed:
        governed.through(use)


@pytest.mark.parametrize("server", ["git", "filesystem"])
def test_a_human_pins_anew_and_activates(stage: Callable[[str], Stage], server: str) -> None:
    made = stage(server)
    name, args = readings(made)[0]
    repinned(made, name)

    async def use(client: Client) -> bool:
        return bool((await client.call_tool(name, args)).is_error)

    with made.governed() as governed:
        assert governed.through(use)
        ran = made.bridle("pin", made.bundle, "--system", server, "--yes", "--", *made.behind)
        assert f"~ {name} changed" in ran.stdout
        activated = made.bridle("activate", made.bundle, "--yes", "--as", "me")
        assert activated.returncode == 0, activated.stderr
        assert not governed.through(use)
