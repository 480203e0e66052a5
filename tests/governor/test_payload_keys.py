"""Keys of chains within one transaction: read once, and never used again once they are erased."""

import pytest

from bridle.governor.ground.turn import Turn
from bridle.ledger.errors import LedgerError
from bridle.store.rows import PayloadKeyRow
from governor.desk import Desk

CHAIN = "mis_one"


def key_of(desk: Desk) -> bytes:
    row = desk.core.write(lambda turn: turn.tx.get(PayloadKeyRow, CHAIN))
    assert row is not None
    return row.sealed


def test_what_is_sealed_after_an_erasure_in_the_same_turn_has_a_key_of_its_own(desk: Desk):
    before = desk.core.write(lambda turn: turn.vault.seal(CHAIN, b"before", "it"))
    old = key_of(desk)

    def erase_and_go_on(turn: Turn) -> bytes:
        assert turn.vault.unseal(CHAIN, before, "it") == b"before"
        assert turn.vault.forget(CHAIN)
        return turn.vault.seal(CHAIN, b"after", "it")

    after = desk.core.write(erase_and_go_on)
    assert key_of(desk) != old
    assert desk.core.write(lambda turn: turn.vault.unseal(CHAIN, after, "it")) == b"after"
    with pytest.raises(LedgerError):
        desk.core.write(lambda turn: turn.vault.unseal(CHAIN, before, "it"))


def test_what_was_erased_does_not_open_in_the_same_turn(desk: Desk):
    blob = desk.core.write(lambda turn: turn.vault.seal(CHAIN, b"value", "it"))

    def erase_and_look(turn: Turn) -> None:
        turn.vault.unseal(CHAIN, blob, "it")
        turn.vault.forget(CHAIN)
        with pytest.raises(LedgerError):
            turn.vault.unseal(CHAIN, blob, "it")
        assert not turn.vault.forget(CHAIN)

    desk.core.write(erase_and_look)


def test_a_job_that_failed_leaves_no_key_behind(desk: Desk):
    def fail(turn: Turn) -> None:
        turn.vault.seal(CHAIN, b"value", "it")
        raise ValueError

    with pytest.raises(ValueError):
        desk.core.write(fail)
    assert desk.core.write(lambda turn: turn.tx.get(PayloadKeyRow, CHAIN)) is None
    blob = desk.core.write(lambda turn: turn.vault.seal(CHAIN, b"value", "it"))
    assert desk.core.write(lambda turn: turn.vault.unseal(CHAIN, blob, "it")) == b"value"
