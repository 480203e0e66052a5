"""The Merkle tree of RFC 6962, section 2.1 (RFC 9162, section 2.1): hashes, roots and proofs.

It works on leaf hashes only; what a leaf says is `bridle.ledger.leaf`. Nothing here signs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from msgspec import Struct

EMPTY_ROOT = sha256(b"").digest()
HASH_BYTES = 32
_PROOF_CAP = 64


def leaf_hash(data: bytes) -> bytes:
    """Hash the bytes of a leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent."""
    return sha256(b"\x01" + left + right).digest()


class Frontier(Struct, frozen=True):
    """Size of the log and the roots of its full subtrees, largest first (a compact range).

    There is one hash for each bit that is set in `size`; all that is needed to append.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, digest: bytes) -> Frontier:
        """Return the frontier with one more leaf, given its leaf hash."""
        full = list(self.hashes)
        size = self.size
        while size & 1:
            digest = node_hash(full.pop(), digest)
            size >>= 1
        full.append(digest)
        return Frontier(self.size + 1, tuple(full))

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def frontier_of(digests: Iterable[bytes]) -> Frontier:
    """Build the frontier of a log from its leaf hashes, in order."""
    full: list[bytes] = []
    size = 0
    for each in digests:
        digest, bits = each, size
        while bits & 1:
            digest = node_hash(full.pop(), digest)
            bits >>= 1
        full.append(digest)
        size += 1
    return Frontier(size, tuple(full))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over the bytes of leaves, in order."""
    return frontier_of(map(leaf_hash, leaves)).root()


def inclusion_proof(digests: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Prove that leaf `index` is in the tree over `digests` (leaf hashes): siblings, lowest first.

    Raises `IndexError` when there is no such leaf.
    """
    if not 0 <= index < len(digests):
        raise IndexError(index)
    proof: list[bytes] = []
    start, end = 0, len(digests)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(frontier_of(digests[middle:end]).root())
            end = middle
        else:
            proof.append(frontier_of(digests[start:middle]).root())
            start = middle
    return tuple(reversed(proof))


def includes(index: int, size: int, digest: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `proof` shows the leaf hash `digest` at `index` of the tree `size`, `root`."""
    if not 0 <= index < size or not _sound((digest, root, *proof[: _PROOF_CAP + 1])):
        return False
    node, last, result = index, size - 1, digest
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            node, last = _climb(node, last)
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == root


def consistency_proof(digests: Sequence[bytes], old: int) -> tuple[bytes, ...]:
    """Prove that the tree over the first `old` leaf hashes is a prefix of the tree over all.

    Raises `IndexError` unless `0 < old <= len(digests)`.
    """
    if not 0 < old <= len(digests):
        raise IndexError(old)
    proof: list[bytes] = []
    start, end, whole = 0, len(digests), True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(frontier_of(digests[middle:end]).root())
            end = middle
        else:
            proof.append(frontier_of(digests[start:middle]).root())
            start, whole = middle, False
    if not whole:
        proof.append(frontier_of(digests[start:end]).root())
    return tuple(reversed(proof))


def consistent(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether `proof` shows that the tree `old`, `old_root` is a prefix of `new`, `new_root`.

    An `old` of 0 is refused: nothing can be proved about an empty tree.
    """
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if not _sound((old_root, new_root, *proof[: _PROOF_CAP + 1])):
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            node, last = _climb(node, last)
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """Return the largest power of two smaller than `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _climb(node: int, last: int) -> tuple[int, int]:
    """Skip the levels at which the node is the last one and has no sibling."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _sound(hashes: Sequence[bytes]) -> bool:
    return len(hashes) <= _PROOF_CAP + 2 and all(len(each) == HASH_BYTES for each in hashes)
