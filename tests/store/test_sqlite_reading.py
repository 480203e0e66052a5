"""A store is read where nothing may be written: copies that an auditor has, read-only media."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.ledger.tree import leaf_hash
from bridle.model.errors import StoreError
from bridle.store.sqlite import open_store, opening, reading
from bridle.store.sqlite.reading import snapshot

NOBODY = 65_534


@pytest.fixture
def media() -> Iterator[Path]:
    """A folder that others may look into. Temporary folders of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="bridle-media-"))
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


def written(path: Path) -> None:
    store = open_store(path)
    store.write(lambda tx: tx.append("c", 0, b"one", leaf_hash(b"one"), b""))
    store.close()
    for left in ("-wal", "-shm", ".lock"):
        path.with_name(path.name + left).unlink(missing_ok=True)


def read(path: Path) -> str:
    try:
        with snapshot(path) as tx:
            return str([leaf.data for leaf in tx.leaves()])
    except StoreError as problem:
        return f"{problem.code}: {problem.hint}"


def read_by_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read as somebody who may write nothing there."""
    for each in path.parent.iterdir():
        each.chmod(0o444)
    path.parent.chmod(0o555)
    if os.geteuid() != 0:
        return read(path)
    steps = opening.migrations()  # nobody may not be able to read the package either
    monkeypatch.setattr(opening, "migrations", lambda: steps)
    monkeypatch.setattr(reading, "migrations", lambda: steps)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(tell, read(path).encode())
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    with os.fdopen(told, "rb") as answer:
        return answer.read().decode()


def test_a_copy_on_read_only_media_is_read(media: Path, monkeypatch) -> None:
    written(media / "store.db")
    assert read_by_nobody(media / "store.db", monkeypatch) == "[b'one']"


def test_a_copy_whose_log_still_holds_records_is_not_read_without_them(
    media: Path, monkeypatch
) -> None:
    written(media / "store.db")
    (media / "store.db-wal").write_bytes(b"frames that nobody moved into the database")
    told = read_by_nobody(media / "store.db", monkeypatch)
    assert told.startswith("store_readonly: Copy store.db with store.db-wal")
