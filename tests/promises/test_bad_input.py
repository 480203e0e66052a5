"""Whatever is wrong with input or surroundings: a code, a way out, nothing lost, nothing allowed.

Everything here goes through a real governor and a real store in a folder of its own. That a folder
which cannot be written is refused stands in `tests/store/test_sqlite_opening.py`, which gives up
root's rights for it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.store.place import Place, place_of

ROOT = Path(__file__).resolve().parents[2]
BACK_OFFICE = ROOT / "src" / "bridle" / "cli" / "demo" / "bundle"
PERSON, AGENT, MISSION = "ana", "triage", "refund-desk"


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of its own, and a state directory of its own for this process and its children."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    folder = home / "office"
    shutil.copytree(BACK_OFFICE, folder)
    return folder


def command(
    *words: str | Path, stdin: bytes = b"", **more: Any
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "bridle", *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=50,
        check=False,
        **more,
    )


def refusal(ran: subprocess.CompletedProcess[bytes], code: str) -> str:
    """A failed command names its code, offers a way out and shows no traceback."""
    said = (ran.stdout + ran.stderr).decode()
    assert ran.returncode in (1, 3), said
    assert code in said
    assert "Traceback" not in said
    return said


# --- bundles ------------------------------------------------------------------------------------

BROKEN = {
    "bridle.toml": ("name = [", "toml_syntax"),
    "policies/broken.dw": (
        '@id("x") permit (principal action, resource);',
        "policies/broken.dw:1:",
    ),
    "policies/typo.dw": (
        '@id("y") permit (principal, action, resource) when { context.input.nope == 1 };',
        "policies/typo.dw:1:",
    ),
    "policies/later.dw": (
        '@id("z") forbid (principal, action, resource)\nwhen temporal { true };',
        "policies/later.dw:2:22",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_its_place_and_nothing_is_judged(
    office: Path, name: str
) -> None:
    text, named = BROKEN[name]
    (office / name).write_text(text, encoding="utf-8")
    refusal(command("check", office), named)
    action = json.dumps({"type": "action", "tool": "desk.read_ticket", "args": {"id": 41}})
    judged = command("decide", office, stdin=action.encode())
    refusal(judged, named)
    assert judged.stdout == b""
    with pytest.raises(bridle.BridleError):
        bridle.open(office, embedded=True)


def test_a_broken_json_schema_is_refused_at_its_tool(office: Path) -> None:
    systems = office / "systems.toml"
    text = systems.read_text(encoding="utf-8")
    systems.write_text(
        text + '\n[tools."x.y"]\nsystem = "desk"\neffect = "read"\ninput = { type = "objct" }\n',
        encoding="utf-8",
    )
    said = refusal(command("check", office), "systems.toml:")
    assert "x.y" in said or "objct" in said


# --- actions ------------------------------------------------------------------------------------

DEEP = '{"id":' + "[" * 50_000 + "]" * 50_000 + "}"
ACTIONS = {
    "no JSON at all": (b"{", "malformed"),
    "arguments that are no JSON": (
        json.dumps({"type": "action", "tool": "desk.read_ticket", "args_raw": "{id: 1}"}).encode(),
        "malformed",
    ),
    "a tool nobody declared": (
        json.dumps({"type": "action", "tool": "desk.read_tickets", "args": {"id": 1}}).encode(),
        "unknown_tool",
    ),
    "more bytes than allowed": (
        json.dumps(
            {"type": "action", "tool": "desk.read_ticket", "args_raw": '{"id":1}' + " " * 70_000}
        ).encode(),
        "limit_exceeded",
    ),
    "nesting without end": (
        json.dumps({"type": "action", "tool": "desk.read_ticket", "args_raw": DEEP}).encode(),
        "limit_exceeded",
    ),
    "an argument nobody declared": (
        json.dumps(
            {"type": "action", "tool": "desk.read_ticket", "args": {"id": 1, "x": 2}}
        ).encode(),
        "schema_mismatch",
    ),
}


@pytest.mark.parametrize("what", ACTIONS)
def test_a_bad_action_is_denied_with_its_code_and_the_next_one_is_judged(
    office: Path, what: str
) -> None:
    line, code = ACTIONS[what]
    good = json.dumps({"type": "action", "tool": "desk.read_ticket", "args": {"id": 41}}).encode()
    ran = command("decide", office, stdin=line + b"\n" + good + b"\n")
    assert ran.returncode == 0, ran.stderr.decode()
    bad, fine = (json.loads(answer) for answer in ran.stdout.splitlines())
    assert (bad["effect"], bad["reasons"][0]["code"]) == ("deny", code)
    assert fine["effect"] == "allow"


# --- the store ----------------------------------------------------------------------------------


def first_run(office: Path) -> Place:
    """Use the store once, so that it exists with a record in it."""
    with bridle.open(office, embedded=True) as governor:
        agent = governor.start_mission(MISSION, user=PERSON).agent(AGENT)
        assert agent.call("desk.read_ticket", {"id": 41}, effect=lambda **_: {}) == {}
    return place_of(office)


def refused_store(office: Path, code: str) -> None:
    """The store is refused by code, from Python and from the command line, with a way out."""
    with pytest.raises(bridle.BridleError) as caught:
        bridle.open(office, embedded=True)
    assert caught.value.code == code
    assert caught.value.hint
    refusal(command("serve", office), code)


def test_a_foreign_database_is_refused_and_left_as_it_is(office: Path) -> None:
    place = place_of(office)
    with sqlite3.connect(place.database) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    place.database.chmod(0o600)
    before = place.database.read_bytes()
    refused_store(office, "store_foreign")
    assert place.database.read_bytes() == before


def test_a_newer_database_is_refused_and_left_as_it_is(office: Path) -> None:
    place = first_run(office)
    connection = sqlite3.connect(place.database)
    connection.execute("PRAGMA user_version = 9999")
    connection.commit()
    connection.close()
    before = place.database.read_bytes()
    refused_store(office, "store_newer")
    assert place.database.read_bytes() == before


def test_a_corrupted_database_is_refused(office: Path) -> None:
    place = first_run(office)
    data = bytearray(place.database.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    place.database.write_bytes(data)
    refused_store(office, "store_corrupt")


def test_a_store_that_is_governed_already_names_its_governor(office: Path) -> None:
    with bridle.open(office, embedded=True):
        said = refusal(command("serve", office), "store_locked")
    assert str(os.getpid()) in said


def test_a_store_others_may_read_is_refused(office: Path) -> None:
    place = first_run(office)
    place.folder.chmod(0o755)
    with pytest.raises(bridle.BridleError) as caught:
        bridle.open(office, embedded=True)
    assert caught.value.code in ("place_exposed", "store_exposed")


@pytest.fixture
def unlimited() -> Iterator[None]:
    """Let the file size limit go back up, whatever the test did with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("unlimited")
