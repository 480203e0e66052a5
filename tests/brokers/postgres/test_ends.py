"""Logins that try to outlast their lease, and who else is at the database meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.errors import DivisionByZero, InsufficientPrivilege

from bridle.brokers.broker import BrokerError, Made
from brokers.database import Database
from brokers.postgres.office import KEEPER, SECRET, Office, login_of, opened
from client.scripted import until

STARTING = """
SELECT l.pid FROM pg_locks l WHERE l.classid = 'pg_database'::regclass
    AND NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.pid = l.pid)
"""


class Hidden:
    """A session that has been let in, and lets itself be seen `seconds` later."""

    def __init__(self, database: Database, dsn: str, seconds: int) -> None:
        self.read: list[object] = []
        before = set(database.ask(STARTING))
        self.thread = threading.Thread(target=self._come, args=(dsn, seconds))
        self.thread.start()
        until(lambda: bool(set(database.ask(STARTING)) - before))

    def _come(self, dsn: str, seconds: int) -> None:
        late = f"-c post_auth_delay={seconds}"
        try:
            with psycopg.connect(dsn, options=late, autocommit=True) as session:
                self.read += session.execute("SELECT name FROM clients").fetchall()
        except psycopg.Error:
            pass


def test_a_session_that_hides_while_it_begins_does_not_outlast_its_login(
    office: Office, database: Database
) -> None:
    made = office.vend()
    hidden = Hidden(database, made.secret.reveal()["dsn"], 600)
    office.revoke(made)
    hidden.thread.join(20)
    assert not hidden.thread.is_alive()
    assert not hidden.read
    assert not office.lets_in(made)


def test_who_else_begins_a_session_meanwhile_is_left_alone(
    office: Office, database: Database
) -> None:
    made, other = office.vend(), office.vend()
    others = [Hidden(database, dsn, 1) for dsn in (other.secret.reveal()["dsn"], database.dsn)]
    office.revoke(made)
    for hidden in others:
        hidden.thread.join(20)
        assert hidden.read == [(SECRET,)]
    office.revoke(other)


def test_who_tries_to_get_in_all_the_time_is_out_once_it_was_revoked(
    office: Office, database: Database
) -> None:
    made, ended = office.vend(), threading.Event()
    kept: list[psycopg.Connection] = []

    def storm(_: int) -> None:
        while not ended.is_set():
            try:
                kept.append(opened(made))
            except psycopg.OperationalError:
                continue
            for session in kept[:-2]:
                session.close()

    with ThreadPoolExecutor(4) as pool:
        storms = [pool.submit(storm, n) for n in range(4)]
        until(lambda: len(kept) > 4)
        office.revoke(made)
        before = len(kept)
        try:
            assert not office.lets_in(made)
        finally:
            ended.set()
        for each in storms:
            each.result()
    for session in kept:
        with pytest.raises(psycopg.Error):
            session.execute("SELECT name FROM clients")
    assert before


@pytest.mark.parametrize(
    "way",
    ["NOINHERIT", "INHERIT GRANT reader TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"],
)
def test_whatever_its_maker_inherits_a_login_is_taken_back(
    database: Database, tmp_path, way: str
) -> None:
    attribute, _, grant = way.partition(" ")
    database.ask(f"CREATE ROLE austere LOGIN CREATEROLE {attribute} PASSWORD '{KEEPER}'")
    database.ask((grant or "GRANT reader TO {} WITH ADMIN OPTION").format("austere"))
    office = Office(database, tmp_path, database.dsn_of("austere", KEEPER))
    try:
        made = office.vend()
        with opened(made) as session:
            session.execute("SET ROLE NONE; CREATE TEMP TABLE mine (id int)")
            office.revoke(made)
            with pytest.raises(psycopg.Error):
                session.execute("SELECT 1")
        assert login_of(made) not in database.roles()
    finally:
        office.broker.close()
        database.ask("REVOKE reader FROM austere CASCADE; DROP ROLE austere")


def test_a_maker_that_may_not_hand_out_the_role_makes_nothing(database: Database, tmp_path) -> None:
    database.ask(f"CREATE ROLE poor LOGIN CREATEROLE PASSWORD '{KEEPER}'")
    office = Office(database, tmp_path, database.dsn_of("poor", KEEPER))
    before = database.roles()
    try:
        with pytest.raises(BrokerError) as refused:
            office.vend()
        assert refused.value.code == "broker_refused"
        assert database.roles() == before
    finally:
        office.broker.close()
        database.ask("DROP ROLE poor")


ATTACKS = (
    'SET ROLE "{login}"',
    "ALTER ROLE \"{login}\" PASSWORD 'mine'",
    'GRANT "{login}" TO SESSION_USER',
    'DROP ROLE "{login}"',
    "SELECT 1 / (pg_terminate_backend({pid})::int)",
    "SELECT 1 / (pg_cancel_backend({pid})::int)",
    "SELECT 1 / (count(*)::int) FROM pg_stat_activity WHERE pid = {pid} AND query LIKE '%elses%'",
    "SELECT 1 / (count(*)::int) FROM pg_stat_activity WHERE pid = {pid} AND state <> ''",
    "SELECT rolpassword FROM pg_authid",
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda text: text[:28])
def test_no_login_uses_ends_or_watches_that_of_another_action(office: Office, attack: str) -> None:
    mine, sibling = office.vend(), office.vend()
    with opened(sibling) as theirs, opened(mine) as session:
        theirs.execute("SELECT 'nobody elses'")
        for role in ("NONE", "reader"):
            session.execute(f"SET ROLE {role}")
            with pytest.raises((InsufficientPrivilege, DivisionByZero)):
                session.execute(attack.format(login=login_of(sibling), pid=theirs.info.backend_pid))
        assert theirs.execute("SELECT name FROM clients").fetchall() == [(SECRET,)]
    assert office.lets_in(sibling)
    for made in (mine, sibling):
        office.revoke(made)


def test_what_a_login_has_made_is_the_roles_and_nothing_of_it_is_left(
    office: Office, database: Database
) -> None:
    database.ask("GRANT CREATE ON SCHEMA public TO reader")
    made = office.vend()
    with opened(made) as session:
        session.execute("SET ROLE NONE; CREATE TABLE made_by_it (id int)")
        session.execute("SELECT lo_create(4711)")
    office.revoke(made)
    owner = "SELECT pg_get_userbyid({}) FROM {} WHERE {}"
    assert database.ask(owner.format("relowner", "pg_class", "relname = 'made_by_it'")) == [
        ("reader",)
    ]
    database.ask("SELECT lo_unlink(4711); DROP TABLE made_by_it")
    database.ask("REVOKE CREATE ON SCHEMA public FROM reader")


def test_its_own_password_does_not_keep_a_login_alive(office: Office) -> None:
    made: Made = office.vend()
    with opened(made) as session:
        session.execute(f"SET ROLE NONE; ALTER ROLE \"{login_of(made)}\" PASSWORD 'mine'")
        for more in ("VALID UNTIL 'infinity'", "CONNECTION LIMIT 50", "CREATEROLE"):
            with pytest.raises(psycopg.Error):
                session.execute(f'ALTER ROLE "{login_of(made)}" {more}')
    office.revoke(made)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(office.database.dsn_of(login_of(made), "mine"))
