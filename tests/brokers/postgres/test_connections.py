"""What the broker and what is carried out keep open, and what of a connection is a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridle.brokers.performing import sql
from bridle.brokers.performing.stopping import Stop
from bridle.brokers.postgres import PostgresBroker, pool
from bridle.model.credential import PostgresCredential, Use
from bridle.model.performing import SqlCall
from bridle.model.tool import System
from brokers.database import Database
from brokers.postgres.office import KEEPER, Office
from client.scripted import until


def connections(database: Database, user: str) -> int:
    ((found,),) = database.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", user)
    return int(found)


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    return Office(database, tmp_path, database.dsn_of("keeper", KEEPER))


def performed(office: Office, statement: str) -> dict[str, object]:
    made = office.vend(Use.GOVERNOR)
    credential = PostgresCredential(use=Use.GOVERNOR, secret="crm", role="reader")
    system = System(id="crm", domain="data", credential=credential)
    try:
        how, lease = SqlCall(statement=statement), made.handle.decode()
        return sql.call(how, system, {}, made.secret, Stop(20), lease=lease)
    finally:
        office.revoke(made)


def test_a_broker_that_is_closed_leaves_no_connection_open(office: Office) -> None:
    performed(office, "SELECT 1")
    assert connections(office.database, "keeper") > 0
    office.broker.close()
    until(lambda: connections(office.database, "keeper") == 0)


def test_one_that_closes_takes_none_from_another_and_twice_is_once(office: Office) -> None:
    other = PostgresBroker(office.secrets)
    other.close()
    other.close()
    performed(office, "SELECT 1")
    assert connections(office.database, "keeper") > 0
    office.broker.close()
    until(lambda: connections(office.database, "keeper") == 0)


def test_a_connection_that_comes_back_after_the_end_is_not_kept(office: Office) -> None:
    with pool.POOL.session(office.database.dsn_of("keeper", KEEPER), Stop(20)):
        office.broker.close()
    until(lambda: connections(office.database, "keeper") == 0)


def test_connections_of_a_secret_that_was_replaced_do_not_stay(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = office.database
    performed(office, "SELECT 1")
    database.ask("CREATE ROLE next LOGIN CREATEROLE PASSWORD 'n3xt-password'")
    database.ask("GRANT reader TO next WITH ADMIN OPTION")
    office.secrets.set("crm", database.dsn_of("next", "n3xt-password"))
    monkeypatch.setattr(pool, "_IDLE_S", 0.0)
    performed(office, "SELECT 1")
    until(lambda: connections(database, "keeper") == 0)
    office.broker.close()
    database.ask("REVOKE reader FROM next CASCADE; DROP ROLE next")


def test_an_answer_has_no_password_in_it_and_keeps_what_is_none(office: Office) -> None:
    office.database.ask("CREATE TABLE leaks (said text); GRANT SELECT ON leaks TO reader")
    said = f"{KEEPER} at 127.0.0.1:{office.database.port}, 5432, postgres, reader"
    office.database.ask("INSERT INTO leaks VALUES (%s)", said)
    try:
        (row,) = performed(office, "SELECT said FROM leaks")["rows"]  # type: ignore[misc]
    finally:
        office.database.ask("DROP TABLE leaks")
        office.broker.close()
    assert row == [said.replace(KEEPER, "[credential]")]


def test_the_password_of_a_pooled_login_is_taken_out_too(
    database: Database, tmp_path: Path
) -> None:
    database.ask("CREATE ROLE plain LOGIN NOINHERIT PASSWORD 'pl4in-password' IN ROLE reader")
    office = Office(database, tmp_path, database.dsn_of("plain", "pl4in-password"))
    try:
        told = performed(office, "SELECT 'pl4in-' || 'password', 5432")
    finally:
        office.broker.close()
        database.ask("DROP ROLE plain")
    assert told["rows"] == [["[credential]", 5432]]