def test_a_full_disk_denies_loses_nothing_and_is_owned_up_to(office: Path) -> None:
    place = place_of(office)
    ran: list[int] = []

    def read_ticket(**given: int) -> dict[str, int]:
        ran.append(given["id"])
        return given

    with bridle.open(office, embedded=True) as governor:
        agent = governor.start_mission(MISSION, user=PERSON).agent(AGENT)
        agent.call("desk.read_ticket", {"id": 1}, effect=read_ticket)
        _, ceiling = resource.getrlimit(resource.RLIMIT_FSIZE)
        # No file of this process may grow any more: writes fail as on a disk that is full.
        wal = place.database.with_name(place.database.name + "-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size, ceiling))
        with pytest.raises(bridle.Denied) as denied:
            agent.call("desk.read_ticket", {"id": 2}, effect=read_ticket)
        assert denied.value.code == "store_unavailable"
        assert ran == [1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (ceiling, ceiling))
        agent.call("desk.read_ticket", {"id": 3}, effect=read_ticket)
    assert ran == [1, 3]
    report = json.loads(command("audit", "verify", office, "--json").stdout)
    assert report["findings"] == []
    assert report["kinds"]["degraded"] == 1


# --- the governor -------------------------------------------------------------------------------


def test_a_dead_governor_allows_nothing_and_its_successor_knows_everything(office: Path) -> None:
    ran: list[int] = []

    def read_ticket(**given: int) -> None:
        ran.append(given["id"])

    serving = subprocess.Popen(
        [sys.executable, "-m", "bridle", "serve", str(office), "--json"], stdout=subprocess.PIPE
    )
    try:
        assert serving.stdout is not None
        serving.stdout.readline()
        governor = bridle.connect(office)
        mission = governor.start_mission(MISSION, user=PERSON)
        agent = mission.agent(AGENT)
        agent.call("desk.read_ticket", {"id": 1}, effect=read_ticket)
        serving.kill()
        serving.wait(timeout=10)
        with pytest.raises(bridle.BridleError) as dead:
            agent.call("desk.read_ticket", {"id": 2}, effect=read_ticket)
        assert dead.value.code in ("governor_unreachable", "store_unavailable")
        assert ran == [1]
        governor.close()
    finally:
        serving.kill()
        serving.wait(timeout=10)
        if serving.stdout is not None:
            serving.stdout.close()
    with bridle.open(office, embedded=True) as successor:
        again = successor.mission(mission.id).agent(AGENT)
        again.call("desk.read_ticket", {"id": 3}, effect=read_ticket)
    assert ran == [1, 3]
    report = json.loads(command("audit", "verify", office, "--json").stdout)
    assert report["findings"] == []
