"""Vends: puts a lease on record, asks its broker outside of any turn, and answers the secret.

Between the two turns the governor goes on with everything else; whatever ends the authority
meanwhile is seen by the second.
"""

from __future__ import annotations

import logging
import threading
from functools import partial

from bridle.brokers.broker import Broker, BrokerError, Made, Order
from bridle.brokers.registry import Brokers
from bridle.governor.credentials import bounded, leases
from bridle.governor.credentials.bounded import Asked
from bridle.governor.credentials.keeper import Keeper
from bridle.governor.credentials.scrubbing import Vended as Known
from bridle.governor.ground.core import Core
from bridle.governor.ground.turn import Turn
from bridle.model.calls import Caller, Failed, Reply, Vend, Vended
from bridle.model.reason import Reason, ReasonCode
from bridle.store.rows import LeaseRow

_log = logging.getLogger("bridle.governor")

# What a broker may have made all the same: nobody has heard its answer.
_UNSURE = ("broker_slow", "broker_unreachable", "broker_failed")

# At a time: one more is told to come back.
_MOST = 64


class Vending:
    """Answers `Vend`. Safe for use by many threads."""

    def __init__(self, core: Core, keeper: Keeper, known: Known) -> None:
        self._core = core
        self._keeper = keeper
        self._known = known
        self._free = threading.BoundedSemaphore(_MOST)

    def answer(self, caller: Caller, call: Vend) -> Reply:
        """Return `Vended`, or `Failed` with the reason's code. Raises `StoreError`."""
        brokers = self._core.brokers
        if brokers is None:
            text = "a governor within the agent's own process gives out no credentials"
            return _no(Reason(ReasonCode.NOT_SEPARATED, text))
        if not self._free.acquire(blocking=False):
            text = "as many credentials are being made as can be at a time"
            return _no(Reason(ReasonCode.CREDENTIAL_UNAVAILABLE, text))
        try:
            return self._vended(brokers, caller, call)
        finally:
            self._free.release()

    def _vended(self, brokers: Brokers, caller: Caller, call: Vend) -> Reply:
        order = self._core.write(partial(self._ask, call=call), caller=caller)
        if isinstance(order, Reason):
            return _no(order)
        try:
            made, found = self._made(brokers, order)
            row = self._settled(brokers, order, made, found)
        finally:
            self._keeper.answered(order.lease)
        if made is None or isinstance(row, Reason):
            return _no(row if isinstance(row, Reason) else _unavailable())
        secret = made.secret.reveal()
        # Before anybody has it who could report it.
        self._known.add(order.attempt, secret)
        return Vended(lease=row.id, system=row.system, expires=row.expires, secret=secret)

    def _ask(self, turn: Turn, call: Vend) -> Order | Reason:
        order = leases.ask(turn, call)
        if isinstance(order, Order):
            # Within the turn: the keeper takes every other lease without an answer for lost.
            self._keeper.asks(order.lease)
        return order

    def _made(self, brokers: Brokers, order: Order) -> tuple[Made | None, leases.Outcome]:
        try:
            broker = brokers.of(order.credential)
            asked = Asked(
                partial(broker.vend, order), late=partial(self._late, broker=broker, order=order)
            )
            made = asked.wait(order.credential.wait_ms / 1_000)
        except BrokerError as problem:
            return None, leases.Outcome(code=problem.code, unsure=problem.code in _UNSURE)
        try:
            return made, self._outcome(brokers, order, made)
        except BrokerError as problem:
            # What nobody could take back later is taken back now.
            _take_back(broker, order, made)
            return None, leases.Outcome(code=problem.code, unsure=True)

    def _settled(
        self, brokers: Brokers, order: Order, made: Made | None, found: leases.Outcome
    ) -> LeaseRow | Reason:
        try:
            return self._core.write(lambda turn: leases.settle(turn, order.lease, found))
        except Exception:
            if made is not None:
                _take_back(brokers.of(order.credential), order, made)
            raise

    def _outcome(self, brokers: Brokers, order: Order, made: Made) -> leases.Outcome:
        sealed = brokers.secrets.seal(made.handle, order.lease) if made.handle else b""
        return leases.Outcome(sealed=sealed, expires=made.expires)

    def _late(self, made: Made, *, broker: Broker, order: Order) -> None:
        """Take back what came when nobody waited for it any more."""
        # INVARIANT: I9 — at once, and whatever becomes of the governor meanwhile. The lease is
        # `ending` on record, so it is taken back once more where this fails.
        if not _take_back(broker, order, made):
            self._noted(order, made)

    def _noted(self, order: Order, made: Made) -> None:
        brokers = self._core.brokers
        if brokers is None:
            return
        found = self._outcome(brokers, order, made)
        self._core.write(lambda turn: leases.settle(turn, order.lease, found))
        self._keeper.wake()


def _take_back(broker: Broker, order: Order, made: Made) -> bool:
    """Take back a credential at once; return whether that is sure."""
    try:
        broker.revoke(order.credential, made.handle or order.lease.encode())
    except Exception as problem:
        code = bounded.plain(problem).code
        _log.warning("lease %s is not taken back yet: %s", order.lease, code)
        return False
    return True


def _unavailable() -> Reason:
    return Reason(ReasonCode.CREDENTIAL_UNAVAILABLE, "no credential was made")


def _no(reason: Reason) -> Failed:
    return Failed(code=reason.code, message=reason.text)
