"""What can be seen of and done to other processes."""

import contextlib
import ctypes
import fcntl
import os
import signal
from contextlib import contextmanager
from pathlib import Path

from probes.calls import call

ATTACH, DETACH = 16, 17


class _Part(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


@contextmanager
def _child():
    """Yield a child that waits until it is let go."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


def seen(marker):
    for name in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{name}"):
            with contextlib.suppress(OSError):
                # Our own command line holds the marker as well.
                if path.parts[2] != str(os.getpid()) and marker.encode() in path.read_bytes():
                    yield str(path)


def signalled(pid):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGTERM)
        yield f"process {pid} took a signal"


def traced():
    with _child() as pid:
        if call("ptrace", ATTACH, pid, 0, 0) == 0:
            os.waitpid(pid, 0)
            call("ptrace", DETACH, pid, 0, 0)
            yield "a process was traced"


def memory_read():
    secret = ctypes.create_string_buffer(b"of the other")
    into = ctypes.create_string_buffer(len(secret))
    there = _Part(ctypes.addressof(secret), len(secret))
    here = _Part(ctypes.addressof(into), len(into))
    with _child() as pid:
        given = (ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
        for name in ("process_vm_readv", "process_vm_writev"):
            if call(name, pid, *given) == len(secret):
                yield name


def descriptor_taken():
    with _child() as pid:
        handle = call("pidfd_open", pid, 0)
        if handle >= 0 and call("pidfd_getfd", handle, 0, 0) >= 0:
            yield "a descriptor of another process"


def setuid_program(path):
    """Run a program that says which user it is, and belongs to root, with the bit set."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 1)
        try:
            os.execv(path, [path, "-u"])
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read().strip()
    os.waitpid(pid, 0)
    if said == "0":
        yield f"{path} ran as root"


def root():
    for become in (os.setuid, os.setgid, os.seteuid, os.setegid):
        with contextlib.suppress(OSError):
            become(0)
            yield become.__name__
    with contextlib.suppress(OSError):
        os.setgroups([0])
        yield "setgroups"


def powers():
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.startswith("Cap") and int(value, 16):
            yield line


def outlives(lock):
    """Leave a process behind, of a session of its own, that holds a lock as long as it lives."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        descriptor = os.open(lock, os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, str(os.getpid()).encode())
        os.write(writing, b"1")
        for each in (0, 1, 2, reading, writing):
            os.close(each)
        while True:
            signal.pause()
    os.read(reading, 1)
    # Whether it is still there can only be seen when we are gone.
    return ()
