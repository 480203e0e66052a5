"""The end of a log cut off, on disk and beneath a running governor, and one that nobody signed."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import bridle
from bridle.ledger import checkpoint, cosignature, leaf, note
from bridle.ledger.note import COSIGNATURE, Signer
from bridle.ledger.tree import frontier_of, leaf_hash
from bridle.model.errors import StoreError
from bridle.model.record import LeafKind
from promises.test_attacks_audit import SOURCE, Trail, run


@pytest.fixture
def trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trail:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Trail(tmp_path)


def rewrite(store: Path, keep: int, *more: tuple[str, bytes]) -> None:
    """As whoever can write the store: keep some records, add others, and make all of it fit."""
    database = sqlite3.connect(store / "store.db", timeout=20)
    with database:
        database.execute('DELETE FROM leaves WHERE "index" >= ?', (keep,))
        found = database.execute('SELECT chain, seq, hash FROM leaves ORDER BY "index"').fetchall()
        for chain, data in more:
            seq = max((row[1] for row in found if row[0] == chain), default=-1) + 1
            digest = leaf_hash(data)
            row = (len(found), chain, seq, data, digest, b"")
            database.execute(
                'INSERT INTO leaves ("index", chain, seq, data, hash, sealed) '
                "VALUES (?, ?, ?, ?, ?, ?)", row
            )  # fmt: skip
            found.append((chain, seq, digest))
        frontier = frontier_of([digest for _, _, digest in found])
        whole = len(found), b"".join(frontier.hashes)
        database.execute("UPDATE log SET size = ?, hashes = ?", whole)
        database.execute("DELETE FROM chains")
        heads = {chain: (chain, seq, digest) for chain, seq, digest in found}
        insert = "INSERT INTO chains (chain, seq, hash) VALUES (?, ?, ?)"
        database.executemany(insert, heads.values())
    database.close()


def elsewhere(store: Path, keep: int) -> None:
    """The same in another process: two SQLite in one undo each other's locks."""
    code = (
        "import sys; from pathlib import Path\n"
        "from promises.test_attacks_audit_tails import rewrite\n"
        "rewrite(Path(sys.argv[1]), int(sys.argv[2]))"
    )
    path = os.pathsep.join((SOURCE, str(Path(__file__).resolve().parents[1])))
    subprocess.run(
        [sys.executable, "-c", code, str(store), str(keep)],
        check=True, timeout=50, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def signed_up_to(store: Path, size: int) -> bytes:
    """Wait until the governor has signed so much: it tells by the file beside the store."""
    tick = threading.Event()
    while True:
        data = (store / "checkpoint").read_bytes()
        if checkpoint.parse(note.parse(data).text).size >= size:
            return data
        tick.wait(0.05)


def test_a_tail_cut_off_beneath_a_running_governor_is_never_signed_over(trail: Trail) -> None:
    with bridle.open(trail.bundle, embedded=True) as governor:
        bot = governor.start_mission("m", user="ana").agent("bot")
        bot.call("get", effect=lambda: 1)
        size = run("verify", "--store", trail.store)[1]["size"]
        kept = trail.home / "kept"
        kept.write_bytes(signed_up_to(trail.store, size))
        elsewhere(trail.store, size - 3)
        for _ in range(3):
            bot.call("get", effect=lambda: 1)
    assert (trail.store / "checkpoint").read_bytes() == kept.read_bytes()
    code, found = trail.verify("--checkpoint", kept)
    assert code == 1
    assert found & {"checkpoint_ahead", "checkpoint_forked"}
    with pytest.raises(StoreError) as refused:
        trail.act()
    assert refused.value.code in {"store_tampered", "store_rolled_back"}


def test_a_tail_cut_off_fails_against_a_witness(trail: Trail) -> None:
    witness = Signer("witness.example/w", bytes([9]) * 32, COSIGNATURE)
    trust = trail.home / "trust"
    trust.write_text(f"log {trail.key}\nwitness w {witness.key}\nquorum w\n")
    early = trail.home / "early"
    shutil.copytree(trail.store, early)
    trail.act()
    plain = note.parse((trail.store / "checkpoint").read_bytes())
    line = cosignature.sign(witness, plain.text, 1_700_000_000)
    seen = trail.home / "seen"
    seen.write_bytes(note.render(plain.text, [*plain.signatures, line]))
    verify = ("verify", "--trust", trust, "--checkpoint", seen)
    code, found = run(*verify, "--store", trail.store)
    assert (code, found["witnessed"]) == (0, found["size"])
    code, found = run(*verify, "--store", early)
    assert code == 1
    assert "checkpoint_ahead" in {flaw["code"] for flaw in found["findings"]}
    # A log that no witness has seen at all is not taken either.
    assert run("verify", "--trust", trust, "--store", trail.store)[0] == 1


def test_an_erasure_that_nobody_signed_is_not_told_as_one(trail: Trail) -> None:
    """Whoever can write the store, without any key, empties a payload and writes why."""
    records = trail.records()
    size = len(records)
    (index,) = [n for n, each in enumerate(records) if each["kind"] == "decision"][:1]
    chain = records[index]["chain"]
    mine = [n for n, each in enumerate(records) if each["chain"] == chain]
    body = {"what": "record", "record": index, "fields": list(records[index]["commit"]),
            "sealed": "", "basis": "request 17"}  # fmt: skip
    database = sqlite3.connect(trail.store / "store.db")
    (head,) = database.execute("SELECT hash FROM chains WHERE chain = ?", (chain,)).fetchone()
    with database:
        database.execute("UPDATE leaves SET sealed = x'' WHERE \"index\" = ?", (index,))
    database.close()
    assert trail.verify() == (1, {"payload_missing"})
    time = records[mine[-1]]["time"]
    data, _ = leaf.write(LeafKind.REDACTION, chain, len(mine), head, time, {"by": "dpo"}, body, {})
    rewrite(trail.store, size, (chain, data))
    code, found = run("verify", "--store", trail.store, "--key", trail.key)
    assert (code, found["unsigned"]) == (0, 1)
    said = " ".join(found["unverified"])
    assert "the last 1 of the records: nobody has signed" in said
    assert "that what is gone was erased: 1 of the unsigned records say so" in said
    assert found["payloads"]["erased"] == 1
