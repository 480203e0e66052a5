"""Which broker makes a credential: found by its declaration, imported when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import cast

from bridle.brokers.broker import Broker, BrokerError
from bridle.brokers.sealed_file import SealedFile
from bridle.model.credential import (
    AnyCredential,
    Credential,
    ExchangeCredential,
    HeaderCredential,
    PostgresCredential,
    SealedCredential,
)

_PLACES: dict[type[Credential], tuple[str, str]] = {
    SealedCredential: ("bridle.brokers.sealed", "SealedBroker"),
    HeaderCredential: ("bridle.brokers.header", "HeaderBroker"),
    ExchangeCredential: ("bridle.brokers.token_exchange", "TokenExchangeBroker"),
    PostgresCredential: ("bridle.brokers.postgres", "PostgresBroker"),
}
_EXTRAS: dict[type[Credential], str] = {PostgresCredential: "postgres"}


class Brokers:
    """The brokers of one governor, each made once. Safe for use by many threads."""

    def __init__(self, secrets: SealedFile) -> None:
        self.secrets = secrets
        self._made: dict[type[Credential], Broker] = {}
        self._lock = threading.Lock()
        self._closed = False

    def of(self, credential: AnyCredential) -> Broker:
        """Return the broker of a declaration.

        Raises `BrokerError` (`broker_unavailable`) where what it needs is not installed, or the
        governor has ended.
        """
        kind = type(credential)
        with self._lock:
            if self._closed:
                raise BrokerError("the governor has ended", code="broker_unavailable")
            if kind not in self._made:
                self._made[kind] = _load(kind)(self.secrets)
            return self._made[kind]

    def close(self) -> None:
        """Close every broker; none is given out any more."""
        with self._lock:
            self._closed = True
            made, self._made = self._made, {}
        for broker in made.values():
            broker.close()


def _load(kind: type[Credential]) -> Callable[[SealedFile], Broker]:
    module, name = _PLACES[kind]
    try:
        found = getattr(import_module(module), name)
    except ImportError:
        # What the import says names places of this machine, and is no news to an agent.
        extra = _EXTRAS.get(kind)
        raise BrokerError(
            f"the broker of {kind.__name__} cannot be loaded: its driver is not installed",
            code="broker_unavailable",
            hint=f"pip install 'bridle[{extra}]'" if extra else "install Bridle as a whole",
        ) from None
    return cast("Callable[[SealedFile], Broker]", found)
