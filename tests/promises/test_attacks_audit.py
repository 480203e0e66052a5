"""What other audit trails were seen to let pass, tried on this one by its commands and its key."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import bridle
from bridle.audit import stores
from bridle.audit.stores import Asked
from bridle.ledger import note
from bridle.ledger.tree import Frontier, leaf_hash
from bridle.ledger.trustfile import Trust
from bridle.model.errors import StoreError
from bridle.store.place import Place
from promises.test_attacks_results import TOML

SOURCE = str(Path(bridle.__file__).resolve().parents[1])
ENTRIES = 60


def run(*args: str | Path) -> tuple[int, Any]:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "bridle", "audit", *map(str, args), "--json"],
        capture_output=True, check=False, timeout=50, env={**os.environ, "PYTHONPATH": SOURCE},
    )  # fmt: skip
    return ran.returncode, json.loads(ran.stdout)


class Trail:
    """A bundle whose agent has acted, its store, and the key that its operator gives away."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bundle = home / "bundle"
        for name, text in TOML.items():
            file = self.bundle / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        self.act()
        (database,) = (home / "state" / "bridle").glob("*/store.db")
        self.store = database.parent
        code, listed = run("keys", "--store", self.store)
        assert code == 0
        keys = listed["keys"] if isinstance(listed, dict) else listed
        self.key = keys[0]["key"]

    def act(self, count: int = 1) -> None:
        with bridle.open(self.bundle, embedded=True) as governor:
            bot = governor.start_mission("m", user="ana").agent("bot")
            for _ in range(count):
                bot.call("get", effect=lambda: 1)

    def verify(self, *options: str | Path) -> tuple[int, set[str]]:
        code, found = run("verify", "--store", self.store, "--key", self.key, *options)
        return code, {flaw["code"] for flaw in found["findings"]}

    def flaws(self, store: Path) -> set[str]:
        """The same without a process, for what is done very often."""
        trust = Trust((note.key(self.key),), {}, (), None)
        found = stores.verify(Place("copy", store, store), Asked(trust))
        return {flaw.code for flaw in found.report.findings}

    def records(self) -> list[dict[str, Any]]:
        store = sqlite3.connect(self.store / "store.db")
        rows = store.execute('select data from leaves order by "index"').fetchall()
        store.close()
        return [json.loads(data) for (data,) in rows]


@pytest.fixture
def trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trail:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Trail(tmp_path)


def changes(value: Any) -> Iterator[Any]:
    """The same value with any one of its fields other than it was."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: other} for other in changes(inner))
            yield {each: kept for each, kept in value.items() if each != name}
    elif isinstance(value, list):
        yield [*value, "more"]
    elif isinstance(value, bool) or value is None:
        yield not value
    elif isinstance(value, int):
        yield value + 1
    else:
        yield f"{value}x"


def test_any_field_of_any_record_changed_fails_even_with_its_hash_made_to_fit(trail: Trail) -> None:
    copy = trail.home / "copy"
    shutil.copytree(trail.store, copy)
    tried = 0
    with sqlite3.connect(copy / "store.db", isolation_level=None) as store:
        for index, record in enumerate(trail.records()):
            (good,) = store.execute(
                'select data from leaves where "index" = ?', (index,)
            ).fetchone()
            update = 'update leaves set data = ?, hash = ? where "index" = ?'
            for changed in changes(record):
                data = msgspec.json.encode(changed)
                store.execute(update, (data, leaf_hash(data), index))
                assert trail.flaws(copy), changed
                tried += 1
            store.execute(update, (good, leaf_hash(good), index))
    store.close()
    assert tried > 100
    assert trail.flaws(copy) == set()


def test_all_records_rewritten_and_all_hashes_recomputed_fails(trail: Trail) -> None:
    store = sqlite3.connect(trail.store / "store.db")
    frontier, heads = Frontier(), dict[str, tuple[int, bytes]]()
    rows = store.execute('select "index", data from leaves order by "index"').fetchall()
    for index, data in rows:
        record = json.loads(data)
        seq, prev = heads.get(record["chain"], (-1, bytes(32)))
        record["prev"] = prev.hex()
        record["ids"] = {name: text.replace("ana", "eve") for name, text in record["ids"].items()}
        new = msgspec.json.encode(record)
        digest = leaf_hash(new)
        store.execute(
            'update leaves set data = ?, hash = ? where "index" = ?', (new, digest, index)
        )
        frontier, heads[record["chain"]] = frontier.append(digest), (seq + 1, digest)
    for chain, (seq, digest) in heads.items():
        store.execute("update chains set seq = ?, hash = ? where chain = ?", (seq, digest, chain))
    store.execute("update log set hashes = ?", (b"".join(frontier.hashes),))
    store.commit()
    store.close()
    code, found = trail.verify()
    assert code == 1
    assert found == {"checkpoint_forked"}
    with pytest.raises(StoreError) as refused:
        trail.act()
    assert refused.value.code == "store_tampered"


def test_a_tail_cut_off_fails_against_any_later_checkpoint(trail: Trail) -> None:
    for name in ("one", "two"):
        shutil.copytree(trail.store, trail.home / name)
        trail.act()
    kept = trail.store / "checkpoint"
    for name in ("one", "two"):
        code, found = run(
            "verify", "--store", trail.home / name, "--key", trail.key, "--checkpoint", kept
        )
        assert code == 1
        assert {flaw["code"] for flaw in found["findings"]} == {"checkpoint_ahead"}
    assert trail.verify("--checkpoint", trail.home / "one" / "checkpoint") == (0, set())


def test_many_entries_are_all_there_and_a_file_of_them_deleted_fails(trail: Trail) -> None:
    trail.act(ENTRIES)
    kinds = [record["kind"] for record in trail.records()]
    assert kinds.count("started") == kinds.count("outcome") == ENTRIES + 1
    out = trail.home / "export"
    assert run("export", "--store", trail.store, "--out", out)[0] == 0
    verify = ("verify", "--export", out, "--key", trail.key)
    assert run(*verify)[0] == 0
    for file in sorted(each for each in out.rglob("*") if each.is_file()):
        if "policy-bundles" in file.parts and "policies" not in file.parts:
            continue
        whole = file.read_bytes()
        file.unlink()
        code, found = run(*verify)
        assert code == 1, file
        assert found["findings"]
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        file.write_bytes(flipped)
        assert run(*verify)[0] == 1, file
        file.write_bytes(whole)
    assert run(*verify)[0] == 0


KILLED = """
import os, sys, bridle
governor = bridle.open(sys.argv[1], embedded=True)
bot = governor.start_mission("m", user="ana").agent("bot")
for _ in range(5):
    bot.call("get", effect=lambda: 1)
