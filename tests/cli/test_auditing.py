"""`bridle audit verify`, `export` and `prove` as an auditor meets them."""

from pathlib import Path

import pytest

from bridle.audit import hints
from bridle.ledger.verify import Flaw


@pytest.fixture(scope="module")
def store(kept: Path) -> Path:
    (folder,) = [file.parent for file in (kept / "state").rglob("store.db")]
    return folder


@pytest.fixture(scope="module")
def key(store: Path, kept: Path, shell_at) -> str:
    listed = shell_at(kept)("audit", "keys", "--store", store, "--json").json
    rows = listed["keys"] if isinstance(listed, dict) else listed
    return rows[0]["key"]


def test_what_was_verified_with_which_key_and_what_could_not_be_is_said(
    bridle_, store: Path, key: str
) -> None:
    ran = bridle_("audit", "verify", "--store", store, "--key", key)
    assert ran.code == 0
    assert "the ledger verifies with your key" in ran.out
    assert key in ran.out
    assert "not verified" not in ran.out
    without = bridle_("audit", "verify", "--store", store)
    assert "not verified: who signed" in without.out
    assert "with your key" not in without.out


def test_an_export_is_written_verified_and_described(
    bridle_, store: Path, key: str, tmp_path: Path
) -> None:
    out = tmp_path / "export"
    ran = bridle_("audit", "export", "--store", store, "--out", out, "--payloads")
    assert ran.code == 0
    assert "payloads  included" in ran.out
    assert ran.err == ""
    report = bridle_("audit", "verify", "--export", out, "--key", key, "--json").json
    assert (report["ok"], report["trusted"], report["opened"]) == (True, True, True)
    assert report["files"] == sum(each.is_file() for each in out.rglob("*"))
    again = bridle_("audit", "export", "--store", store, "--out", out)
    assert (again.code, "[not_empty]" in again.err) == (3, True)
    (out / "trust-policy").write_bytes(b"quorum none\n")
    bad = bridle_("audit", "verify", "--export", out, "--key", key)
    assert bad.code == 1
    assert "[file_altered]" in bad.out
    assert hints.HINTS["file_altered"] in bad.out


def test_a_record_is_proved_to_whoever_has_the_key(
    bridle_, store: Path, key: str, tmp_path: Path
) -> None:
    receipt = tmp_path / "receipt.tlog-proof"
    assert bridle_("audit", "prove", "4", "--store", store, "--out", receipt).code == 0
    ran = bridle_("audit", "verify", "--receipt", receipt, "--key", key)
    assert ran.code == 0
    assert "the record is in the log" in ran.out
    piped = bridle_("audit", "prove", "4", "--store", store)
    assert piped.raw == receipt.read_bytes()
    assert bridle_("audit", "prove", "4", "--store", store, "--out", receipt).code == 3


def test_records_that_may_be_meant_are_listed(bridle_, store: Path) -> None:
    ran = bridle_("audit", "prove", "refunds", "--store", store, "--json")
    assert ran.code == 1
    found = ran.json["candidates"]
    assert len(found) > 1
    text = bridle_("audit", "prove", "refunds", "--store", store)
    assert (text.code, "name one by its index" in text.out) == (1, True)
    one = bridle_("audit", "prove", found[0]["hash"], "--store", store, "--json")
    assert (one.code, one.json["index"]) == (0, found[0]["index"])
    none = bridle_("audit", "prove", "nobody", "--store", store)
    assert (none.code, "[not_found]" in none.err) == (3, True)


def test_growth_is_proved_in_words_as_well(bridle_, store: Path, key: str, tmp_path: Path) -> None:
    proof = tmp_path / "growth"
    old = store / "checkpoint"
    assert (
        bridle_("audit", "prove", "--consistency", old, "--store", store, "--out", proof).code == 0
    )
    ran = bridle_("audit", "verify", "--consistency", proof, "--checkpoint", old, "--key", key)
    assert (ran.code, "only grown" in ran.out) == (0, True)
    proof.write_bytes(b"nothing")
    bad = bridle_("audit", "verify", "--consistency", proof, "--checkpoint", old, "--key", key)
    assert (bad.code, "[growth_invalid]" in bad.out) == (1, True)


def test_what_makes_no_sense_together_is_refused(bridle_, store: Path, key: str) -> None:
    file = store / "checkpoint"
    for args in (
        ("verify", "--store", store, "--export", store),
        ("verify", "--receipt", file),
        ("verify", "--receipt", file, "--store", store, "--key", key),
        ("verify", "--store", store, "--leaf", file),
        ("verify", "--store", store, "--size", "3"),
        ("verify", "--consistency", file, "--key", key),
        ("verify", "--store", store, "--key", "log.example+nothing"),
        ("prove", "--store", store),
        ("prove", "4", store, "--consistency", "3", "--store", store),
        ("export", "--store", store),
    ):
        ran = bridle_("audit", *args)
        assert ran.code == 2, args
        assert ran.out == ""


@pytest.mark.parametrize("option", ["--trust", "--checkpoint", "--receipt"])
def test_a_file_that_is_not_there_or_none_is_said(
    bridle_, store: Path, key: str, tmp_path: Path, option: str
) -> None:
    for path in (tmp_path / "nothing", Path("/dev/null")):
        args = ("--store", store) if option != "--receipt" else ()
        ran = bridle_("audit", "verify", *args, "--key", key, option, path)
        assert ran.code == 3
        assert "[file_refused]" in ran.err


def test_every_flaw_has_a_way_out() -> None:
    named = {
        code.strip() for part in (Flaw.__doc__ or "").split("`")[1::2] for code in part.split(",")
    }
    codes = {code for code in named if "_" in code and "." not in code}
    assert len(codes) > 20
    assert codes <= hints.HINTS.keys()
