"""The broker of headers: a sealed secret that only the governor's own requests carry.

It leaves the governor's side in nothing but the request. Whoever may not have the next request sent
has nothing: in this sense a lease ends at once, though the system would still take the secret.
"""

from __future__ import annotations

import re

from bridle.brokers.broker import BrokerError, Made, Order, Secret
from bridle.brokers.sealed_file import SealedFile
from bridle.model.credential import AnyCredential, ExchangeCredential, HeaderCredential, Use

PLACE = "{secret}"

# RFC 9110, section 5.5, without obs-text: visible ASCII, with spaces inside only.
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


class HeaderBroker:
    """Gives a sealed secret to the governor's side. The secret has one field, `secret`."""

    def __init__(self, secrets: SealedFile) -> None:
        self._secrets = secrets

    def vend(self, order: Order) -> Made:
        """Return the secret. Raises `BrokerError`."""
        credential = order.credential
        # INVARIANT: I9 — it is made for the governor's own requests, and for no worker.
        if not isinstance(credential, HeaderCredential) or credential.use is not Use.GOVERNOR:
            raise BrokerError("this is no order for a header")
        secret = Secret(secret=self._secrets.get(credential.secret))
        header_of(credential, secret)
        return Made(secret=secret, handle=b"", expires=order.expires)

    def revoke(self, credential: AnyCredential, handle: bytes) -> None:
        """Do nothing: nobody but the governor has had it."""

    def close(self) -> None:
        """Hold nothing."""


def header_of(credential: HeaderCredential | ExchangeCredential, secret: Secret) -> tuple[str, str]:
    """Return name and value of the header that a request carries.

    Raises `BrokerError` (`secret_unusable`) where the value could not stand in one.
    """
    value = credential.form.replace(PLACE, secret.reveal()["secret"])
    if not _VALUE.fullmatch(value):
        raise BrokerError(
            "the secret cannot stand in a header",
            code="secret_unusable",
            hint="it is one line of visible ASCII; was it set with more than it has?",
        )
    return credential.header, value
