"""An export of what a governor recorded, read by programs that know nothing of Bridle."""

import pytest

from auditors.programs import ABLE, RefusedError
from bridle.audit import growth
from bridle.ledger import checkpoint, note
from bridle.ledger.note import Signer

pytestmark = pytest.mark.auditors

READING = [(name, do) for name, can in ABLE.items() for do in ("entries", "tiles") if do in can]
OPENING = [name for name, can in ABLE.items() if "open" in can]


def assert_grown(program, governed, old, root, proof):
    size = governed.size
    program.ask("consistency", old=old, size=size, old_root=root, root=governed.root, proof=proof)


@pytest.mark.parametrize(("name", "do"), READING)
def test_it_verifies(name, do, asked, governed):
    found = asked[name].ask(do, dir=governed.folder, keys=governed.keys)
    assert (found["size"], found["root"]) == (governed.size, governed.root)


@pytest.mark.parametrize("name", OPENING)
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
        assert_grown(asked["bridle"], governed, old, root, proof)


@pytest.mark.parametrize("name", [name for name, can in ABLE.items() if "receipt" in can])
def test_a_receipt_by_the_command_line_holds(name, asked, governed):
    leaves = governed.leaves()
    for index in (0, 255, 256, governed.size - 1):
        data = governed.prove(str(index))
        found = asked[name].ask("receipt", data=data, leaf=leaves[index], keys=governed.keys)
        assert (found["index"], found["size"]) == (index, governed.size)


def test_a_proof_of_growth_by_the_command_line_holds_with_the_roots_that_go_reads(asked, governed):
    sizes = [1, 255, 256, 257, governed.size]
    folder = {"dir": governed.folder, "keys": governed.keys}
    roots = asked["go"].ask("grown", indices=sizes, **folder)["roots"]
    for old, root in zip(sizes, roots, strict=True):
        proof = growth.parse(governed.prove("--consistency", str(old))).proof
        for name in ("go", "tlog-scales", "scitt-cose"):
            assert_grown(asked[name], governed, old, root, proof)


@pytest.mark.parametrize("name", OPENING)
def test_a_key_that_was_replaced_opens_what_it_signed_and_nothing_after(name, asked, rotated):
    old, new = rotated.keys
    handed_over = sorted(
        (rotated.folder / "checkpoints").iterdir(), key=lambda path: int(path.name)
    )
    first, both = (path.read_bytes() for path in (handed_over[0], handed_over[-1]))
    newest = (rotated.folder / "checkpoint").read_bytes()
    for data, key in ((first, old), (both, old), (both, new), (newest, new)):
        asked[name].ask("open", data=data, keys=[key])
    for data, key in ((first, new), (newest, old)):
        with pytest.raises(RefusedError):
            asked[name].ask("open", data=data, keys=[key])


@pytest.mark.parametrize("name", ["go", "tlog-scales"])
def test_what_both_keys_signed_is_a_beginning_of_what_the_new_one_signed(name, asked, rotated):
    new = rotated.keys[1]
    found = [
        checkpoint.parse(note.parse(path.read_bytes()).text)
        for path in (rotated.folder / "checkpoints").iterdir()
    ]
    sizes = [each.size for each in found]
    grown = asked[name].ask("grown", dir=rotated.folder, keys=[new], indices=sizes)
    assert grown["roots"] == [each.root for each in found]


@pytest.mark.parametrize("number", [0, 1])
def test_bridle_follows_keys_from_the_first_to_the_last_and_back(number, asked, rotated):
    asked["bridle"].ask("export", dir=rotated.folder, keys=[rotated.keys[number]])
    for path in (rotated.folder / "checkpoints").iterdir():
        changed = path.read_bytes()
        other = b"B" if changed[-3:-2] == b"A" else b"A"
        path.write_bytes(changed[:-3] + other + changed[-2:])
        with pytest.raises(RefusedError):
            asked["bridle"].ask("export", dir=rotated.folder, keys=[rotated.keys[number]])
        path.write_bytes(changed)


def test_a_key_of_nobody_verifies_nothing(asked, rotated):
    stranger = Signer(note.key(rotated.keys[0]).name, bytes(32))
    with pytest.raises(RefusedError, match="checkpoint_unsigned"):
        asked["bridle"].ask("export", dir=rotated.folder, keys=[str(stranger.key)])
