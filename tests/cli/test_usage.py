"""Wrong usage and missing surroundings: a message, a code, a way out, and never a traceback."""

from pathlib import Path

import pytest

import bridle

COMMANDS = [
    "demo", "init", "check", "test", "pin", "activate", "decide", "plan", "policy", "serve", "mcp",
    "http", "run", "status", "missions", "approvals", "explain", "agents", "operator", "keys",
    "pipelines", "secrets", "leases", "delegations", "revoke", "grant", "kill", "resume", "audit",
]  # fmt: skip

NEED_A_GOVERNOR = [
    ["status"],
    ["missions"],
    ["missions", "show", "mis_x"],
    ["missions", "start", "desk", "--user", "me"],
    ["missions", "close", "mis_x"],
    ["missions", "attempts"],
    ["missions", "settle", "att_x", "ok"],
    ["explain", "act_x"],
    ["approvals"],
    ["approvals", "show", "apr_x"],
    ["approvals", "approve", "apr_x", "--as", "me"],
    ["approvals", "deny", "apr_x", "--as", "me"],
    ["agents"],
    ["agents", "suspend", "assistant"],
    ["keys"],
    ["keys", "retire", "00" * 32],
    ["keys", "rotate-governor"],
    ["pipelines"],
    ["pipelines", "withdraw", "nightly", "--digest", "0" * 64],
    ["secrets"],
    ["leases"],
    ["delegations"],
    ["revoke", "agent", "assistant", "--yes"],
    ["grant", "export", "0" * 64],
    ["grant", "status"],
    ["kill", "all"],
    ["kill", "list"],
    ["kill", "tool", "mail.send"],
    ["resume", "all"],
    ["resume", "agent", "assistant"],
]


def test_help_names_every_command(bridle_) -> None:
    shown = bridle_("--help")
    assert shown.code == 0
    listed = [line.split()[0] for line in shown.out.split("Commands:")[1].splitlines() if line]
    assert listed == COMMANDS


def test_the_version_is_the_packages(bridle_) -> None:
    assert bridle_("--version").out == f"bridle {bridle.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["check", "--nonsense"],
        ["kill"],
        ["kill", "tool"],
        ["revoke", "tool", "mail.send", "--yes"],
        ["revoke", "agent", "--yes"],
        ["approvals", "approve", "x"],
    ],
)
def test_wrong_usage_is_exit_code_2(bridle_, starter: Path, words: list[str]) -> None:
    assert bridle_(*words, cwd=starter).code == 2


@pytest.mark.parametrize("command", ["check", "test", "activate", "decide", "serve", "approvals"])
def test_without_a_bundle_the_way_out_is_told(bridle_, command: str) -> None:
    refused = bridle_(command)
    assert refused.code == 2
    assert "bridle init DIR" in refused.err


def test_a_folder_that_is_no_bundle_is_told_so(bridle_, tmp_path: Path) -> None:
    assert "has no bridle.toml" in bridle_("check", tmp_path).err
    assert "is no folder" in bridle_("check", tmp_path / "nowhere").err


def test_the_bundle_comes_from_argument_environment_or_folder(bridle_, starter: Path) -> None:
    by_argument = bridle_("check", starter, "--json")
    by_folder = bridle_("check", "--json", cwd=starter)
    by_environment = bridle_("check", "--json", BRIDLE_BUNDLE=str(starter))
    assert by_argument.out == by_folder.out == by_environment.out
    assert by_argument.code == 0


@pytest.mark.parametrize("words", NEED_A_GOVERNOR, ids=" ".join)
def test_without_a_governor_the_way_out_is_told(bridle_, starter: Path, words: list[str]) -> None:
    refused = bridle_(*words, cwd=starter)
    assert refused.code == 3
    assert "[governor_unreachable]" in refused.err
    assert "bridle serve" in refused.err
    assert refused.out == ""


def test_with_json_a_failure_is_a_document_too(bridle_, starter: Path) -> None:
    refused = bridle_("status", starter, "--json")
    assert refused.code == 3
    error = refused.json["error"]
    assert error["code"] == "governor_unreachable"
    assert error["message"]
    assert "bridle serve" in error["hint"]


@pytest.mark.parametrize("command", ["check", "test", "missions"])
def test_piped_output_is_plain_even_where_the_terminal_wants_colour(
    bridle_, starter: Path, command: str
) -> None:
    ran = bridle_(command, starter, TERM="xterm-256color", FORCE_COLOR="1", CLICOLOR_FORCE="1")
    assert "\x1b" not in ran.out + ran.err


def test_what_nobody_foresaw_is_no_traceback(bridle_, starter: Path) -> None:
    (starter / "bridle.toml").write_bytes(b"\xff\xfe not text")
    broken = bridle_("check", starter)
    assert broken.code in (1, 3)
    assert broken.err or broken.out
