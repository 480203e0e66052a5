"""Calls into the kernel that lead out of namespaces, around the filter, or to the machine."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import signal
import termios

from probes.calls import NAMESPACES, NUMBERS, call, looked_at, powers_taken

USER = NAMESPACES["user"]


def looked_at_by_the_kernel(name):
    """Whether the kernel looks at a call's arguments, which mean nothing."""
    given = (0x0040000,) if name == "personality" else (0,) if name == "unshare" else (-1,) * 5
    result = call(name, *given)
    if looked_at(result):
        yield f"{name} gave {result}"


def _in_child(attempt):
    """Whether an attempt succeeds in a child of ours, which it changes."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if attempt() >= 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def unshared():
    for name, flag in NAMESPACES.items():
        if _in_child(lambda flag=flag: call("unshare", flag)):
            yield f"a {name} namespace by unshare"
        if _in_child(lambda flag=flag: call("unshare", flag | USER)):
            yield f"a {name} namespace by unshare, with one of users"


def cloned():
    for name, flag in NAMESPACES.items():
        pid = call("clone", flag | USER | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        if pid > 0:
            os.waitpid(pid, 0)
            yield f"a {name} namespace by clone"


def cloned3():
    words = (ctypes.c_uint64 * 11)(USER, 0, 0, 0, signal.SIGCHLD)
    pid = call("clone3", words, ctypes.sizeof(words))
    if pid == 0:
        os._exit(0)
    if pid > 0:
        os.waitpid(pid, 0)
        yield "a user namespace by clone3"


def entered():
    powers_taken("net", "ipc", "uts")
    for name in ("net", "ipc", "uts", "mnt"):
        descriptor = os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
        if _in_child(lambda descriptor=descriptor: call("setns", descriptor, 0)):
            yield f"the {name} namespace by setns"


def mounted(folder):
    powers_taken("mount")
    if call("mount", b"none", folder.encode(), b"tmpfs", 0, None) == 0:
        yield "a file system by mount"
    if (opened := call("fsopen", b"tmpfs", 0)) >= 0:
        yield f"a file system by fsopen: {opened}"
    if call("mount", None, b"/", None, 0x20 | 0x1000, None) == 0:
        yield "/ for writing, by remounting"
    if call("umount2", b"/proc", 2) == 0:
        yield "what lies under /proc, by umount"


def other_root(folder):
    if call("chroot", folder.encode()) == 0:
        yield "another root"


def key_ring():
    if (serial := call("add_key", b"user", b"bridle-probe", b"x", 1, -2)) >= 0:
        yield f"a key, {serial}"
    if (serial := call("keyctl", 0, -3, 0)) >= 0:
        yield f"the session's key ring, {serial}"


def typed():
    """Type a line into the terminal that is our standard input."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    number = {"x86_64": 16}.get(os.uname().machine, 29)
    for request in (termios.TIOCSTI, termios.TIOCSTI | 1 << 32):
        if call(number, 0, request, ctypes.create_string_buffer(b"x")) == 0:
            yield f"a key was pressed by {request:#x}"


def old_convention():
    """Call getpid(2) by the 32-bit convention of x86, where its number is another."""
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20; int 0x80; ret
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if result == os.getpid():
        yield "a call by the convention of 32 bits"


def other_numbers():
    """Call by numbers that a list of refused ones may not hold: x32's, and those to come."""
    x32 = 0x40000000
    for name in ("ptrace", "unshare", "keyctl"):
        result = call(x32 | NUMBERS[name], -1, -1, -1, -1)
        yield f"{name} of x32 gave {result}"


def unknown_numbers():
    for number in (*range(470, 520), 548, 1023):
        if call(number, -1, -1, -1) != -38:
            yield f"call {number} is there"


def shared_memory(key):
    with contextlib.suppress(OSError):
        if call("shmget", key, 0, 0) >= 0:
            yield "shared memory of the host"


def queue(key):
    if ctypes.CDLL(None).msgget(key, 0) >= 0:
        yield "a message queue of the host"
