"""Of the standard descriptors only terminals, nameless pipes and /dev/null go into a jail."""

import os
import socket
import subprocess
from pathlib import Path

from bridle.jail.streams import Streams


def test_pipes_and_terminals_are_handed_in_as_they_are() -> None:
    reading, writing = os.pipe()
    ours, theirs = os.openpty()
    with Path(os.devnull).open() as null:
        streams = Streams(null, writing, theirs)
        assert streams.given == [null.fileno(), writing, theirs]
    for each in (reading, writing, ours, theirs):
        os.close(each)


def test_what_popen_makes_is_left_to_it() -> None:
    streams = Streams(subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE)
    assert streams.given == [subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE]


def test_files_named_pipes_and_sockets_are_copied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "named")
    named = os.open(tmp_path / "named", os.O_RDWR)
    one, other = socket.socketpair()
    with (tmp_path / "file").open("wb") as file, one, other:
        streams = Streams(subprocess.DEVNULL, file, one)
        assert not {file.fileno(), one.fileno()} & set(streams.given)
        for descriptor in streams.given[1:]:
            os.write(descriptor, b"said")
        streams.started()
        streams.finish()
        assert (tmp_path / "file").read_bytes() == other.recv(10) == b"said"
        streams = Streams(subprocess.DEVNULL, named, subprocess.DEVNULL)
        assert streams.given[1] != named
        streams.started()
        streams.finish()
    os.close(named)


def test_a_descriptor_that_is_closed_is_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    assert Streams(reading, subprocess.DEVNULL, subprocess.DEVNULL).given[0] == subprocess.DEVNULL
