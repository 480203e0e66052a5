"""The filter lets no call through that it names, on any machine, whatever the arguments hide."""

import errno
import platform
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.jail.seccomp import filter as seccomp
from bridle.jail.seccomp.numbers import AARCH64, LAST, MACHINES, X32, X86_64, Machine
from jail.seccomp.interpreter import decoded, run
from jail.yard import Yard

EPERM, ENOSYS = seccomp.ERRNO | errno.EPERM, seccomp.ERRNO | errno.ENOSYS
PROGRAMS = {machine.name: decoded(seccomp.program(machine)) for machine in MACHINES.values()}
BY_ARGUMENT = {"clone", "ioctl", "personality", "socket", "socketpair"}

machines = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=lambda machine: machine.name)
word = st.integers(0, (1 << 64) - 1)
half = st.integers(0, (1 << 32) - 1)


def call(machine: Machine, name: str | int, *arguments: int) -> int:
    number = machine.numbers[name] if isinstance(name, str) else name
    return run(PROGRAMS[machine.name], number, machine.architecture, *arguments)


@machines
def test_the_kernel_would_load_it(machine: Machine) -> None:
    program = PROGRAMS[machine.name]
    assert len(program) <= 4096
    for at, (code, yes, no, _) in enumerate(program):
        if code & 7 == 5:
            assert at + 1 + max(yes, no) < len(program)
    assert program[-1][0] == 6


@machines
def test_what_is_named_is_refused_and_what_is_not_is_let(machine: Machine) -> None:
    names = {number: name for name, number in machine.numbers.items()}
    assert len(names) == len(machine.numbers)
    for number in range(LAST + 1):
        name = names.get(number, "")
        if name in BY_ARGUMENT:
            continue
        gone = {"clone3", *seccomp.UNCOUNTED}
        wanted = seccomp.ALLOW if not name else ENOSYS if name in gone else EPERM
        assert call(machine, number) == wanted, (number, name)


@machines
def test_every_refused_call_is_known_by_number_where_the_machine_has_it(machine: Machine) -> None:
    only_x86 = {
        "create_module", "get_kernel_syms", "query_module", "iopl", "ioperm", "modify_ldt",
        "uselib", "_sysctl", "sysfs", "ustat",
    }  # fmt: skip
    lacking = {name for name in (*seccomp.REFUSED, *seccomp.UNCOUNTED, *BY_ARGUMENT)
               if name not in machine.numbers}  # fmt: skip
    assert lacking == (set() if machine is X86_64 else only_x86)


@machines
@given(number=st.integers(LAST + 1, X32 - 1), arguments=st.lists(word, max_size=6))
def test_a_call_that_came_later_is_not_there(
    machine: Machine, number: int, arguments: list[int]
) -> None:
    assert call(machine, number, *arguments) == ENOSYS


@given(number=st.integers(X32, (1 << 32) - 1))
def test_x32_kills(number: int) -> None:
    assert call(X86_64, number) == seccomp.KILL


@machines
@given(number=st.integers(0, 500), architecture=half)
def test_another_convention_kills(machine: Machine, number: int, architecture: int) -> None:
    if architecture != machine.architecture:
        assert run(PROGRAMS[machine.name], number, architecture) == seccomp.KILL


def test_32_bit_calls_on_the_same_processor_kill() -> None:
    i386, arm = 0x40000003, 0x40000028
    assert run(PROGRAMS["x86_64"], 11, i386) == seccomp.KILL
    assert run(PROGRAMS["aarch64"], 11, arm) == seccomp.KILL


@machines
@given(high=half, domain=half, kind=word, protocol=word)
def test_sockets_are_of_three_families_only(
    machine: Machine, high: int, domain: int, kind: int, protocol: int
) -> None:
    given_word = high << 32 | domain
    allowed = call(machine, "socket", given_word, kind, protocol) == seccomp.ALLOW
    assert not allowed or domain in {1, 2, 10}
    assert call(machine, "socketpair", given_word, kind) == (
        seccomp.ALLOW if domain == 1 else EPERM
    )


@machines
def test_ip_is_tcp_udp_and_ping(machine: Machine) -> None:
    wanted = {(1, 0), (1, 6), (2, 0), (2, 17), (2, 1), (2, 58)}
    cross = {(kind, protocol) for kind in (1, 2) for protocol in (0, 1, 6, 17, 58)}
    for domain in (socket.AF_INET, socket.AF_INET6):
        found = {
            (kind, protocol)
            for kind in range(16)
            for protocol in range(300)
            if call(machine, "socket", domain, kind | 0o2004000, protocol) == seccomp.ALLOW
        }
        assert wanted <= found == cross


