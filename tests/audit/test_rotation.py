"""Keys change, and auditors follow: whoever has one key of a log needs no other."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.history import FIRST, ORIGIN, SECOND, STRANGER, History, codes, copy, small, trusting
from bridle.audit import stores
from bridle.audit.exports import reading
from bridle.audit.stores import Asked
from bridle.audit.word import Given
from bridle.ledger import checkpoint, cosignature, note, trustfile
from bridle.ledger.note import COSIGNATURE, Signer


def rotated(folder: Path, count: int) -> History:
    """A log whose key was changed so many times."""
    made = History(folder)
    signers = [Signer(ORIGIN, bytes([100 + each]) * 32) for each in range(count + 1)]
    made.key(signers[0])
    made.activate()
    for before, after in itertools.pairwise(signers):
        made.work()
        made.key(after)
        made.work()
        made.key(before, "retired")
    made.work()
    made.sign()
    made.everyone = signers  # type: ignore[attr-defined]
    return made


def test_the_first_key_leads_through_any_number_of_rotations(tmp_path: Path) -> None:
    made = rotated(tmp_path / "store", 6)
    out = made.export(tmp_path / "out")
    made.close()
    first, *_, last = made.everyone  # type: ignore[attr-defined]
    found = reading.verify(out, trusting(first))
    assert found.ok, found.report.findings
    assert found.word.newest is not None
    assert found.word.newest.keys == (str(last.key),)
    assert codes(out, last) == set()
    assert codes(out, STRANGER) == {"checkpoint_unsigned"}
    assert stores.verify(made.place, Asked(trusting(first))).ok


def test_any_checkpoint_of_a_rotation_that_is_gone_is_missed(tmp_path: Path) -> None:
    made = rotated(tmp_path / "store", 2)
    out = made.export(tmp_path / "out")
    made.close()
    kept = list((out / "checkpoints").iterdir())
    assert len(kept) == 4
    for each in kept:
        trial = copy(out, tmp_path / f"without-{each.name}")
        (trial / "checkpoints" / each.name).unlink()
        for signer in made.everyone:  # type: ignore[attr-defined]
            assert "checkpoint_missing" in codes(trial, signer)


def test_a_retired_key_signs_nothing_any_more(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    made.signers = [FIRST]
    made.work()
    made.sign()
    made.close()
    found = stores.verify(made.place, Asked(trusting(FIRST)))
    assert "checkpoint_unsigned" in {flaw.code for flaw in found.report.findings}


def signing(made: History, *signers: Signer) -> bytes:
    return made.store.write(
        lambda tx: checkpoint.sign(
            checkpoint.Checkpoint(ORIGIN, tx.frontier().size, tx.frontier().root()), signers
        )
    )


def unsigned_by_one(made: History) -> bytes:
    return signing(made, FIRST)


def signed_by_more(made: History) -> bytes:
    return signing(made, FIRST, SECOND, STRANGER)


def in_another_order(made: History) -> bytes:
    return signing(made, SECOND, FIRST)


@pytest.mark.parametrize("forge", [unsigned_by_one, signed_by_more, in_another_order])
def test_the_logs_own_checkpoints_have_each_line_they_should_and_no_other(
    tmp_path: Path, forge: Callable[[History], bytes]
) -> None:
    made = History(tmp_path / "store")
    made.key(FIRST)
    made.activate()
    made.key(SECOND)
    made.work()
    made.sign()
    out = made.export(tmp_path / "out")
    assert codes(out) == set()
    (out / "checkpoint").write_bytes(forge(made))
    assert codes(out) == {"checkpoint_invalid"}
    # One that an auditor kept may carry more, or fewer.
    kept = forge(made)
    (out / "checkpoint").write_bytes(signing(made, FIRST, SECOND))
    assert codes(out, kept=(kept,)) == set()
    made.close()


def test_a_quorum_of_witnesses_is_asked_for_where_the_auditor_says_so(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    made.close()
    witness = Signer("witness.example/w", bytes([9]) * 32, COSIGNATURE)
    text = f"log {FIRST.key}\nwitness w {witness.key}\nquorum w\n"
    trust = trustfile.parse(text.encode())
    assert {f.code for f in stores.verify(made.place, Asked(trust)).report.findings} == {
        "checkpoint_unsigned"
    }
    plain = note.parse((made.folder / "checkpoint").read_bytes())
    line = cosignature.sign(witness, plain.text, 1_700_000_000)
    cosigned = Given("kept", note.render(plain.text, [*plain.signatures, line]), own=False)
    found = stores.verify(made.place, Asked(trust, (cosigned,)))
    assert found.ok, found.report.findings
    assert found.word.witnessed == found.report.size
