"""A database, and logins of it that make logins: a superuser, and one that is none."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from brokers.database import Database, shared
from brokers.postgres.office import KEEPER, SECRET, Office


@pytest.fixture
def database() -> Generator[Database]:
    found = shared()
    before = found.roles()
    found.ask("CREATE TABLE clients (name text); GRANT SELECT ON clients TO reader")
    found.ask("INSERT INTO clients VALUES (%s)", SECRET)
    found.ask(f"CREATE ROLE keeper LOGIN CREATEROLE PASSWORD '{KEEPER}'")
    found.ask("GRANT reader TO keeper WITH ADMIN OPTION")
    yield found
    left = found.roles() - before
    for name in left:
        found.ask(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')
    found.ask("DROP TABLE clients; REVOKE reader FROM keeper CASCADE; DROP ROLE keeper")
    assert not left


@pytest.fixture(params=["postgres", "keeper"])
def office(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Generator[Office]:
    """Logins made by a superuser, and by a login that may make roles and hand out the one."""
    dsn = database.dsn if request.param == "postgres" else database.dsn_of("keeper", KEEPER)
    made = Office(database, tmp_path, dsn)
    yield made
    made.broker.close()
