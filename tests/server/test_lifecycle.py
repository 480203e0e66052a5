"""A governor's life: one per store, orderly ends, and what a violent end leaves to the next one."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from bridle.client.transport.peer import peer_of
from bridle.model.errors import BundleError, StoreError, UnreachableError
from client.desk import Served, copied, end_governor, environment, serving, wait_for_exit
from client.scripted import Sink, until

COMMENT = {"id": 7, "body": "hello"}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return copied(tmp_path, {'timeout = "5m"': 'timeout = "1s"'})


@pytest.fixture
def runtime(bundle: Path) -> Iterator[Path]:
    """Where the sockets of a governor that `open` started lie; it is ended after the test."""
    from bridle.store.place import place_of

    folder = place_of(bundle).runtime
    yield folder
    end_governor(folder / "operator.sock")


def pid_at(path: Path) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        return peer_of(connection).pid


def an_agent(governor: bridle.Bridle) -> bridle.Agent:
    return governor.start_mission("ticket-desk", user="ana").agent("triage")


def test_the_ready_line_names_sockets_that_answer_with_modes_that_hold(bundle: Path) -> None:
    with serving(bundle) as served:
        agents, operator = Path(served.ready["agents"]), Path(served.ready["operator"])
        assert served.ready["pid"] == served.process.pid
        assert oct(agents.stat().st_mode & 0o777) == "0o660"
        assert oct(operator.stat().st_mode & 0o777) == "0o600"
        for target in (bundle, agents, operator, agents.parent):
            with bridle.connect(target) as governor:
                assert governor.status()["bundle"] == str(bundle)


def test_a_second_governor_of_one_store_is_refused_and_harms_nothing(bundle: Path) -> None:
    with serving(bundle) as first:
        second = Served(bundle)
        assert second.end(0) == 3
        assert second.ready["error"]["code"] == "store_locked"
        with bridle.connect(bundle) as governor:
            assert governor.status()["changed"] is False
        assert pid_at(Path(first.ready["agents"])) == first.process.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_end_finishes_calls_unlinks_the_sockets_and_frees_the_store(
    bundle: Path, number: int
) -> None:
    with serving(bundle) as served:
        governor = bridle.connect(bundle)
        with pytest.raises(bridle.Held) as held:
            an_agent(governor).call(
                "payments.refund",
                {"order": 1, "amount": 300, "currency": "EUR"},
                effect=Sink(),
            )
        got: list[str] = []
        polling = threading.Event()

        def poll() -> None:
            polling.set()
            with contextlib.suppress(UnreachableError):
                got.append(held.value.wait(timeout=5))

        waiter = threading.Thread(target=poll)
        waiter.start()
        assert polling.wait(30)
        assert served.end(number) == 0
        assert b"Traceback" not in served.errors
        waiter.join(30)
        assert not waiter.is_alive()
        assert list(served.runtime.glob("*.sock")) == []
        with pytest.raises(UnreachableError) as caught:
            governor.status()
        assert "bridle serve" in caught.value.hint
        governor.close()
    with serving(bundle), bridle.connect(bundle) as again:
        assert [row["id"] for row in again.approvals()] == [held.value.approval_id]


def test_after_kill_9_the_next_governor_replaces_the_sockets_and_knows_what_happened(
    bundle: Path,
) -> None:
    sink = Sink("done")
    with serving(bundle) as served:
        governor = bridle.connect(bundle)
        triage = an_agent(governor)
        assert triage.call("desk.comment", COMMENT, effect=sink, key="k") == "done"
        served.end(signal.SIGKILL)
        assert (served.runtime / "agents.sock").is_socket()
        with pytest.raises(bridle.Denied) as caught:
            triage.call("desk.comment", COMMENT, effect=sink, key="k2")
        assert caught.value.code == "governor_unreachable"
    with serving(bundle):
        # The same connection object, session and step: it ran before, and does not run again.
        assert triage.call("desk.comment", COMMENT, effect=sink, key="k") == "done"
        assert triage.call("desk.comment", COMMENT, effect=sink, key="k2") == "done"
        governor.close()
    assert sink.ran == 2


def test_a_governor_killed_while_an_effect_runs_learns_its_outcome_from_the_client(
    bundle: Path,
) -> None:
    with serving(bundle) as first:
        governor = bridle.connect(bundle, timeout=30)
        triage = an_agent(governor)
        started, go_on = threading.Event(), threading.Event()

        def effect(**arguments: object) -> str:
            started.set()
            go_on.wait(30)
            return "done"

        got: list[object] = []
        caller = threading.Thread(
            target=lambda: got.append(triage.call("desk.comment", COMMENT, effect=effect, key="k"))
        )
        caller.start()
        assert started.wait(30)
        first.end(signal.SIGKILL)
    go_on.set()
    with serving(bundle):
        caller.join(30)
        assert got == ["done"]
        status = governor.status()
        assert (status["unknown_attempts"], status["running_attempts"]) == (0, 0)
        governor.close()


CLIENT = """
import sys, bridle
from pathlib import Path
with bridle.connect(sys.argv[1]) as governor:
    agent = governor.start_mission("ticket-desk", user="ana").agent("triage")
    def effect(**arguments):
        print("started", flush=True)
        sys.stdin.read()
    agent.call("archive.export", {"path": "/srv/desk/export/a.csv", "tickets": [1]}, effect=effect)