os.kill(os.getpid(), 9)
"""


def test_a_torn_end_after_a_crash_is_repaired_and_the_gap_is_on_record(trail: Trail) -> None:
    subprocess.run(
        [sys.executable, "-c", KILLED, str(trail.bundle)],
        check=False, timeout=50, env={**os.environ, "PYTHONPATH": SOURCE},
    )  # fmt: skip
    with (trail.store / "store.db-wal").open("ab") as log:
        log.write(os.urandom(700))
    assert trail.verify()[0] == 0
    trail.act()
    assert trail.verify() == (0, set())
    gaps = [each["body"] for each in trail.records() if each["kind"] == "degraded"]
    assert [each["what"] for each in gaps] == ["interrupted"]


def test_two_processes_do_not_write_one_log(trail: Trail) -> None:
    with bridle.open(trail.bundle, embedded=True) as governor:
        bot = governor.start_mission("m", user="ana").agent("bot")
        second = subprocess.run(
            [sys.executable, "-c", KILLED, str(trail.bundle)],
            capture_output=True, check=False, timeout=50, text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )  # fmt: skip
        assert "store_locked" in second.stderr
        bot.call("get", effect=lambda: 1)
    assert trail.verify() == (0, set())


def test_eight_threads_switched_each_microsecond_leave_the_chains_whole(trail: Trail) -> None:
    before, failures = sys.getswitchinterval(), list[BaseException]()
    sys.setswitchinterval(1e-6)
    try:
        with bridle.open(trail.bundle, embedded=True) as governor:
            bot = governor.start_mission("m", user="ana").agent("bot")

            def act() -> None:
                try:
                    for _ in range(6):
                        bot.call("get", effect=lambda: 1)
                except BaseException as problem:
                    failures.append(problem)

            threads = [threading.Thread(target=act) for _ in range(8)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
    finally:
        sys.setswitchinterval(before)
    assert failures == []
    kinds = [record["kind"] for record in trail.records()]
    assert kinds.count("outcome") == 8 * 6 + 1
    assert trail.verify() == (0, set())


def test_after_one_call_the_record_is_on_disk_and_signed(trail: Trail) -> None:
    assert (trail.store / "checkpoint").read_bytes().startswith(b"localhost/")
    code, found = run("verify", "--store", trail.store, "--key", trail.key)
    assert (code, found["unsigned"], found["trusted"]) == (0, 0, True)
    assert found["size"] == found["checkpoint"]["size"] > 0


def test_the_record_of_a_call_says_who_decided_who_executed_for_what_and_commits_to_arguments(
    trail: Trail,
) -> None:
    (decision,) = [record for record in trail.records() if record["kind"] == "decision"]
    said = json.dumps(decision)
    assert decision["ids"]["agent"] == "bot"
    assert decision["ids"]["executor"]
    assert decision["chain"].startswith("mis_")
    assert "args" in " ".join(decision["commit"])
    assert "*" not in said


def test_a_restart_on_an_existing_ledger_goes_on(trail: Trail) -> None:
    size = len(trail.records())
    before = (trail.store / "checkpoint").read_bytes()
    (trail.home / "kept").write_bytes(before)
    for _ in range(3):
        trail.act()
    assert len(trail.records()) > size
    assert trail.verify("--checkpoint", trail.home / "kept") == (0, set())


def test_a_receipt_outlives_the_store(trail: Trail) -> None:
    receipt, growth, old = (trail.home / name for name in ("receipt", "growth", "old"))
    shutil.copy(trail.store / "checkpoint", old)
    trail.act()
    (index,) = [n for n, each in enumerate(trail.records()) if each["kind"] == "decision"][:1]
    assert run("prove", str(index), "--store", trail.store, "--out", receipt)[0] == 0
    prove = ("prove", "--consistency", old, "--store", trail.store, "--out", growth)
    assert run(*prove)[0] == 0
    shutil.rmtree(trail.store)
    code, found = run("verify", "--receipt", receipt, "--key", trail.key)
    assert (code, found["record"]["kind"]) == (0, "decision")
    verify = ("verify", "--consistency", growth, "--checkpoint", old, "--key", trail.key)
    assert run(*verify)[0] == 0
    for file, command in ((receipt, ("verify", "--receipt", receipt)), (growth, verify[:-2])):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        code, found = run(*command, "--key", trail.key)
        assert code == 1
        assert found["findings"][0]["code"] in found["hints"]
