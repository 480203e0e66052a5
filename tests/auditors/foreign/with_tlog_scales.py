"""Logs as static files by tlog-scales: notes, cosignatures, tiles, entries and proofs."""

from pathlib import Path

from answering import RefusedError, b64, raw, raws, serve
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import MLDSA44CosignatureSigner, PlainEd25519Signer, Vkey, VkeySet
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import Checkpoint, ConsistencyProof, InclusionProof
from tlog_scales.writer import TilesWriter


def opened(asked):
    found = Checkpoint.from_text(raw(asked["data"]).decode())
    known = VkeySet(*map(Vkey.from_string, asked["keys"]))
    signed = known.verify(found.signatures, found)
    if not signed:
        raise RefusedError("nobody known has signed it")
    return {
        "text": found.serialize_body(),
        "signed": sorted(key.name for key, _ in signed),
        "size": found.size,
        "root": b64(found.root_hash),
    }


def reading(asked):
    reader = TilesReader(LocalBackend(Path(asked["dir"])))
    found = reader.get_checkpoint()
    found.verify(Vkey.from_string(asked["keys"][0]))
    return reader, found


def entries(asked):
    """Show each entry to be included, with the proof read from tiles."""
    reader, found = reading(asked)
    for index in range(found.size):
        leaf = leaf_hash(reader.get_entry(index))
        reader.get_inclusion_proof(index, found.size).check(leaf, found.root_hash)
    if reader.calculate_root_hash() != found.root_hash:
        raise RefusedError("another root")
    return {"size": found.size, "root": b64(found.root_hash)}


def tiles(asked):
    """Recompute the root as it does by itself: from the highest tiles."""
    reader, found = reading(asked)
    if reader.calculate_root_hash() != found.root_hash:
        raise RefusedError("another root")
    return {"size": found.size, "root": b64(found.root_hash)}


def prove(asked):
    reader, found = reading(asked)
    proofs = [reader.get_inclusion_proof(index, found.size) for index in asked["indices"]]
    return {"proofs": [[b64(each) for each in proof.node_hashes] for proof in proofs]}


def grown(asked):
    reader, found = reading(asked)
    proofs = [reader.get_consistency_proof(old, found.size) for old in asked["indices"]]
    return {
        "proofs": [[b64(each) for each in proof.node_hashes] for proof in proofs],
        "roots": [b64(reader.mth(0, old)) for old in asked["indices"]],
    }


def write(asked):
    """Write a log in two steps, so that a partial tile is filled up."""
    writer = TilesWriter.create(Path(asked["dir"]), asked["name"])
    signers = [PlainEd25519Signer(asked["name"], raw(asked["secrets"][0]))]
    leaves = raws(asked["leaves"])
    for part in (leaves[: len(leaves) // 2], leaves[len(leaves) // 2 :]):
        if part:
            for leaf in part:
                writer.add_leaf(leaf)
            writer.commit(signers)
    return {"key": signers[0].vkey.serialize()}


def cosign(asked):
    """Cosign a checkpoint as a witness with a post-quantum key (type 06)."""
    found = Checkpoint.from_text(raw(asked["data"]).decode())
    signer = MLDSA44CosignatureSigner(asked["name"], raw(asked["secrets"][0]))
    line = signer.sign(found).serialize() + "\n"
    return {"data": b64(line.encode()), "key": signer.vkey.serialize()}


def inclusion(asked):
    proof = InclusionProof(asked["index"], asked["size"], raws(asked["proof"]))
    proof.check(leaf_hash(raw(asked["leaf"])), raw(asked["root"]))


def consistency(asked):
    proof = ConsistencyProof(asked["old"], asked["size"], raws(asked["proof"]))
    proof.check(raw(asked["old_root"]), raw(asked["root"]))


def receipt(asked):
    head, _, checkpoint = raw(asked["data"]).decode().partition("\n\n")
    lines = [each for each in head.split("\n") if not each.startswith("extra ")]
    found = Checkpoint.from_text(checkpoint)
    found.verify(Vkey.from_string(asked["keys"][0]))
    index = int(lines[1].removeprefix("index "))
    proof = InclusionProof(index, found.size, raws(lines[2:]))
    proof.check(leaf_hash(raw(asked["leaf"])), found.root_hash)
    return {"index": index, "size": found.size}


serve({
    "open": opened, "entries": entries, "tiles": tiles, "prove": prove, "grown": grown,
    "write": write, "cosign": cosign, "inclusion": inclusion, "consistency": consistency,
    "receipt": receipt,
})  # fmt: skip
