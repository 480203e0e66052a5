"""Keys on the command line: made, listed, unlocked when the governor asks, and never given away."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.bundle.load import load
from bridle.cli.unlocking import Unlocking
from bridle.client.transport.embedded import EmbeddedChannel
from bridle.model import calls
from bridle.trust import credential
from cli.terminals import AtTerminal, alone
from client.scripted import Scripted

WORDS = "correct horse battery"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A file with the passphrase, its owner's alone."""
    path = tmp_path / "words"
    path.touch(mode=0o600)
    path.write_text(WORDS + "\nanother line\n")
    return path


def keys_of(shell: Any) -> Path:
    return Path(shell.environ["HOME"]) / ".config" / "bridle" / "keys"


def code_of(done: Any) -> str:
    err = done.err if hasattr(done, "err") else done.stderr
    return re.findall(r"\[([a-z_]+)\]\n", err)[-1]


# --- making them ---------------------------------------------------------------------------------


def test_init_without_a_terminal_makes_no_key_and_says_so(bridle_, tmp_path: Path) -> None:
    done = alone(bridle_.environ, "init", tmp_path / "new", stdin=f"{WORDS}\n{WORDS}\n")
    assert done.returncode == 0
    assert "no key" in done.stdout
    assert "bridle operator new-key" in done.stdout
    assert not keys_of(bridle_).exists()
    assert "key" not in (tmp_path / "new" / "agents.toml").read_text()


def test_init_at_a_terminal_asks_twice_and_shows_nothing(bridle_, tmp_path: Path) -> None:
    new = tmp_path / "new"
    asked = AtTerminal(bridle_.environ, "init", new)
    asked.answer("New passphrase", "short")
    asked.answer("New passphrase", WORDS)
    asked.answer("Once more", WORDS + "!")
    asked.answer("New passphrase", WORDS)
    asked.answer("Once more", WORDS)
    assert asked.end() == 0
    assert WORDS not in asked.shown.decode() + asked.out + asked.err
    (path,) = keys_of(bridle_).iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(path) in asked.out
    bundle = load(new)
    assert bundle.users["me"].key == bridle.unlock(path, WORDS).public
    assert bridle_("check", new, "--strict").code == 0
    assert bridle_("test", new).code == 0


@pytest.mark.slow
def test_init_takes_a_passphrase_from_a_file_or_makes_no_key_at_all(
    bridle_, tmp_path: Path, words: Path
) -> None:
    made = bridle_("init", tmp_path / "a", "--passphrase-file", words, "--json").json["key"]
    assert bridle.unlock(made["file"], WORDS).public == made["public"]
    assert load(tmp_path / "a").users["me"].key == made["public"]
    plain = bridle_("init", tmp_path / "b", "--passphrase-file", words, "--no-key", "--json")
    assert plain.json["key"] is None
    assert load(tmp_path / "b").users["me"].key == ""


