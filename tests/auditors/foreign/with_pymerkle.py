"""Trees and proofs by pymerkle, which counts leaves from one."""

from answering import RefusedError, b64, claimed, entries, raw, raws, serve
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion
from pymerkle.core import _inclusion_path_layout
from pymerkle.hasher import MerkleHasher
from pymerkle.proof import InclusionProof


def planted(leaves):
    return InmemoryTree.init_from_entries(leaves, algorithm="sha256")


def from_entries(asked):
    size, root = claimed(asked["dir"])
    found = planted(entries(asked["dir"], size)).get_root()
    if found != root:
        raise RefusedError("another root")
    return {"size": size, "root": b64(found)}


def root(asked):
    tree = planted(raws(asked["leaves"]))
    return {"roots": [b64(tree.get_root(size)) for size in asked["indices"]]}


def prove(asked):
    tree = planted(raws(asked["leaves"]))
    paths = [tree.prove_inclusion(index + 1).path[1:] for index in asked["indices"]]
    return {"proofs": [[b64(each) for each in path] for path in paths]}


def inclusion(asked):
    leaf = MerkleHasher("sha256").hash_buff(raw(asked["leaf"]))
    rule, _ = _inclusion_path_layout(asked["index"] + 1, asked["size"])
    path = [leaf, *raws(asked["proof"])]
    proof = InclusionProof("sha256", True, asked["size"], asked["index"] + 1, rule, path)
    verify_inclusion(leaf, raw(asked["root"]), proof, asked["index"] + 1, asked["size"], "sha256")


def grown(asked):
    """Prove growth in its own form, which is not RFC 9162's, against roots from elsewhere."""
    tree = planted(raws(asked["leaves"]))
    for old, root_then in zip(asked["indices"], raws(asked["roots"]), strict=True):
        proof = tree.prove_consistency(old)
        size = len(asked["leaves"])
        verify_consistency(root_then, raw(asked["root"]), proof, old, size, "sha256")


serve(
    {"entries": from_entries, "root": root, "prove": prove, "inclusion": inclusion, "grown": grown}
)
