"""Authority that ends before, while or after the governor's side carries something out under it."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.transport import runs
from bridle.governor.governor import Governor
from bridle.model import calls
from bridle.server import acceptor
from bridle.server.performing import Performances
from brokers.performing.servers import OK, Sink, answer, hang
from server.attacking import GOVERNANCE, JUDGED, MISSIONS, RULED, TITLE, code_of
from server.carrying import SECRET, SYSTEMS, Site, serving, written


def endings(site: Site, clerk: bridle.Agent) -> dict[str, Callable[[], object]]:
    ana = site.ana
    return {
        "grant": lambda: ana.revoke(clerk.grant, as_user="ana"),
        "killed": lambda: ana.kill("agent", "clerk", as_user="ana"),
        "all": lambda: ana.kill("all", as_user="ana"),
        "mission": lambda: clerk.mission.close(anyway=True),
        "suspended": clerk.mission.suspend,
        "tool": lambda: ana.kill("tool", "issue.create", as_user="ana"),
    }


@pytest.mark.parametrize("how", ["grant", "killed", "all", "mission", "suspended", "tool"])
def test_what_ends_before_or_meanwhile_ends_the_request(
    site: Site, sink: Sink, clerk: bridle.Agent, how: str
) -> None:
    sink.script = hang
    end = endings(site, clerk)[how]

    def later() -> None:
        assert sink.arrived.wait(20)
        end()

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises((bridle.PerformedError, bridle.Denied)):
        clerk.call("issue.create", TITLE)
    thread.join()
    assert sink.ended.wait(20)
    sink.script = OK
    assert code_of(lambda: clerk.call("issue.create", TITLE))
    assert len(sink.requests) == 1
    assert not site.ana.rows(calls.Attempts(state="started"))


def test_a_run_that_is_revoked_meanwhile_is_not_told_what_came_of_it(
    site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    def late(peer: Any, request: bytes) -> None:
        site.ana.revoke(clerk.grant, as_user="ana")
        peer.sendall(OK)

    sink.script = late
    for _ in range(2):
        assert code_of(lambda: clerk.call("issue.create", TITLE, key="k")) == "revoked"
    assert len(sink.requests) == 1
    # What came of it is known all the same.
    assert site.ana.rows(calls.Attempts(state="ok"))


def test_what_was_handed_on_is_carried_out_within_the_grant_and_ends_with_the_chain(
    site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    within = {"repo": bridle.one_of("main"), "title": bridle.one_of("fine")}
    scout = clerk.delegate("scout", tools={"issue.create": within})
    assert scout.call("issue.create", TITLE)["status"] == 200
    other = TITLE | {"repo": "other"}
    assert code_of(lambda: scout.call("issue.create", other)) == "not_granted"
    assert code_of(lambda: scout.call("page.get", {"id": 1})) == "not_granted"
    sink.script = hang
    sink.arrived.clear()
    sink.ended.clear()

    def later() -> None:
        assert sink.arrived.wait(20)
        site.ana.revoke(clerk.grant, as_user="ana")

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises((bridle.PerformedError, bridle.Denied)):
        scout.call("issue.create", TITLE)
    thread.join()
    assert sink.ended.wait(20)
    assert code_of(lambda: scout.call("issue.create", TITLE)) == "revoked"
    assert len(sink.requests) == 2


def test_a_deputy_has_nothing_carried_out_that_whom_it_serves_may_not(
    sink: Sink, clerk: bridle.Agent
) -> None:
    scout = clerk.delegate("scout", tools=["page.get"])
    deputy = clerk.serving(scout.context)
    assert deputy.call("page.get", {"id": 1})["status"] == 200
    assert code_of(lambda: deputy.call("issue.create", TITLE)) == "not_granted"
    assert len(sink.requests) == 1


@pytest.mark.parametrize("whom", ["clerk", "scout"])
def test_governance_speaks_of_everybody_whom_a_credential_would_come_through(
    tmp_path: Path, sink: Sink, whom: str
) -> None:
    forbid = f'@id("no") forbid (principal == Agent::"{whom}", '
    forbid += 'action == Action::"vend_credential", resource);\n'
    files = {"missions.toml": MISSIONS, "governance/permits.dw": GOVERNANCE + forbid}
    with serving(tmp_path, sink.url, files=files) as site:
        clerk = site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")
        scout = clerk.delegate("scout", tools=["*"])
        assert code_of(lambda: scout.call("issue.create", TITLE)) == "credential_denied"
        assert not sink.requests
        assert scout.call("page.get", {"id": 1})["status"] == 200


# --- between two steps ---------------------------------------------------------------------------


class Between:
    """A governor to whose performer something happens just before it is asked for a credential."""

    def __init__(self, governor: Governor, what: Callable[[], object]) -> None:
        self._governor = governor
        self._what = what

    def __getattr__(self, name: str) -> Any:
        return getattr(self._governor, name)

    def handle(self, caller: calls.Caller, call: calls.Call) -> calls.Reply:
        if isinstance(call, calls.Vend):
            self._what()
        return self._governor.handle(caller, call)


def performed(
    site: Site, clerk: bridle.Agent, what: Callable[[], object], room: Performances | None = None
) -> calls.Reply:
    room = room or Performances(Between(site.governor, what))
    call = calls.Decide(
        session=clerk._session.handle,
        tool="issue.create",
        args=json.dumps(TITLE),
        key="between",
        start=True,
        perform=True,
    )
    caller = calls.Caller(operator=False, method="peer:0", uid=0)
    return room.answer(caller, runs.proved(call, site.governor.instance))


def test_a_bundle_that_moves_the_system_meanwhile_sends_no_credential_anywhere(
    tmp_path: Path, site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    other = Sink(OK)

    def move() -> None:
        written(tmp_path, other.url, JUDGED, RULED)
        site.ana.activate(as_user="ana")

    try:
        reply = performed(site, clerk, move)
        assert isinstance(reply, calls.Performed)
        assert (reply.error, reply.reached) == ("credential_denied", False)
        assert not sink.requests
        assert not other.requests
        assert clerk.call("issue.create", TITLE, key="after")["status"] == 200
        assert len(other.requests) == 1
        assert not sink.requests
    finally:
        other.close()


@pytest.mark.parametrize("how", ["grant", "killed", "all", "mission", "suspended", "tool"])
def test_what_ends_between_start_and_credential_sends_nothing(
    site: Site, sink: Sink, clerk: bridle.Agent, how: str
) -> None:
    reply = performed(site, clerk, endings(site, clerk)[how])
    assert isinstance(reply, calls.Performed)
    assert not reply.reached
    assert not sink.requests
    assert SECRET not in repr(reply)
    assert [row["state"] for row in site.ana.rows(calls.Leases(all=True))] in ([], ["failed"])


def test_a_credential_that_comes_once_the_governor_ends_is_sent_nowhere(
    site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    def end() -> None:
        room.end()

    room = Performances(Between(site.governor, end))
    reply = performed(site, clerk, lambda: None, room)
    assert isinstance(reply, calls.Performed)
    assert (reply.error, reply.reached) == ("stopped", False)
    assert not sink.requests
    assert isinstance(performed(site, clerk, lambda: None, room), calls.Judged)


def test_a_server_that_stops_ends_what_it_carries_out_and_records_that(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "_GRACE", 0.2)
    sink.script = hang
    codes: list[str] = []
    with serving(tmp_path, sink.url) as site:
        clerk = site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")
        thread = threading.Thread(
            target=lambda: codes.append(code_of(lambda: clerk.call("issue.create", TITLE)))
        )
        thread.start()
        assert sink.arrived.wait(20)
    thread.join(20)
    assert not thread.is_alive()
    assert sink.ended.wait(20)
    assert codes
    governor = Governor.open(tmp_path / "bundle", state=tmp_path / "state")
    try:
        operator = calls.Caller(operator=True, method="peer:0", uid=0)
        listed = governor.handle(operator, calls.Attempts(state="error"))
        assert isinstance(listed, calls.Listing)
        assert [row["error"] for row in listed.rows] == ["stopped"]
    finally:
        governor.close()


def test_nothing_goes_on_with_a_credential_whose_time_is_up(tmp_path: Path, sink: Sink) -> None:
    sink.script = hang
    short = SYSTEMS.replace('secret = "forge-token"', 'secret = "forge-token"\nlease = "1s"')
    with serving(tmp_path, sink.url, systems=short) as site:
        clerk = site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")
        began = time.monotonic()
        with pytest.raises(bridle.PerformedError) as failed:
            clerk.call("issue.create", TITLE)
        assert failed.value.code == "timed_out"
        # The tool itself has 30 seconds.
        assert time.monotonic() - began < 20
        assert failed.value.reached
        assert sink.ended.wait(20)


def test_a_token_that_is_made_after_its_authority_has_ended_is_used_by_nobody(
    tmp_path: Path, sink: Sink
) -> None:
    go = threading.Event()
    token = "tok-of-an-authority-that-is-gone"
    fields = {
        "access_token": token,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 60,
    }

    def slow(peer: Any, request: bytes) -> None:
        assert go.wait(20)
        peer.sendall(answer(json.dumps(fields).encode(), "Content-Type: application/json"))

    tokens, ended = Sink(slow), Sink(answer(b"{}", "Content-Type: application/json"))
    credential = (
        '\nbroker = "token_exchange"\nuse = "governor"\nsecret = "forge-token"\nprivate = true\n'
        f'endpoint = "{tokens.url}/token"\nrevocation = "{ended.url}/revoke"\n'
    )
    systems = SYSTEMS.replace('\nbroker = "header"\nsecret = "forge-token"\n', credential)
    try:
        with serving(tmp_path, sink.url, systems=systems) as site:
            clerk = site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")

            def revoke() -> None:
                assert tokens.arrived.wait(20)
                site.ana.revoke(clerk.grant, as_user="ana")
                go.set()

            thread = threading.Thread(target=revoke)
            thread.start()
            code = code_of(lambda: clerk.call("issue.create", TITLE))
            thread.join()
            assert code in ("credential_denied", "credential_unavailable")
            assert ended.arrived.wait(20)
            assert token.encode() in ended.requests[0]
            assert not sink.requests
    finally:
        tokens.close()
        ended.close()


def test_more_at_once_than_there_is_room_for_are_all_carried_out_once(
    tmp_path: Path, sink: Sink
) -> None:
    together = threading.Barrier(64 + 1)
    first = threading.Semaphore(64)

    def slow(peer: Any, request: bytes) -> None:
        if first.acquire(blocking=False):
            together.wait(30)
        peer.sendall(OK)

    sink.script = slow
    results: list[Any] = []
    with serving(tmp_path, sink.url) as site:
        clerk = site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")
        threads = [
            threading.Thread(target=lambda n=n: results.append(clerk.call("page.get", {"id": n})))
            for n in range(72)
        ]
        for thread in threads:
            thread.start()
        together.wait(30)
        for thread in threads:
            thread.join(30)
        assert [result["status"] for result in results] == [200] * 72
        assert len({request.split(b" ")[1] for request in sink.requests}) == 72
        assert len(sink.requests) == 72
        assert len(site.ana.rows(calls.Attempts(state="ok"))) == 72
