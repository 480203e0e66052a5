"""decide, begin, beat and observe over HTTP are the governor's own."""

import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

import bridle
from bridle.client.worker import Worker
from bridle.governor.governor import Governor
from bridle.model import calls
from bridle.model.verdict import Verdict
from bridle.server.acceptor import Server
from bridle.server.listening import agents_door
from gateway.http.asking import OTHER, Gateway
from server.carrying import Site

OK = {"kind": "ok", "output": '"done"'}


def decided(reference: str, id: int = 7, **more: object) -> dict[str, object]:  # noqa: A002
    return {"reference": reference, "tool": "page.get", "args": {"id": id}, "key": "1", **more}


def test_an_action_is_decided_begun_and_observed(
    site: Site, gateway: Gateway, reference: str
) -> None:
    said = gateway.ask("/v1/decide", decided(reference))
    verdict = said.body["verdict"]
    assert (said.status, verdict["effect"], verdict["args"]) == (200, "allow", '{"id": 7}')
    assert "attempt" not in verdict or not verdict["attempt"]
    begun = {"reference": reference, "action": verdict["action"], "args": verdict["args"]}
    started = gateway.ask("/v1/begin", begun)
    attempt = started.body["verdict"]["attempt"]
    assert started.status == 200
    named = {"reference": reference, "action": verdict["action"], "attempt": attempt}
    assert gateway.ask("/v1/beat", named).status == 200
    released = gateway.ask("/v1/observe", {**named, "outcome": OK})
    assert (released.status, released.body["release"]["effect"]) == (200, "allow")
    (row,) = site.ana.rows(calls.Attempts(state="ok"))
    assert (row["tool"], row["executor"]) == ("page.get", "worker")
    (explained,) = site.ana.rows(calls.Explain(action=verdict["action"]))
    assert explained["agent"] == "clerk"


def test_a_verdict_over_http_is_the_governors_own(
    gateway: Gateway, worker: Worker, reference: str
) -> None:
    said = gateway.ask("/v1/decide", decided(reference))
    over_http = msgspec.convert(said.body["verdict"], Verdict)
    own = worker.take(reference).decide("page.get", '{"id": 7}', key="1")
    # The same action, asked again: all but where the second asking is recorded.
    assert msgspec.structs.replace(own, receipt=None) == msgspec.structs.replace(
        over_http, receipt=None
    )


def test_what_is_done_is_not_done_again(gateway: Gateway, reference: str) -> None:
    verdict = gateway.ask("/v1/decide", decided(reference, start=True)).body["verdict"]
    named = {
        "reference": reference,
        "action": verdict["action"],
        "attempt": verdict["attempt"],
        "outcome": OK,
    }
    assert gateway.ask("/v1/observe", named).status == 200
    again = gateway.ask("/v1/decide", decided(reference, start=True))
    assert again.status == 409
    assert again.body["verdict"]["outcome"]["output"] == '"done"'
    assert not again.body["verdict"].get("attempt")


def test_no_refusal_is_a_success_of_http(
    site: Site, gateway: Gateway, reference: str, clerk: bridle.Agent
) -> None:
    assert gateway.code("/v1/decide", decided(reference, 13)) == (403, "forbidden")
    held = gateway.ask("/v1/decide", decided(reference, 66, key="2"))
    assert (held.status, held.body["verdict"]["effect"]) == (423, "hold")
    assert gateway.code("/v1/decide", {**decided(reference), "tool": "note.read"})[0] == 403
    site.ana.revoke(clerk, as_user="ana")
    assert gateway.code("/v1/decide", decided(reference, 8, key="3")) == (403, "revoked")
    site.stop()
    assert gateway.code("/v1/decide", decided(reference, 9, key="4"))[0] == 503


def test_what_is_held_goes_on_once_it_is_approved(
    site: Site, gateway: Gateway, reference: str
) -> None:
    asked = decided(reference, 66, start=True)
    assert gateway.ask("/v1/decide", asked).status == 423
    (row,) = site.ana.rows(calls.Approvals())
    site.ana.approve(row["id"], as_user="ben")
    said = gateway.ask("/v1/decide", asked)
    assert said.status == 200
    assert said.body["verdict"]["attempt"]


def test_what_is_rewritten_is_begun_as_it_was_rewritten(gateway: Gateway, reference: str) -> None:
    verdict = gateway.ask("/v1/decide", decided(reference, 700)).body["verdict"]
    assert (verdict["effect"], verdict["args"]) == ("modify", '{"id":100}')
    begun = {"reference": reference, "action": verdict["action"], "args": '{"id": 700}'}
    assert gateway.code("/v1/begin", begun) == (403, "protocol_error")


def test_nothing_begins_twice(gateway: Gateway, reference: str) -> None:
    verdict = gateway.ask("/v1/decide", decided(reference, start=True)).body["verdict"]
    begun = {"reference": reference, "action": verdict["action"], "args": verdict["args"]}
    assert gateway.code("/v1/begin", begun) == (403, "already_started")
    assert gateway.code("/v1/decide", decided(reference, start=True)) == (403, "already_started")


def test_a_lease_that_nobody_renews_lapses(gateway: Gateway, reference: str, site: Site) -> None:
    verdict = gateway.ask("/v1/decide", decided(reference, start=True)).body["verdict"]
    assert verdict["lease_ms"] > 0
    named = {"reference": reference, "action": verdict["action"], "attempt": "att_0"}
    assert gateway.code("/v1/beat", named)[0] in (400, 403)


def test_nothing_outside_of_what_was_handed_on(gateway: Gateway, clerk: bridle.Agent) -> None:
    exact = clerk.dispatch("worker", task="t2", tools={"page.get": bridle.exactly({"id": 7})})
    assert gateway.code("/v1/decide", decided(exact, 8)) == (403, "not_granted")
    elsewhere = clerk.dispatch("worker", task="t3", tools={"note.read": {}})
    assert gateway.code("/v1/decide", decided(elsewhere))[0] == 403


@pytest.mark.parametrize("reference", ["", "x", "bridle:" + "0" * 64, "é" * 500])
def test_what_is_no_reference_is_refused(gateway: Gateway, reference: str) -> None:
    assert gateway.ask("/v1/decide", decided(reference)).status in (400, 403)


def test_a_point_that_may_not_act_does_not(gateway: Gateway, reference: str) -> None:
    for path in ("/v1/decide", "/v1/begin", "/v1/beat", "/v1/observe"):
        assert gateway.code(path, decided(reference), token=OTHER) == (403, "point_may_not")
        assert gateway.code(path, decided(reference), token="") == (401, "token_missing")


def test_a_governor_that_begins_again_is_asked_again(
    site: Site, gateway: Gateway, reference: str, tmp_path: Path
) -> None:
    verdict = gateway.ask("/v1/decide", decided(reference, start=True)).body["verdict"]
    site.stop()
    site.governor.close()
    named = {"reference": reference, "action": verdict["action"], "attempt": verdict["attempt"]}
    assert gateway.ask("/v1/beat", named).status == 503
    assert gateway.ask("/v1/observe", {**named, "outcome": OK}).status == 503
    with closing(Governor.open(tmp_path / "bundle", state=tmp_path / "state")) as governor:
        doors = (agents_door(tmp_path / "agents.sock"),)
        server = Server(governor, doors, store=governor.core.store_id, version="0")
        server.listen()
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert gateway.ask("/v1/observe", {**named, "outcome": OK}).status == 200
            assert gateway.ask("/v1/decide", decided(reference, key="2")).status == 200
        finally:
            server.stop()
            thread.join(30)
