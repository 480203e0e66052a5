"""Classic BPF as seccomp(2) runs it. One job: instructions with names to jump to, as bytes.

Source: linux/filter.h, linux/seccomp.h. A jump leads forward, at most 255 instructions.
"""

from __future__ import annotations

import struct

from msgspec import Struct

_LOAD, _AND, _EQUAL, _GREATER_EQUAL, _BITS, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06

NUMBER, ARCHITECTURE = 0, 4
"""Where `struct seccomp_data` holds the call's number and its calling convention."""


def argument(index: int) -> int:
    """Where the low half of an argument lies, on a little-endian machine."""
    return 16 + 8 * index


class Step(Struct, frozen=True):
    """One instruction; `yes` and `no` name where a test goes on, "" being the next one."""

    code: int
    value: int
    yes: str = ""
    no: str = ""
    name: str = ""


def load(offset: int) -> Step:
    """Take a word of the call into the accumulator."""
    return Step(_LOAD, offset)


def mask(bits: int) -> Step:
    """Keep only some bits of the accumulator."""
    return Step(_AND, bits)


def equal(value: int, *, yes: str = "", no: str = "") -> Step:
    """Test whether the accumulator is a value."""
    return Step(_EQUAL, value, yes, no)


def at_least(value: int, *, yes: str = "", no: str = "") -> Step:
    """Test whether the accumulator, unsigned, is no less than a value."""
    return Step(_GREATER_EQUAL, value, yes, no)


def any_of(bits: int, *, yes: str = "", no: str = "") -> Step:
    """Test whether the accumulator has any of these bits."""
    return Step(_BITS, bits, yes, no)


def give(value: int) -> Step:
    """End with what is to be done with the call."""
    return Step(_RETURN, value)


def label(name: str) -> Step:
    """Name the next instruction."""
    return Step(0, 0, name=name)


def assemble(steps: list[Step]) -> bytes:
    """Return the program as an array of `struct sock_filter`. Raises `ValueError`."""
    places: dict[str, int] = {}
    program: list[Step] = []
    for step in steps:
        if step.name:
            places[step.name] = len(program)
        else:
            program.append(step)
    return b"".join(_encoded(step, at, places) for at, step in enumerate(program))


def _encoded(step: Step, at: int, places: dict[str, int]) -> bytes:
    jumps = [places[name] - at - 1 if name else 0 for name in (step.yes, step.no)]
    if not all(0 <= jump <= 255 for jump in jumps):
        raise ValueError(f"a jump of {jumps} from instruction {at}")
    return struct.pack("<HBBI", step.code, *jumps, step.value)
