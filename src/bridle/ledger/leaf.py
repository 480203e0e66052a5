"""Leaves: the bytes of one record, and the commitments to the values that lie sealed beside it.

A leaf is written once, as JSON, and stored and hashed as those bytes; reading never serialises
it again to verify. Randomness comes in as an argument.
"""

from __future__ import annotations

import hmac
import json
import re
import threading
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from bridle.ledger.errors import LedgerError
from bridle.ledger.mac import hmac_sha256
from bridle.ledger.tree import leaf_hash
from bridle.model.record import Leaf, LeafKind

VERSION = 1
MAX_BYTES = 65_535
"""Longest leaf: an entry bundle gives its length two bytes."""
SALT_BYTES = 32

Opening = tuple[bytes, bytes]
"""Salt and value of one field: what opens its commitment."""

_DIGITS_OF_HASH = 64
_NO_LEAF = "0" * _DIGITS_OF_HASH
_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}")
_MOST = 2**53 - 1
_DIGITS = 32

_encode = msgspec.json.Encoder().encode
_encode_into = msgspec.json.Encoder().encode_into
_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder(Leaf).decode
_decode_lines = msgspec.json.Decoder(Leaf).decode_lines


def openings_of(fields: dict[str, bytes], salts: bytes) -> dict[str, Opening]:
    """Give each field its salt: `salts` are 32 fresh random bytes for each.

    Raises `LedgerError` for a name that no leaf takes.
    """
    if not _are_names(tuple(fields)):
        raise LedgerError("the name of a field is empty, too long or holds control characters")
    if len(salts) != SALT_BYTES * len(fields):
        raise LedgerError(f"{len(fields)} fields need {SALT_BYTES} random bytes each")
    return {
        name: (salts[number * SALT_BYTES : (number + 1) * SALT_BYTES], value)
        for number, (name, value) in enumerate(fields.items())
    }


def commitments_to(openings: dict[str, Opening]) -> dict[str, str]:
    """Commit to each named value; in hexadecimal, as a leaf has it."""
    return {name: commitment(name, *opening).hex() for name, opening in openings.items()}


def write(  # noqa: PLR0913, PLR0917 (the envelope has as many fields)
    kind: LeafKind,
    chain: str,
    seq: int,
    prev: bytes,
    time: int,
    ids: dict[str, str],
    body: dict[str, Any],
    commit: dict[str, str],
) -> tuple[bytes, bytes]:
    """Write a leaf: its bytes and its RFC 6962 hash.

    `prev` is the leaf hash of the chain's last leaf (32 zero bytes at `seq` 0), `time` is in
    milliseconds since the epoch. `ids` holds stable ids and `body` what anyone may read: neither
    takes a bare hash of something guessable. Raises `LedgerError` when the leaf could not be read
    back.
    """
    leaf = Leaf(VERSION, kind, chain, seq, prev.hex(), time, ids, commit, body)
    try:
        _check(leaf, read=False)
        data = _encode(leaf)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as problem:
        raise LedgerError(f"the record cannot be written: {problem}") from problem
    if len(data) > MAX_BYTES:
        raise LedgerError(
            f"the record is {len(data)} bytes long, the most is {MAX_BYTES}",
            code="leaf_too_large",
            hint="Lower the limits of the bundle: values belong into sealed fields, not the body.",
        )
    return data, leaf_hash(data)


def sealed_digest(sealed: bytes) -> str:
    """Return how the leaf names the payload sealed beside it (`sealed` in its body)."""
    return sha256(sealed).hexdigest()[:_DIGITS]


def commitment(name: str, salt: bytes, value: bytes) -> bytes:
    """Commit to a named value: HMAC-SHA256 keyed by the salt over name, a zero byte, value."""
    return hmac_sha256(salt, name.encode() + b"\x00" + value)


def opens(leaf: Leaf, name: str, opening: Opening) -> bool:
    """Tell whether salt and value are those the leaf commits to under this name."""
    salt, value = opening
    if len(salt) != SALT_BYTES:
        return False
    return hmac.compare_digest(commitment(name, salt, value).hex(), leaf.commit.get(name, ""))


