"""Tokens exchanged for one action: seen by the system, and by nobody on the agent's side."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from brokers import authorization_server as standard
from brokers import searching
from brokers.performing.servers import Sink, answer
from server.carrying import SYSTEMS, governing
from server.watched import watched

AGENT = """
import sys
import bridle

with bridle.connect(sys.argv[1], role="agent") as governor:
    agent = governor.attach(sys.stdin.readline().strip(), mission=sys.argv[2], agent="clerk")
    print(agent.call("issue.create", {"repo": "main", "title": "fine"}), flush=True)
    sys.stdin.readline()
"""
TITLE = {"repo": "main", "title": "fine"}


def systems(site: standard.Site) -> str:
    credential = f"""
broker = "token_exchange"
use = "governor"
secret = "house"
endpoint = "{site.url}/token"
revocation = "{site.url}/revocation"
client_id = "{standard.GOVERNOR}"
client_secret = "client"
audience = "{standard.AUDIENCE}"
scope = "crm.read"
private = true
"""
    plain = '\nbroker = "header"\nsecret = "forge-token"\n'
    assert plain in SYSTEMS
    return SYSTEMS.replace(plain, credential)


@pytest.fixture
def site() -> Iterator[standard.Site]:
    with standard.site() as found:
        yield found


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink(b"")
    yield found
    found.close()


@pytest.fixture
def ana(tmp_path: Path, sink: Sink, site: standard.Site) -> Iterator[bridle.Bridle]:
    sealed = {"house": standard.SUBJECT, "client": standard.PASSWORD}
    with governing(tmp_path, sink.url, sealed=sealed, systems=systems(site)) as operator:
        yield operator


def token_in(request: bytes) -> str:
    found = re.search(rb"Authorization: Bearer (\S+)\r\n", request)
    assert found
    return found[1].decode()


def test_each_action_has_a_token_of_its_own_that_opens_nothing_afterwards(
    ana: bridle.Bridle, site: standard.Site, sink: Sink
) -> None:
    opened: list[bool] = []

    def look(peer, request: bytes) -> None:
        opened.append(site.opens(token_in(request)))
        peer.sendall(answer(b'{"ok": true}', "Content-Type: application/json"))

    sink.script = look
    mission = ana.start_mission("office", user="ana")
    for name in ("clerk", "scout"):
        mission.agent(name, executor="worker").call("issue.create", TITLE)
    tokens = [token_in(request) for request in sink.requests]
    assert opened == [True, True]
    assert len(set(tokens)) == 2
    wait_until_ended(ana)
    assert [site.opens(token) for token in tokens] == [False, False]


def wait_until_ended(ana: bridle.Bridle) -> None:
    from bridle.model.calls import Leases

    for _ in range(2_000):
        if not ana.rows(Leases()):
            return
    pytest.fail(str(ana.rows(Leases())))


def test_the_agents_process_and_traffic_never_hold_token_or_what_it_is_made_of(
    tmp_path: Path,
    ana: bridle.Bridle,
    sink: Sink,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def echo(peer, request: bytes) -> None:
        body = json.dumps({"ok": True, "pin": request.decode()}).encode()
        peer.sendall(answer(body, "Content-Type: application/json"))

    sink.script = echo
    mission = ana.start_mission("office", user="ana")
    with watched(tmp_path, mission, AGENT) as agent:
        secrets = (token_in(sink.requests[0]), standard.SUBJECT, standard.PASSWORD)
        # The search finds what is there.
        assert searching.places_in(agent.pid, mission.id)
        assert [searching.places_in(agent.pid, secret) for secret in secrets] == [[], [], []]
    assert "[credential]" in agent.told
    for secret in secrets:
        assert not searching.found_in(bytes(agent.tap.bytes), secret)
        assert not searching.files_with(tmp_path / "state", secret)
        assert not searching.found_in(caplog.text.encode(), secret)
