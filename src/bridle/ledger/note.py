"""Signed notes (C2SP `signed-note`): a text, and under it who signed it. Ed25519, type 01.

Format: <https://c2sp.org/signed-note>. A verifier goes by name *and* key ID of a signature line;
lines of keys it does not know say nothing, so witnesses may add theirs.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from bridle.ledger.errors import LedgerError

ED25519 = 1
SEED_BYTES = 32
MOST_BYTES = 1 << 20
MOST_SIGNATURES = 64
_ID_BYTES = 4
_KEY_BYTES = 32

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_DASH = "— "


class Key(Struct, frozen=True):
    """A public key and the name it signs under. Equal keys have equal texts."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that point to this key; a pointer, not a commitment."""
        kind = bytes([ED25519])
        return sha256(self.name.encode() + b"\n" + kind + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """Return the verifier key: `name+id+base64`."""
        return f"{self.name}+{self.id.hex()}+{encoded(bytes([ED25519]) + self.public)}"

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Tell whether `signature` is this key's over `text`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


class Signature(Struct, frozen=True):
    """One line: whose it claims to be, and what it holds behind the key ID."""

    name: str
    id: bytes
    payload: bytes


class Note(Struct, frozen=True):
    """A note as parsed; nothing is verified yet. `text` ends in a newline, as it was signed."""

    text: str
    signatures: tuple[Signature, ...]


class Signer:
    """A private key and the name it signs under. `seed` is 32 random bytes."""

    def __init__(self, name: str, seed: bytes) -> None:
        if not _NAME.fullmatch(name) or len(seed) != SEED_BYTES:
            raise LedgerError(
                f"{name!r} cannot be the name of a log: no spaces and no +", code="note_invalid"
            )
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = Key(name, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        """Sign a text. Deterministic: the same text gives the same line."""
        return Signature(self.key.name, self.key.id, self._private.sign(text.encode()))


def key(text: str) -> Key:
    """Read a verifier key, `name+id+base64`. Raises `LedgerError` (`key_invalid`)."""
    name, _, rest = text.partition("+")
    digits, _, value = rest.partition("+")
    data = _decoded(value)
    good = _NAME.fullmatch(name) and data is not None and len(data) == 1 + _KEY_BYTES
    if good and data is not None and data[0] == ED25519:
        found = Key(name, data[1:])
        if str(found) == text and found.id.hex() == digits:
            return found
    raise LedgerError(
        f"not a verifier key for Ed25519: {text[:200]!r}",
        code="key_invalid",
        hint="It looks like log.example/desk/1+e6124ab3+AQOh…; `bridle audit keys` prints it.",
    )


def render(text: str, signatures: Iterable[Signature]) -> bytes:
    """Write a note. Raises `LedgerError` for a text that could not be read back."""
    _assert_text(text)
    lines = [f"{_DASH}{each.name} {encoded(each.id + each.payload)}\n" for each in signatures]
    return f"{text}\n{''.join(lines)}".encode()


def parse(data: bytes) -> Note:
    """Read a note. Raises `LedgerError` (`note_invalid`) for whatever is wrong with it."""
    if len(data) > MOST_BYTES:
        raise _invalid()
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise _invalid() from None
    text, gap, below = whole.rpartition("\n\n")
    if not gap or not below.endswith("\n"):
        raise _invalid()
    text += "\n"
    _assert_text(text)
    lines = below[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise _invalid()
    return Note(text, tuple(map(_signature, lines)))


def verify(note: Note, keys: Iterable[Key]) -> tuple[Key, ...]:
    """Return those of `keys` that signed the note.

    Raises `LedgerError` (`note_unverified`) when none did, or when a line that claims to be by one
    of them is not.
    """
    known = {(each.name, each.id): each for each in keys}
    signed: list[Key] = []
    text = note.text.encode()
    for line in note.signatures:
        by = known.get((line.name, line.id))
        if by is None:
            continue
        if by in signed or not by.verifies(line.payload, text):
            raise _unverified(f"the signature of {line.name}+{line.id.hex()} is wrong or doubled")
        signed.append(by)
    if not signed:
        raise _unverified("no key that you trust has signed it")
    return tuple(signed)


def encoded(data: bytes) -> str:
    """Write bytes in base64 (RFC 4648, section 4, padded)."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """Read base64 in its one canonical form. Raises `LedgerError` (`note_invalid`)."""
    data = _decoded(text)
    if data is None:
        raise _invalid()
    return data


def _decoded(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encoded(data) == text else None


def _signature(line: str) -> Signature:
    name, _, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _NAME.fullmatch(name):
        raise _invalid()
    data = decoded(value)
    if len(data) <= _ID_BYTES:
        raise _invalid()
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _assert_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n" or _CONTROL.search(text):
        raise _invalid()


def _invalid() -> LedgerError:
    return LedgerError("not a signed note", code="note_invalid")


def _unverified(why: str) -> LedgerError:
    return LedgerError(why, code="note_unverified", hint="Get the log's key from its operator.")
