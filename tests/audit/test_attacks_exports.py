"""What a stranger hands over as an export: nothing in it hides, costs or says more than it may."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.history import FIRST, ORIGIN, SECOND, STRANGER, History, codes, copy, small, trusting
from bridle.audit.exports import reading, walking
from bridle.audit.word import Noted
from bridle.ledger import checkpoint, leaf, note, tiles
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer
from bridle.ledger.tiles import WIDTH
from bridle.ledger.tree import frontier_of, leaf_hash
from bridle.ledger.verify import Findings
from bridle.model.record import LeafKind

SECONDS = 20
"""Far more than any of this takes."""


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = small(tmp_path_factory.mktemp("red") / "store")
    yield made.export(tmp_path_factory.mktemp("red") / "export")
    made.close()


@pytest.fixture
def trial(export: Path, tmp_path: Path) -> Path:
    return copy(export, tmp_path / "trial")


def test_an_export_named_by_a_link_is_looked_at_like_any_other(trial: Path, tmp_path: Path) -> None:
    link = tmp_path / "newest"
    link.symlink_to(trial)
    assert codes(link) == set()
    (trial / "evil").write_bytes(b"#!/bin/sh")
    assert codes(link) == codes(trial) == {"file_unexpected"}


def test_a_folder_that_cannot_be_listed_is_not_taken_for_empty(trial: Path, tmp_path: Path) -> None:
    found = Findings()
    (tmp_path / "link").symlink_to(trial)
    for path in (tmp_path / "link", tmp_path / "nothing"):
        walking.assert_nothing_else(path, lambda _: True, found)
    assert [flaw.code for flaw in found.kept] == ["file_unexpected"] * 2


def test_what_was_noted_of_a_log_counts_for_its_exports(trial: Path) -> None:
    true = reading.verify(trial, trusting()).report
    for noted, expected in (
        (Noted(true.size, true.root), set[str]()),
        (Noted(true.size, true.root.upper()), set[str]()),
        (Noted(true.size, "0" * 64), {"root_mismatch"}),
        (Noted(true.size - 1, true.root), {"root_mismatch"}),
        (Noted(true.size + 1, true.root), {"root_mismatch"}),
        (Noted(0, "0" * 64), {"root_mismatch"}),
    ):
        found = reading.verify(trial, trusting(), (), noted).report
        assert {flaw.code for flaw in found.findings} == expected, noted


SAME = ["readme.md", "Readme.MD", "README.md ", "README.md.", "CHECKPOINT", "Trust-Policy",
        "trust\u2010policy", "ch\u0435ckpoint", "checkpoint\u200b", "TILE"]  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_a_name_that_looks_the_same_is_another(trial: Path, name: str) -> None:
    shutil.copy(trial / "checkpoint", trial / name)
    assert codes(trial) == {"file_unexpected"}


def test_a_policy_in_another_normal_form_is_another_file(trial: Path) -> None:
    (bundle,) = (trial / "policy-bundles").iterdir()
    for name in ("policies/\u00e9.dw", "policies/e\u0301.dw", "policies/ONE.dw", "policies/one.DW"):
        (bundle / name).write_bytes((bundle / "policies/one.dw").read_bytes())
        assert codes(trial), name
        (bundle / name).unlink()
    (bundle / "policies/one.dw").rename(bundle / "policies/o\u0301ne.dw")
    assert codes(trial) == {"bundle_altered"}


def test_no_name_reaches_a_terminal_as_it_is(trial: Path, capsys: pytest.CaptureFixture) -> None:
    from bridle.cli import verdicts

    for name in ("\x1b[2J\x1b[1;1H", "\u202e\u2066", "a\nb\rc", "\x9b31m", "\udc9b"):
        (trial / name).write_bytes(b"")
        (trial / "checkpoints" / f"1{name}").write_bytes(b"")
    found = reading.verify(trial, trusting())
    assert found.report.flaws >= 10
    verdicts.export(found, trial)
    printed = capsys.readouterr().out
    assert not any(ord(char) < 32 and char != "\n" for char in printed)
    assert not set(printed) & set("\x7f\x9b\u202e\u2066\udc9b")
    assert len(printed.splitlines()) < 200


def forged(out: Path, leaves: list[bytes], *signers: Signer) -> Path:
    """An export with nothing but records, hashes and a checkpoint that is right."""
    for start in range(0, len(leaves), WIDTH):
        part = leaves[start : start + WIDTH]
        tile = tiles.Tile(0, start // WIDTH, len(part))
        for path, data in (
            (tile.path, b"".join(map(leaf_hash, part))),
            (tile.bundle, tiles.entries(part)),
        ):
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(data)
    root = frontier_of(map(leaf_hash, leaves)).root()
    data = checkpoint.sign(Checkpoint(ORIGIN, len(leaves), root), signers)
    (out / "checkpoint").write_bytes(data)
    return out


def adding(count: int, first: int = 0) -> list[bytes]:
    """Records that add keys, one after the other."""
    leaves, before = list[bytes](), bytes(32)
    for n in range(count):
        signer = Signer(ORIGIN, (first + n + 1).to_bytes(32, "big"))
        body = {"what": "key", "key": str(signer.key), "state": "added"}
        data, before = leaf.write(LeafKind.LOG, "system", n, before, 1_000 + n, {}, body, {})
        leaves.append(data)
    return leaves


def test_thousands_of_keys_and_of_checkpoints_keep_nobody_busy(tmp_path: Path) -> None:
    leaves = adding(3_000)
    out = forged(tmp_path / "out", leaves, STRANGER)
    (out / "checkpoints").mkdir()
    digests = list(map(leaf_hash, leaves))
    for size in range(1, 3_000, 3):
        root = frontier_of(digests[:size]).root() if size < 300 else bytes(32)
        data = checkpoint.sign(Checkpoint(ORIGIN, size, root), [STRANGER])
        (out / "checkpoints" / str(size)).write_bytes(data)
    for trust in (trusting(FIRST), None):
        begun = time.monotonic()
        assert not reading.verify(out, trust).ok
        assert time.monotonic() - begun < SECONDS


def test_more_keys_than_a_note_takes_signatures_sign_nothing(tmp_path: Path) -> None:
    signers = [Signer(ORIGIN, (n + 1).to_bytes(32, "big")) for n in range(65)]
    out = forged(tmp_path / "out", adding(65), *signers[:64])
    for trust in (trusting(signers[0]), None):
        found = reading.verify(out, trust)
        assert "checkpoint_unsigned" in {flaw.code for flaw in found.report.findings}


def test_a_checkpoint_that_is_mostly_something_else_is_not_kept_in_memory(trial: Path) -> None:
    os.truncate(trial / "checkpoint", 1 << 19)
    assert "file_altered" in codes(trial)


def test_an_export_without_records_never_verifies(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for trust in (trusting(FIRST), None):
        forged(out, [], FIRST)
        assert "checkpoint_unsigned" in {
            flaw.code for flaw in reading.verify(out, trust).report.findings
        }


def test_a_log_that_names_no_key_is_signed_by_nobody(tmp_path: Path) -> None:
    data, _ = leaf.write(LeafKind.LOG, "system", 0, bytes(32), 1, {}, {"what": "opened"}, {})
    out = forged(tmp_path / "out", [data], FIRST)
    for trust in (trusting(FIRST), None):
        assert "checkpoint_unsigned" in {
            flaw.code for flaw in reading.verify(out, trust).report.findings
        }


def test_a_forged_hand_over_leads_to_no_key(export: Path, tmp_path: Path) -> None:
    """The log's own beginning, then a hand-over to a stranger, each checkpoint as it should be."""
    made = History(tmp_path / "store")
    made.key(FIRST)
    made.activate()
    made.work()
    made.sign()
    made.key(STRANGER)
    made.key(FIRST, "retired")
    made.work()
    made.sign()
    out = made.export(tmp_path / "out")
    made.close()
    # Whoever has no private key of the log cannot make this line; without it nobody is followed.
    for path in (out / "checkpoints").iterdir():
        said = checkpoint.parse(note.parse(path.read_bytes()).text)
        path.write_bytes(checkpoint.sign(said, [STRANGER]))
    assert "checkpoint_unsigned" in codes(out, FIRST)
    assert codes(out, SECOND) >= {"checkpoint_unsigned"}
    assert codes(export, STRANGER) == {"checkpoint_unsigned"}


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 513])
def test_logs_that_end_at_the_edge_of_a_tile(tmp_path: Path, size: int) -> None:
    at_the_edge(tmp_path, size)


