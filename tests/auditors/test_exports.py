"""An export of what a governor recorded, read by programs that know nothing of Bridle."""

import pytest

from auditors.programs import ABLE
from bridle.ledger import note

pytestmark = pytest.mark.auditors

READING = [(name, do) for name, can in ABLE.items() for do in ("entries", "tiles") if do in can]


@pytest.mark.parametrize(("name", "do"), READING)
def test_it_verifies(name, do, asked, governed):
    found = asked[name].ask(do, dir=governed.folder, keys=governed.keys)
    assert (found["size"], found["root"]) == (governed.size, governed.root)


@pytest.mark.parametrize("name", [name for name, can in ABLE.items() if "open" in can])
def test_its_checkpoint_opens_with_its_key(name, asked, governed):
    data = (governed.folder / "checkpoint").read_bytes()
    assert asked[name].ask("open", data=data, keys=governed.keys)["text"] == note.parse(data).text


@pytest.mark.parametrize("name", ["go", "tlog-scales"])
def test_each_record_is_proven_and_each_size_it_had_is_a_beginning_of_it(name, asked, governed):
    indices = [*range(governed.size)]
    folder = {"dir": governed.folder, "keys": governed.keys}
    proofs = asked[name].ask("prove", indices=indices, **folder)["proofs"]
    leaves = governed.leaves()
    for index, proof in zip(indices, proofs, strict=True):
        asked["bridle"].ask(
            "inclusion",
            index=index,
            size=governed.size,
            leaf=leaves[index],
            proof=proof,
            root=governed.root,
        )
    sizes = [index + 1 for index in indices]
    grown = asked[name].ask("grown", indices=sizes, **folder)
    for old, proof, root in zip(sizes, grown["proofs"], grown["roots"], strict=True):
        asked["bridle"].ask(
            "consistency",
            old=old,
            size=governed.size,
            old_root=root,
            root=governed.root,
            proof=proof,
        )


@pytest.mark.parametrize("name", [name for name, can in ABLE.items() if "receipt" in can])
def test_the_receipt_of_each_record_holds(name, asked, governed):
    leaves = governed.leaves()
    for index, data in enumerate(governed.receipts()):
        found = asked[name].ask("receipt", data=data, leaf=leaves[index], keys=governed.keys)
        assert (found["index"], found["size"]) == (index, governed.size)


@pytest.mark.parametrize("name", [name for name, can in ABLE.items() if "consistency" in can])
def test_a_proof_of_growth_from_the_store_holds_with_the_roots_that_go_reads(name, asked, governed):
    sizes = [1, 2, 255, 256, 257, governed.size - 1, governed.size]
    folder = {"dir": governed.folder, "keys": governed.keys}
    roots = asked["go"].ask("grown", indices=sizes, **folder)["roots"]
    for old, root in zip(sizes, roots, strict=True):
        asked[name].ask(
            "consistency",
            old=old,
            size=governed.size,
            old_root=root,
            root=governed.root,
            proof=governed.grown(old).proof,
        )
