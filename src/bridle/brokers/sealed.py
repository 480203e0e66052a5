"""The broker of sealed secrets as they are: for a separate worker, or a server that takes one."""

from __future__ import annotations

from bridle.brokers.broker import BrokerError, Made, Order, Secret
from bridle.brokers.sealed_file import SealedFile
from bridle.model.credential import AnyCredential, SealedCredential, Use


class SealedBroker:
    """Hands out a sealed secret. What it opens stays open: the system cannot be told to refuse it.

    A lease therefore ends in nothing but that nobody gets the secret again; it is replaced at the
    system by whoever made it. The secret has one field, `secret`.
    """

    def __init__(self, secrets: SealedFile) -> None:
        self._secrets = secrets

    def vend(self, order: Order) -> Made:
        """Return the secret. Raises `BrokerError`."""
        credential = order.credential
        if not isinstance(credential, SealedCredential) or credential.use is Use.GOVERNOR:
            raise BrokerError("this is no order for a sealed secret")
        value = self._secrets.get(credential.secret)
        return Made(secret=Secret(secret=value), handle=b"", expires=order.expires)

    def revoke(self, credential: AnyCredential, handle: bytes) -> None:
        """Do nothing: see the class."""

    def close(self) -> None:
        """Hold nothing."""
