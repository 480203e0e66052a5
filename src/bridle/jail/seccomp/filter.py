"""Which system calls a jail refuses. One job: the filter for a machine, as bubblewrap takes it.

A list of what is refused, under a ceiling: whatever came into the kernel after it is refused too.
Why each: it reaches other processes, other namespaces, the machine, or memory that nobody counts.
"""

from __future__ import annotations

import errno
import socket

from bridle.jail.seccomp import assembler as bpf
from bridle.jail.seccomp import numbers
from bridle.jail.seccomp.assembler import Step
from bridle.jail.seccomp.numbers import Machine

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
"""What the kernel does with a call (linux/seccomp.h): lets it, kills the process, fails it."""

FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)

PROCESSES = (
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    "migrate_pages", "move_pages",
)  # fmt: skip
KEYRINGS = ("add_key", "request_key", "keyctl")
NAMESPACES = ("unshare", "setns")
MOUNTS = (
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr",
    "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount",
    "name_to_handle_at", "open_by_handle_at", "fanotify_init", "fanotify_mark",
)  # fmt: skip
KERNEL = (
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "kexec_load", "kexec_file_load", "create_module", "init_module",
    "finit_module", "delete_module", "get_kernel_syms", "query_module", "nfsservctl", "syslog",
    "acct", "quotactl", "quotactl_fd", "reboot", "swapon", "swapoff", "settimeofday",
    "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "iopl",
    "ioperm", "modify_ldt", "uselib", "_sysctl", "lookup_dcookie", "vhangup", "sysfs", "ustat",
)  # fmt: skip
REFUSED = PROCESSES + KEYRINGS + NAMESPACES + MOUNTS + KERNEL

UNCOUNTED = ("memfd_create", "memfd_secret", "shmget")
"""Memory that belongs to no process and no folder, so that only a cgroup could count it."""

NEW_NAMESPACE = 0x7E020000
"""CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID and -NET of linux/sched.h."""
TERMINAL = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C, "TIOCCONS": 0x541D, "TIOCSETD": 0x5423}
"""Typing into a terminal, taking its console, and line disciplines that load modules."""
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, with another uname or without, and asking which: none with a weaker memory layout."""

_STREAM, _DATAGRAM = 1, 2
_PROTOCOLS = (0, socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP, 58)


def program(machine: Machine) -> bytes:
    """Return the filter of a machine, an array of `struct sock_filter`."""
    steps = [
        bpf.load(bpf.ARCHITECTURE),
        bpf.equal(machine.architecture, yes="native"),
        # INVARIANT: no second way to make a call, whose numbers mean something else.
        bpf.give(KILL),
        bpf.label("native"),
        bpf.load(bpf.NUMBER),
    ]
    if machine.name == "x86_64":
        steps += [bpf.at_least(numbers.X32, no="own"), bpf.give(KILL), bpf.label("own")]
    steps += _refused(machine)
    steps += _by_argument(machine.numbers)
    # INVARIANT: a call that nobody here has thought about is not there.
    steps += [bpf.at_least(numbers.LAST + 1, no="known"), *_fail(errno.ENOSYS), bpf.label("known")]
    return bpf.assemble([*steps, bpf.give(ALLOW)])


def _fail(number: int) -> list[Step]:
    return [bpf.give(ERRNO | number)]


def _refused(machine: Machine) -> list[Step]:
    """Return the calls that are refused whatever their arguments."""
    steps: list[Step] = []
    # A library that is told that clone3 is not there uses clone, whose flags can be looked at.
    missing = ("clone3", *UNCOUNTED)
    for names, number in ((REFUSED, errno.EPERM), (missing, errno.ENOSYS)):
        for name in names:
            if name in machine.numbers:
                over = f"after {name}"
                steps += [bpf.equal(machine.numbers[name], no=over), *_fail(number)]
                steps += [bpf.label(over)]
    return steps


def _by_argument(calls: dict[str, int]) -> list[Step]:
    """Return the calls of which some are let."""
    return [
        *_when(calls["clone"], [bpf.load(bpf.argument(0)), *_unless_any(NEW_NAMESPACE)]),
        *_when(calls["ioctl"], [bpf.load(bpf.argument(1)), *_unless(tuple(TERMINAL.values()))]),
        *_when(calls["personality"], [bpf.load(bpf.argument(0)), *_only(PERSONALITIES)]),
        *_when(calls["socketpair"], [bpf.load(bpf.argument(0)), *_only((socket.AF_UNIX,))]),
        *_when(calls["socket"], _socket()),
    ]


def _when(number: int, steps: list[Step]) -> list[Step]:
    """Return steps for one call, which end it: the accumulator is the number before them."""
    over = f"after {number}"
    return [bpf.equal(number, no=over), *steps, bpf.label(over)]


def _only(values: tuple[int, ...]) -> list[Step]:
    let = f"let {values}"
    tests = [bpf.equal(value, yes=let) for value in values]
    return [*tests, *_fail(errno.EPERM), bpf.label(let), bpf.give(ALLOW)]


def _unless(values: tuple[int, ...]) -> list[Step]:
    stop = f"stop {values}"
    tests = [bpf.equal(value, yes=stop) for value in values]
    return [*tests, bpf.give(ALLOW), bpf.label(stop), *_fail(errno.EPERM)]


def _unless_any(bits: int) -> list[Step]:
    return [bpf.any_of(bits, no="no bits"), *_fail(errno.EPERM), bpf.label("no bits"),
            bpf.give(ALLOW)]  # fmt: skip


def _socket() -> list[Step]:
    """Sockets between processes, and TCP, UDP and ping over IP.

    The type counts too: SOCK_PACKET makes a packet socket of one of AF_INET, and each protocol
    that is not in use is a module that would be loaded for the asking.
    """
    return [
        bpf.load(bpf.argument(0)),
        bpf.equal(socket.AF_UNIX, yes="socket let"),
        bpf.equal(socket.AF_INET, yes="socket type"),
        bpf.equal(socket.AF_INET6, no="socket stop"),
        bpf.label("socket type"),
        bpf.load(bpf.argument(1)),
        bpf.mask(0xF),
        bpf.equal(_STREAM, yes="socket protocol"),
        bpf.equal(_DATAGRAM, no="socket stop"),
        bpf.label("socket protocol"),
        bpf.load(bpf.argument(2)),
        *[bpf.equal(value, yes="socket let") for value in _PROTOCOLS],
        bpf.label("socket stop"),
        *_fail(errno.EPERM),
        bpf.label("socket let"),
        bpf.give(ALLOW),
    ]
