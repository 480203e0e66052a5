"""Checkpoints and inclusion by sigstore, the way it verifies an entry of its own log."""

from types import SimpleNamespace

from answering import b64, raw, raws, serve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint, verify_checkpoint
from sigstore._internal.trust import Keyring
from sigstore._utils import KeyID
from sigstore_models.common import v1


def trusted(key):
    """Make a keyring of a verifier key, `name+id+base64`."""
    _, digits, value = key.split("+", 2)
    public = Ed25519PublicKey.from_public_bytes(raw(value)[1:])
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    details = v1.PublicKeyDetails.PKIX_ED25519
    known = v1.PublicKey(raw_bytes=b64(der).encode(), key_details=details)
    return Keyring([known]), KeyID(bytes.fromhex(digits))


def opened(asked):
    text = raw(asked["data"]).decode()
    found = SignedCheckpoint.from_text(text)
    found.signed_note.verify(*trusted(asked["keys"][0]))
    return {
        "text": found.signed_note.note,
        "signed": [each.name for each in found.signed_note.signatures],
        "size": found.checkpoint.log_size,
        "root": b64(bytes.fromhex(found.checkpoint.log_hash)),
    }


def entry(leaf, **proof):
    return SimpleNamespace(canonicalized_body=leaf, inclusion_proof=SimpleNamespace(**proof))


def inclusion(asked):
    inner = entry(
        raw(asked["leaf"]),
        log_index=asked["index"],
        tree_size=asked["size"],
        root_hash=raw(asked["root"]),
        hashes=raws(asked["proof"]),
    )
    verify_merkle_inclusion(SimpleNamespace(_inner=inner))


def receipt(asked):
    """Verify an entry: its inclusion, and the checkpoint that it leads to."""
    head, _, checkpoint = raw(asked["data"]).decode().partition("\n\n")
    lines = [each for each in head.split("\n") if not each.startswith("extra ")]
    claims = SignedCheckpoint.from_text(checkpoint).checkpoint
    index = int(lines[1].removeprefix("index "))
    keyring, name = trusted(asked["keys"][0])
    inner = entry(
        raw(asked["leaf"]),
        log_index=index,
        tree_size=claims.log_size,
        root_hash=bytes.fromhex(claims.log_hash),
        hashes=raws(lines[2:]),
        checkpoint=SimpleNamespace(envelope=checkpoint),
    )
    inner.log_id = SimpleNamespace(key_id=name)
    verify_merkle_inclusion(SimpleNamespace(_inner=inner))
    verify_checkpoint(keyring, SimpleNamespace(_inner=inner))
    return {"index": index, "size": claims.log_size}


serve({"open": opened, "inclusion": inclusion, "receipt": receipt})
