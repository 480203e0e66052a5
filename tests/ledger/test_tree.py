"""Roots and proofs agree with RFC 6962, with vectors of others, and with the definition itself."""

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger.tree import (
    Frontier,
    consistency_proof,
    consistent,
    frontier_of,
    includes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    range_root,
    root_of,
)

VECTORS = Path(__file__).parent.parent / "data" / "merkle"
WORDS = [b"one", b"two", b"three", b"four", b"five"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "d0d7360ab79f58ab1e1e3fe64ad77e2ea0bc07e36b5f46ed2223edd9298df9e9",
    "4f55f619d9215235778b2b9f17d6f4915b16171214d152381293669764de722e",
    "5aac771c899ac292e74bf1afe2e6e302f8b55883b2d1bf197b46a6bea6dabca9",
    "cd8d65377e6fad76003e2c5749de7d2ec536f71509b6e5b8a3674d360e58d82a",
    "832e609776a4b05ca208ef796bfd6f2d7cfcf00ddd46afb497d4b1b5ef19a994",
]


def defined_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + defined_root(leaves[:k]) + defined_root(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(6))
def test_the_worked_example_has_its_roots(size: int) -> None:
    assert root_of(WORDS[:size]).hex() == ROOTS[size]


def test_the_worked_example_has_its_proofs() -> None:
    digests = [leaf_hash(word) for word in WORDS]
    assert [each.hex() for each in inclusion_proof(range_root(digests), 2, len(digests))] == [
        "f715ab3faa5d071e6e2ac4bb994d5bf735943dcc3799da0d085e7980cfb9336a",
        "4f55f619d9215235778b2b9f17d6f4915b16171214d152381293669764de722e",
        "ccc29ae0e02a77b0f4578c1ac17493d79cf4262104929ac804f91fc4e7ac5af0",
    ]
    assert [each.hex() for each in consistency_proof(range_root(digests), 3, len(digests))] == [
        "671f146c5e471e8a1a83a3c214ce4ba907b8f3a5888d14cc8cd3ce75bb12ef94",
        "f715ab3faa5d071e6e2ac4bb994d5bf735943dcc3799da0d085e7980cfb9336a",
        "4f55f619d9215235778b2b9f17d6f4915b16171214d152381293669764de722e",
        "ccc29ae0e02a77b0f4578c1ac17493d79cf4262104929ac804f91fc4e7ac5af0",
    ]
    assert digests[0].hex() == "d0d7360ab79f58ab1e1e3fe64ad77e2ea0bc07e36b5f46ed2223edd9298df9e9"


def test_every_size_up_to_70_has_the_root_of_the_definition() -> None:
    leaves = [str(number).encode() for number in range(70)]
    frontier = Frontier()
    for size, leaf in enumerate(leaves):
        assert frontier.root() == defined_root(leaves[:size])
        assert len(frontier.hashes) == size.bit_count()
        frontier = frontier.append(leaf_hash(leaf))
    assert frontier == frontier_of(map(leaf_hash, leaves))
    assert frontier.size == 70


def vectors(name: str) -> list[dict]:
    lines = (VECTORS / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def plain(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def test_inclusion_agrees_with_98_vectors_of_another_implementation() -> None:
    found = {
        each["file"]: includes(
            each["leafIdx"],
            each["treeSize"],
            plain(each["leafHash"]),
            [plain(one) for one in each["proof"] or []],
            plain(each["root"]),
        )
        for each in vectors("inclusion")
    }
    assert found == {each["file"]: not each["wantErr"] for each in vectors("inclusion")}
    assert (len(found), sum(found.values())) == (98, 6)


def test_consistency_agrees_with_98_vectors_of_another_implementation() -> None:
    found = {
        each["file"]: consistent(
            each["size1"],
            each["size2"],
            plain(each["root1"]),
            plain(each["root2"]),
            [plain(one) for one in each["proof"] or []],
        )
        for each in vectors("consistency")
    }
    assert found == {each["file"]: not each["wantErr"] for each in vectors("consistency")}
    assert (len(found), sum(found.values())) == (98, 6)


def test_every_proof_of_every_tree_up_to_20_holds_and_for_no_other_leaf_or_size() -> None:
    digests = [leaf_hash(bytes([number])) for number in range(20)]
    roots = [frontier_of(digests[:size]).root() for size in range(21)]
    for size in range(1, 21):
        for index in range(size):
            proof = inclusion_proof(range_root(digests), index, size)
            assert includes(index, size, digests[index], proof, roots[size])
            assert not includes(index, size, digests[(index + 1) % 20], proof, roots[size])
            assert not any(
                includes(other, size, digests[index], proof, roots[size])
                for other in range(size + 1)
                if other != index
            )
        for old in range(1, size + 1):
            proof = consistency_proof(range_root(digests), old, size)
            assert consistent(old, size, roots[old], roots[size], proof)
            if old < size:
                assert not consistent(old, size, roots[old - 1], roots[size], proof)


@given(size=st.integers(2, 40), data=st.data(), flip=st.integers(0, 255), at=st.integers(0, 31))
def test_a_proof_with_one_changed_bit_is_refused(
    size: int, data: st.DataObject, flip: int, at: int
) -> None:
    digests = [leaf_hash(bytes([number])) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    root = frontier_of(digests).root()
    proof = list(inclusion_proof(range_root(digests), index, len(digests)))
    place = data.draw(st.integers(0, len(proof) - 1))
    changed = bytearray(proof[place])
    changed[at] ^= 1 << (flip % 8)
    proof[place] = bytes(changed)
    assert not includes(index, size, digests[index], proof, root)


def test_an_endless_proof_is_refused_before_it_is_hashed() -> None:
    digest = leaf_hash(b"x")
    assert not includes(0, 2**62, digest, [digest] * 1_000_000, digest)
    assert not consistent(1, 2**62, digest, digest, [digest] * 1_000_000)


@pytest.mark.parametrize("index", [-1, 5])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index: int) -> None:
    digests = [leaf_hash(word) for word in WORDS]
    with pytest.raises(IndexError):
        inclusion_proof(range_root(digests), index, len(digests))
    with pytest.raises(IndexError):
        consistency_proof(range_root(digests), 6 if index > 0 else 0, len(digests))


def test_a_leaf_cannot_pass_for_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
