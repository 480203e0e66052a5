"""Signed checkpoints, judged with nothing of Bridle's: whose they are, and of which past.

Texts and hashes are those of C2SP `signed-note` and `tlog-checkpoint` and of RFC 6962, section 2.1.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Signed(NamedTuple):
    """What a checkpoint says, and the IDs (hex) of the keys that signed it."""

    origin: str
    size: int
    root: bytes
    keys: tuple[str, ...]


def read(data: bytes, keys: Iterable[str]) -> Signed:
    """Read a checkpoint that must be signed by each key it names, all of them among `keys`."""
    text, _, lines = data.decode().rpartition("\n\n")
    public = {key.split("+", 2)[1]: base64.b64decode(key.split("+", 2)[2]) for key in keys}
    found = []
    for line in lines.splitlines():
        dash, _, signature = line.split(" ")
        raw = base64.b64decode(signature)
        assert dash == "\u2014", line
        assert raw[:4].hex() in public, "a signature by nobody's key"
        try:
            Ed25519PublicKey.from_public_bytes(public[raw[:4].hex()][1:]).verify(
                raw[4:], f"{text}\n".encode()
            )
        except InvalidSignature:
            raise AssertionError("a signature that is none") from None
        found.append(raw[:4].hex())
    origin, size, root = text.splitlines()
    assert found, "nobody signed"
    return Signed(origin, int(size), base64.b64decode(root), tuple(found))


def roots(leaves: Sequence[bytes]) -> list[bytes]:
    """The root of each size, from none to all."""
    full: list[bytes] = []
    found = [hashlib.sha256(b"").digest()]
    for index, leaf in enumerate(leaves):
        digest, at = leaf_hash(leaf), index
        while at & 1:
            digest = _node(full.pop(), digest)
            at >>= 1
        full.append(digest)
        root = full[-1]
        for left in reversed(full[:-1]):
            root = _node(left, root)
        found.append(root)
    return found


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\0" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def keys_on_record(leaves: Iterable[dict[str, Any]]) -> list[str]:
    """The keys that the log says sign it, or did."""
    said = (leaf["body"] for leaf in leaves if leaf["kind"] == "log")
    return [body["key"] for body in said if body["what"] == "key" and body["state"] == "added"]


def contradictions(leaves: Sequence[bytes], notes: Iterable[bytes]) -> list[str]:
    """Why a log is not the one that these checkpoints are about; each must be of its past."""
    keys = keys_on_record(map(json.loads, leaves))
    found, wrong = roots(leaves), []
    for note in dict.fromkeys(notes):
        try:
            said = read(note, keys)
        except (AssertionError, ValueError) as problem:
            wrong.append(f"no checkpoint of this log: {problem} {note!r}")
            continue
        if said.size > len(leaves):
            wrong.append(f"{said.size} records were signed, and there are {len(leaves)}")
        elif found[said.size] != said.root:
            wrong.append(f"the first {said.size} records are not those that were signed")
    return wrong


# What each of these may follow, of these three.
_AFTER = {
    "opened": ("closed", "interrupted"),
    "closed": ("opened",),
    "interrupted": ("opened",),
}


def unbalanced(leaves: Iterable[dict[str, Any]]) -> list[str]:
    """Where a governor ended and the log does not say how. The last one ended in order."""
    wrong, state = [], "closed"
    for number, leaf in enumerate(leaves):
        what = leaf["body"].get("what") if leaf["kind"] in ("log", "degraded") else None
        if what not in _AFTER:
            continue
        if state not in _AFTER[what]:
            wrong.append(f"leaf {number} says {what} after {state}")
        state = what
    return [*wrong, *([f"the log ends as {state}"] if state != "closed" else [])]
