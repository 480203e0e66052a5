"""Who gets logins of a database, and the login that makes them."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import psycopg

from bridle.brokers.broker import Made, Order
from bridle.brokers.postgres import PostgresBroker
from bridle.model.credential import PostgresCredential, Use
from brokers.conformance.bench import sealed_in
from brokers.database import Database

KEEPER = "k33per-of-logins-3301"
SECRET = "secret-4711"


class Office:
    """A broker whose sealed connection string is `dsn`, and a table that its role may read."""

    def __init__(self, database: Database, folder: Path, dsn: str) -> None:
        folder.chmod(0o700)
        self.database = database
        self.secrets = sealed_in(folder, crm=dsn)
        self.broker = PostgresBroker(self.secrets)
        self.credential = PostgresCredential(use=Use.WORKER, secret="crm", role="reader")

    def vend(self, use: Use = Use.WORKER) -> Made:
        return self.broker.vend(
            Order(lease=f"lse_{uuid4().hex}", mission="m", agent="a", attempt="t", system="crm",
                  tool="crm.find", expires=time.time_ns() // 1_000_000 + 60_000,
                  credential=PostgresCredential(use=use, secret="crm", role="reader"))
        )  # fmt: skip

    def revoke(self, made: Made) -> None:
        self.broker.revoke(self.credential, made.handle)

    def lets_in(self, made: Made) -> bool:
        try:
            opened(made).close()
        except psycopg.OperationalError:
            return False
        return True


def opened(made: Made, **more: str) -> psycopg.Connection:
    """Return a session of a login."""
    return psycopg.connect(made.secret.reveal()["dsn"], autocommit=True, **more)


def login_of(made: Made) -> str:
    return made.secret.reveal()["user"]
