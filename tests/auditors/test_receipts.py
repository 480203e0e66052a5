"""Receipts: ours verified by others, theirs by us."""

import subprocess

import pytest

from auditors.logs import KEY, LARGE, OTHER, SIGNER, SIZES
from auditors.programs import ABLE, RefusedError
from auditors.toolchain import ENVIRONMENT
from bridle.ledger import receipt
from bridle.ledger.receipt import Receipt

pytestmark = pytest.mark.auditors

VERIFYING = [name for name, can in ABLE.items() if "receipt" in can]
EDGES = {0, 1, 4, 127, 254, 255, 256, 511, 999, 65_535, 65_536, 65_999}


def received(held, index, extra=b""):
    return receipt.render(Receipt(index, held.included(index), held.note, extra))


@pytest.mark.parametrize("size", [*SIZES, LARGE])
@pytest.mark.parametrize("name", VERIFYING)
def test_our_receipts_hold(name, size, asked, log):
    held = log(size)
    for index in sorted(each for each in EDGES if each < size):
        for extra in (b"", held.leaves[index]):
            data = received(held, index, extra)
            found = asked[name].ask("receipt", data=data, leaf=held.leaves[index], keys=[KEY])
            assert (found["index"], found["size"]) == (index, size)


@pytest.mark.parametrize("name", VERIFYING)
def test_a_receipt_for_another_leaf_or_key_or_with_a_line_changed_is_refused(name, asked, log):
    held = log(257)
    data, leaf = received(held, 131), held.leaves[131]
    lines = data.split(b"\n")
    asked[name].ask("receipt", data=data, leaf=leaf, keys=[KEY])
    bad = [
        {"leaf": held.leaves[132]},
        {"leaf": leaf + b"\0"},
        {"keys": [str(OTHER.key)]},
        {"data": data.replace(b"index 131", b"index 130")},
        {"data": data.replace(b"index 131", b"index 387")},
        {"data": data.replace(b"\n257\n", b"\n256\n")},
        *({"data": b"\n".join([*lines[:at], *lines[at + 1 :]])} for at in range(1, 14)),
        *({"data": b"\n".join([*lines[:at], lines[at], *lines[at:]])} for at in range(2, 12)),
    ]
    for each in bad:
        with pytest.raises(RefusedError):
            asked[name].ask("receipt", **{"data": data, "leaf": leaf, "keys": [KEY], **each})


@pytest.mark.parametrize("size", SIZES)
def test_receipts_that_tlog_scales_writes_are_ours_byte_for_byte(size, log):
    held = log(size)
    for index in sorted({0, size // 2, size - 1}):
        data = subprocess.run(
            [ENVIRONMENT / "bin" / "tlog-tiles", "gen-proof", held.folder, str(index)],
            stdout=subprocess.PIPE,
            check=True,
            timeout=60,
        ).stdout
        assert data == received(held, index)
        receipt.verify(receipt.parse(data), held.leaves[index], [SIGNER.key])
