"""Brokers that are down, slow or forgotten: what they made is taken back all the same."""

import threading
from pathlib import Path

import pytest

from bridle.brokers.broker import BrokerError
from bridle.governor.credentials import leases
from bridle.governor.governor import Governor
from bridle.model import calls
from bridle.store.sqlite import open_store
from governor.credentials.conftest import Opens
from governor.credentials.counter import Counter, Valet, Valets
from governor.desk import Desk


def valet_of(counter: Counter) -> Valet:
    assert counter.valet is not None
    return counter.valet


def reopened(counter: Counter) -> None:
    """The governor after one that was killed: the same store and system, nothing remembered."""
    file = Valets(counter.file, valet_of(counter))
    counter.core.brokers = file
    counter.governor = Governor.over(counter.core, counter.bundle)


def test_a_broker_that_is_down_denies_and_is_asked_to_take_back(counter: Counter) -> None:
    attempt = counter.started()
    valet_of(counter).down = True
    assert counter.code(counter.vend(attempt)) == "credential_unavailable"
    row = counter.lease(attempt)
    assert (row.state, row.code) == ("ending", "broker_unreachable")
    valet_of(counter).down = False
    counter.settled()
    assert counter.lease(attempt).state == "ended"


def test_a_secret_that_nobody_has_sealed_denies_and_leaves_nothing(opens: Opens) -> None:
    counter = opens()
    attempt = counter.started()
    counter.file.remove("crm-key")
    reply = counter.vend(attempt)
    assert counter.code(reply) == "credential_unavailable"
    assert isinstance(reply, calls.Failed)
    assert "secret_missing" in reply.message
    assert counter.lease(attempt).state == "failed"
    assert counter.leaves("credential")[-1].body["what"] == "fail"


def test_a_slow_broker_is_given_up_and_what_it_makes_later_is_taken_back(opens: Opens) -> None:
    counter = opens(("systems.toml", 'wait = "2s"', 'wait = "100ms"'), valet=Valet())
    attempt, valet = counter.started(), valet_of(counter)
    valet.go_on.clear()
    assert counter.code(counter.vend(attempt)) == "credential_unavailable"
    assert counter.lease(attempt).code == "broker_slow"
    counter.settled()
    assert counter.lease(attempt).state == "ended"
    valet.go_on.set()
    assert valet.returned.wait(10)
    assert not valet.opens
    assert len(valet.of_lease) == 1


def test_what_is_late_and_not_taken_back_at_once_is_tried_again(opens: Opens) -> None:
    counter = opens(("systems.toml", 'wait = "2s"', 'wait = "100ms"'), valet=Valet())
    attempt, valet = counter.started(), valet_of(counter)
    valet.go_on.clear()
    counter.vend(attempt)
    counter.settled()
    valet.stubborn = 1
    valet.go_on.set()
    assert valet.returned.wait(10)
    counter.governor.keeper.start()
    assert valet.emptied.wait(10)
    assert not valet.opens


def test_what_cannot_be_taken_back_is_tried_until_it_is(counter: Counter) -> None:
    attempt, valet = counter.started(), valet_of(counter)
    counter.vended(attempt)
    valet.down = True
    counter.report(attempt)
    for _ in range(3):
        counter.governor.keeper.retry()
        counter.settled()
    row = counter.lease(attempt)
    assert (row.state, row.tries, row.code) == ("ending", 3, "broker_unreachable")
    assert len(valet.opens) == 1
    (status,) = counter.rows(calls.Status())
    assert status["leases_ending"] == 1
    valet.down = False
    counter.governor.keeper.retry()
    counter.settled()
    assert not valet.opens
    whats = [leaf.body["what"] for leaf in counter.leaves("credential")]
    assert whats == ["ask", "vend", "ending", "end_failed", "end"]


def test_a_try_that_failed_is_not_made_again_at_once(counter: Counter) -> None:
    attempt, valet = counter.started(), valet_of(counter)
    counter.vended(attempt)
    valet.down = True
    counter.report(attempt)
    for _ in range(5):
        counter.settled()
    assert counter.lease(attempt).tries == 1


