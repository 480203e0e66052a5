"""`bridle audit tail` shows what is on record; `bridle serve --emit` tells it to others."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridle.emit import ocsf
from bridle.model.record import LeafKind
from bridle.store.sqlite import open_store
from ledger import written


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, shell_at):
    """The shell of a demo that was kept."""
    home = tmp_path_factory.mktemp("kept")
    shell = shell_at(home)
    ran = shell("demo", "--keep", home / "demo")
    assert ran.code == 0, ran.err
    return shell


def bundle(kept) -> Path:
    return kept.home / "demo" / "bundle"


def test_it_shows_the_newest_records(kept) -> None:
    lines = kept("audit", "tail", bundle(kept)).out.splitlines()
    assert len(lines) == 20
    index, time, kind = lines[-1].split()[:3]
    size = kept("audit", "verify", bundle(kept), "--json").json["size"]
    assert int(index) == size - 1
    assert time.endswith("Z")
    assert kind
    assert any("deny" in line and "killed" in line for line in lines)


def test_it_begins_where_it_is_told_to(kept) -> None:
    every = kept("audit", "tail", bundle(kept), "--from", "0", "--json").lines
    assert [row["index"] for row in every] == list(range(len(every)))
    assert kept("audit", "tail", bundle(kept), "--from", "3", "--json").lines == every[3:]
    assert kept("audit", "tail", bundle(kept), "--last", "2", "--json").lines == every[-2:]
    assert kept("audit", "tail", bundle(kept), "--last", "0").out == ""
    assert kept("audit", "tail", bundle(kept), "--from", "99999").out == ""
    both = kept("audit", "tail", bundle(kept), "--last", "1", "--from", "1")
    assert both.code == 2


def test_it_speaks_the_vocabularies_of_others(kept) -> None:
    rows = kept("audit", "tail", bundle(kept), "--as", "ocsf").lines
    assert {row["metadata"]["version"] for row in rows} == {ocsf.VERSION}
    rows = kept("audit", "tail", bundle(kept), "--as", "cloudevents").lines
    assert {row["specversion"] for row in rows} == {"1.0"}
    assert kept("audit", "tail", bundle(kept), "--as", "syslog").code == 2


def test_it_reads_a_folder_and_says_when_there_is_no_store(kept) -> None:
    (folder,) = [file.parent for file in (kept.home / "state").rglob("store.db")]
    named = kept("audit", "tail", "--store", folder, "--json").lines
    assert named == kept("audit", "tail", bundle(kept), "--json").lines
    ran = kept("audit", "tail", "--store", kept.home)
    assert (ran.code, "store_missing" in ran.err) == (3, True)


def following(shell, *args: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "bridle", "audit", "tail", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=shell.environ,
        cwd=shell.home,
    )


def test_it_follows_a_governor_and_ends_at_ctrl_c(bridle_, starter: Path, serving) -> None:
    serving(starter)
    process = following(bridle_, starter, "--from", "0", "--follow", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["index"] == 0
    assert bridle_("missions", "start", "desk", starter, "--user", "me").code == 0
    for line in process.stdout:
        if json.loads(line)["leaf"]["kind"] == "mission":
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, b"")


def test_it_ends_quietly_when_nobody_reads_on(kept) -> None:
    process = following(kept, bundle(kept), "--from", "0", "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=20) == 0


def test_hostile_text_moves_no_cursor_and_makes_no_line(bridle_, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir(mode=0o700)
    store = open_store(folder / "store.db")
    odd = "a\x1b[2J\n      0  2026-01-01T00:00:00.000Z  decision  allow \u202e"
    body = {"effect": odd, "tool": odd, "codes": [odd], "policies": [odd]}
    ids = {"agent": odd, "user": odd}
    data, digest, _ = written.build(
        LeafKind.DECISION, "m\u202e", 0, bytes(32), 1, ids, body, {}, b""
    )
    store.write(lambda tx: tx.append("m\u202e", 0, data, digest, b""))
    store.close()
    for form in ("text", "json", "ocsf", "cloudevents"):
        ran = bridle_("audit", "tail", "--store", folder, "--as", form)
        assert ran.code == 0, ran.err
        assert ran.raw.isascii()
        assert b"\x1b" not in ran.raw
        assert ran.raw.count(b"\n") == 1


def serve(shell, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "bridle", "serve", str(folder), "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=shell.environ,
        cwd=shell.home,
    )


def test_a_governor_tells_all_it_records_across_restarts(bridle_, starter: Path) -> None:
    for user in ("me", "me"):
        # A relative name is meant where the command is given.
        options = ("--emit", "ocsf:siem.jsonl", "--emit", "cloudevents:bus.jsonl")
        process = serve(bridle_, starter, *options)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        assert bridle_("missions", "start", "desk", starter, "--user", user).code == 0
        process.terminate()
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    wanted = bridle_("audit", "tail", starter, "--from", "0", "--json").lines
    events = read(bridle_.home / "siem.jsonl")
    assert [row["metadata"]["uid"] for row in events] == [row["hash"] for row in wanted]
    events = read(bridle_.home / "bus.jsonl")
    assert [row["loghash"] for row in events] == [row["hash"] for row in wanted]
    assert [row["source"] for row in events] == [row["origin"] for row in wanted]


def read(path: Path) -> list[dict]:
    assert path.stat().st_mode & 0o777 == 0o600
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def test_a_receiver_that_cannot_be_opened_keeps_the_governor_from_starting(
    bridle_, starter: Path
) -> None:
    (bridle_.home / "link").symlink_to("/etc/passwd")
    for emit, code in (("ocsf:none/events", 3), ("ocsf:link", 3), ("syslog:x", 2), ("otel:x", 2)):
        ran = bridle_("serve", starter, "--emit", emit)
        assert ran.code == code
        assert "governing" not in ran.out
    # The store is free again.
    assert bridle_("audit", "verify", starter).code == 0


def test_a_dead_collector_holds_up_nobody(bridle_, starter: Path) -> None:
    process = serve(bridle_, starter, "--emit", "otel:http://127.0.0.1:9")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["ready"]
    assert bridle_("missions", "start", "desk", starter, "--user", "me").code == 0
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"otel:http://127.0.0.1:9/v1/traces" in errors
