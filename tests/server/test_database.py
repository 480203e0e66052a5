"""A database behind a governor: its agents get rows, and nothing that opens it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from brokers import searching
from brokers.database import OWNER, Database, serving, shared
from server.carrying import SYSTEMS, governing
from server.watched import watched

DATABASE = """
[systems.crm]
domain = "house"
[systems.crm.credential]
broker = "postgres"
secret = "crm"
role = "reader"

[tools."crm.find"]
system = "crm"
effect = "read"
timeout = "30s"
sql = { statement = "SELECT name FROM clients WHERE id = %(id)s" }
[tools."crm.find".input]
type = "object"
required = ["id"]
additionalProperties = false
properties = { id = { type = "integer" } }

[tools."crm.ask"]
system = "crm"
effect = "write"
timeout = "30s"
sql = { argument = "statement", readonly = false }
[tools."crm.ask".input]
type = "object"
required = ["statement"]
additionalProperties = false
properties = { statement = { type = "string" } }
"""

AGENT = """
import json, sys
import bridle

with bridle.connect(sys.argv[1], role="agent") as governor:
    agent = governor.attach(sys.stdin.readline().strip(), mission=sys.argv[2], agent="clerk")
    told = [agent.call("crm.find", {"id": 7})]
    for statement in ("SELECT session_user::text", "SELECT pay FROM wages", "SELECT nonsense"):
        try:
            told.append(agent.call("crm.ask", {"statement": statement}))
        except bridle.BridleError as refused:
            told.append([repr(refused), str(refused), repr(refused.__cause__)])
    print(json.dumps(told), flush=True)
    sys.stdin.readline()
"""


class Clients(Database):
    """The shared server, with the tables of these tests."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._before = super().roles()

    def roles(self) -> set[str]:
        """Return the roles that leases have left since: other tests leave some on purpose."""
        return super().roles() - self._before


@pytest.fixture
def database() -> Iterator[Database]:
    found = Clients(shared().port)
    found.ask("CREATE TABLE clients (id int, name text); CREATE TABLE wages (pay int)")
    found.ask("INSERT INTO clients SELECT i, 'client ' || i FROM generate_series(1, 20) i")
    found.ask("GRANT SELECT ON clients TO reader")
    yield found
    found.ask("DROP TABLE clients, wages")


@pytest.fixture
def ana(tmp_path: Path, database: Database) -> Iterator[bridle.Bridle]:
    sealed = {"crm": database.dsn}
    with governing(
        tmp_path, "http://127.0.0.1:9", sealed=sealed, systems=SYSTEMS + DATABASE
    ) as operator:
        yield operator


def asleep(database: Database, number: int = 1) -> list[tuple[int, str]]:
    """Which logins are in a query that sleeps, once so many are."""
    for _ in range(3_000):
        found = database.ask(
            "SELECT pid, usename FROM pg_stat_activity WHERE query LIKE %s AND state = 'active'"
            " AND pid <> pg_backend_pid()",
            "%pg_sleep%",
        )
        if len(found) == number:
            return [(pid, name) for pid, name in found]
    pytest.fail(f"{len(found)} of {number} sleep")


def test_the_agents_process_and_traffic_never_hold_what_opens_the_database(
    tmp_path: Path, ana: bridle.Bridle, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    mission = ana.start_mission("office", user="ana")
    with watched(tmp_path, mission, AGENT) as agent:
        # The search finds what is there.
        assert searching.places_in(agent.pid, mission.id)
        assert not searching.places_in(agent.pid, OWNER)
    found, who, wages, nonsense = json.loads(agent.told)
    assert found["rows"] == [["client 7"]]
    assert who["rows"][0][0].startswith("bridle_")  # a login made for this action alone
    assert "PerformedError" in wages[0], wages
    assert "PerformedError" in nonsense[0], nonsense
    assert not searching.found_in(bytes(agent.tap.bytes), OWNER)
    assert not searching.files_with(tmp_path, OWNER)
    assert not searching.found_in(caplog.text.encode(), OWNER)
    assert not database.roles()


def test_a_revocation_ends_the_query_and_takes_its_login_and_no_other(
    ana: bridle.Bridle, database: Database
) -> None:
    ended: dict[str, object] = {}
    missions = [ana.start_mission("office", user="ana") for _ in range(2)]

    def sleep(mission: bridle.Mission) -> None:
        agent = mission.agent("clerk", executor="worker")
        try:
            ended[mission.id] = agent.call("crm.ask", {"statement": "SELECT pg_sleep(20)::text"})
        except bridle.BridleError as problem:
            ended[mission.id] = problem

    threads = [threading.Thread(target=sleep, args=(mission,)) for mission in missions]
    for thread in threads:
        thread.start()
    both = asleep(database, 2)
    assert len({name for _, name in both}) == 2  # no two actions share a login
    ana.revoke(missions[0].id, kind="mission")
    threads[0].join(15)
    assert not threads[0].is_alive()
    assert isinstance(ended[missions[0].id], bridle.BridleError)
    (left,) = asleep(database)
    assert left in both
    # The query ends first, and its login goes right after.
    assert any(database.roles() == {left[1]} for _ in range(2_000))
    database.ask("SELECT pg_cancel_backend(%s)", left[0])
    threads[1].join(15)
    assert not threads[1].is_alive()


def test_a_database_that_is_down_lets_nothing_happen(tmp_path: Path) -> None:
    with serving() as gone:
        gone.ask("CREATE ROLE reader NOLOGIN")
    sealed = {"crm": gone.dsn}
    with governing(
        tmp_path, "http://127.0.0.1:9", sealed=sealed, systems=SYSTEMS + DATABASE
    ) as operator:
        clerk = operator.start_mission("office", user="ana").agent("clerk", executor="worker")
        with pytest.raises(bridle.PerformedError) as failed:
            clerk.call("crm.find", {"id": 1})
    assert failed.value.code == "credential_unavailable"
    assert not failed.value.reached
    assert OWNER not in repr(failed.value) + str(failed.value) + repr(failed.value.__cause__)
