"""mcp-server-git behind Bridle, asserted at the repository."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_servers.stage import Client, Stage, said

pytestmark = pytest.mark.mcp

RULES = """
@id("short-messages") @reason("messages are short") @modify("truncate input.message 12")
forbid (principal, action == Action::"git.git_commit", resource)
when { context.facts has message && context.facts.message.length > 12 };

@id("no-cards") @reason("card numbers are not shown")
@modify("redact output.content[].text: payment_card")
forbid (principal, action == Action::"git.git_show:result", resource)
when { context.facts has content && context.facts.content.found.contains("payment_card") };

@id("no-keys") @reason("keys are not shown")
forbid (principal, action == Action::"git.git_log:result", resource)
when { context.facts has content && context.facts.content.found.contains("secret_key") };
"""


class Repository:
    def __init__(self, stage: Stage) -> None:
        self.path = str(stage.home)
        self.git("init", "-q", "-b", "main")
        for key, value in (("user.name", "Ana"), ("user.email", "ana@example.com")):
            self.git("config", key, value)
        self.write("readme", "hello")
        self.git("add", ".")
        self.git("commit", "-qm", "first")

    def git(self, *args: str) -> str:
        ran = subprocess.run(
            ["git", "-C", self.path, *args], check=True, capture_output=True, text=True
        )
        return ran.stdout.strip()

    def write(self, name: str, text: str) -> None:
        Path(self.path, name).write_text(text, "utf-8")

    @property
    def staged(self) -> str:
        return self.git("diff", "--cached", "--name-only")

    @property
    def subjects(self) -> list[str]:
        return self.git("log", "--format=%s").splitlines()


@pytest.fixture
def git(stage: Callable[[str], Stage]) -> Stage:
    return stage("git")


def test_a_commit_waits_for_a_human_is_shortened_and_happens_once(git: Stage) -> None:
    repository = Repository(git)
    repository.write("new", "text")
    git.rules(RULES)
    add = {"repo_path": repository.path, "files": ["new"]}
    commit = {"repo_path": repository.path, "message": "second, with a long story"}

    async def use(client: Client) -> None:
        held = await client.call_tool("git_add", add)
        assert repository.staged == ""
        await governed.approve(held)
        assert not (await client.call_tool("git_add", add)).is_error
        assert repository.staged == "new"
        held = await client.call_tool("git_commit", commit)
        assert repository.subjects == ["first"]
        await governed.approve(held)
        assert not (await client.call_tool("git_commit", commit)).is_error
        assert repository.subjects == ["second, with", "first"]
        # Once it has run, the same call is a new action and asks again.
        assert "held" in said(await client.call_tool("git_commit", commit))
        assert repository.subjects == ["second, with", "first"]

    with git.governed() as governed:
        governed.through(use)


def test_what_cannot_be_undone_is_denied(git: Stage) -> None:
    repository = Repository(git)
    repository.write("new", "text")
    repository.git("add", "new")

    async def use(client: Client) -> None:
        answer = said(await client.call_tool("git_reset", {"repo_path": repository.path}))
        assert "forbidden" in answer
        assert "Nothing has run" in answer

    with git.governed() as governed:
        governed.through(use)
    assert repository.staged == "new"


def test_what_the_repository_holds_is_redacted_or_withheld(git: Stage) -> None:
    repository = Repository(git)
    repository.write("bill", "paid with 4111 1111 1111 1111\nthank you\n")
    repository.git("add", ".")
    repository.git("commit", "-qm", "AKIAIOSFODNN7EXAMPLE was rolled")
    git.rules(RULES)

    async def use(client: Client) -> None:
        shown = await client.call_tool(
            "git_show", {"repo_path": repository.path, "revision": "HEAD"}
        )
        text = shown.content[0].text
        assert not shown.is_error
        assert "4111" not in text
        assert "thank you" in text
        log = said(await client.call_tool("git_log", {"repo_path": repository.path}))
        assert "AKIA" not in log
        assert "keys are not shown" in log

    with git.governed() as governed:
        governed.through(use)