"""


def test_a_client_killed_while_its_effect_runs_leaves_an_unknown_attempt(bundle: Path) -> None:
    with serving(bundle), bridle.connect(bundle) as governor:
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(bundle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        with client:
            assert client.stdout.readline() == b"started\n"
            assert governor.status()["running_attempts"] == 1
            client.kill()
        # Its lease is one second; nothing but time tells that it will not come back.
        until(lambda: not governor.status()["running_attempts"])
        assert governor.status()["unknown_attempts"] == 1


def test_it_stays_while_somebody_is_connected_and_goes_when_nobody_is(bundle: Path) -> None:
    with serving(bundle, "--idle-exit", "0.3") as served:
        with bridle.connect(bundle) as governor:
            ready = threading.Event()
            assert not ready.wait(1.5)
            assert governor.status()["changed"] is False
        assert served.process.wait(30) == 0
        assert list(served.runtime.glob("*.sock")) == []


# --- bridle.open ---------------------------------------------------------------------------------

OPENER = """
import json, sys, bridle
sys.stdin.readline()
with bridle.open(sys.argv[1], idle_exit=1.0, timeout=30) as governor:
    print(json.dumps(governor.status()["active"]), flush=True)
    sys.stdin.readline()
"""


def test_eight_processes_that_open_at_once_share_exactly_one_governor(
    bundle: Path, runtime: Path
) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(bundle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        for _ in range(8)
    ]
    try:
        for opener in openers:
            opener.stdin.write(b"go\n")
            opener.stdin.flush()
        active = {opener.stdout.readline() for opener in openers}
        pid = pid_at(runtime / "operator.sock")
        assert len(active) == 1
        assert active != {b""}
        assert governors_of(bundle) == [pid]
    finally:
        codes = []
        for opener in openers:
            opener.communicate(b"done\n", timeout=60)
            codes.append(opener.returncode)
    assert codes == [0] * 8
    wait_for_exit(pid)
    assert list(runtime.glob("*.sock")) == []


def governors_of(bundle: Path) -> list[int]:
    """The processes that run `bridle serve` for this very bundle."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"serve" in words and os.fsencode(bundle) in words:
                    found.append(int(entry.name))
    return found


def test_a_governor_that_open_started_outlives_its_starter_until_it_is_idle(
    bundle: Path, runtime: Path
) -> None:
    code = "import sys, bridle; bridle.open(sys.argv[1], idle_exit=1.5, timeout=30).close()"
    subprocess.run(
        [sys.executable, "-c", code, str(bundle)], check=True, env=environment(), timeout=60
    )
    pid = pid_at(runtime / "operator.sock")
    with bridle.connect(bundle) as governor:
        assert governor.status()["changed"] is False
    wait_for_exit(pid)


def test_open_finds_the_governor_that_is_there(bundle: Path) -> None:
    with serving(bundle) as served, bridle.open(bundle) as governor:
        assert governor.status()["active"]
        assert governors_of(bundle) == [served.process.pid]


def test_open_works_from_a_folder_full_of_traps(
    bundle: Path, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("bridle", "json", "msgspec", "click"):
        (trap / f"{name}.py").write_text("raise SystemExit('trapped')")
    monkeypatch.chdir(trap)
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    with bridle.open(bundle, idle_exit=1.0, timeout=30) as governor:
        assert governor.status()["changed"] is False


def test_open_says_why_no_governor_starts(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BundleError) as nothing:
        bridle.open(tmp_path / "nowhere")
    assert nothing.value.code == "bundle_not_found"
    (bundle / "policies" / "broken.dw").write_text("permit (principal")
    with pytest.raises(BundleError) as broken:
        bridle.open(bundle, timeout=30)
    assert broken.value.code == "bundle_invalid"
    (bundle / "policies" / "broken.dw").unlink()
    (tmp_path / "state" / "bridle").chmod(0o777)
    with pytest.raises(StoreError) as exposed:
        bridle.open(bundle, timeout=30)
    assert exposed.value.code == "place_exposed"


def test_open_does_not_wait_longer_than_it_was_told(bundle: Path, runtime: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        bridle.open(bundle, timeout=0.01)
    assert "serve.log" in caught.value.hint


def test_connect_never_starts_a_governor(bundle: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        bridle.connect(bundle)
    assert "bridle serve" in caught.value.hint
    assert governors_of(bundle) == []


def test_a_long_path_to_the_state_folder_still_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("a-long-name-" * 8) / ("another-long-name-" * 8)
    deep.mkdir(parents=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(deep))
    with tempfile.TemporaryDirectory(prefix="b") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        with serving(bundle := copied(tmp_path)) as served, bridle.connect(bundle) as governor:
            assert governor.status()["changed"] is False
            assert Path(short) in served.runtime.parents


def test_json_on_stdout_is_one_line(bundle: Path) -> None:
    with serving(bundle) as served:
        assert set(served.ready) == {
            "ready", "store", "agents", "operator", "operators", "pid", "uid",
        }  # fmt: skip
        os.kill(served.process.pid, signal.SIGTERM)
        out, _ = served.process.communicate(timeout=30)
        assert out == b""
    assert json.dumps(served.ready)
