"""Approving something else than was asked: other arguments, a wider reach, and taking it back."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import bridle
from bridle.cli.proposals import Wanted

ADDED = """
[users.eve]
[users.kim]
"""
LETTER = {"to": "lea@mail.example", "body": "Hello"}


@pytest.fixture
def desk(starter: Path, serving: Callable[[Path], None]) -> Path:
    """A bundle in which two of three owners have to agree."""
    agents = starter / "agents.toml"
    text = agents.read_text("utf-8").replace('users = ["me"]', 'users = ["me", "eve", "kim"]')
    agents.write_text(text.replace("need = 1", "need = 2") + ADDED, "utf-8")
    for scenarios in (starter / "tests").glob("*.toml"):
        scenarios.unlink()
    serving(starter)
    return starter


def held(assistant: bridle.Agent, sent: list[Any], **more: Any) -> bridle.Held:
    def send(to: str, body: str) -> None:
        sent.append((to, body))

    with pytest.raises(bridle.Held) as waiting:
        assistant.call("mail.send", LETTER | more, effect=send)
    return waiting.value


def test_two_humans_agree_to_what_one_of_them_wrote(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    sent: list[Any] = []
    waiting = held(assistant, sent)
    approve = ("approvals", "approve", waiting.approval_id, desk)
    bad = bridle_(*approve, "--as", "me", "--set", 'to="nobody"')
    assert (bad.code, "[edit_refused]" in bad.err) == (3, True)
    first = bridle_(*approve, "--as", "me", "--set", 'body="Bye"', "--json")
    assert (first.json["status"], first.json["edited"]) == ("pending", True)
    unseen = bridle_(*approve, "--as", "eve")
    assert (unseen.code, "[digest_missing]" in unseen.err) == (3, True)
    shown = bridle_("approvals", "show", waiting.approval_id, desk)
    assert "as a human wrote it" in shown.out
    assert '"body": "Bye"' in shown.out
    assert first.json["digest"] in shown.out
    second = bridle_(*approve, "--as", "eve", "--digest", first.json["digest"])
    assert "the hold is approved" in second.out
    waiting.resume()
    assert sent == [("lea@mail.example", "Bye")]


def test_one_card_releases_everything_that_an_agent_has_planned(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    sent: list[Any] = []
    plan = [held(assistant, sent, body=text) for text in ("One", "Two")]
    listed = bridle_("approvals", "list", desk, "--json").json
    [card] = {row["card"] for row in listed}
    assert card in bridle_("approvals", "list", desk).out
    approve = ("approvals", "approve", card, desk)
    assert bridle_(*approve, "--as", "me", "--set", 'body="Bye"').code == 2
    first = bridle_(*approve, "--as", "me")
    assert (first.code, '"One"' in first.out, '"Two"' in first.out) == (0, True, True)
    second = bridle_(*approve, "--as", "eve", "--json").json
    assert [each["status"] for each in second["holds"]] == ["approved", "approved"]
    for each in plan:
        each.resume()
    assert [body for _, body in sent] == ["One", "Two"]
    assert "[not_found]" in bridle_(*approve, "--as", "kim").err


def test_a_card_is_denied_in_one_answer(bridle_, desk: Path, assistant: bridle.Agent) -> None:
    for text in ("One", "Two"):
        held(assistant, [], body=text)
    card = bridle_("approvals", "list", desk, "--json").json[0]["card"]
    denied = bridle_("approvals", "deny", card, desk, "--as", "eve", "--json").json
    assert [each["status"] for each in denied["holds"]] == ["denied", "denied"]
    assert bridle_("approvals", "list", desk, "--json").json == []


def test_arguments_come_from_a_file_or_from_standard_input(
    bridle_, desk: Path, assistant: bridle.Agent, tmp_path: Path
) -> None:
    sent: list[Any] = []
    waiting = held(assistant, sent)
    file = tmp_path / "edited.json"
    file.write_text('{"to": "lea@mail.example", "body": "From a file"}\n', "utf-8")
    approve = ("approvals", "approve", waiting.approval_id, desk)
    assert bridle_(*approve, "--as", "me", "--edit", file).code == 0
    text = '{"to":"lea@mail.example","body":"From a pipe"}'
    assert bridle_(*approve, "--as", "eve", "--edit", "-", stdin=text).code == 0
    shown = bridle_("approvals", "show", waiting.approval_id, desk, "--json").json
    assert shown["args"] == text
    assert [v["counts"] for v in shown["votes"]] == [False, True]
    assert "approved something else" in bridle_("approvals", "show", waiting.approval_id, desk).out
    missing = bridle_(*approve, "--as", "kim", "--edit", tmp_path / "none")
    assert missing.code == 2
    alone = bridle_(*approve, "--as", "kim", "--edit")
    assert (alone.code, "terminal" in alone.err) == (2, True)


def test_for_the_mission_until_somebody_ends_it(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    sent: list[Any] = []
    waiting = held(assistant, sent)
    approve = ("approvals", "approve", waiting.approval_id, desk)
    terms = ("--for-mission", "--count", "2", "--expires", "1h")
    first = bridle_(*approve, "--as", "me", *terms, "--json").json
    assert first["terms"] == {
        "count": 2, "expires_ms": 3_600_000, "free": [], "most": {}, "labels": None,
    }  # fmt: skip
    shown = bridle_("approvals", "show", waiting.approval_id, desk).out
    assert "for the mission  2 more; for 3600 s" in shown
    assert bridle_(*approve, "--as", "eve", "--digest", first["digest"]).code == 0
    waiting.resume()
    assistant.call("mail.send", LETTER | {"body": "again"}, effect=lambda **_: None)
    (row,) = bridle_("approvals", "exceptions", desk, "--json").json
    assert (row["used"], row["count"], row["by"]) == (1, 2, ["eve", "me"])
    listed = bridle_("approvals", "exceptions", desk, "--mission", row["mission"]).out
    assert "1 of 2" in listed
    assert "mail-to-strangers-waits" in listed
    ended = bridle_("approvals", "end", row["id"], desk, "--as", "me")
    assert (ended.code, row["id"] in ended.out) == (0, True)
    assert "nothing is excepted" in bridle_("approvals", "exceptions", desk).out
    (row,) = bridle_("approvals", "exceptions", desk, "--all", "--json").json
    assert row["status"] == "ended"
    held(assistant, sent)


def test_who_wants_it_once_takes_the_terms_of_others_back(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    waiting = held(assistant, [])
    approve = ("approvals", "approve", waiting.approval_id, desk)
    assert bridle_(*approve, "--as", "me", "--for-mission").code == 0
    once = bridle_(*approve, "--as", "eve", "--once", "--json").json
    assert (once["status"], once["terms"]) == ("pending", None)


def at_terminal(environ: dict[str, str], typed: str, *args: str | Path) -> tuple[int, str]:
    """Run `bridle …` with a terminal on all sides; return its exit code and what it showed."""
    leader, follower = pty.openpty()
    os.write(leader, typed.encode())
    process = subprocess.Popen(
        [sys.executable, "-m", "bridle", *map(str, args)],
        stdin=follower, stdout=follower, stderr=follower, env=environ, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    try:
        # Linux says EIO once nobody has the other end open any more.
        while part := os.read(leader, 65_536):
            shown += part
    except OSError:
        pass
    os.close(leader)
    return process.wait(30), shown.decode()


def test_at_a_terminal_an_editor_opens_and_what_others_wrote_is_asked_about(
    bridle_, desk: Path, assistant: bridle.Agent, tmp_path: Path
) -> None:
    waiting = held(assistant, [])
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i s/Hello/Goodbye/ "$1"\n', "utf-8")
    editor.chmod(0o700)
    environ = bridle_.environ | {"EDITOR": str(editor), "TERM": "dumb"}
    approve = ("approvals", "approve", waiting.approval_id, desk)
    code, shown = at_terminal(environ, "", *approve, "--as", "me", "--edit")
    assert code == 0, shown
    row = bridle_("approvals", "show", waiting.approval_id, desk, "--json").json
    assert '"Goodbye"' in row["args"]
    code, shown = at_terminal(environ, "n\n", *approve, "--as", "eve")
    assert "Other humans have changed this" in shown
    assert bridle_("approvals", desk, "--json").json[0]["status"] == "pending"
    code, shown = at_terminal(environ, "y\n", *approve, "--as", "eve")
    assert (code, "the hold is approved" in shown) == (0, True)
    unchanged = environ | {"EDITOR": "true"}
    other = held(assistant, [], body="Other")
    words = ("approvals", "approve", other.approval_id, desk, "--as", "me", "--edit")
    code, shown = at_terminal(unchanged, "", *words)
    assert (code, "nothing was edited" in shown) == (2, True)


BASE: dict[str, Any] = {
    "edit": None, "sets": (), "once": False, "for_mission": False, "count": None,
    "expires": None, "free": (), "most": (), "labels": (),
}  # fmt: skip
ARGS = '{"amount":60.10,"order":9007199254740993,"fields":{"note":"n"}}'


@pytest.mark.parametrize(
    ("sets", "args"),
    [
        (("order=1",), '{"amount":60.10,"order":1,"fields":{"note":"n"}}'),
        (("amount=0.30",), '{"amount":0.30,"order":9007199254740993,"fields":{"note":"n"}}'),
        (('fields.note="m"', "new=[1]"),
         '{"amount":60.10,"order":9007199254740993,"fields":{"note":"m"},"new":[1]}'),
    ],
)  # fmt: skip
def test_what_is_not_set_stays_to_the_last_digit(sets: tuple[str, ...], args: str) -> None:
    assert Wanted(**(BASE | {"sets": sets})).proposal({"args": ARGS}).args == args


@pytest.mark.parametrize(
    "given",
    [
        {"sets": ("order",)},
        {"sets": ("=1",)},
        {"sets": ("order=x",)},
        {"sets": ("order=NaN",)},
        {"sets": ("order.deeper=1",)},
        {"sets": ("nothing.there=1",)},
        {"count": 2},
        {"expires": "1h"},
        {"free": ("order",)},
        {"labels": ("a",)},
        {"for_mission": True, "expires": "soon"},
        {"for_mission": True, "expires": "-1h"},
        {"for_mission": True, "most": ("amount",)},
        {"for_mission": True, "once": True},
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(given: dict[str, Any]) -> None:
    with pytest.raises(click.UsageError):
        Wanted(**(BASE | given)).proposal({"args": ARGS})
