"""The Merkle tree of RFC 6962, section 2.1 (RFC 9162, section 2.1): hashes, roots and proofs.

It works on leaf hashes only; what a leaf says is `bridle.ledger.leaf`. Nothing here signs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from msgspec import Struct

EMPTY_ROOT = sha256(b"").digest()
HASH_BYTES = 32
_PROOF_CAP = 64

RangeRoot = Callable[[int, int], bytes]
"""`root(start, end)`: the root over the leaves `start <= index < end`."""


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
        full, size = self.hashes, self.size
        kept = len(full)
        while size & 1:
            kept -= 1
            digest = node_hash(full[kept], digest)
            size >>= 1
        return Frontier(self.size + 1, (*full[:kept], digest))

    def completed(self, digest: bytes) -> list[tuple[int, bytes]]:
        """Return the subtrees that one more leaf fills: how many levels each has, and its root."""
        full, size, height = list(self.hashes), self.size, 0
        found: list[tuple[int, bytes]] = []
        while size & 1:
            digest = node_hash(full.pop(), digest)
            size, height = size >> 1, height + 1
            found.append((height, digest))
        return found

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        return folded(self.hashes)


def folded(roots: Sequence[bytes]) -> bytes:
    """Return the root over full subtrees of falling size, given their roots."""
    if not roots:
        return EMPTY_ROOT
    root = roots[-1]
    for left in reversed(roots[:-1]):
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


def range_root(digests: Sequence[bytes]) -> RangeRoot:
    """Return what gives the roots of ranges from all leaf hashes of a log."""
    return lambda start, end: frontier_of(digests[start:end]).root()


def inclusion_proof(root: RangeRoot, index: int, size: int) -> tuple[bytes, ...]:
    """Prove that leaf `index` is in the tree of `size` leaves: siblings, lowest first.

    Raises `IndexError` when there is no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(index)
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(root(middle, end))
            end = middle
        else:
            proof.append(root(start, middle))
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


def consistency_proof(root: RangeRoot, old: int, new: int) -> tuple[bytes, ...]:
    """Prove that the tree of the first `old` leaves is a prefix of the tree of the first `new`.

    Raises `IndexError` unless `0 < old <= new`.
    """
    if not 0 < old <= new:
        raise IndexError(old)
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(root(middle, end))
            end = middle
        else:
            proof.append(root(start, middle))
            start, whole = middle, False
    if not whole:
        proof.append(root(start, end))
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