@pytest.mark.slow
def test_init_that_gets_no_good_passphrase_leaves_nothing_behind(bridle_, tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.touch(mode=0o600)
    short.write_text("1234567")
    refused = bridle_("init", tmp_path / "new", "--passphrase-file", short)
    assert (refused.code, code_of(refused)) == (3, "passphrase_short")
    assert not (tmp_path / "new").exists()
    assert not keys_of(bridle_).exists()


def test_new_key_prints_the_lines_for_the_bundle_and_show_lists_it(bridle_, words: Path) -> None:
    done = alone(
        bridle_.environ, "operator", "new-key", "--user", "ana", "--passphrase-fd", "{fd}",
        fd_text=WORDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    public = re.search(r'^\[users\.ana\]\nkey = "(.+)"$', done.stdout, re.MULTILINE)
    assert public
    made = bridle_(
        "operator", "new-key", "--workload", "portal", "--passphrase-file", words, "--json"
    ).json
    assert (made["kind"], made["name"]) == ("workload", "portal")
    rows = bridle_("operator", "--json").json
    assert [row["name"] for row in rows] == ["ana", "portal"]
    assert rows[0]["public"] == public[1]
    assert rows[1] == made
    shown = bridle_("operator", "show").out
    assert public[1] in shown
    # A key is the owner's whose name it bears, and whose the command line says.
    both = bridle_("operator", "new-key", "--user", "ana", "--workload", "w")
    assert both.code == 2
    assert bridle_("operator", "new-key", "--user", "../ana").code == 2


def test_a_passphrase_that_others_can_read_is_not_used(bridle_, words: Path) -> None:
    words.chmod(0o640)
    refused = bridle_("operator", "new-key", "--user", "ana", "--passphrase-file", words)
    assert (refused.code, code_of(refused)) == (3, "key_exposed")
    assert not keys_of(bridle_).exists()


# --- using them ----------------------------------------------------------------------------------


@pytest.fixture
def keyed(bridle_, tmp_path: Path, words: Path) -> Path:
    bundle = tmp_path / "bundle"
    assert bridle_("init", bundle, "--passphrase-file", words).code == 0
    return bundle


@pytest.fixture
def desk(bridle_, keyed: Path, serving: Callable[[Path], None]) -> Path:
    serving(keyed)
    return keyed


@pytest.fixture
def held(
    bridle_, desk: Path, words: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[bridle.Held]:
    """What an agent's program waits for; its mission was started with the key."""
    for name in ("XDG_STATE_HOME", "TMPDIR", "HOME"):
        monkeypatch.setenv(name, bridle_.environ[name])
    with bridle.connect(desk, credential=bridle.unlock("me", WORDS)) as gov:
        assistant = gov.start_mission("desk", user="me").agent("assistant")
        mail = {"to": "lea@mail.example", "body": "Hello"}
        with pytest.raises(bridle.Held) as waiting:
            assistant.call("mail.send", mail, effect=lambda to, body: None)
        yield waiting.value


def test_an_approval_needs_the_key_and_takes_it_from_where_it_is_told(
    bridle_, desk: Path, held: bridle.Held, words: Path, tmp_path: Path
) -> None:
    approve = ("approvals", "approve", held.approval_id, desk, "--as", "me")
    # Nobody to ask, and the passphrase on standard input is none of its business.
    refused = alone(bridle_.environ, *approve, stdin=WORDS + "\n")
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("wrong horse battery\n")
    refused = bridle_(*approve, "--passphrase-file", wrong)
    assert (refused.code, code_of(refused)) == (3, "passphrase_wrong")
    refused = bridle_(*approve, "--passphrase-file", words, BRIDLE_KEYS=str(tmp_path))
    assert (refused.code, code_of(refused)) == (3, "key_missing")
    assert bridle_("approvals", "show", held.approval_id, desk, "--json").json["votes"] == []

    done = bridle_(*approve, "--json", BRIDLE_PASSPHRASE_FILE=str(words))
    assert done.json["status"] == "approved"
    (vote,) = bridle_("approvals", "show", held.approval_id, desk, "--json").json["votes"]
    assert re.fullmatch(r"key:[0-9a-f]{16}", vote["method"])


def test_a_human_at_a_terminal_is_asked_there_even_where_standard_input_is_something_else(
    bridle_, desk: Path, held: bridle.Held
) -> None:
    approve = ("approvals", "approve", held.approval_id, desk, "--as", "me")
    asked = AtTerminal(bridle_.environ, *approve, stdin="nothing")
    asked.answer("Passphrase of me's key", "not that one")
    asked.answer("Passphrase of me's key", WORDS)
    assert asked.end() == 0, asked.err
    assert "approved as me" in asked.out
    assert WORDS not in asked.shown.decode() + asked.out + asked.err


@pytest.mark.slow
def test_three_wrong_passphrases_are_enough(bridle_, desk: Path, held: bridle.Held) -> None:
    approve = ("approvals", "approve", held.approval_id, desk, "--as", "me")
    asked = AtTerminal(bridle_.environ, *approve)
    for _ in range(3):
        asked.answer("Passphrase of me's key", "not that one")
    assert asked.end() == 3
    assert code_of(asked) == "passphrase_wrong"


def test_stopping_asks_nobody_and_starting_again_asks_for_the_key(
    bridle_, desk: Path, words: Path
) -> None:
    assert alone(bridle_.environ, "kill", "all", desk).returncode == 0
    refused = alone(bridle_.environ, "resume", "all", desk)
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    assert len(bridle_("kill", "list", desk, "--json").json) == 1
    assert bridle_("resume", "all", desk, "--passphrase-file", words).code == 0
    assert bridle_("kill", "list", desk, "--json").json == []


@pytest.mark.slow
def test_a_mission_starts_for_a_user_with_their_key_only(
    bridle_, desk: Path, words: Path, tmp_path: Path
) -> None:
    start = ("missions", "start", "desk", desk, "--user", "me", "--prompt-file", "-")
    refused = alone(bridle_.environ, *start, stdin="Answer Lea")
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    done = bridle_(*start, "--passphrase-file", words, stdin="Answer Lea")
    assert done.out.startswith("mis_")
    (row,) = bridle_("missions", desk, "--json").json
    assert row["method"].startswith("key:")


def test_a_bundle_is_activated_with_the_key_of_the_one_in_force_governor_or_not(
    bridle_, keyed: Path, words: Path
) -> None:
    """Without a governor the command opens the store itself, and that opens no door either."""
    assert bridle_("activate", keyed, "--yes", BRIDLE_PASSPHRASE_FILE=str(words)).code == 0
    agents = keyed / "agents.toml"
    before = agents.read_text()
    # Whoever can edit the bundle gives themselves a key: it does not count for its own activation.
    other = credential.generate("user", "me")
    key = re.search(r'key = "(.+)"', before)
    assert key
    agents.write_text(before.replace(key[1], other.public))
    refused = alone(bridle_.environ, "activate", keyed, "--yes")
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    # And taking the key out does not either.
    agents.write_text(before.replace(key[0], ""))
    refused = alone(bridle_.environ, "activate", keyed, "--yes")
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    done = bridle_("activate", keyed, "--yes", "--json", "--passphrase-file", words)
    assert done.json["activated"] is True


def test_a_governor_that_asks_for_somebody_elses_key_gets_none() -> None:
    governor = Scripted()
    about = {"user": "ben", "key": "00" * 32}
    governor.handle = lambda caller, call: calls.Failed(
        code="key_needed", message="no", about=about
    )
    channel = Unlocking(EmbeddedChannel(governor))
    for call in (
        calls.Unkill(scope="all", as_user="ana"),
        calls.StartMission(template="t", user="ana"),
    ):
        reply = channel.send(call)
        assert isinstance(reply, calls.Failed)
        assert reply.about == about
    assert governor.logins == []


def test_json_of_keys_is_json(bridle_, words: Path) -> None:
    done = bridle_("operator", "new-key", "--user", "a", "--passphrase-file", words, "--json")
    assert json.loads(done.out).keys() == {"kind", "name", "fingerprint", "public", "file"}


# --- changing them -------------------------------------------------------------------------------


def made(shell: Any, kind: str, name: str, words: Path) -> dict[str, str]:
    done = shell("keys", "new", kind, name, "--passphrase-file", words, "--json")
    assert done.code == 0, done.err
    return done.json


def test_a_user_rotates_their_key_with_the_old_one_and_goes_on_with_the_new(
    bridle_, desk: Path, words: Path
) -> None:
    (old,) = bridle_("keys", "list", desk, "--kind", "user", "--json").json
    assert (old["name"], old["source"], old["state"]) == ("me", "bundle", "active")
    new = made(bridle_, "user", "me", words)
    assert new["public"] != old["key"]
    rotate = ("keys", "rotate", "user", "me", new["file"], desk, "--overlap", "0s")
    # Nobody takes over a name by knowing it.
    refused = alone(bridle_.environ, *rotate)
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    done = bridle_(*rotate, "--passphrase-file", words, "--json")
    assert {row["key"]: row["state"] for row in done.json} == {
        new["public"]: "active",
        old["key"]: "ended",
    }
    # What is asked for now is the new one: its file is the one that is opened.
    Path(new["file"]).rename(Path(new["file"]).with_suffix(".away"))
    late = ("missions", "start", "desk", desk, "--user", "me", "--passphrase-file", words)
    refused = bridle_(*late)
    assert (refused.code, code_of(refused)) == (3, "key_missing")
    Path(new["file"]).with_suffix(".away").rename(new["file"])
    assert bridle_(*late).code == 0


def test_keys_of_workloads_and_agents_come_overlap_and_go(bridle_, desk: Path, words: Path) -> None:
    by_me = ("--as", "me", "--passphrase-file", words)
    first, second = (made(bridle_, "workload", "local", words) for _ in range(2))
    refused = alone(bridle_.environ, "keys", "add", "workload", "local", first["public"], desk)
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    assert bridle_("keys", "add", "workload", "local", first["public"], desk, *by_me).code == 0
    shown = bridle_("keys", "rotate", "workload", "local", second["file"], desk, *by_me).out
    assert re.search(rf"workload +local +{second['fingerprint'][:16]} +active +registry", shown)
    assert re.search(rf"workload +local +{first['fingerprint'][:16]} +ending +registry", shown)
    retired = bridle_("keys", "retire", first["fingerprint"][:20], desk, *by_me, "--json")
    assert {row["key"]: row["state"] for row in retired.json} == {
        second["public"]: "active",
        first["public"]: "ended",
    }
    again = bridle_("keys", "add", "workload", "local", first["public"], desk, *by_me)
    assert (again.code, code_of(again)) == (3, "key_known")
    agent = made(bridle_, "agent", "assistant", words)
    assert bridle_("keys", "add", "agent", "assistant", agent["file"], desk, *by_me).code == 0
    (row,) = bridle_("agents", desk, "--json").json
    assert [key["key"] for key in row["keys"]] == [agent["public"]]
    assert (row["revoked"], row["epoch"]) == (0, 0)
    assert agent["fingerprint"][:8] in bridle_("agents", desk).out
    assert agent["fingerprint"][:16] in bridle_("agents", "show", "assistant", desk).out


def test_the_governors_key_is_made_where_it_is_kept_and_nobody_brings_one(
    bridle_, desk: Path, words: Path
) -> None:
    rotate = ("keys", "rotate-governor", desk, "--as", "me", "--overlap", "1h", "--json")
    (first,) = bridle_(*rotate, "--passphrase-file", words).json
    assert (first["kind"], first["name"], first["state"]) == ("governor", "", "active")
    rows = bridle_(*rotate, "--passphrase-file", words).json
    assert [row["state"] for row in rows] == ["active", "ending"]
    assert rows[1]["key"] == first["key"]
    assert bridle_("keys", "list", desk, "--kind", "governor", "--json").json == rows
    by_me = ("--as", "me", "--passphrase-file", words, "--json")
    retired = bridle_("keys", "retire", first["key"], desk, *by_me).json
    assert [row["state"] for row in retired] == ["active", "ended"]


def test_a_word_that_is_no_key_is_told_so_before_anybody_is_asked(
    bridle_, keyed: Path, tmp_path: Path
) -> None:
    add = ("keys", "add", "workload", "local")
    assert bridle_(*add, "ed25519:AAAA", keyed).code == 2
    missing = bridle_(*add, tmp_path / "nothing.json", keyed)
    assert (missing.code, code_of(missing)) == (3, "key_missing")
    assert bridle_("keys", "add", "group", "local", "ed25519:AAAA", keyed).code == 2
    assert bridle_("keys", "new", "agent", "../assistant").code == 2
    assert bridle_("keys", "rotate-governor", keyed, "--overlap", "soon").code == 2
