"""Exports beside a store that is written, and readings of an export that changes meanwhile."""

import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from audit.history import FIRST, History, codes, small, trusting
from bridle.audit import plainfile
from bridle.audit.exports import reading, writing
from bridle.model.errors import StoreError

ROUNDS = 12


def test_every_file_of_an_export_is_read_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nobody can show one content to one look, and another to the next."""
    made = small(tmp_path / "store")
    made.work(200)
    made.sign()
    out = made.export(tmp_path / "out")
    made.close()
    opened, real = Counter[str](), os.open

    def counting(path: Path, flags: int) -> int:
        opened[str(path)] += 1
        return real(path, flags)

    monkeypatch.setattr(plainfile.os, "open", counting)
    assert reading.verify(out, trusting()).ok
    monkeypatch.undo()
    files = {str(each): 1 for each in out.rglob("*") if each.is_file()}
    assert dict(opened) == files


def test_an_export_beside_writing_erasing_and_signing_is_whole_or_refused(tmp_path: Path) -> None:
    made = History(tmp_path / "store")
    made.key(FIRST)
    made.activate()
    made.work(100)
    made.sign()
    done, failures = threading.Event(), list[BaseException]()

    def act() -> None:
        number = 0
        try:
            while not done.is_set():
                number += 1
                made.work(3, chain=f"mis_{number}")
                if number % 2 == 0:
                    made.redact(f"mis_{number - 1}")
                made.sign()
        except BaseException as problem:
            failures.append(problem)

    thread = threading.Thread(target=act)
    thread.start()
    refused = list[StoreError]()
    try:
        for number in range(ROUNDS):
            out = tmp_path / f"out{number}"
            try:
                found = writing.export(made.place, out, opened=number % 3 > 0)
            except StoreError as problem:
                refused.append(problem)
                continue
            assert codes(out) == set()
            assert found.size == reading.verify(out, trusting()).report.size
    finally:
        done.set()
        thread.join()
    assert failures == []
    assert len(refused) < ROUNDS  # those without payloads never are
    assert {each.code for each in refused} <= {"export_refused"}
    assert all("in a second" in each.hint for each in refused)
    assert codes(made.export(tmp_path / "last")) == set()
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]
    made.close()


def test_a_payload_of_any_length_is_one_line_that_is_read_alone(tmp_path: Path) -> None:
    made = History(tmp_path / "store")
    made.key(FIRST)
    made.activate()
    big = b'"' + b"\\u0000\xc3\xa9" * 200_000 + b'"'
    for number in range(8):
        made.work(1)
        made.store.write(
            lambda tx, n=number: made.append(
                tx, "outcome", f"mis_big{n}", {"kind": "ok"}, fields={"output": big}
            )
        )
    made.sign()
    out = made.export(tmp_path / "out")
    made.close()
    (file,) = (out / "payloads").rglob("*.jsonl")
    assert file.stat().st_size > 8 * len(big)
    assert codes(out) == set()
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for changed in (
        whole[:-1],
        whole + b"\n",
        whole + lines[-1],
        b"\n" + whole,
        b"".join(lines[1:]),
        b"".join(lines[:-1]),
        b"".join([*lines[:3], lines[2], *lines[3:]]),
        b"".join([lines[1], lines[0], *lines[2:]]),
        whole.replace(b"\n", b"\r\n"),
        b"",
    ):
        file.write_bytes(changed)
        assert codes(out), changed[:40]
    # One line that does not end costs no more than its beginning.
    with file.open("wb") as handle:
        handle.truncate(1 << 40)
    assert "file_altered" in codes(out)
