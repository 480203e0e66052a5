"""A key is made once, is readable by its owner alone, and is refused where it may be known."""

import os
import threading
from pathlib import Path

import pytest

from bridle.model.errors import StoreError
from bridle.store.keys import load_or_create


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "payload.key"


def refused(path: Path) -> str:
    with pytest.raises(StoreError) as raised:
        load_or_create(path)
    assert raised.value.hint
    return raised.value.code


def test_a_key_is_made_once_and_is_unlike_any_other(path: Path, tmp_path: Path) -> None:
    key = load_or_create(path)
    assert len(key) == 32
    assert load_or_create(path) == key
    assert load_or_create(tmp_path / "other" / "payload.key") != key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["payload.key"]


def test_callers_that_come_first_at_once_get_one_key(path: Path) -> None:
    found: set[bytes] = set()
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.add(load_or_create(path))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 1
    assert [each.name for each in path.parent.iterdir()] == ["payload.key"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_may_know_is_refused(path: Path, mode: int) -> None:
    load_or_create(path)
    path.chmod(mode)
    assert refused(path) == "key_exposed"


def test_a_folder_of_keys_that_others_can_enter_is_refused(path: Path) -> None:
    load_or_create(path)
    path.parent.chmod(0o750)
    assert refused(path) == "store_exposed"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_a_key_of_another_user_is_refused(path: Path) -> None:
    load_or_create(path)
    os.chown(path, 65534, 65534)
    assert refused(path) == "key_exposed"


def test_a_link_or_a_folder_is_no_key(path: Path, tmp_path: Path) -> None:
    load_or_create(tmp_path / "elsewhere" / "payload.key")
    path.parent.mkdir(mode=0o700)
    path.symlink_to(tmp_path / "elsewhere" / "payload.key")
    assert refused(path) == "key_exposed"
    path.unlink()
    path.mkdir()
    assert refused(path) == "key_exposed"


@pytest.mark.parametrize("length", [0, 31, 33, 1000])
def test_a_file_of_another_length_is_no_key_and_is_left_alone(path: Path, length: int) -> None:
    load_or_create(path)
    path.write_bytes(b"x" * length)
    assert refused(path) == "key_invalid"
    assert path.read_bytes() == b"x" * length
