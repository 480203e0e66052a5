"""Benches of a database: a login for each action, of a worker and of the governor's side, made by
a superuser, and by a login that may make roles and hand out the declared one."""

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

Keeper = tuple[str, str]
KEEPER = "k33per-of-roles-2209"


class _Logins(Bench):
    def __init__(self, folder: Path, database: Database, use: Use, keeper: Keeper) -> None:
        self._database = database
        self._keeper = keeper
        self.texts = (keeper[1],)
        self.secrets = sealed_in(folder, house=database.dsn_of(*keeper))
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
        self.secrets.set("elsewhere", self._database.dsn_of(*self._keeper, port))
        return structs.replace(self.credential, secret="elsewhere")


@contextmanager
def _logins(folder: Path, use: Use) -> Generator[Bench]:
    yield _Logins(folder, shared(), use, ("postgres", OWNER))


@contextmanager
def _made_by_a_keeper(folder: Path) -> Generator[Bench]:
    """As the documentation has it: a superuser's login is nothing to seal."""
    database = shared()
    database.ask(f"CREATE ROLE keeper LOGIN CREATEROLE PASSWORD '{KEEPER}'")
    database.ask("GRANT reader TO keeper WITH ADMIN OPTION")
    before = database.roles()
    try:
        yield _Logins(folder, database, Use.WORKER, ("keeper", KEEPER))
    finally:
        for name in database.roles() - before:
            database.ask(f'DROP ROLE "{name}"')
        database.ask("REVOKE reader FROM keeper CASCADE; DROP ROLE keeper")


BENCHES = {
    **{f"postgres-{use}": partial(_logins, use=use) for use in (Use.WORKER, Use.GOVERNOR)},
    "postgres-keeper": _made_by_a_keeper,
}
