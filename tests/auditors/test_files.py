"""Tiles and entry bundles: ours read by others, and theirs the same bytes as ours."""

import pytest

from auditors import logs
from auditors.logs import KEY, LARGE, ORIGIN, SEED, SIZES, files, secret
from auditors.programs import ABLE
from bridle.ledger import note, tiles
from bridle.ledger.tree import leaf_hash

pytestmark = pytest.mark.auditors

ALL = (*SIZES, LARGE)


@pytest.mark.parametrize("size", ALL)
@pytest.mark.parametrize("name", [name for name, can in ABLE.items() if "entries" in can])
def test_the_entries_alone_have_the_root_that_was_signed(name, size, asked, log):
    if (name, size) == ("tlog-scales", LARGE):
        return  # a proof for each entry, in Python: `tiles` below reads the same files
    held = log(size)
    found = asked[name].ask("entries", dir=held.folder, keys=[KEY])
    assert (found["size"], found["root"]) == (size, held.root)


@pytest.mark.parametrize("size", ALL)
def test_go_reads_every_leaf_hash_from_tiles_that_it_has_authenticated(size, asked, log):
    held = log(size)
    found = asked["go"].ask("tiles", dir=held.folder, keys=[KEY])
    assert found["hashes"] == [*map(leaf_hash, held.leaves)]


@pytest.mark.parametrize("size", ALL)
def test_tlog_scales_has_the_root_from_the_highest_tiles(size, asked, log):
    held = log(size)
    assert asked["tlog-scales"].ask("tiles", dir=held.folder, keys=[KEY])["root"] == held.root


@pytest.mark.parametrize("size", ALL)
def test_go_writes_the_very_files_that_we_write(size, asked, log, tmp_path):
    held = log(size)
    asked["go"].ask(
        "write",
        dir=tmp_path / "go",
        name=ORIGIN,
        secrets=[secret(logs.SIGNER, SEED)],
        leaves=held.leaves,
    )
    assert files(tmp_path / "go") == files(held.folder)


@pytest.mark.parametrize("size", ALL)
def test_tlog_scales_writes_the_very_files_that_we_write(size, asked, log, tmp_path):
    held = log(size)
    folder = tmp_path / "scales"
    made = asked["tlog-scales"].ask(
        "write", dir=folder, name=ORIGIN, secrets=[note.encoded(SEED)], leaves=held.leaves
    )
    assert made["key"] == KEY
    written = files(folder)
    # It leaves some tiles of smaller sizes behind.
    assert {path: written[path] for path in files(held.folder)} == files(held.folder)
    asked["bridle"].ask("entries", dir=folder, keys=[KEY])


@pytest.mark.parametrize("size", ALL)
def test_we_read_the_leaves_that_go_bundled(size, asked, log, tmp_path):
    held = log(size)
    signers = [secret(logs.SIGNER, SEED)]
    asked["go"].ask("write", dir=tmp_path, name=ORIGIN, secrets=signers, leaves=held.leaves)
    read = [
        leaf
        for tile in tiles.tiles_of(size)
        if tile.level == 0
        for leaf in tiles.leaves((tmp_path / tile.bundle).read_bytes())
    ]
    assert read == held.leaves
