"""Statements in a real database: what they may do, what they answer, and how they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from bridle.brokers.broker import BrokerError, Order, Secret
from bridle.brokers.performing import sql
from bridle.brokers.performing.failures import PerformError, UnreachedError
from bridle.brokers.performing.stopping import Stop
from bridle.brokers.postgres import PostgresBroker
from bridle.model.credential import PostgresCredential, Use
from bridle.model.performing import SqlCall
from bridle.model.tool import System
from brokers.conformance.bench import sealed_in
from brokers.database import OWNER, Database, shared

PLAIN = "pl4in-password"


@pytest.fixture
def database() -> Generator[Database]:
    found = shared()
    before = found.roles()  # the suite for all brokers leaves those that it did not revoke
    found.ask("CREATE TABLE customers (id int, name text); CREATE TABLE salaries (pay int)")
    found.ask("INSERT INTO customers SELECT i, 'c' || i FROM generate_series(1, 50) i")
    found.ask("GRANT SELECT, INSERT ON customers TO reader")
    found.ask(f"CREATE ROLE plain LOGIN NOINHERIT PASSWORD '{PLAIN}' IN ROLE reader")
    yield found
    found.ask("DROP TABLE customers, salaries; DROP ROLE plain")
    assert found.roles() <= before


class Desk:
    """The broker and the performer, as the governor's side puts them together."""

    def __init__(self, database: Database, folder: Path, dsn: str) -> None:
        folder.chmod(0o700)
        self.database = database
        self.credential = PostgresCredential(use=Use.GOVERNOR, secret="crm", role="reader")
        self.system = System(id="crm", domain="data", credential=self.credential)
        self.broker = PostgresBroker(sealed_in(folder, crm=dsn))
        self.lease = f"lse_{uuid4().hex}"

    def vend(self, lease: str = "", use: Use = Use.GOVERNOR) -> Secret:
        now = time.time_ns() // 1_000_000
        credential = PostgresCredential(use=use, secret="crm", role="reader")
        return self.broker.vend(
            Order(lease=lease or self.lease, mission="m", agent="a", attempt="t", system="crm",
                  tool="crm.find", expires=now + 60_000, credential=credential)
        ).secret  # fmt: skip

    def run(self, how: SqlCall, stop: Stop | None = None, **arguments: object) -> dict:
        try:
            secret = self.vend()
            found = stop or Stop(20)
            return sql.call(how, self.system, arguments, secret, found, lease=self.lease)
        finally:
            self.revoke()

    def revoke(self) -> None:
        self.broker.revoke(self.credential, self.lease.encode())


@contextmanager
def _desk(database: Database, folder: Path, dsn: str) -> Generator[Desk]:
    desk = Desk(database, folder, dsn)
    try:
        yield desk
    finally:
        desk.broker.close()


@pytest.fixture
def own(database: Database, tmp_path: Path) -> Generator[Desk]:
    """Each action with a login of its own."""
    with _desk(database, tmp_path, database.dsn) as desk:
        yield desk


@pytest.fixture
def pooled(database: Database, tmp_path: Path) -> Generator[Desk]:
    """Pooled sessions of a login that is the role and nothing else."""
    with _desk(database, tmp_path, database.dsn_of("plain", PLAIN)) as desk:
        yield desk


@pytest.fixture(params=["own", "pooled"])
def desk(request: pytest.FixtureRequest) -> Desk:
    return request.getfixturevalue(request.param)


FIND = SqlCall(statement="SELECT id, name FROM customers WHERE id = %(id)s", rows=100)
FREE = SqlCall(argument="statement", readonly=False)


def test_a_statement_answers_its_rows(desk: Desk) -> None:
    told = desk.run(FIND, id=7)
    assert told == {"columns": ["id", "name"], "rows": [[7, "c7"]], "count": 1, "more": False}


def test_an_argument_is_never_part_of_the_statement(desk: Desk) -> None:
    how = SqlCall(statement="SELECT name FROM customers WHERE name = %(name)s")
    assert desk.run(how, name="x' OR '1'='1")["rows"] == []


def test_a_statement_has_no_more_than_the_rights_of_the_role(desk: Desk) -> None:
    with pytest.raises(PerformError, match="42501"):
        desk.run(SqlCall(statement="SELECT pay FROM salaries"))


def test_what_only_reads_cannot_write_nor_make_itself_write(own: Desk) -> None:
    for text in (
        "INSERT INTO customers VALUES (99, 'x')",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "DO $$ BEGIN SET TRANSACTION READ WRITE; INSERT INTO customers VALUES (99); END $$",
    ):
        with pytest.raises(PerformError, match=r"25006|25001"):
            own.run(SqlCall(argument="statement"), statement=text)
    assert own.database.ask("SELECT 1 FROM customers WHERE id = 99") == []


@pytest.mark.parametrize(
    "text",
    [
        "RESET ROLE",
        "SET ROLE NONE",
        "SELECT set_config('role', 'none', false)",
        "DO $$ BEGIN RESET ROLE; PERFORM pay FROM salaries; END $$",
        "DO $$ BEGIN SET ROLE postgres; PERFORM pay FROM salaries; END $$",
        "SET SESSION AUTHORIZATION postgres",
        "SET ROLE postgres",
        "COPY customers TO PROGRAM 'cat'",
        "COPY customers TO STDOUT",
        "COPY customers FROM STDIN",
        "SELECT 1; SELECT 2",
        "COMMIT",
        "ALTER ROLE CURRENT_USER SUPERUSER",
    ],
)
def test_a_statement_of_an_agent_does_not_escape_its_role(own: Desk, text: str) -> None:
    # Some are harmless and may run: what follows is a session of nobody.
    harmless = ("RESET ROLE", "SET ROLE NONE", "SELECT set_config('role', 'none', false)")
    if text in harmless:
        own.run(FREE, statement=text)
    else:
        with pytest.raises(PerformError):
            own.run(FREE, statement=text)
    with pytest.raises(PerformError, match="42501"):
        own.run(FREE, statement="SELECT pay FROM salaries")


