"""`bridle audit`: no answer says more than was looked at, and exit codes and keys of JSON stay."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from bridle.ledger import checkpoint, leaf, receipt
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer
from bridle.model.record import LeafKind

STORE = {
    "ok", "store", "size", "root", "anchored", "kinds", "chains", "payloads", "flaws", "findings",
    "hints", "origin", "trusted", "checkpoint", "checkpoints", "witnessed", "keys", "unverified",
    "unsigned", "rows",
}  # fmt: skip
EXPORT = STORE - {"store", "unsigned", "rows"} | {"export", "opened", "files"}
RECEIPT = {"ok", "index", "hash", "origin", "size", "root", "keys", "record"}
GROWTH = {"ok", "old", "origin", "size", "root", "keys"}
FAILED = {"ok", "findings", "hints"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, shell_at) -> Path:
    home = tmp_path_factory.mktemp("audited")
    shell = shell_at(home)
    assert shell("demo", "--keep", home / "demo").code == 0
    (folder,) = [file.parent for file in (home / "state").rglob("store.db")]
    folder.rename(home / "store")
    store = ("--store", home / "store")
    (home / "key").write_text(shell("audit", "keys", *store, "--json").json[0]["key"])
    assert shell("audit", "export", *store, "--out", home / "export").code == 0
    assert shell("audit", "prove", "3", *store, "--out", home / "receipt").code == 0
    kept = home / "store" / "checkpoint"
    growth = ("audit", "prove", "--consistency", kept, *store, "--out", home / "growth")
    assert shell(*growth).code == 0
    return home


@pytest.fixture
def key(home: Path) -> tuple[str, str]:
    return ("--key", (home / "key").read_text())


def test_the_keys_of_json_are_those_documented_whether_it_verifies_or_not(
    bridle_, home: Path, key: tuple[str, str], tmp_path: Path
) -> None:
    kept = ("--checkpoint", home / "store" / "checkpoint")
    other = ("--key", str(Signer("log.example/desk/1", bytes(32)).key))
    for what, good, bad in (
        (("--store", home / "store"), STORE, STORE),
        (("--export", home / "export"), EXPORT, EXPORT),
        (("--receipt", home / "receipt"), RECEIPT, FAILED),
        (("--consistency", home / "growth", *kept), GROWTH, FAILED),
    ):
        for keys, code, expected in ((key, 0, good), (other, 1, bad)):
            ran = bridle_("audit", "verify", *what, *keys, "--json")
            assert (ran.code, ran.json.keys(), ran.json["ok"]) == (code, expected, code == 0), what
            text = bridle_("audit", "verify", *what, *keys)
            assert (text.code, "✓" in text.out, "✗" in text.out) == (code, code == 0, code == 1)
            assert ran.raw.isascii()


def test_nothing_that_an_auditor_names_is_passed_over(
    bridle_, home: Path, key: tuple[str, str]
) -> None:
    report = bridle_("audit", "verify", "--export", home / "export", *key, "--json").json
    noted = ("--size", report["size"], "--root", report["root"])
    wrong = ("--size", report["size"], "--root", "0" * 64)
    kept = ("--checkpoint", home / "store" / "checkpoint")
    export, store = ("--export", home / "export"), ("--store", home / "store")
    receipt, growth = ("--receipt", home / "receipt"), ("--consistency", home / "growth")
    for options, code in (
        ((*export, *noted), 0),
        ((*export, *wrong), 1),
        ((*store, *wrong), 1),
        ((*receipt, *noted), 2),
        ((*receipt, *kept), 2),
        ((*growth, *kept, *noted), 2),
        ((*growth, *kept, *kept), 2),
        ((*export, *store), 2),
        ((*export, "--leaf", home / "receipt"), 2),
    ):
        ran = bridle_("audit", "verify", *map(str, options), *key)
        assert ran.code == code, (options, ran.out, ran.err)


def test_what_nobody_signed_is_not_said_to_verify_without_saying_so(
    bridle_, home: Path, key: tuple[str, str], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(home / "store", store)
    whole = bridle_("audit", "verify", "--store", store, *key)
    assert "✓ the ledger verifies with your key\n" in whole.out
    assert "nobody has signed" not in whole.out
    # All checkpoints gone: with a key that is a flaw, without one it is said.
    connection = sqlite3.connect(store / "store.db")
    connection.execute("DELETE FROM checkpoints")
    connection.commit()
    connection.close()
    (store / "checkpoint").unlink()
    assert bridle_("audit", "verify", "--store", store, *key).code == 1
    ran = bridle_("audit", "verify", "--store", store)
    assert "that nobody has signed yet" in ran.out.splitlines()[-1]


def test_a_planted_hash_is_not_printed_as_that_of_a_record(
    bridle_, home: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(home / "store", store)
    planted = "07" * 32
    connection = sqlite3.connect(store / "store.db")
    connection.execute('UPDATE leaves SET hash = ? WHERE "index" = 4', (bytes.fromhex(planted),))
    connection.commit()
    connection.close()
    for what in (planted, "4"):
        ran = bridle_("audit", "prove", what, "--store", store, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (3, "receipt_unproven")


def test_a_record_is_proved_and_exported_beside_the_governor_that_writes(
    bridle_, starter: Path, serving, tmp_path: Path
) -> None:
    serving(starter)
    listed = bridle_("audit", "keys", starter, "--json").json
    key = ("--key", listed[0]["key"])
    for number in range(3):
        receipt, out = tmp_path / f"receipt{number}", tmp_path / f"export{number}"
        assert bridle_("audit", "prove", str(number), starter, "--out", receipt).code == 0
        assert bridle_("audit", "verify", "--receipt", receipt, *key).code == 0
        assert bridle_("audit", "export", starter, "--out", out, "--payloads").code == 0
        assert bridle_("audit", "verify", "--export", out, *key).code == 0


def test_what_is_not_there_or_no_file_has_its_own_exit_code(
    bridle_, home: Path, key: tuple[str, str], tmp_path: Path
) -> None:
    for options in (
        ("--store", tmp_path / "nothing"),
        ("--export", tmp_path / "nothing"),
        ("--receipt", tmp_path / "nothing"),
        ("--export", home / "export", "--checkpoint", tmp_path / "nothing"),
        ("--export", home / "export", "--trust", tmp_path / "nothing"),
    ):
        ran = bridle_("audit", "verify", *options, *key, "--json")
        assert ran.code == 3, options
        assert ran.json["error"]["code"] in {"store_missing", "export_missing", "file_refused"}
    assert bridle_("audit", "verify", "--receipt", home / "receipt").code == 2
    assert bridle_("audit", "verify", "--store", home / "store", "--key", "nonsense").code == 2


def test_a_receipt_of_any_time_is_printed(bridle_, tmp_path: Path) -> None:
    signer = Signer("log.example/desk/1", bytes(32))
    data, digest = leaf.write(LeafKind.LOG, "\u202ex", 0, bytes(32), 2**53 - 1, {}, {"\x1b": 1}, {})
    signed = checkpoint.sign(Checkpoint(signer.key.name, 1, digest), [signer])
    file = tmp_path / "receipt"
    file.write_bytes(receipt.render(receipt.Receipt(0, (), signed, data)))
    ran = bridle_("audit", "verify", "--receipt", file, "--key", str(signer.key))
    assert ran.code == 0, ran.err
    assert not {"\u202e", "\x1b"} & set(ran.out)
    assert (
        json.loads(
            bridle_("audit", "verify", "--receipt", file, "--key", str(signer.key), "--json").out
        )["record"]["time"]
        == 2**53 - 1
    )