def test_one_broker_that_hangs_keeps_none_of_the_others(counter: Counter) -> None:
    valet = valet_of(counter)
    first, second = counter.started(), counter.started()
    hung = counter.vended(first).secret["secret"]
    other = counter.vended(second).secret["secret"]
    valet.hangs_on = hung
    counter.governor.keeper.start()
    counter.report(first)
    assert valet.hanging.wait(10)
    counter.report(second)
    assert valet.ended_one.wait(10)
    assert valet.opens == {hung}
    assert other not in valet.opens
    valet.let_go.set()
    assert valet.emptied.wait(10)


def test_the_keeper_needs_nobody_to_look(counter: Counter) -> None:
    attempt, valet = counter.started(), valet_of(counter)
    counter.governor.start_keeping()
    counter.vended(attempt)
    counter.done(calls.Revoke(kind="agent", subject="clerk", as_user="ana"))
    assert valet.emptied.wait(10)


@pytest.mark.parametrize("moment", ["asked", "made", "vended", "ending"])
def test_a_governor_that_was_killed_leaves_nothing_open(counter: Counter, moment: str) -> None:
    attempt, valet = counter.started(), valet_of(counter)
    if moment in ("asked", "made"):
        # Between the two turns: the first is durable, the answer is nobody's any more.
        call = calls.Vend(session=counter.session("clerk", "crate"), attempt=attempt)
        order = counter.core.write(lambda turn: leases.ask(turn, call), caller=counter.as_crate())
        assert isinstance(order, leases.Order)
        if moment == "made":
            valet.vend(order)
    else:
        counter.vended(attempt)
    if moment == "ending":
        valet.down = True
        counter.report(attempt)
        counter.settled()
        valet.down = False
    reopened(counter)
    if moment == "vended":
        # It may go on with what it has, and that ends as ever.
        counter.settled()
        assert len(valet.opens) == 1
        counter.report(attempt)
    counter.settled()
    assert not valet.opens
    assert counter.lease(attempt).state == "ended"


def test_a_store_that_fails_between_the_turns_leaves_nothing_open(counter: Counter) -> None:
    from bridle.store.failures import failure

    attempt, valet = counter.started(), valet_of(counter)
    caller = counter.as_crate()
    write = counter.core.store.write
    broken = failure("store_full", "no space")

    def failing(*_args: object, **_given: object) -> None:
        counter.core.store.write = write  # type: ignore[method-assign]
        raise broken

    valet.meanwhile = lambda: setattr(counter.core.store, "write", failing)
    assert counter.code(counter.vend(attempt, caller))
    assert not valet.opens
    counter.settled()
    assert counter.lease(attempt).state == "ended"


def test_what_the_bundle_no_longer_declares_is_taken_back_as_it_was_made(
    counter: Counter,
) -> None:
    attempt, valet = counter.started(), valet_of(counter)
    counter.vended(attempt)
    counter.activate_with(("systems.toml", 'secret = "crm-key"', 'secret = "api-key"'))
    counter.report(attempt)
    counter.settled()
    assert not valet.opens
    (credential,) = valet.taken_back_by
    assert credential.secret == "crm-key"


def test_handles_lie_sealed_and_go_with_their_lease(counter: Counter) -> None:
    attempt, valet = counter.started(), valet_of(counter)
    token = counter.vended(attempt).secret["secret"]
    row = counter.lease(attempt)
    assert row.sealed
    assert token.encode() not in row.sealed
    with pytest.raises(BrokerError):
        counter.file.open(row.sealed, "lease_of_another")
    counter.report(attempt)
    counter.settled()
    assert counter.lease(attempt).sealed == b""
    assert valet.ended == [f"handle:{token}"]


def test_a_closed_governor_hands_its_work_to_the_next(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db")
    counter = Counter(tmp_path, valet=Valet(), store=store)
    attempt, valet = counter.started(), valet_of(counter)
    counter.vended(attempt)
    valet.down = True
    counter.report(attempt)
    counter.settled()
    counter.governor.close()
    valet.down = False
    before = threading.active_count()
    counter.core.store = open_store(tmp_path / "store.db")
    counter.core._ended = False
    reopened(counter)
    counter.settled()
    assert not valet.opens
    counter.governor.close()
    assert threading.active_count() <= before


def test_the_desk_without_brokers_keeps_nothing() -> None:
    desk = Desk()
    desk.governor.keeper.start()
    desk.governor.keeper.look()
    desk.governor.close()