@machines
def test_a_packet_socket_by_its_old_name_is_refused(machine: Machine) -> None:
    sock_packet = 10
    assert call(machine, "socket", socket.AF_INET, sock_packet, 0x300) == EPERM
    assert call(machine, "socket", socket.AF_INET, socket.SOCK_RAW, 1) == EPERM


@machines
@given(flags=word)
def test_clone_makes_processes_and_threads_but_no_namespace(machine: Machine, flags: int) -> None:
    new = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
    assert call(machine, "clone", flags) == (EPERM if flags & new else seccomp.ALLOW)


@machines
def test_threads_and_forks_of_libraries_are_let(machine: Machine) -> None:
    assert call(machine, "clone", 0x3D0F00) == seccomp.ALLOW
    assert call(machine, "clone", 0x1200011) == seccomp.ALLOW


@machines
@given(high=half)
def test_no_typing_into_a_terminal_whatever_the_upper_half(machine: Machine, high: int) -> None:
    for request in (0x5412, 0x541C, 0x541D, 0x5423):
        assert call(machine, "ioctl", 0, high << 32 | request) == EPERM
    assert call(machine, "ioctl", 0, 0x5413) == seccomp.ALLOW


@machines
@given(value=half)
def test_no_personality_weakens_memory(machine: Machine, value: int) -> None:
    harmless = {0, 8, 0x20000, 0x20008, 0xFFFFFFFF}
    assert call(machine, "personality", value) == (seccomp.ALLOW if value in harmless else EPERM)


HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"__NR_(\w+)\s+(\d+)"),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), r"__NR(?:3264)?_(\w+)\s+(\d+)"),
}


@machines
def test_the_numbers_are_those_of_the_kernels_headers(machine: Machine) -> None:
    path, line = HEADERS[machine.name]
    if not path.exists():
        pytest.skip(f"not run: {path} is not installed")
    there = {name: int(number) for name, number in re.findall(line, path.read_text())}
    known = {name: number for name, number in machine.numbers.items() if name in there}
    assert len(known) > 60
    assert known == {name: there[name] for name in known}


CALLS = """
import ctypes, json, sys
call = ctypes.CDLL(None, use_errno=True).syscall
found = {}
for name, number in json.loads(sys.argv[1]).items():
    ctypes.set_errno(0)
    # No argument is one that could do anything, were the call let.
    result = call(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
    found[name] = ctypes.get_errno() if result == -1 else 0
print(json.dumps(found))
"""


def test_the_kernel_refuses_each_by_name(yard: Yard) -> None:
    import json

    machine = MACHINES[platform.machine()]
    names = {*seccomp.REFUSED, *seccomp.UNCOUNTED, "clone3"} & set(machine.numbers)
    numbers = {name: machine.numbers[name] for name in names}
    ended, out, err = yard.code(CALLS, json.dumps(numbers))
    assert ended.status == 0, err
    gone = {"clone3", *seccomp.UNCOUNTED}
    assert json.loads(out) == {
        name: errno.ENOSYS if name in gone else errno.EPERM for name in numbers
    }


FAMILIES = """
import socket
for family in range(1, 46):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            # Made and closed, and never connected.
            socket.socket(family, kind).close()
        except OSError:
            continue
        print(family)
"""


def test_no_family_but_three_can_be_made_and_without_the_filter_others_could(yard: Yard) -> None:
    ended, out, err = yard.code(FAMILIES)
    assert ended.status == 0, err
    assert set(out.split()) == {"1", "2", "10"}
    with yard.plan(yard.python, "-I", "-S", "-c", FAMILIES) as plan:
        _, out, _ = yard.changed(plan, filter=b"")
    assert str(int(socket.AF_NETLINK)) in out.split()


INT_80 = """
import ctypes, mmap
# mov eax, 20 (getpid of i386); int 0x80; ret
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())
"""


def test_a_call_by_the_32_bit_gate_kills(yard: Yard) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("not run: this processor has no int 0x80")
    ended, out, _ = yard.code(INT_80)
    assert (ended.status > 128, out) == (True, "")
