"""No bit of an export, and no file of it, can be changed without an auditor who has only the key
seeing it."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.history import FIRST, History, codes, copy, small
from bridle.audit.exports import reading


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    made = small(tmp_path_factory.mktemp("history") / "store")
    yield made
    made.close()


@pytest.fixture(scope="module")
def export(history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return history.export(tmp_path_factory.mktemp("whole") / "export")


@pytest.fixture(scope="module")
def scratch(export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that each test changes and puts right again."""
    return copy(export, tmp_path_factory.mktemp("scratch") / "export")


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


KINDS = [
    "README.md", "trust-policy", "checkpoint", "checkpoints", "payloads", "policy-bundles",
    "tile/0", "tile/entries",
]  # fmt: skip


def unnoticed(scratch: Path, kind: str, bits: Callable[[int], Iterator[int]]) -> list[str]:
    """Flip bits of the files of a kind, each alone; return what verification let pass."""
    passed = []
    for name in files(scratch):
        if not name.startswith(kind) or (kind == "checkpoint" and name != kind):
            continue
        path = scratch / name
        whole = path.read_bytes()
        for bit in bits(len(whole) * 8):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << (bit % 8)
            path.write_bytes(changed)
            if not codes(scratch):
                passed.append(f"{name}: bit {bit}")
        path.write_bytes(whole)
    assert codes(scratch) == set()
    return passed


def test_the_kinds_are_all_that_an_export_has(export: Path) -> None:
    assert all(any(name.startswith(kind) for kind in KINDS) for name in files(export))
    assert all(any(name.startswith(kind) for name in files(export)) for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_of_any_byte_is_seen(scratch: Path, kind: str) -> None:
    # Prose is compared as a whole, so every eighth byte of it does.
    step = 8 if kind == "README.md" else 1
    assert unnoticed(
        scratch, kind, lambda end: (8 * at + at % 8 for at in range(0, end // 8, step))
    ) == []  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_any_flipped_bit_is_seen(scratch: Path, kind: str, count) -> None:
    assert unnoticed(scratch, kind, lambda end: iter(range(0, end, count(5, 1)))) == []


def test_a_file_cut_off_anywhere_is_seen(scratch: Path) -> None:
    for name in files(scratch):
        path = scratch / name
        whole = path.read_bytes()
        for end in {0, 1, len(whole) // 2, len(whole) - 32, len(whole) - 1} - {len(whole)}:
            if 0 <= end < len(whole):
                path.write_bytes(whole[:end])
                assert codes(scratch), f"{name} cut to {end}"
        path.write_bytes(whole)


def test_a_file_with_something_behind_it_is_seen(scratch: Path) -> None:
    for name in files(scratch):
        path = scratch / name
        whole = path.read_bytes()
        for more in (b"\n", b"\x00", b" ", whole or b"x"):
            path.write_bytes(whole + more)
            assert codes(scratch), f"{name} and {more[:10]!r}"
        path.write_bytes(whole)


def test_a_file_that_is_not_there_is_seen(scratch: Path) -> None:
    for name in files(scratch):
        path = scratch / name
        whole = path.read_bytes()
        path.unlink()
        assert codes(scratch), name
        path.write_bytes(whole)


def test_two_files_exchanged_are_seen(scratch: Path) -> None:
    for one, other in itertools.combinations(files(scratch), 2):
        left, right = (scratch / one).read_bytes(), (scratch / other).read_bytes()
        if left == right:
            continue
        (scratch / one).write_bytes(right)
        (scratch / other).write_bytes(left)
        assert codes(scratch), (one, other)
        (scratch / one).write_bytes(left)
        (scratch / other).write_bytes(right)
    assert codes(scratch) == set()


ODD = [
    "copy",
    "tile/0/001",
    "tile/1/000",
    "payloads/001.jsonl",
    "checkpoints/3",
    "tile/entries/000",
    "Checkpoint",
    "tile/0/000.p/8",
]


def test_a_copy_of_a_file_under_another_name_is_seen(scratch: Path) -> None:
    for name in files(scratch):
        for other in (*ODD, f"{name}.bak"):
            path = scratch / other
            if path.exists():
                continue
            made = [each for each in path.parents if not each.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(scratch / name, path)
            assert codes(scratch), (name, other)
            path.unlink()
            for folder in made:
                folder.rmdir()


def test_a_file_put_back_to_an_earlier_export_is_seen(history: History, tmp_path: Path) -> None:
    old = history.export(tmp_path / "old")
    history.work(3)
    history.redact("mis_1")
    history.work(2)
    history.sign()
    new = history.export(tmp_path / "new")
    assert codes(new, kept=((old / "checkpoint").read_bytes(),)) == set()
    for name in {*files(old), *files(new)}:
        trial = copy(new, tmp_path / "trial")
        if (old / name).exists() and (new / name).exists():
            if (old / name).read_bytes() == (new / name).read_bytes():
                shutil.rmtree(trial)
                continue
            shutil.copy(old / name, trial / name)
        elif (old / name).exists():
            (trial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(old / name, trial / name)
        else:
            (trial / name).unlink()
        assert codes(trial), name
        shutil.rmtree(trial)


def test_a_whole_export_put_back_is_seen_by_a_checkpoint_that_was_kept(
    history: History, tmp_path: Path
) -> None:
    old = history.export(tmp_path / "old")
    history.work()
    kept = history.sign()
    assert codes(old) == set()
    assert codes(old, kept=(kept,)) == {"checkpoint_ahead"}


def test_a_fork_signed_by_the_same_keys_is_seen_by_a_checkpoint_that_was_kept(
    history: History, tmp_path: Path
) -> None:
    other = small(tmp_path / "other", salt=1)
    forked = other.export(tmp_path / "forked")
    assert codes(forked) == set()
    assert codes(forked, kept=(history.store.write(lambda tx: tx.checkpoints()[1]),)) == {
        "checkpoint_forked"
    }
    other.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with a full tile at a second level, copied before each change."""
    made = History(tmp_path_factory.mktemp("large") / "store")
    made.key(FIRST)
    made.activate()
    made.work(400)
    made.sign()
    out = made.export(tmp_path_factory.mktemp("large") / "export")
    made.close()
    return out


@settings(max_examples=12)
@given(data=st.data())
def test_whatever_is_done_to_a_large_export_is_seen(large: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(files(large)))
    path = large / name
    whole = path.read_bytes()
    place = data.draw(st.integers(0, max(len(whole) - 1, 0)))
    end = data.draw(st.integers(place, len(whole)))
    changed = data.draw(
        st.sampled_from([
            whole[:place] + os.urandom(end - place) + whole[end:],
            whole[:place] + whole[end:],
            whole[:end] + whole[place:],
            whole[:place] + whole[place:end][::-1] + whole[end:],
        ])
    )  # fmt: skip
    path.write_bytes(changed)
    try:
        found = reading.verify(large, None)
        assert found.ok == (changed == whole), name
    finally:
        path.write_bytes(whole)
