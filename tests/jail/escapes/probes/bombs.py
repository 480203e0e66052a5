"""Taking more than was given. Each stops by itself, so that a wall that is missing costs little."""

import ctypes
import os
import signal
import time
from pathlib import Path

from probes.calls import call

MEBI = 1 << 20


def forks(bound, most):
    reading, writing = os.pipe()
    pids = []
    try:
        for _ in range(most):
            pid = os.fork()
            if pid == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            pids.append(pid)
    except OSError:
        pass
    os.close(writing)
    for pid in pids:
        os.waitpid(pid, 0)
    if len(pids) > bound:
        yield f"{len(pids)} processes at once"


def memory(bound, most):
    """Hold memory in one process."""
    held = []
    try:
        while len(held) < most // 4:
            held += [b"\1" * (4 * MEBI)]
    except MemoryError:
        pass
    if len(held) * 4 > bound:
        yield f"{len(held) * 4} MiB in one process"


def memory_together(bound, each, count):
    """Hold memory in several processes, each of which may have as much as it takes."""
    told, telling = os.pipe()
    waiting, going = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            os.close(going)
            held = b"\1" * (each * MEBI)
            os.write(telling, b"1")
            os.read(waiting, 1)
            os._exit(len(held) & 1)
    os.close(telling)
    held = sum(len(os.read(told, 1)) for _ in range(count))
    # All hold theirs: whoever counts has the time to see it.
    end = time.monotonic() + 3
    while time.monotonic() < end:
        signal.sigtimedwait([signal.SIGUSR1], 0.2)
    if held * each > bound:
        yield f"{held * each} MiB in {held} processes"


def folder(path, bound, most):
    """Fill a folder that is memory."""
    done = 0
    try:
        with Path(path, "bomb").open("wb", buffering=0) as file:
            for _ in range(most):
                done += file.write(b"\1" * MEBI) / MEBI
    except OSError:
        pass
    finally:
        Path(path, "bomb").unlink(missing_ok=True)
    if done > bound:
        yield f"{done:.0f} MiB in {path}"


def one_file(path, bound, most):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield from folder(path, bound, most)


def nameless(bound, most):
    """Fill a file that lies in no folder."""
    descriptor = call("memfd_create", b"bomb", 0)
    if descriptor >= 0:
        done = sum(os.write(descriptor, b"\1" * MEBI) for _ in range(most)) / MEBI
        if done > bound:
            yield f"{done:.0f} MiB that lie nowhere"


def descriptors(bound, most):
    count = 0
    try:
        for count in range(most):  # noqa: B007
            os.open("/dev/null", os.O_RDONLY)
    except OSError:
        pass
    if count > bound:
        yield f"{count} descriptors"


def lasts(seconds):
    """Be there for longer than was given."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        signal.sigtimedwait([signal.SIGUSR1], end - time.monotonic())
    yield f"{seconds} seconds"


def computes(seconds):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while time.process_time() < seconds:
        ctypes.c_long(1)
    yield f"{seconds} seconds of a processor"
