"""Classic BPF as the kernel runs it on a system call: written apart from the assembler."""

import struct

Program = list[tuple[int, int, int, int]]


def decoded(program: bytes) -> Program:
    assert len(program) % 8 == 0
    return [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]


def run(program: Program, number: int, architecture: int, *arguments: int) -> int:
    """Return what the program gives for a call. Raises where the kernel would not load it."""
    words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<iIQ6Q", number - (1 << 32 if number >= 1 << 31 else 0), architecture, 0,
                       *(word & (1 << 64) - 1 for word in words))  # fmt: skip
    accumulator, at = 0, 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                assert value % 4 == 0
                assert value < len(data)
                accumulator = int.from_bytes(data[value : value + 4], "little")
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                accumulator &= value
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += yes if accumulator == value else no
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += yes if accumulator >= value else no
            case 0x45:  # BPF_JMP | BPF_JSET | BPF_K
                at += yes if accumulator & value else no
            case 0x06:  # BPF_RET | BPF_K
                return value
            case _:
                raise AssertionError(f"no instruction: {code:#x}")
