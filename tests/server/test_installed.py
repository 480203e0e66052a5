"""One user for all: what is said of it, what is refused, and what tampering comes to. And sockets
in a folder of their own, found without the bundle."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import bridle
from bridle.model.errors import RefusedError, UsageError
from bridle.store.place import place_of
from client.desk import Served, copied, environment, serving
from client.scripted import Sink

REFUND = {"order": 1, "amount": 300, "currency": "EUR"}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return copied(tmp_path)


def run(*args: str | Path, **more: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-P", "-m", "bridle", *map(str, args)],
        capture_output=True, check=False, timeout=50, env={**environment(), **more}, cwd="/",
    )  # fmt: skip


def test_under_one_uid_nothing_irreversible_can_be_approved_and_the_record_says_so(
    bundle: Path,
) -> None:
    sink = Sink()
    with serving(bundle), bridle.connect(bundle) as governor:
        assert governor.status()["level"] == "same-uid"
        triage = governor.start_mission("ticket-desk", user="ana").agent("triage")
        with pytest.raises(bridle.Held) as held:
            triage.call("payments.refund", REFUND, effect=sink, key="r")
        with pytest.raises(RefusedError) as refused:
            governor.approve(held.value.approval_id, as_user="ben")
        assert refused.value.code == "same_uid"
        governor.deny(held.value.approval_id, as_user="ben")
        with pytest.raises(bridle.Denied):
            triage.call("payments.refund", REFUND, effect=sink, key="r")
        store = sqlite3.connect(place_of(bundle).database)
        leaves = [json.loads(data) for (data,) in store.execute("select data from leaves")]
        store.close()
    assert sink.ran == 0
    assert {leaf["ids"]["level"] for leaf in leaves} == {"same-uid"}


def test_a_governor_hides_from_its_own_users_processes(bundle: Path) -> None:
    with serving(bundle) as served:
        lines = Path(f"/proc/{served.process.pid}/status").read_text("ascii").splitlines()
        found = {name: value.strip() for name, _, value in (x.partition(":") for x in lines)}
        assert found["NoNewPrivs"] == "1"
        # What cannot be dumped, and so not be traced, belongs to root in /proc (proc(5)).
        assert Path(f"/proc/{served.process.pid}/environ").stat().st_uid == 0


@pytest.mark.parametrize(
    "statement",
    [
        "delete from kills",
        """update globals set doc =
        cast(replace(cast(doc as text), '"kills":1', '"kills":0') as blob)""",
    ],
)
def test_a_store_that_was_written_behind_its_back_is_not_served(
    bundle: Path, statement: str
) -> None:
    with serving(bundle) as served, bridle.connect(bundle) as governor:
        governor.kill("all", as_user="ana")
        served.end()
    with sqlite3.connect(place_of(bundle).database) as store:
        assert store.execute(statement).rowcount == 1
    store.close()
    refused = Served(bundle)
    assert refused.end(0) == 3
    assert refused.ready["error"]["code"] == "store_tampered"
    assert "audit verify" in refused.ready["error"]["hint"]
    named = run("audit", "verify", bundle, "--json")
    assert named.returncode == 1
    assert {f["code"] for f in json.loads(named.stdout)["findings"]} <= {
        "row_missing", "row_changed",
    }  # fmt: skip


def test_the_digest_key_cannot_be_made_anew_unseen(bundle: Path) -> None:
    with serving(bundle) as served:
        served.end()
    place_of(bundle).payload_key.with_name("digest.key").unlink()
    refused = Served(bundle)
    assert refused.end(0) == 3
    assert refused.ready["error"]["code"] == "store_tampered"


def test_sockets_in_a_folder_of_their_own_are_found_without_the_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = tmp_path / "run"
    options = ("--state", str(tmp_path / "kept"), "--runtime", str(sockets))
    with serving(bundle, *options) as served:
        assert served.runtime == sockets
        assert oct(sockets.stat().st_mode & 0o777) == "0o755"
        mission = run("missions", "start", "ticket-desk", "--user", "ana", sockets)
        assert mission.returncode == 0, mission.stderr
        name = mission.stdout.decode().strip()
        bundle.joinpath("bridle.toml").rename(tmp_path / "hidden")
        for where in (sockets, sockets / "operator.sock", sockets / "agents.sock"):
            told = json.loads(run("missions", "list", where, "--json").stdout)
            assert [row["id"] for row in told] == [name]
        told = run("missions", "session", name, "--agent", "triage", "--as", "ana", "--json",
                   BRIDLE_SOCKETS=str(sockets))  # fmt: skip
        handle = json.loads(told.stdout)["handle"]
        (tmp_path / "hidden").rename(bundle / "bridle.toml")
        monkeypatch.setenv("BRIDLE_SOCKETS", str(sockets))
        with bridle.connect(role="agent") as governor:
            triage = governor.attach(handle, mission=name, agent="triage")
            comment = {"id": 7, "body": "hello"}
            assert triage.call("desk.comment", comment, effect=Sink("done")) == "done"
        with bridle.open(sockets) as governor:
            assert governor.status()["bundle"] == str(bundle)
        ran = run("status", "--json", BRIDLE_SOCKETS=str(sockets))
        assert json.loads(ran.stdout)["active"]


def test_activation_through_the_sockets_alone(bundle: Path, tmp_path: Path) -> None:
    sockets = tmp_path / "run"
    options = ("--state", str(tmp_path / "kept"), "--runtime", str(sockets))
    with serving(bundle, *options):
        manifest = bundle / "bridle.toml"
        manifest.write_text(manifest.read_text("utf-8").replace('version = "1"', 'version = "2"'))
        undecided = run("activate", sockets, "--as", "ana")
        assert undecided.returncode == 3
        ran = run("activate", sockets, "--yes", "--as", "ana", "--json")
        assert json.loads(ran.stdout)["activated"] is True
        again = run("activate", sockets, "--yes", "--as", "ana")
        assert b"active already" in again.stdout
        assert json.loads(run("status", sockets, "--json").stdout)["version"] == "2"


def test_nothing_named_is_nothing_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDLE_SOCKETS", raising=False)
    with pytest.raises(UsageError) as caught:
        bridle.connect()
    assert "BRIDLE_SOCKETS" in caught.value.hint


def test_a_folder_for_sockets_that_others_can_write_is_refused(
    bundle: Path, tmp_path: Path
) -> None:
    sockets = tmp_path / "run"
    sockets.mkdir()
    sockets.chmod(0o777)
    refused = Served(bundle, "--state", str(tmp_path / "kept"), "--runtime", str(sockets))
    assert refused.end(0) == 3
    assert refused.ready["error"]["code"] == "place_exposed"
    assert list(sockets.iterdir()) == []
