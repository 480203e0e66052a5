"""Whoever can write the store rewrites its ledger, as consistently as they can."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.ledger.tree import Frontier
from bridle.model.errors import StoreError
from promises.test_attacks_results import TOML

SOURCE = str(Path(bridle.__file__).resolve().parents[1])


class Books:
    """A bundle whose agent has acted, and the file that holds its ledger."""

    def __init__(self, folder: Path) -> None:
        self.bundle = folder / "bundle"
        for name, text in TOML.items():
            file = self.bundle / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        self.act()
        (self.database,) = (folder / "state" / "bridle").glob("*/store.db")

    def act(self) -> None:
        with bridle.open(self.bundle, embedded=True) as governor:
            governor.start_mission("m", user="ana").agent("bot").call("get", effect=lambda: 1)

    def verify(self, *options: str) -> tuple[int, dict[str, Any]]:
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "bridle", "audit", "verify", str(self.bundle), "--json",
             *options],
            capture_output=True, check=False, timeout=50, env={**os.environ, "PYTHONPATH": SOURCE},
        )  # fmt: skip
        return ran.returncode, json.loads(ran.stdout)

    def tamper(self, script: str) -> None:
        with sqlite3.connect(self.database) as store:
            store.executescript(script)
        store.close()

    def cut(self, kept: int) -> None:
        """Cut the end off the log and mend everything that the store itself says of it."""
        store = sqlite3.connect(self.database)
        rows = store.execute('select chain, seq, hash from leaves order by "index"').fetchall()
        frontier = Frontier()
        heads: dict[str, tuple[int, bytes]] = {}
        for chain, seq, digest in rows[:kept]:
            frontier = frontier.append(digest)
            heads[chain] = (seq, digest)
        store.execute('delete from leaves where "index" >= ?', (kept,))
        store.execute("update log set size = ?, hashes = ?", (kept, b"".join(frontier.hashes)))
        store.execute("delete from chains")
        for chain, (seq, digest) in heads.items():
            store.execute("insert into chains values (?, ?, ?)", (chain, seq, digest))
        store.commit()
        store.close()


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Books:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Books(tmp_path)


def test_a_log_cut_consistently_is_shorter_than_what_was_signed(books: Books) -> None:
    size = books.verify()[1]["size"]
    books.act()
    books.cut(size)
    code, found = books.verify()
    assert code == 1
    codes = {flaw["code"] for flaw in found["findings"]}
    # Rows that no record speaks for tell of it, too.
    assert codes == {"checkpoint_ahead", "row_invented"}
    with pytest.raises(StoreError) as refused:
        books.act()
    assert refused.value.code == "store_rolled_back"


def test_a_database_put_back_alone_is_older_than_the_checkpoint_beside_it(books: Books) -> None:
    earlier = books.database.read_bytes()
    books.act()
    books.database.write_bytes(earlier)
    code, found = books.verify()
    assert code == 1
    assert [flaw["code"] for flaw in found["findings"]] == ["checkpoint_ahead"]
    with pytest.raises(StoreError) as refused:
        books.act()
    assert refused.value.code == "store_rolled_back"


def test_a_store_put_back_as_a_whole_is_seen_by_what_was_kept_elsewhere_and_by_nothing_else(
    books: Books, tmp_path: Path
) -> None:
    folder = books.database.parent
    shutil.copytree(folder, tmp_path / "earlier")
    books.act()
    code, before = books.verify()
    assert code == 0
    noted = ("--size", str(before["size"]), "--root", before["root"])
    shutil.copy(folder / "checkpoint", tmp_path / "kept")
    kept = ("--checkpoint", str(tmp_path / "kept"))
    books.act()
    assert books.verify(*noted)[0] == books.verify(*kept)[0] == 0  # it has grown, and begins so
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "earlier", folder)
    code, found = books.verify()
    assert (code, found["ok"]) == (0, True)  # as docs/security-model.md says
    assert [flaw["code"] for flaw in books.verify(*noted)[1]["findings"]] == ["root_mismatch"]
    assert [flaw["code"] for flaw in books.verify(*kept)[1]["findings"]] == ["checkpoint_ahead"]
    while books.verify()[1]["size"] < before["size"]:
        books.act()
    assert [flaw["code"] for flaw in books.verify(*noted)[1]["findings"]] == ["root_mismatch"]
    assert [flaw["code"] for flaw in books.verify(*kept)[1]["findings"]] == ["checkpoint_forked"]


def test_a_cut_that_mends_nothing_is_seen_at_once(books: Books) -> None:
    books.tamper('delete from leaves where "index" = (select max("index") from leaves);')
    code, found = books.verify()
    assert code == 1
    assert {"size_mismatch", "root_mismatch"} <= {flaw["code"] for flaw in found["findings"]}


def test_sealed_values_that_were_removed_are_missed(books: Books) -> None:
    before = books.verify()[1]["payloads"]
    books.tamper("update leaves set sealed = x'';")
    code, found = books.verify()
    assert code == 1
    assert found["payloads"] == {**before, "opened": 0, "erased": before["opened"]}
    assert {flaw["code"] for flaw in found["findings"]} == {"payload_missing"}
    assert found["flaws"] == before["opened"]
