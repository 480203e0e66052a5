"""What a broker is put on to be tried: a real resource, and ways to take its source away.

Every broker is held to the same promises. What its kind cannot keep, a bench declares by name; the
suite then asserts that it really cannot, so that no gap is declared that is none, or is one no
longer. `docs/credentials.md` lists them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from bridle.brokers.broker import Broker, Secret
from bridle.brokers.sealed_file import SealedFile
from bridle.model.credential import AnyCredential

GAPS = {
    "not_revoked": "the system takes it after its lease was revoked",
    "not_expired": "the system takes it after its lease expired, until it is revoked",
    "shared": "two leases are the same secret",
    "handle_needed": "it cannot be revoked by the id of its lease alone",
    "no_source": "it is made of what the governor has, so nothing can be down or slow",
}


class Bench:
    """One broker over a real resource.

    `broker` makes what `credential` declares from what `secrets` holds. `texts` are the values that
    nobody may see, besides what is vended.
    """

    gaps: frozenset[str] = frozenset()
    broker: Broker
    credential: AnyCredential
    secrets: SealedFile
    texts: tuple[str, ...] = ()

    def again(self) -> Broker:
        """Return another broker of this kind: that of the governor after a crash."""
        return type(self.broker)(self.secrets)  # type: ignore[call-arg]

    def opens(self, secret: Secret) -> bool:
        """Tell whether the real resource lets somebody in with this, now."""
        raise NotImplementedError

    def unreachable(self) -> AbstractContextManager[AnyCredential]:
        """Yield a declaration like `credential` where nobody listens at the source."""
        raise NotImplementedError

    def silent(self) -> AbstractContextManager[AnyCredential]:
        """Yield a declaration like `credential` whose source takes connections and says nothing."""
        raise NotImplementedError


def sealed_in(folder: Path, **secrets: str) -> SealedFile:
    """Return a file with these secrets in it."""
    file = SealedFile(folder / "secrets.sealed", b"\7" * 32)
    for name, value in secrets.items():
        file.set(name, value)
    return file
