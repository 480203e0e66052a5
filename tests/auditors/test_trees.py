"""Roots and proofs of ours hold for programs that others wrote, and theirs for us."""

import pytest

from auditors.logs import LARGE, SIZES
from auditors.programs import ABLE, RefusedError
from bridle.ledger.tree import consistent, includes, leaf_hash

pytestmark = pytest.mark.auditors

INCLUDING = [name for name, can in ABLE.items() if "inclusion" in can]
GROWING = [name for name, can in ABLE.items() if "consistency" in can]
PROVING = [name for name, can in ABLE.items() if "prove" in can]
ALL = (*SIZES, LARGE)
# Those that know trees only build the whole tree for each proof.
SLOW_FROM = {"scitt-cose": 257, "pymerkle": LARGE}


def damaged(hashes):
    """A proof's hashes cut, doubled, turned round, left out, and with any bit flipped."""
    wrong = [hashes[:-1], [*hashes, hashes[-1]], [*reversed(hashes)], [], *flipped(hashes)]
    return [{"proof": each} for each in wrong]


def assert_holds_alone(asked, name, kind, good, changed):
    """What is good holds for a foreign program; with anything changed it and we refuse it."""
    asked[name].ask(kind, **good)
    for each in changed:
        for program in (name, "bridle"):
            with pytest.raises(RefusedError):
                asked[program].ask(kind, **{**good, **each})


@pytest.mark.parametrize("size", ALL)
@pytest.mark.parametrize("name", INCLUDING)
def test_our_inclusion_proofs_hold(name, size, asked, log):
    held = log(size)
    for index in held.sample():
        asked[name].ask(
            "inclusion", index=index, size=size, leaf=held.leaves[index],
            proof=held.included(index), root=held.root,
        )  # fmt: skip


@pytest.mark.parametrize("size", ALL)
@pytest.mark.parametrize("name", GROWING)
def test_our_consistency_proofs_hold(name, size, asked, log):
    held = log(size)
    for old in (each + 1 for each in held.sample()):
        asked[name].ask(
            "consistency", old=old, size=size, old_root=held.root_at(old), root=held.root,
            proof=held.grown(old),
        )  # fmt: skip


@pytest.mark.parametrize("name", sorted({*INCLUDING} - {"bridle"}))
def test_a_proof_with_anything_changed_is_refused_by_them_and_by_us(name, asked, log):
    held = log(257)
    index = 131
    good = {
        "index": index, "size": 257, "leaf": held.leaves[index],
        "proof": [*held.included(index)], "root": held.root,
    }  # fmt: skip
    changed = [
        {"index": index + 1},
        {"index": 257},
        {"index": -1},
        {"leaf": good["leaf"] + b"\0"},
        {"leaf": leaf_hash(good["leaf"])},
        {"root": held.root_at(256)},
        *damaged(good["proof"]),
    ]
    assert_holds_alone(asked, name, "inclusion", good, changed)


@pytest.mark.parametrize("name", sorted({*GROWING} - {"bridle"}))
def test_growth_with_anything_changed_is_refused_by_them_and_by_us(name, asked, log):
    held = log(257)
    good = {
        "old": 131, "size": 257, "old_root": held.root_at(131), "root": held.root,
        "proof": [*held.grown(131)],
    }  # fmt: skip
    changed = [
        {"old": 130},
        {"old": 258},
        {"old_root": held.root},
        {"root": held.root_at(256)},
        *damaged(good["proof"]),
    ]
    assert_holds_alone(asked, name, "consistency", good, changed)


@pytest.mark.parametrize("size", ALL)
@pytest.mark.parametrize("name", PROVING)
def test_their_inclusion_proofs_are_ours_and_hold_for_us(name, size, asked, log):
    held = log(size)
    indices = held.sample()
    if size >= SLOW_FROM.get(name, LARGE + 1):
        indices = [indices[0], indices[len(indices) // 3], indices[-1]]
    proofs = asked[name].ask("prove", indices=indices, **of(name, held))["proofs"]
    for index, proof in zip(indices, proofs, strict=True):
        assert tuple(proof) == held.included(index)
        assert includes(index, size, leaf_hash(held.leaves[index]), proof, held.root)


@pytest.mark.parametrize("size", ALL)
@pytest.mark.parametrize("name", GROWING)
def test_their_consistency_proofs_are_ours_and_hold_for_us(name, size, asked, log):
    if name == "bridle":
        return
    held = log(size)
    olds = [each + 1 for each in held.sample()]
    if size >= SLOW_FROM.get(name, LARGE + 1):
        olds = [olds[0], olds[len(olds) // 3], olds[-1]]
    proofs = asked[name].ask("grown", indices=olds, **of(name, held))["proofs"]
    for old, proof in zip(olds, proofs, strict=True):
        assert tuple(proof) == held.grown(old)
        assert consistent(old, size, held.root_at(old), held.root, proof)


@pytest.mark.parametrize("size", ALL)
def test_pymerkle_has_our_root_at_every_size_and_proves_growth_between_them(size, asked, log):
    held = log(size)
    olds = [each + 1 for each in held.sample()]
    roots = [held.root_at(old) for old in olds]
    assert asked["pymerkle"].ask("root", leaves=held.leaves, indices=olds)["roots"] == roots
    asked["pymerkle"].ask(
        "grown", leaves=held.leaves, indices=olds, roots=roots, root=held.root
    )  # fmt: skip


def of(name, held):
    """What a program proves from: the files, or the leaves."""
    if "tiles" in ABLE[name]:
        return {"dir": held.folder, "keys": [held.key]}
    return {"leaves": held.leaves}


def flipped(proof):
    """The proof with a bit of each of its hashes changed in turn."""
    for at, digest in enumerate(proof):
        yield [*proof[:at], bytes([digest[0] ^ 1]) + digest[1:], *proof[at + 1 :]]
