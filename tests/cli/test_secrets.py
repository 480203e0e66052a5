"""Secrets on the command line: sealed by who may, shown to nobody, found nowhere else."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from bridle.model import calls
from bridle.model.errors import RefusedError
from cli.terminals import AtTerminal, alone

VALUE = "s3cret-of-the-house-4711"
WORDS = "correct horse battery"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words"
    path.touch(mode=0o600)
    path.write_text(WORDS)
    return path


@pytest.fixture
def desk(bridle_, tmp_path: Path, words: Path, serving) -> Path:
    """A governor whose one operator, `me`, has a key."""
    folder = tmp_path / "desk"
    assert bridle_("init", folder, "--passphrase-file", words).code == 0
    serving(folder)
    return folder


@pytest.fixture
def by_me(words: Path) -> tuple[str | Path, ...]:
    return ("--as", "me", "--passphrase-file", words)


def code_of(done) -> str:
    err = done.err if hasattr(done, "err") else done.stderr
    return re.findall(r"\[([a-z_]+)\]\n", err)[-1]


def recorded(shell, desk: Path) -> list[dict]:
    told = shell("audit", "tail", desk, "--json", "--from", "0").lines
    return [row["leaf"] for row in told if row["leaf"]["kind"] == "credential"]


def state_of(shell) -> Iterator[bytes]:
    """Yield every byte that the governor keeps: store, log, keys and the file of secrets."""
    for path in Path(shell.environ["XDG_STATE_HOME"]).rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def test_a_secret_is_set_listed_replaced_and_removed(bridle_, desk: Path, by_me) -> None:
    assert bridle_("secrets", desk, "--json").json == []
    done = bridle_("secrets", "set", "hub-token", desk, *by_me, "--json", stdin=VALUE + "\n")
    assert done.json == {"name": "hub-token", "sealed": True, "replaced": False}
    again = bridle_("secrets", "set", "hub-token", desk, *by_me, stdin=VALUE)
    assert "hub-token replaced" in again.out
    rows = [{"name": "hub-token", "sealed": True, "systems": []}]
    assert bridle_("secrets", "list", desk, "--json").json == rows
    assert re.search(r"hub-token +sealed", bridle_("secrets", desk).out)
    assert bridle_("secrets", "remove", "hub-token", desk, *by_me).code == 0
    assert bridle_("secrets", desk, "--json").json == []
    gone = bridle_("secrets", "remove", "hub-token", desk, *by_me)
    assert (gone.code, code_of(gone)) == (3, "not_found")


def test_the_value_is_in_no_file_no_record_and_no_output(bridle_, desk: Path, by_me) -> None:
    done = bridle_("secrets", "set", "hub-token", desk, *by_me, stdin=VALUE + "\n")
    assert done.code == 0
    shown = [done.raw, done.err.encode()]
    out = Path(bridle_.environ["HOME"]) / "export"
    assert bridle_("audit", "export", desk, "--payloads", "--out", out).code == 0
    shown += [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert len(shown) > 5
    shown += [bridle_("secrets", desk).raw]
    found = list(state_of(bridle_))
    assert any(b"bridle-secrets-1" in data for data in found)
    for data in (*shown, *found):
        assert VALUE.encode() not in data


def test_who_set_it_stands_on_the_record_and_nothing_of_what(bridle_, desk: Path, by_me) -> None:
    bridle_("secrets", "set", "hub-token", desk, *by_me, stdin=VALUE)
    bridle_("secrets", "remove", "hub-token", desk, *by_me)
    records = recorded(bridle_, desk)
    assert [row["body"]["what"] for row in records] == ["set", "remove"]
    assert {row["body"]["secret"] for row in records} == {"hub-token"}
    assert {row["ids"]["by"] for row in records} == {"me"}


def test_nobody_sets_or_removes_one_without_the_operator_s_key(bridle_, desk: Path, by_me) -> None:
    refused = alone(bridle_.environ, "secrets", "set", "hub-token", desk, stdin=VALUE)
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    assert VALUE not in refused.stdout + refused.stderr
    bridle_("secrets", "set", "hub-token", desk, *by_me, stdin=VALUE)
    refused = alone(bridle_.environ, "secrets", "remove", "hub-token", desk)
    assert (refused.returncode, code_of(refused)) == (3, "passphrase_needed")
    assert bridle_("secrets", desk, "--json").json[0]["sealed"]


@pytest.mark.parametrize("verb", ["set", "remove", "list"])
def test_an_agent_s_connection_has_no_say_in_secrets(
    bridle_, desk: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_STATE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, bridle_.environ[name])
    with bridle.connect(desk) as gov:
        reply = gov.agents.send(calls.SecretVerb(verb=verb, name="hub-token", value=VALUE))
    assert isinstance(reply, calls.Failed)
    # The call is no message of that socket.
    assert reply.code == "protocol_error"
    assert VALUE not in repr(reply)
    assert bridle_("secrets", desk, "--json").json == []


def test_at_a_terminal_it_is_typed_twice_and_not_shown(bridle_, desk: Path, by_me) -> None:
    asked = AtTerminal(bridle_.environ, "secrets", "set", "hub-token", desk, *by_me)
    asked.answer("Secret hub-token", VALUE)
    asked.answer("Once more", VALUE + "x")
    asked.answer("Secret hub-token", VALUE)
    asked.answer("Once more", VALUE)
    assert asked.end() == 0
    assert VALUE.encode() not in asked.shown
    assert "hub-token sealed" in asked.out


def test_the_value_is_never_an_argument(bridle_, desk: Path) -> None:
    done = bridle_("secrets", "set", "hub-token", VALUE, desk, stdin=VALUE)
    assert done.code == 2
    done = bridle_("secrets", "set", "hub-token", desk, "--value", VALUE)
    assert done.code == 2


@pytest.mark.parametrize(
    "stdin", [b"", b"\n", b"\xff\xfe" + VALUE.encode(), b"a\0b", b"x" * 70_000]
)
def test_what_is_no_secret_is_refused_before_anybody_is_asked(
    bridle_, tmp_path: Path, starter: Path, stdin: bytes
) -> None:
    done = bridle_("secrets", "set", "hub-token", starter, stdin=stdin)
    assert (done.code, code_of(done)) == (3, "usage")
    assert VALUE not in done.err


def test_a_secret_in_place_of_its_name_is_not_repeated(bridle_, starter: Path) -> None:
    done = bridle_("secrets", "set", VALUE.upper(), starter, stdin=VALUE)
    assert (done.code, code_of(done)) == (3, "usage")
    assert VALUE.upper() not in done.err


def test_secrets_that_systems_name_and_nobody_sealed_are_shown(
    bridle_, tmp_path: Path, words: Path, serving
) -> None:
    folder = tmp_path / "desk"
    bridle_("init", folder, "--passphrase-file", words)
    with (folder / "systems.toml").open("a") as file:
        file.write('[domains.saas]\n[systems.hub]\ndomain = "saas"\n')
        file.write('credential = { broker = "header", secret = "hub-token" }\n')
    serving(folder)
    rows = [{"name": "hub-token", "sealed": False, "systems": ["hub"]}]
    assert bridle_("secrets", folder, "--json").json == rows
    assert re.search(r"hub-token +missing +hub", bridle_("secrets", folder).out)


def test_a_governor_in_the_agent_s_own_process_keeps_none(
    starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with (
        bridle.open(starter, embedded=True) as gov,
        pytest.raises(RefusedError) as caught,
    ):
        gov.rows(calls.SecretVerb(verb="set", name="hub-token", value=VALUE, as_user="me"))
    assert caught.value.code == "no_secrets"
    assert not [p for p in (tmp_path / "state").rglob("*") if p.name.startswith("secrets.")]


def test_a_disk_that_takes_nothing_is_a_failure_on_record(bridle_, desk: Path, by_me) -> None:
    bridle_("secrets", "set", "hub-token", desk, *by_me, stdin=VALUE)
    state = Path(bridle_.environ["XDG_STATE_HOME"])
    (sealed,) = state.rglob("secrets.sealed")
    kept = sealed.read_bytes()
    os.truncate(sealed, 30)
    refused = bridle_("secrets", "set", "other", desk, *by_me, stdin=VALUE)
    assert (refused.code, code_of(refused)) == (3, "secrets_unreadable")
    sealed.write_bytes(kept)
    bodies = [row["body"] for row in recorded(bridle_, desk)]
    assert [body["what"] for body in bodies] == ["set", "set", "set_failed"]
    assert bodies[-1] == {"what": "set_failed", "secret": "other", "code": "secrets_unreadable"}