def test_a_login_that_gives_itself_a_password_still_lets_nobody_in(own: Desk) -> None:
    secret = own.vend()
    dsn = secret.reveal()["dsn"]
    name = f"bridle_{own.lease}"
    text = f"""DO $$ BEGIN SET ROLE NONE; ALTER ROLE "{name}" PASSWORD 'mine'; END $$"""
    sql.call(FREE, own.system, {"statement": text}, secret, Stop(20), lease=own.lease)
    for known in (dsn, own.database.dsn_of(name, "mine")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(known)
    own.revoke()


def test_no_statement_of_an_agent_runs_in_a_session_that_is_shared(pooled: Desk) -> None:
    with pytest.raises(UnreachedError) as caught:
        pooled.run(FREE, statement="SELECT 1")
    assert caught.value.code == "credential_unusable"
    with pytest.raises(BrokerError):
        pooled.vend(use=Use.WORKER)


def test_a_login_with_more_than_the_role_is_not_pooled(pooled: Desk) -> None:
    pooled.database.ask("CREATE ROLE other NOLOGIN; GRANT other TO plain")
    try:
        with pytest.raises(BrokerError):
            pooled.vend()
    finally:
        pooled.database.ask("DROP ROLE other")


def test_a_role_that_can_become_a_superuser_is_refused(own: Desk) -> None:
    own.database.ask("CREATE ROLE chief SUPERUSER; GRANT chief TO reader")
    try:
        with pytest.raises(BrokerError):
            own.vend()
    finally:
        own.database.ask("DROP ROLE chief")


def test_revoked_a_running_query_ends_and_is_rolled_back(desk: Desk) -> None:
    how = SqlCall(
        statement="WITH w AS (INSERT INTO customers VALUES (99, 'x') RETURNING id)"
        " SELECT pg_sleep(60)::text, id FROM w",
        readonly=False,
    )
    ended: list[str] = []
    secret = desk.vend()

    def perform() -> None:
        with pytest.raises(PerformError) as caught:
            sql.call(how, desk.system, {}, secret, Stop(30), lease=desk.lease)
        ended.append(caught.value.code)

    thread = threading.Thread(target=perform)
    thread.start()
    mine = "FROM pg_stat_activity WHERE application_name = %s AND state = 'active'"
    name = f"bridle_{desk.lease}"
    while not desk.database.ask(f"SELECT 1 {mine} AND wait_event = 'PgSleep'", name):
        assert thread.is_alive()
    desk.revoke()
    thread.join(10)
    assert ended in (["connection_broken"], ["statement_refused"])
    assert desk.database.ask(f"SELECT 1 {mine}", name) == []
    assert desk.database.ask("SELECT 1 FROM customers WHERE id = 99") == []


def test_stopped_from_another_thread_a_statement_ends(desk: Desk) -> None:
    stop = Stop(30)
    timer = threading.Timer(0.3, stop.stop, ("stopped",))
    timer.start()
    began = time.monotonic()
    with pytest.raises(PerformError) as caught:
        desk.run(SqlCall(statement="SELECT pg_sleep(60)"), stop)
    assert caught.value.code == "stopped"
    assert time.monotonic() - began < 15


def test_rows_beyond_those_that_it_may_answer_are_left_out(desk: Desk) -> None:
    told = desk.run(SqlCall(statement="SELECT id FROM customers ORDER BY id", rows=3))
    assert (told["rows"], told["more"]) == ([[1], [2], [3]], True)
    told = desk.run(SqlCall(statement="SELECT repeat('x', 600000) FROM customers"))
    assert (len(told["rows"]), told["more"]) == (1, True)


def test_values_are_json_without_loss(desk: Desk) -> None:
    text = """SELECT 1.10::numeric, timestamptz '2026-01-02 03:04:05+01', '\\x00ff'::bytea,
        '{"a": [1]}'::jsonb, true, null::int, 'NaN'::float8, 0.1::float8, 9007199254740993::int8"""
    assert desk.run(SqlCall(statement=text))["rows"] == [
        ["1.10", "2026-01-02 02:04:05+00", "AP8=", {"a": [1]}, True, None, "NaN", 0.1,
         9007199254740993]
    ]  # fmt: skip


def test_nothing_is_left_in_a_pooled_session(pooled: Desk) -> None:
    leave = SqlCall(statement="SELECT set_config('bridle.left', 'x', false)")
    pooled.run(leave)
    seen = SqlCall(statement="SELECT current_setting('bridle.left', true), current_user")
    assert pooled.run(seen)["rows"] in ([[None, "reader"]], [["", "reader"]])


def test_a_refusal_says_nothing_of_what_the_server_said(desk: Desk) -> None:
    with pytest.raises(PerformError) as caught:
        desk.run(SqlCall(statement="SELECT ('se' || 'cret-4711')::int"))
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    for text in ("secret-4711", OWNER, PLAIN, "127.0.0.1"):
        assert text not in shown
