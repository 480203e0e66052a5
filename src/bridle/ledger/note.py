"""Signed notes (C2SP `signed-note`): a text, and under it who signed it.

Format: <https://c2sp.org/signed-note>. A verifier goes by name *and* key ID of a signature line;
lines of keys it does not know say nothing, so witnesses may add theirs. Keys are Ed25519: type 01
signs the text (here), type 04 a time and the text (`bridle.ledger.cosignature`).
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
from bridle.model.public_key import KEY_BYTES, is_weak

ED25519 = 1
"""Type of a key that signs the text of a note."""
COSIGNATURE = 4
"""Type of a key that signs a time and the text of a checkpoint: a witness's."""
SEED_BYTES = 32
SIGNATURE_BYTES = 64
MOST_BYTES = 1 << 20
MOST_SIGNATURES = 64
MOST_NAME = 255
"""Longest name, in bytes, that a key of ours may have; those of others are bounded by the note."""
_ID_BYTES = 4
_SHOWN = 200

# `\s` is what Unicode calls a space, and U+001C to U+001F.
_NAME = re.compile(r"[^\s+\x00-\x1f\ud800-\udfff]+")
_UNSIGNABLE = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_UNPRINTABLE = re.compile(r"[\x7f-\x9f]")
_DASH = "— "


