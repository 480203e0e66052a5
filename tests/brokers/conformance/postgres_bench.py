"""Benches of a database: a login for each action, of a worker and of the governor's side."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
from msgspec import structs

from bridle.brokers.broker import Secret
from bridle.brokers.postgres import PostgresBroker
from bridle.model.credential import AnyCredential, PostgresCredential, Use
from brokers.conformance.bench import Bench, sealed_in
from brokers.conformance.loopback import nobody, silence
from brokers.database import OWNER, Database, shared


class _Logins(Bench):
    texts = (OWNER,)

    def __init__(self, folder: Path, database: Database, use: Use) -> None:
        self._database = database
        self.secrets = sealed_in(folder, house=database.dsn)
        self.broker = PostgresBroker(self.secrets)
        self.credential = PostgresCredential(use=use, secret="house", role="reader")

    def opens(self, secret: Secret) -> bool:
        try:
            with psycopg.connect(secret.reveal()["dsn"], connect_timeout=10) as connection:
                return connection.execute("SELECT current_user").fetchall() == [("reader",)]
        except psycopg.OperationalError:
            return False

    @contextmanager
    def unreachable(self) -> Generator[AnyCredential]:
        with nobody() as port:
            yield self._elsewhere(port)

    @contextmanager
    def silent(self) -> Generator[AnyCredential]:
        with silence() as port:
            yield self._elsewhere(port)

    def _elsewhere(self, port: int) -> AnyCredential:
        self.secrets.set("elsewhere", self._database.dsn_of("postgres", OWNER, port))
        return structs.replace(self.credential, secret="elsewhere")


@contextmanager
def _logins(folder: Path, use: Use) -> Generator[Bench]:
    yield _Logins(folder, shared(), use)


BENCHES = {f"postgres-{use}": partial(_logins, use=use) for use in (Use.WORKER, Use.GOVERNOR)}