@pytest.mark.slow
@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_logs_that_end_at_the_edge_of_a_tile_of_tiles(tmp_path: Path, size: int) -> None:
    at_the_edge(tmp_path, size)


def at_the_edge(folder: Path, size: int) -> None:
    made = History(folder / "store")
    made.key(FIRST)
    for _ in range(0, size - 1, 5_000):
        made.work(min(5_000, size - 1 - made.store.write(lambda tx: tx.frontier().size) + 1) // 2)
    while made.store.write(lambda tx: tx.frontier().size) < size:
        made.write(LeafKind.LOG, "system", {"what": "closed"})
    made.sign()
    out = made.export(folder / "out")
    made.close()
    found = reading.verify(out, trusting())
    assert (found.ok, found.report.size) == (True, size), found.report.findings[:3]
    assert found.files == sum(each.is_file() for each in out.rglob("*"))
    for path in sorted(out.glob("tile/*/**/*")):
        if path.is_file() and (path.parts[-2].endswith(".p") or size < 600):
            data = path.read_bytes()
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            assert codes(out), path
            path.write_bytes(data)
    last = tiles.Tile(0, (size - 1) // WIDTH, size - (size - 1) // WIDTH * WIDTH)
    whole = (out / last.bundle).read_bytes()
    (out / last.bundle).write_bytes(whole + b"\x00\x00")
    assert "entries_mismatch" in codes(out)
