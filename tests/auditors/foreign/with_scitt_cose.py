"""Trees and proofs by scitt-cose, in hexadecimal digits."""

from answering import RefusedError, b64, claimed, entries, raw, raws, serve
from scitt_cose import merkle


def hexed(texts):
    return [each.hex() for each in raws(texts)]


def from_entries(asked):
    size, root = claimed(asked["dir"])
    found = merkle.merkle_root([each.hex() for each in entries(asked["dir"], size)])
    if found != root.hex():
        raise RefusedError("another root")
    return {"size": size, "root": b64(bytes.fromhex(found))}


def prove(asked):
    leaves = hexed(asked["leaves"])
    return {"proofs": [found(merkle.inclusion_proof(leaves, index)) for index in asked["indices"]]}


def grown(asked):
    leaves = hexed(asked["leaves"])
    size = len(leaves)
    proofs = [found(merkle.consistency_proof(leaves, old, size)) for old in asked["indices"]]
    return {"proofs": proofs}


def found(proof):
    return [b64(bytes.fromhex(each)) for each in proof]


def inclusion(asked):
    leaf, root = raw(asked["leaf"]).hex(), raw(asked["root"]).hex()
    path = hexed(asked["proof"])
    if not merkle.verify_inclusion(leaf, asked["index"], asked["size"], path, root):
        raise RefusedError("not included")


def consistency(asked):
    roots = raw(asked["old_root"]).hex(), raw(asked["root"]).hex()
    if not merkle.verify_consistency(*roots, asked["old"], asked["size"], hexed(asked["proof"])):
        raise RefusedError("not consistent")


serve({
    "entries": from_entries, "prove": prove, "grown": grown,
    "inclusion": inclusion, "consistency": consistency,
})  # fmt: skip
