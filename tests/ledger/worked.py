"""A log of five leaves with fixed keys, as other programs computed it; and bytes gone wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from bridle.ledger import note
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import COSIGNATURE, Signer
from bridle.ledger.tree import leaf_hash

WORDS = [b"one", b"two", b"three", b"four", b"five"]
DIGESTS = [leaf_hash(word) for word in WORDS]
ORIGIN = "log.example/bridle/1"
LOG = Signer(ORIGIN, bytes(range(32)))
WITNESS = Signer("witness.example/w1", bytes(range(32, 64)), COSIGNATURE)
LOG_KEY = "log.example/bridle/1+e6124ab3+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_KEY = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
WITNESSED = 1_700_000_000
ROOT = bytes.fromhex("832e609776a4b05ca208ef796bfd6f2d7cfcf00ddd46afb497d4b1b5ef19a994")
AT_FIVE = Checkpoint(ORIGIN, 5, ROOT)
TEXT = f"{ORIGIN}\n5\ngy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=\n"
LOG_LINE = (
    "— log.example/bridle/1 5hJKs9o37ODji80nDBeq/0hIhqrAetoVfaKRE/alsDHyZKRNM/7HCS2kh4S6i/UYPLX6P"
    "gvVPEZIdm7U413BoyJd4AM=\n"
)
WITNESS_LINE = (
    "— witness.example/w1 IDJKvgAAAABlU/EAgPAsmeZF08pss6w6RPb4UQeGAFS2VEmmMVhoju/94fDlnsufqpQFHoeJ"
    "z1zPF375w3ElPiKm/oYOaUceiHRvCg==\n"
)
SIGNED = (TEXT + "\n" + LOG_LINE + WITNESS_LINE).encode()
TRUST = f"log {LOG_KEY}\nwitness w1 {WITNESS_KEY}\nquorum w1\n".encode()
PROOF_OF_THREE = tuple(
    bytes.fromhex(each)
    for each in (
        "f715ab3faa5d071e6e2ac4bb994d5bf735943dcc3799da0d085e7980cfb9336a",
        "4f55f619d9215235778b2b9f17d6f4915b16171214d152381293669764de722e",
        "ccc29ae0e02a77b0f4578c1ac17493d79cf4262104929ac804f91fc4e7ac5af0",
    )
)

HOSTILE = [
    b"\r", b"\r\n", b"\n", b"\n\n", b"\x00", b"\x1b", b"\xef\xbb\xbf", b"\xe2\x80\xa8",
    b"\xc2\x85", b"\xc2\xa0", b"\xed\xa0\x80", b"\xff", b"\xc0\xaf", b" ", b"\t", b"+", b"=", b"-",
    b"_", b"0", b"00", "\u0663".encode(), "\uff15".encode(), b"1e3", b"0x5", b"9" * 30,
    b"\xe2\x80\x93 ", b"\xe2\x80\x94 ", b"#", b"quorum none\n", b"index 0\n", b"extra \n", b"none",
    b"A" * 44,
]  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn, seed: bytes) -> bytes:
    """Bytes that come from `seed` by one to four small changes."""
    data = seed
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        end = min(at + draw(st.integers(1, 90)), len(data))
        match draw(st.sampled_from(["flip", "drop", "double", "insert", "cut", "swap", "replace"])):
            case "flip" if data:
                data = (
                    data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
                )
            case "drop":
                data = data[:at] + data[end:]
            case "double":
                data = data[:end] + data[at:end] + data[end:]
            case "insert":
                data = data[:at] + draw(st.sampled_from(HOSTILE)) + data[at:]
            case "replace":
                data = data[:at] + draw(st.sampled_from(HOSTILE)) + data[at + 1 :]
            case "swap":
                lines = data.split(b"\n")
                draw(st.randoms(use_true_random=False)).shuffle(lines)
                data = b"\n".join(lines)
            case _:
                data = data[:at]
    return data


def outcome(action: Callable[[], Any]) -> tuple[str, Any]:
    """Return the code of the `LedgerError` that this ends in, or nothing and what it gives."""
    try:
        return "", action()
    except LedgerError as problem:
        return problem.code, None


def code_of(action: Callable[[], object]) -> str:
    """Return the code of the `LedgerError` that this ends in; empty when it ends well."""
    return outcome(action)[0]


def keys() -> tuple[note.Key, note.Key]:
    """The log's key and the witness's, as an auditor has them: read from text."""
    return note.key(LOG_KEY), note.key(WITNESS_KEY)