def parse(data: bytes) -> Leaf:
    """Read a leaf: strict about the envelope, open to body keys it does not know.

    Raises `LedgerError`. What it returns says nothing of integrity: that is `bridle.ledger.verify`.
    """
    if len(data) > MAX_BYTES:
        raise LedgerError("the leaf is too long", code="leaf_too_large")
    try:
        leaf = _decode(data)
        if not _as_written(leaf, data):  # then look closer
            json.loads(data, object_pairs_hook=_unique)
        _check(leaf, read=True)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as problem:
        raise LedgerError(f"not a leaf: {problem}") from problem
    return leaf


def parse_together(texts: list[bytes]) -> list[Leaf] | None:
    """Read several leaves at once: what `parse` returns for each, or None.

    None says that some leaf is not as our writer writes it, and not that it is wrong.
    """
    lines = b"\n".join(texts)
    try:
        leaves = _decode_lines(lines)
        # Written again they are the same bytes, with as many ends of lines as there are leaves: so
        # each line is one of `texts`, and no key occurs twice in any.
        if len(leaves) != len(texts) or _encode_lines(leaves) != lines + b"\n":
            return None
        return leaves if max(map(len, texts)) <= MAX_BYTES and _are_sound(leaves) else None
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None


def _are_sound(leaves: list[Leaf]) -> bool:
    """Whether `_check` would find nothing wrong with any of them. May raise `ValueError`."""
    hashes = [leaf.prev for leaf in leaves]
    places = [leaf.seq for leaf in leaves]
    times = [leaf.time for leaf in leaves]
    firsts = [place == 0 for place in places]
    if firsts != [digits == _NO_LEAF for digits in hashes]:
        return False
    for leaf in leaves:
        hashes += leaf.commit.values()
    return (
        {leaf.v for leaf in leaves} == {VERSION}
        and min(places) >= 0
        and max(places) <= _MOST
        and min(times) >= 0
        and max(times) <= _MOST
        and _are_hashes(hashes)
        and _are_names(tuple({leaf.chain for leaf in leaves}))
        and all(map(_are_names, {(*leaf.ids, *leaf.commit) for leaf in leaves}))
    )


def _are_hashes(texts: list[str]) -> bool:
    """Whether each is 64 lower-case digits: only such come back as they were."""
    digits = "".join(texts)
    # None is longer, and together they are as long as they have to be: so each is.
    if max(map(len, texts)) != _DIGITS_OF_HASH or len(digits) != _DIGITS_OF_HASH * len(texts):
        return False
    return bytes.fromhex(digits).hex() == digits


class _Scratch(threading.local):
    """A buffer of each thread's own, so that none has to be made for each leaf."""

    def __init__(self) -> None:
        self.text = bytearray()


_scratch = _Scratch()


def _as_written(leaf: Leaf, data: bytes) -> bool:
    """Whether these are the bytes that our writer writes for the leaf: then no key occurs twice."""
    text = _scratch.text
    _encode_into(leaf, text)
    return len(text) == len(data) and text.startswith(data)


def _check(leaf: Leaf, *, read: bool) -> None:
    """Raise `ValueError` for the first thing that is wrong with the envelope.

    Unless it was read, `prev` was made from bytes: then its digits are digits.
    """
    seq, prev, commit = leaf.seq, leaf.prev, leaf.commit
    if leaf.v != VERSION:
        raise ValueError(f"version {leaf.v} is unknown")
    if not (0 <= seq <= _MOST and 0 <= leaf.time <= _MOST):
        raise ValueError("seq or time is out of range")
    if read and not _is_hash(prev):
        raise ValueError("prev is no hash in hexadecimal")
    if len(prev) != _DIGITS_OF_HASH or (seq == 0) != (prev == _NO_LEAF):
        raise ValueError("prev is not the hash of a leaf before this one")
    if commit and not all(map(_is_hash, commit.values())):
        raise ValueError("a commitment is no HMAC-SHA256 in hexadecimal")
    if not (_is_name(leaf.chain) and _are_names((*leaf.ids, *commit))):
        raise ValueError("a name is empty, too long or holds control characters")


def _is_hash(text: str) -> bool:
    """Whether it is 64 lower-case digits: only such come back as they were. Raises `ValueError`."""
    return len(text) == _DIGITS_OF_HASH and bytes.fromhex(text).hex() == text


@lru_cache(maxsize=64)  # and the same few sets of them
def _are_names(names: tuple[str, ...]) -> bool:
    return all(map(_is_name, names))


@lru_cache(maxsize=256)  # almost all leaves have the same dozen names
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found
