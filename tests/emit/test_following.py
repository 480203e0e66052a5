"""Every record is told, in order, at least once: across failures, restarts and kills."""

import json
import os
import random
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import apsw
import pytest

from bridle.emit import reading
from bridle.emit.cursor import Cursor, Position
from bridle.emit.errors import EmitError
from bridle.emit.following import Follower, Worker
from bridle.emit.record import Record
from bridle.emit.targets import Emission, target
from bridle.ledger import checkpoint, note
from bridle.model.errors import StoreError
from bridle.store.rows import LogKeyRow
from bridle.store.sqlite import open_store
from emit import following
from emit.collector import collecting

ROOT = Path(__file__).resolve().parents[2]


class Receiver:
    """Keeps what it is told; fails as often as it is asked to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.taken: list[Record] = []
        self.told: list[Record] = []
        self.closed = False

    def emit(self, record: Record) -> None:
        self.taken.append(record)

    def flush(self) -> None:
        taken, self.taken = self.taken, []
        if self.failures:
            self.failures -= 1
            raise OSError("the line is dead")
        self.told += taken

    def close(self) -> None:
        self.closed = True

    @property
    def indexes(self) -> list[int]:
        return [each.index for each in self.told]


class Recalling(Receiver):
    memory = 10

    def __init__(self) -> None:
        super().__init__()
        self.recalled: list[int] = []

    def recall(self, record: Record) -> None:
        self.recalled.append(record.index)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "log"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def log(folder: Path):
    store = open_store(folder / "store.db")
    yield store
    store.close()


def follower(folder: Path, receiver: Receiver) -> Follower:
    return Follower(folder / "store.db", Cursor(folder / "emit", "test-0"), receiver, "test")


def tell_all(each: Follower) -> None:
    while each.step():
        pass


def test_every_record_is_told_in_order_page_by_page(folder: Path, log) -> None:
    following.append(log, 2 * reading.PAGE + 3)
    receiver = Receiver()
    each = follower(folder, receiver)
    assert each.step() == reading.PAGE + 3
    tell_all(each)
    assert receiver.indexes == list(range(2 * reading.PAGE + 3))
    assert each.step() == 0
    following.append(log, 2)
    tell_all(each)
    assert receiver.indexes == list(range(2 * reading.PAGE + 5))


def test_another_process_goes_on_where_the_cursor_stands(folder: Path, log) -> None:
    following.append(log, 5)
    first, second = Receiver(), Receiver()
    tell_all(follower(folder, first))
    following.append(log, 4)
    tell_all(follower(folder, second))
    assert first.indexes + second.indexes == list(range(9))


def test_what_a_receiver_did_not_take_is_told_again(folder: Path, log) -> None:
    following.append(log, 3)
    receiver = Receiver(failures=1)
    each = follower(folder, receiver)
    with pytest.raises(OSError, match="dead"):
        each.step()
    assert each.next == 0
    assert not (folder / "emit").exists()
    following.append(log, 1)
    tell_all(each)
    assert receiver.indexes == [0, 1, 2, 3]


def test_a_cursor_is_nobody_elses(folder: Path, log) -> None:
    following.append(log, 1)
    os.umask(0)
    try:
        tell_all(follower(folder, Receiver()))
    finally:
        os.umask(0o022)
    (cursor,) = (folder / "emit").iterdir()
    assert cursor.stat().st_mode & 0o777 == 0o600
    assert cursor.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(cursor.read_text())["next"] == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"next":-1}', '{"next":3}', '{"next":1,"told":"zz"}', '{"next":true}', "\xff"],
)
def test_a_cursor_that_cannot_be_read_is_no_reason_to_start_over(
    folder: Path, log, text: str
) -> None:
    (folder / "emit").mkdir()
    (folder / "emit" / "test-0.cursor").write_text(text, "latin-1")
    with pytest.raises(EmitError) as caught:
        follower(folder, Receiver())
    assert caught.value.code == "emit_cursor"


def test_a_store_that_was_rolled_back_is_noticed_and_nothing_is_told(folder: Path, log) -> None:
    following.append(log, 2)
    log.close()
    copy = (folder / "store.db").read_bytes()
    grown = open_store(folder / "store.db")
    following.append(grown, 2)
    grown.close()
    tell_all(follower(folder, Receiver()))
    (folder / "store.db").write_bytes(copy)
    receiver = Receiver()
    with pytest.raises(EmitError) as caught:
        follower(folder, receiver).step()
    assert caught.value.code == "emit_diverged"
    assert receiver.taken == []


def test_a_log_that_was_rewritten_is_noticed(folder: Path, log) -> None:
    following.append(log, 2)
    tell_all(follower(folder, Receiver()))
    cursor = Cursor(folder / "emit", "test-0")
    cursor.write(Position(2, "0" * 64, "test"))
    with pytest.raises(EmitError) as caught:
        follower(folder, Receiver()).step()
    assert caught.value.code == "emit_diverged"


def test_a_record_that_is_missing_is_no_gap_to_step_over(store: Path) -> None:
    with apsw.Connection(str(store / "store.db")) as connection:
        connection.execute('DELETE FROM "leaves" WHERE "index" = 3')
    connection.close()
    receiver = Receiver()
    with pytest.raises(StoreError) as caught:
        tell_all(follower(store, receiver))
    assert caught.value.code == "store_corrupt"
    assert receiver.told == []


def test_only_what_a_checkpoint_covers_is_told(folder: Path, log) -> None:
    signer = note.Signer("log.example/x", bytes(32))
    key = str(signer.key)
    log.write(lambda tx: tx.put(LogKeyRow(id=signer.key.id.hex(), key=key, added=1)))
    following.append(log, 5)
    receiver = Receiver()
    each = follower(folder, receiver)
    assert each.step() == 0
    assert receiver.told == []

    def sign(tx) -> None:
        frontier = tx.frontier()
        made = checkpoint.Checkpoint("log.example/x", frontier.size, frontier.root())
        tx.put_checkpoint(frontier.size, checkpoint.sign(made, [signer]))

    log.write(sign)
    following.append(log, 3)
    tell_all(each)
    assert receiver.indexes == [0, 1, 2, 3, 4]
    assert {record.origin for record in receiver.told} == {"log.example/x"}


def test_an_emitter_with_a_memory_sees_what_it_told_before(folder: Path, log) -> None:
    following.append(log, 30)
    tell_all(follower(folder, Receiver()))
    following.append(log, 2)
    receiver = Recalling()
    tell_all(follower(folder, receiver))
    assert receiver.recalled == list(range(20, 30))
    assert receiver.indexes == [30, 31]


def test_the_end_tells_what_is_left_and_lets_go(folder: Path, log) -> None:
    following.append(log, 4)
    receiver = Receiver()
    worker = Worker(follower(folder, receiver), "test")
    worker.start()
    following.append(log, 3)
    worker.close()
    assert receiver.indexes == list(range(7))
    assert receiver.closed


def test_a_receiver_that_always_fails_does_not_keep_the_end_waiting(
    folder: Path, log, caplog
) -> None:
    following.append(log, 4)
    receiver = Receiver(failures=1_000)
    worker = Worker(follower(folder, receiver), "test")
    worker.start()
    worker.close()
    assert receiver.told == []
    assert receiver.closed
    assert "the line is dead" in caplog.text
    assert not (folder / "emit").exists()


def test_a_dead_collector_is_told_once_it_is_back(folder: Path, log) -> None:
    following.append(log, 3)
    with collecting() as collector:
        collector.status = 400
        emission = Emission()
        emission.start(folder, [target(f"otel:{collector.url}")])
        collector.wait_for(lambda: collector.refused)
        collector.status = 200
        collector.wait_for(lambda: len(collector.spans) == 3)
        emission.close()
    indexes = [
        each.value.int_value
        for span in collector.spans
        for each in span.attributes
        if each.key == "bridle.log.index"
    ]
    assert indexes == [0, 1, 2]


def run_and_kill(folder: Path, events: Path, moment: float) -> None:
    """Run until so many bytes have been told, then kill -9."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emit.following", str(folder), f"cloudevents:{events}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    before = events.stat().st_size
    while events.stat().st_size < before + moment and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()


def killed_again_and_again(folder: Path, times: int) -> None:
    events = folder.parent / "events.jsonl"
    dice = random.Random(times)
    for _ in range(times):
        run_and_kill(folder, events, dice.choice([1, 5_000, 60_000, 200_000]))
    open_store(folder / "store.db").close()
    emission = Emission()
    emission.start(folder, [target(f"cloudevents:{events}")])
    emission.close()
    whole, torn = [], 0
    for line in events.read_bytes().splitlines():
        try:
            whole.append(int(json.loads(line)["id"]))
        except ValueError:
            torn += 1
    size = reading.size(folder / "store.db")
    assert size > 5 * times
    assert set(whole) == set(range(size))
    assert torn <= times
    steps = list(pairwise(whole))
    assert all(late <= early + 1 for early, late in steps)
    # Told again only from where a killed process had not yet moved its cursor.
    assert sum(late <= early for early, late in steps) <= times


def test_killed_at_any_moment_nothing_is_left_out(folder: Path) -> None:
    killed_again_and_again(folder, 4)


@pytest.mark.slow
def test_killed_at_many_moments_nothing_is_left_out(folder: Path, count) -> None:
    killed_again_and_again(folder, count(20, 200))