class Key(Struct, frozen=True):
    """A public key, the name it signs under, and its type. Equal keys have equal texts.

    Whoever builds one by hand vouches for its 32 bytes; `key` reads one from a stranger.
    """

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        """The four bytes that point to this key; a pointer, not a commitment."""
        named = self.name.encode() + b"\n"
        return sha256(named + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """Return the verifier key: `name+id+base64`."""
        return f"{self.name}+{self.id.hex()}+{encoded(bytes([self.kind]) + self.public)}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether `signature` is this key's Ed25519 signature over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Signature(Struct, frozen=True):
    """One line: whose it claims to be, and what it holds behind the key ID (at least a byte)."""

    name: str
    id: bytes
    payload: bytes


class Note(Struct, frozen=True):
    """A note as parsed; nothing is verified yet. `text` ends in a newline, as it was signed."""

    text: str
    signatures: tuple[Signature, ...]


class Signer:
    """A private key and the name it signs under. `seed` is 32 random bytes.

    Raises `LedgerError` (`note_invalid`) for a name that `is_name` refuses.
    """

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        if not is_name(name) or len(seed) != SEED_BYTES or kind not in {ED25519, COSIGNATURE}:
            raise LedgerError(
                f"{name[:_SHOWN]!a} cannot be the name of a key, or its seed is not 32 bytes",
                code="note_invalid",
                hint="A name looks like example.com/prod/desk: no spaces and no +, no more than "
                f"{MOST_NAME} bytes.",
            )
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = Key(name, self._private.public_key().public_bytes_raw(), kind)

    def sign(self, text: str) -> Signature:
        """Sign the text of a note. Deterministic: the same text gives the same line."""
        return self.line(self.raw(_signable(text)))

    def raw(self, message: bytes) -> bytes:
        """Return the bare Ed25519 signature over a message."""
        return self._private.sign(message)

    def line(self, payload: bytes) -> Signature:
        """Return the signature line of this key that holds `payload`."""
        return Signature(self.key.name, self.key.id, payload)


def is_name(text: str) -> bool:
    """Tell whether a key of ours, and so a log, may be called this.

    As the specification has it (not empty, no Unicode spaces, no plus), and at most 255 bytes
    without characters that a terminal would obey.
    """
    good = _NAME.fullmatch(text) and not _UNPRINTABLE.search(text)
    return bool(good) and len(text.encode()) <= MOST_NAME


def key(text: str) -> Key:
    """Read a verifier key of type 01 or 04, `name+id+base64`.

    Exactly one text stands for a key. Raises `LedgerError` (`key_invalid`) for any other, and for
    keys under which anybody could sign.
    """
    name, _, rest = text.partition("+")
    data = _decoded(rest.partition("+")[2]) or b""
    kind, public = data[:1], data[1:]
    if kind and kind[0] in {ED25519, COSIGNATURE} and len(public) == KEY_BYTES:
        found = Key(name, public, kind[0])
        if _NAME.fullmatch(name) and str(found) == text and not is_weak(public):
            return found
    raise LedgerError(
        f"not a verifier key for Ed25519: {text[:_SHOWN]!a}",
        code="key_invalid",
        hint="It looks like log.example/desk/1+e6124ab3+AQOh…: name, key ID, base64.",
    )


def render(text: str, signatures: Iterable[Signature]) -> bytes:
    """Write a note.

    Raises `LedgerError` (`note_invalid`) for what `parse` would not read back, so also for a note
    that nobody has signed.
    """
    lines = tuple(signatures)
    data = _signable(text) + "".join(["\n", *map(_line, lines)]).encode(errors="surrogatepass")
    if parse(data) != Note(text, lines):
        raise _invalid()
    return data


def parse(data: bytes) -> Note:
    """Read a note of at most 1 MiB and 64 signatures.

    Raises `LedgerError` (`note_invalid`) for whatever is wrong with it. What it returns renders
    back to the very bytes.
    """
    if len(data) > MOST_BYTES:
        raise _invalid()
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise _invalid() from None
    text, gap, below = whole.rpartition("\n\n")
    lines = below.split("\n", MOST_SIGNATURES + 1)
    if not gap or lines.pop() or not 0 < len(lines) <= MOST_SIGNATURES:
        raise _invalid()
    text += "\n"
    _signable(text)
    return Note(text, tuple(map(_signature, lines)))


def verify(note: Note, keys: Iterable[Key]) -> tuple[Key, ...]:
    """Return those of `keys` that signed the note, in order of their lines.

    Keys of type 04 do not count here: what they sign is `bridle.ledger.cosignature`. Raises
    `LedgerError`: `note_unverified` when none signed, or when a line that claims to be by one of
    them is wrong or stands twice; `key_ambiguous` when two of them share name and key ID.
    """
    known = by_line(keys, ED25519)
    signed: list[Key] = []
    text = note.text.encode()
    for line in note.signatures:
        by = known.get((line.name, line.id))
        if by is None:
            continue
        if by in signed or not by.verifies(line.payload, text):
            raise wrong(line)
        signed.append(by)
    if not signed:
        raise unverified("no key that you trust has signed it")
    return tuple(signed)


def by_line(keys: Iterable[Key], kind: int) -> dict[tuple[str, bytes], Key]:
    """Return the keys of a type, by what their lines say of them.

    Raises `LedgerError` (`key_ambiguous`) when a line could be by either of two keys: key IDs are
    short enough that one can be made to collide.
    """
    known: dict[tuple[str, bytes], Key] = {}
    for each in keys:
        if each.kind == kind and known.setdefault((each.name, each.id), each) != each:
            raise LedgerError(
                f"two keys share the name and key ID {each.name}+{each.id.hex()}",
                code="key_ambiguous",
                hint="One of them was made to look like the other: trust only one.",
            )
    return known


def encoded(data: bytes) -> str:
    """Write bytes in base64 (RFC 4648, section 4, padded)."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """Read base64 in its one canonical form. Raises `LedgerError` (`note_invalid`)."""
    data = _decoded(text)
    if data is None:
        raise _invalid()
    return data


def wrong(line: Signature) -> LedgerError:
    """Return the error of a line that claims to be by a known key and is not, or stands twice."""
    return unverified(f"the signature of {line.name}+{line.id.hex()} is wrong or doubled")


def unverified(why: str) -> LedgerError:
    """Return the error of a note that is not signed as it has to be."""
    return LedgerError(why, code="note_unverified", hint="Get the log's key from its operator.")


def _decoded(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encoded(data) == text else None


def _line(each: Signature) -> str:
    return f"{_DASH}{each.name} {encoded(each.id + each.payload)}\n"


def _signature(line: str) -> Signature:
    name, _, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _NAME.fullmatch(name):
        raise _invalid()
    data = decoded(value)
    if len(data) <= _ID_BYTES:
        raise _invalid()
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _signable(text: str) -> bytes:
    if not text.endswith("\n") or _UNSIGNABLE.search(text):
        raise _invalid()
    return text.encode()


def _invalid() -> LedgerError:
    return LedgerError("not a signed note", code="note_invalid")
