"""What lies in an export may be made by an attacker: it is refused, fast, and never followed."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.history import FIRST, SECOND, codes, copy, small, trusting
from bridle.audit.exports import layout, reading, writing
from bridle.ledger import checkpoint
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.tiles import tiles_of
from bridle.ledger.verify import MOST_FINDINGS
from bridle.model.errors import StoreError, UsageError

SECONDS = 20
"""Far more than any of this takes, and far less than reading what it pretends to be."""


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = small(tmp_path_factory.mktemp("hostile") / "store")
    yield made.export(tmp_path_factory.mktemp("hostile") / "export")
    made.close()


@pytest.fixture
def trial(export: Path, tmp_path: Path) -> Path:
    return copy(export, tmp_path / "trial")


def every(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def test_a_link_in_place_of_a_file_is_refused_whatever_it_leads_to(
    trial: Path, tmp_path: Path
) -> None:
    for path in every(trial):
        away = tmp_path / "away"
        path.rename(away)
        path.symlink_to(away)
        assert codes(trial), path
        path.unlink()
        away.rename(path)


def test_a_link_in_place_of_a_folder_is_refused(trial: Path, tmp_path: Path) -> None:
    for path in [each for each in trial.rglob("*") if each.is_dir()]:
        away = tmp_path / "away"
        path.rename(away)
        path.symlink_to(away, target_is_directory=True)
        assert "file_unexpected" in codes(trial), path
        path.unlink()
        away.rename(path)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(trial: Path) -> None:
    for path in every(trial):
        whole = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        assert codes(trial), path
        path.unlink()
        path.write_bytes(whole)


def test_a_file_of_a_terabyte_is_not_read(trial: Path) -> None:
    for path in every(trial):
        whole = path.read_bytes()
        os.truncate(path, 1 << 40)
        begun = time.monotonic()
        assert codes(trial), path
        assert time.monotonic() - begun < SECONDS
        path.write_bytes(whole)


ODD_NAMES = [
    "a\nb",
    "\x1b[31m",
    "\udcff",
    "CON",
    " ",
    "checkpoint ",
    "\u202e",
    ".hidden",
    "x" * 255,
]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("where", ["", "tile/0", "policy-bundles", "payloads", "checkpoints"])
def test_a_file_of_an_odd_name_is_refused(trial: Path, where: str, name: str) -> None:
    (trial / where / name).write_bytes(b"")
    assert "file_unexpected" in codes(trial)


def test_a_bundle_with_a_file_that_its_digest_does_not_count_is_refused(trial: Path) -> None:
    (bundle,) = (trial / "policy-bundles").iterdir()
    for name in ("README.md", "schema/tools.cedarschema", "policies/two.txt", "policies/.dw"):
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).write_bytes(b"permit (principal, action, resource);")
        assert codes(trial), name
        (bundle / name).unlink()


def test_another_bundle_is_refused(trial: Path) -> None:
    (bundle,) = (trial / "policy-bundles").iterdir()
    shutil.copytree(bundle, bundle.with_name("0" * 64))
    assert codes(trial) == {"file_unexpected"}


def test_empty_folders_and_deep_ones_are_refused(trial: Path) -> None:
    (trial / "tile" / "9").mkdir()
    assert codes(trial) == {"file_unexpected"}
    (trial / "tile" / "9").rmdir()
    deep = trial.joinpath(*["d"] * 200)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"")
    assert "file_unexpected" in codes(trial)


def test_very_many_files_are_given_up_on(trial: Path) -> None:
    for number in range(MOST_FINDINGS + 500):
        (trial / f"{number}.txt").touch()
    found = reading.verify(trial, trusting())
    assert found.report.flaws == MOST_FINDINGS


def test_very_many_empty_folders_are_given_up_on(trial: Path) -> None:
    for number in range(MOST_FINDINGS + 500):
        (trial / "tile" / f"x{number}").mkdir()
    assert reading.verify(trial, trusting()).report.flaws == MOST_FINDINGS


def test_a_checkpoint_of_a_boundless_log_is_not_believed_and_not_walked(trial: Path) -> None:
    for size in (1 << 40, (1 << 63) - 1):
        note = checkpoint.sign(Checkpoint("log.example/desk/1", size, bytes(32)), [FIRST, SECOND])
        (trial / "checkpoint").write_bytes(note)
        begun = time.monotonic()
        assert {"file_missing", "size_mismatch"} <= codes(trial)
        assert {flaw.code for flaw in reading.verify(trial).report.findings}
        assert time.monotonic() - begun < SECONDS


def test_a_folder_that_is_no_export_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "file_missing" in codes(tmp_path / "empty")
    (tmp_path / "file").write_bytes(b"")
    for name in ("nothing", "file"):
        with pytest.raises(LedgerError) as missing:
            reading.verify(tmp_path / name)
        assert missing.value.code == "export_missing"


def test_payloads_may_be_left_out_but_not_in_part(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    without = made.export(tmp_path / "without", opened=False)
    whole = made.export(tmp_path / "whole")
    made.close()
    assert codes(without) == set()
    found = reading.verify(without, trusting())
    assert (found.opened, found.report.payloads.unopened) == (False, 6)
    assert any("left out" in each for each in found.unverified)
    # The guide of the one in the other: payloads that were taken away do not pass as left out.
    shutil.copy(without / "README.md", whole / "README.md")
    assert "file_unexpected" in codes(whole)
    shutil.rmtree(whole / "payloads")
    assert codes(whole) == set()
    shutil.copytree(without, tmp_path / "claims")
    text = (without / "README.md").read_text()
    (tmp_path / "claims" / "README.md").write_text(text.replace("left out", "included"))
    assert "payload_missing" in codes(tmp_path / "claims")


LINES = [
    lambda line: line.replace(b'"index":', b'"index": '),
    lambda line: line.replace(b'"salt":"', b'"salt":"00'),
    lambda line: line.replace(b'"value":"', b'"value":"\\u0020'),
    lambda line: line.replace(b'"fields":{', b'"fields":{"more":{"salt":"00","value":""},'),
    lambda line: line[:-1] + b',"more":1}',
    lambda line: line.replace(b"{", b"{\n", 1),
    lambda line: line + b"\n" + line,
    lambda _: b'{"index":2,"fields":{}}',
    lambda _: b"[" * 100_000,
    lambda _: b"",
]


@pytest.mark.parametrize("change", range(len(LINES)))
def test_a_payload_has_one_spelling(trial: Path, change: int) -> None:
    (file,) = (trial / "payloads").rglob("*.jsonl")
    lines = file.read_bytes().split(b"\n")
    changed = LINES[change](lines[0])
    assert changed != lines[0]
    file.write_bytes(b"\n".join([changed, *lines[1:]]))
    assert codes(trial)


def test_payloads_in_another_order_are_refused(trial: Path) -> None:
    (file,) = (trial / "payloads").rglob("*.jsonl")
    lines = file.read_bytes()[:-1].split(b"\n")
    file.write_bytes(b"\n".join(lines[::-1]) + b"\n")
    assert "file_altered" in codes(trial)


def test_every_path_of_an_export_belongs_and_its_neighbours_do_not() -> None:
    for size in (1, 255, 256, 257, 65_536, 65_537, 70_000, 1_234_067 * 256):
        for tile in (t for t in tiles_of(size) if t.number % 997 == 0 or t.width < 256):
            for path in (tile.path, *([tile.bundle, layout.payloads(tile)] * (tile.level == 0))):
                args = {"opened": True, "bundles": frozenset[str]()}
                assert layout.belongs(path, size, **args), path
                odds = {f"{path}x", f"/{path}", path.upper(), path.replace("/", "//", 1)}
                odds |= {f"{path}.p/1", path.replace("tile/", "tile/0"), f"{path}/"}
                for odd in odds - {path}:
                    assert not layout.belongs(odd, size, **args), odd


def test_an_export_goes_nowhere_where_something_is(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "link"):
        with pytest.raises(UsageError) as refused:
            writing.export(made.place, tmp_path / name)
        assert refused.value.code == "not_empty"
    (tmp_path / "empty").mkdir()
    made.export(tmp_path / "empty")
    assert codes(tmp_path / "empty") == set()
    modes = {each.stat().st_mode & 0o777 for each in every(tmp_path / "empty")}
    assert modes == {0o600}
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "empty").rglob("*") if p.is_dir()} == {
        0o700
    }
    made.close()


def test_a_log_that_does_not_verify_is_not_exported_and_leaves_nothing(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    made.store.write(lambda tx: tx.reseal(2, b""))
    before = set(tmp_path.iterdir())
    for opened in (True,):
        with pytest.raises(StoreError) as refused:
            writing.export(made.place, tmp_path / "out", opened=opened)
        assert refused.value.code == "export_refused"
    assert set(tmp_path.iterdir()) == before
    made.close()


def test_what_is_erased_and_not_signed_yet_waits(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    made.redact("mis_1")
    with pytest.raises(StoreError) as refused:
        writing.export(made.place, tmp_path / "out", opened=True)
    assert "in a second" in refused.value.hint
    made.sign()
    assert codes(made.export(tmp_path / "out")) == set()
    made.close()
