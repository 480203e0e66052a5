"""Lines through pipes, and threads that take turns at them."""

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.gateway.wire.lines import BrokenPipe, Crew, LineReader, LineTooLongError, LineWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def all_of(data: bytes, chunk: int, longest: int = 1000) -> list[bytes | None]:
    """Every line of a stream that arrives in pieces; None for one that is too long."""
    read, write = os.pipe()

    def feed() -> None:
        with os.fdopen(write, "wb", buffering=0) as out:
            for start in range(0, len(data), chunk):
                out.write(data[start : start + chunk])

    feeder = threading.Thread(target=feed)
    feeder.start()
    reader, found = LineReader(read, longest), list[bytes | None]()
    try:
        while True:
            try:
                line = reader.next()
            except LineTooLongError:
                found.append(None)
            else:
                if line is None:
                    return found
                found.append(line)
    finally:
        feeder.join()
        os.close(read)


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=8),
       st.integers(1, 50))  # fmt: skip
def test_lines_come_out_as_they_went_in_however_they_arrive(lines: list[bytes], chunk: int):
    wanted = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    assert all_of(b"".join(line + b"\n" for line in lines), chunk) == wanted


def test_what_has_no_end_is_no_line():
    assert all_of(b"one\ntwo", 3) == [b"one"]


@pytest.mark.parametrize("chunk", [1, 7, 100_000])
def test_a_line_that_is_too_long_is_skipped_and_the_next_one_read(chunk: int):
    data = b"a\n" + b"x" * 1001 + b"\nb\n" + b"y" * 5000 + b"\n" + b"z" * 1000 + b"\n"
    assert all_of(data, chunk) == [b"a", None, b"b", None, b"z" * 1000]


def test_a_writer_whose_reader_is_gone_says_whether_anything_arrived(pipe: tuple[int, int]):
    read, write = pipe
    writer = LineWriter(write)
    writer.write(b"one")
    assert os.read(read, 10) == b"one\n"
    os.close(read)
    with pytest.raises(BrokenPipe) as caught:
        writer.write(b"two")
    assert caught.value.begun is False


def test_a_writer_waits_for_a_slow_reader_whatever_the_pipe_says(pipe: tuple[int, int]):
    read, write = pipe
    os.set_blocking(write, False)
    long = b"x" * 1_000_000
    writing = threading.Thread(target=LineWriter(write).write, args=(long,))
    writing.start()
    found = b""
    while len(found) <= len(long):
        found += os.read(read, 65536)
    writing.join(30)
    assert found == long + b"\n"


def test_slow_work_on_one_line_keeps_no_other_line_waiting():
    """Each job waits for the next line's job: only as many threads as lines get through."""
    number = 20
    meeting = threading.Barrier(number)
    taken: list[int] = []
    over = threading.Event()

    def take():
        if len(taken) == number:
            raise EOFError
        taken.append(len(taken))
        return lambda: meeting.wait(30)

    Crew("test-crew", take, over.set, most=number + 1).start()
    assert over.wait(30)
    assert taken == list(range(number))
    assert not meeting.broken


def test_a_crew_is_never_larger_than_it_may_be():
    busy, most = threading.Semaphore(0), 0
    lock, inside, over = threading.Lock(), 0, threading.Event()
    left = list(range(50))

    def job() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        busy.acquire(timeout=30)
        with lock:
            inside -= 1

    def take():
        if not left:
            raise EOFError
        left.pop()
        busy.release()
        return job

    Crew("test-crew", take, over.set, most=4).start()
    assert over.wait(30)
    assert most <= 4


def test_a_crew_that_cannot_read_a_line_ends_and_says_so(monkeypatch: pytest.MonkeyPatch):
    """Otherwise nobody would read on, and nobody would know."""
    ended, died = threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: died.set())

    def take() -> None:
        raise ValueError

    Crew("odd", take, ended.set, most=2).start()
    assert ended.wait(30)
    assert died.wait(30)
