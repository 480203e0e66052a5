"""Key files: an Ed25519 key pair whose private half is sealed with a passphrase.

The file is JSON. A key is derived from the passphrase with scrypt (RFC 7914) and seals the private
key with ChaCha20-Poly1305 (RFC 8439), bound to everything else the file says. Where files lie and
who may read them is `folder`'s job.
"""

from __future__ import annotations

import base64
import binascii
import os
import unicodedata
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Meta, Struct

from bridle.model import public_key
from bridle.model.errors import UsageError
from bridle.trust.credential import Credential
from bridle.trust.errors import KeyFileError

MAX_BYTES = 4_096
SHORTEST_PASSPHRASE = 8

# scrypt takes 128 · r · 2^cost bytes: 64 MiB as made here, at most 256 MiB as read.
_COST = 16
_LEAST_COST, _MOST_COST = 15, 18
_BLOCK, _LANES = 8, 1
_SALT, _NONCE, _SEALED, _LONGEST_PASSPHRASE = 16, 12, 48, 1_024


Kind = Literal["user", "workload", "agent"]


class KeyFile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a key file says. `kind` and `name` say whose key it is, `public` is the public half.

    `cost` is scrypt's work, N = 2^cost with r = 8 and p = 1. `salt`, `nonce` and `sealed` are
    base64.
    """

    format: Literal[1]
    kind: Kind
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    public: str
    cost: Annotated[int, Meta(ge=_LEAST_COST, le=_MOST_COST)]
    salt: str
    nonce: str
    sealed: str


_decoder = msgspec.json.Decoder(KeyFile)


def seal(credential: Credential, passphrase: str, *, cost: int = _COST) -> bytes:
    """Return the bytes of a key file. Raises `UsageError` (`passphrase_short`)."""
    require_long(passphrase)
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    head = KeyFile(
        format=1,
        kind=msgspec.convert(credential.kind, Kind),
        name=credential.name,
        public=credential.public,
        cost=cost,
        salt=base64.b64encode(salt).decode(),
        nonce=base64.b64encode(nonce).decode(),
        sealed="",
    )
    cipher = ChaCha20Poly1305(_derived(passphrase, salt, cost))
    sealed = credential.sealed_by(lambda private: cipher.encrypt(nonce, private, _bound(head)))
    whole = msgspec.structs.replace(head, sealed=base64.b64encode(sealed).decode())
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def require_long(passphrase: str) -> None:
    """Refuse (`UsageError`, `passphrase_short`) a passphrase that is soon guessed."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise UsageError(
            f"a passphrase has at least {SHORTEST_PASSPHRASE} characters",
            code="passphrase_short",
            hint="several words that have nothing to do with one another are easy to remember",
        )


def parse(data: bytes) -> KeyFile:
    """Read a key file without opening it. Raises `KeyFileError` for whatever is no key file."""
    if len(data) > MAX_BYTES:
        raise KeyFileError("this is no key file: it is too large")
    try:
        found = _decoder.decode(data)
        public_key.parse(found.public)
    except (msgspec.MsgspecError, UsageError, ValueError, RecursionError) as problem:
        raise KeyFileError(
            "this is no key file of this release", hint="`bridle operator new-key` makes one"
        ) from problem
    return found


def unseal(found: KeyFile, passphrase: str) -> Credential:
    """Open a key file. Raises `KeyFileError`: `passphrase_wrong`, or `key_invalid` if changed."""
    salt, nonce = _base64(found.salt, _SALT), _base64(found.nonce, _NONCE)
    sealed = _base64(found.sealed, _SEALED)
    cipher = ChaCha20Poly1305(_derived(passphrase, salt, found.cost))
    try:
        private = cipher.decrypt(nonce, sealed, _bound(found))
    except InvalidTag:
        raise KeyFileError(
            "the passphrase does not open this key",
            code="passphrase_wrong",
            hint="if it is lost: another operator activates a bundle with a new key for you",
        ) from None
    credential = Credential(found.kind, found.name, Ed25519PrivateKey.from_private_bytes(private))
    if credential.public != found.public:
        raise KeyFileError("the private half of this key does not belong to the public one")
    return credential


def _derived(passphrase: str, salt: bytes, cost: int) -> bytes:
    # The same passphrase, typed on another keyboard, may arrive in other code points.
    secret = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    if len(secret) > _LONGEST_PASSPHRASE:
        raise UsageError("a passphrase has at most 1024 bytes", code="passphrase_long")
    return Scrypt(salt=salt, length=32, n=2**cost, r=_BLOCK, p=_LANES).derive(secret)


def _bound(found: KeyFile) -> bytes:
    return b"bridle key 1\n" + msgspec.json.encode(msgspec.structs.replace(found, sealed=""))


def _base64(text: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != length:
        raise KeyFileError("the key file is damaged", hint="restore it from a backup")
    return raw
