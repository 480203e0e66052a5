"""The bench of exchanged tokens: an authorization server, and a resource that asks it each time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from bridle.brokers.broker import Secret
from bridle.brokers.token_exchange import TokenExchangeBroker
from bridle.model.credential import AnyCredential, ExchangeCredential, Use
from brokers import authorization_server as standard
from brokers.conformance import loopback
from brokers.conformance.bench import Bench, sealed_in


class _Exchange(Bench):
    # The server gives tokens a life of its own, and knows nothing of leases.
    gaps = frozenset({"not_expired", "handle_needed"})
    texts = (standard.SUBJECT, standard.PASSWORD)

    def __init__(self, folder: Path, site: standard.Site) -> None:
        self.site = site
        self.secrets = sealed_in(folder, house=standard.SUBJECT, client=standard.PASSWORD)
        self.broker = TokenExchangeBroker(self.secrets)
        self.credential: ExchangeCredential = ExchangeCredential(
            use=Use.WORKER,
            secret="house",
            endpoint=site.url + "/token",
            revocation=site.url + "/revocation",
            client_id=standard.GOVERNOR,
            client_secret="client",
            audience=standard.AUDIENCE,
            scope="crm.read",
            private=True,
        )

    def opens(self, secret: Secret) -> bool:
        return bool(self.site.opens(secret.reveal()["secret"]))

    @contextmanager
    def unreachable(self) -> Generator[AnyCredential]:
        with loopback.nobody() as port:
            yield self._at(port)

    @contextmanager
    def silent(self) -> Generator[AnyCredential]:
        with loopback.silence() as port:
            yield self._at(port)

    def _at(self, port: int) -> ExchangeCredential:
        url = f"http://127.0.0.1:{port}"
        return structs.replace(self.credential, endpoint=url + "/token", revocation=url + "/rev")


@contextmanager
def _exchange(folder: Path) -> Generator[Bench]:
    with standard.site() as site:
        yield _Exchange(folder, site)


BENCHES = {"token_exchange": _exchange}
