"""What an agent may try on what the governor's side carries out for it, over the sockets."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import bridle
from bridle.client.opening import connect
from bridle.client.transport import wire
from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from brokers.performing.servers import OK, Sink, answer
from client.raw import connected, frame, hello, read_frame
from server.attacking import TITLE, code_of
from server.carrying import SECRET, Site, Tap

# --- saying what was carried out -----------------------------------------------------------------


def test_nobody_else_says_what_came_of_it_or_has_it_go_on(
    tmp_path: Path, sink: Sink, site: Site, clerk: bridle.Agent
) -> None:
    replies: list[calls.Reply] = []

    def meddle(peer: Any, request: bytes) -> None:
        (row,) = site.ana.rows(calls.Attempts(state="started"))
        sibling = clerk.mission.session("scout", executor="worker").split(".")[0]
        with connect(tmp_path, role="agent") as other:
            for session in (clerk._session.handle, sibling):
                about = {"session": session, "attempt": row["id"]}
                for kind in (OutcomeKind.NOT_STARTED, OutcomeKind.OK, OutcomeKind.ERROR):
                    said = calls.Observe(**about, outcome=Outcome(kind, output='"mine"'))
                    replies.append(other.agents.send(said))
                replies.append(other.agents.send(calls.Beat(**about)))
                replies.append(other.agents.send(calls.Vend(**about)))
                begin = calls.Begin(session=session, action=row["action"])
                replies.append(other.agents.send(begin))
        peer.sendall(OK)

    sink.script = meddle
    assert clerk.call("issue.create", TITLE)["body"] == {"ok": True}
    assert len(replies) == 12
    for reply in replies:
        match reply:
            case calls.Released(release=release):
                assert release.effect is bridle.Effect.DENY
                assert not release.output
            case calls.Judged(verdict=verdict):
                assert verdict.effect is bridle.Effect.DENY
                assert not verdict.attempt
            case _:
                assert isinstance(reply, calls.Failed), reply
        assert SECRET not in repr(reply)
    assert len(sink.requests) == 1
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1


def test_what_is_over_is_not_talked_away_to_have_it_done_again_or_paid_back(
    site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    clerk.call("issue.create", TITLE, key="once")
    (row,) = site.ana.rows(calls.Attempts(state="ok"))
    said = calls.Observe(
        session=clerk._session.handle,
        attempt=row["id"],
        outcome=Outcome(OutcomeKind.NOT_STARTED),
        used={"calls": "0"},
    )
    reply = clerk._session.channel.send(said)
    assert isinstance(reply, calls.Released)
    assert reply.release.effect is bridle.Effect.DENY
    assert clerk.call("issue.create", TITLE, key="once")["status"] == 200
    assert len(sink.requests) == 1
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1


def test_a_second_request_with_the_same_key_waits_for_nothing_and_reaches_nobody(
    sink: Sink, clerk: bridle.Agent
) -> None:
    codes: list[str] = []

    def again(peer: Any, request: bytes) -> None:
        codes.append(code_of(lambda: clerk.call("issue.create", TITLE, key="same")))
        peer.sendall(OK)

    sink.script = again
    clerk.call("issue.create", TITLE, key="same")
    assert codes == ["already_started"]
    assert len(sink.requests) == 1


def decided(data: bytes) -> dict[str, Any]:
    text = data[data.index(b'{"op":"decide"') :].decode("utf-8", "replace")
    return json.JSONDecoder().raw_decode(text)[0]


def asked(folder: Path, body: dict[str, Any]) -> dict[str, Any]:
    with connected(folder) as raw:
        raw.sendall(hello())
        read_frame(raw)
        raw.sendall(frame(msgspec.json.encode(body)))
        reply: dict[str, Any] = json.loads(read_frame(raw))
        return reply


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "proof_replayed"),
        ({"perform": False}, "proof_invalid"),
        ({"key": "another"}, "proof_invalid"),
        ({"args": '{"repo":"main","title":"mine"}'}, "proof_invalid"),
        ({"tool": "page.get", "args": '{"id":1}'}, "proof_invalid"),
        ({"proof": None}, "proof_missing"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_request_that_was_overheard_has_nothing_carried_out(
    tmp_path: Path, sink: Sink, clerk: bridle.Agent, change: dict[str, Any], code: str
) -> None:
    tap = Tap(tmp_path / "tap", tmp_path / "agents.sock")
    try:
        handed = clerk.mission.session("clerk", executor="worker")
        with connect(tap.folder, role="agent") as near:
            agent = near.attach(handed, mission=clerk.mission.id, agent="clerk")
            agent.call("issue.create", TITLE, key="mine")
    finally:
        tap.close()
    heard = decided(bytes(tap.bytes))
    assert heard["perform"] is True
    verdict = asked(tmp_path, heard | change)["verdict"]
    assert verdict["effect"] == "deny"
    assert verdict["reasons"][0]["code"] == code
    assert len(sink.requests) == 1


def test_no_word_of_a_peer_makes_it_the_governors_side(
    tmp_path: Path, site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    seen: list[dict[str, Any]] = []

    def steal(peer: Any, request: bytes) -> None:
        (row,) = site.ana.rows(calls.Attempts(state="started"))
        call = calls.Vend(session=clerk._session.handle, attempt=row["id"])
        vend = json.loads(wire.encode(call))
        claims = ({}, {"performing": True}, {"executor": "governor"}, {"caller": "governor"})
        seen.extend(asked(tmp_path, vend | claim) for claim in claims)
        peer.sendall(OK)

    sink.script = steal
    clerk.call("issue.create", TITLE)
    assert [reply["code"] for reply in seen] == ["not_decided", *["protocol_error"] * 3]
    with pytest.raises(bridle.BridleError):
        clerk.mission.agent("clerk", executor="governor")


@pytest.mark.parametrize("verb", ["set", "list", "remove"])
def test_secrets_are_not_asked_for_nor_changed_at_the_agents_socket(
    tmp_path: Path, clerk: bridle.Agent, sink: Sink, verb: str
) -> None:
    call = calls.SecretVerb(verb=verb, name="forge-token", value="of-the-agent", as_user="ana")
    reply = asked(tmp_path, json.loads(wire.encode(call)))
    assert "code" in reply
    assert "forge-token" not in str(reply)
    clerk.call("issue.create", TITLE)
    assert SECRET.encode() in sink.requests[0]


# --- what is carried out is what was judged ------------------------------------------------------


def test_the_arguments_that_a_human_wrote_are_carried_out_and_no_others(
    site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    with pytest.raises(bridle.Held) as held:
        clerk.call("issue.create", TITLE | {"title": "delicate"})
    edited = TITLE | {"title": "delicate", "repo": "drafts"}
    site.ana.approve(held.value.approval_id, as_user="ben", args=edited)
    assert held.value.resume()["status"] == 200
    (request,) = sink.requests
    assert request.startswith(b"POST /issues/drafts HTTP/1.1\r\n")
    assert b"main" not in request
    assert held.value.resume()["status"] == 200
    assert len(sink.requests) == 1


def test_what_waits_for_a_human_is_not_carried_out_by_asking_otherwise(
    site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    with pytest.raises(bridle.Held) as held:
        clerk.call("issue.create", TITLE | {"title": "delicate"})
    hold = held.value.approval_id
    ran: list[object] = []
    assert code_of(held.value.resume) == "held"
    assert code_of(lambda: held.value.resume(lambda **a: ran.append(a)))
    site.ana.approve(hold, as_user="ben")
    assert code_of(lambda: held.value.resume(lambda **a: ran.append(a))) == "not_decided"
    other = clerk.mission.agent("scout", executor="worker")
    assert code_of(lambda: other.resume(hold)) == "not_decided"
    assert not sink.requests
    assert not ran
    assert held.value.resume()["status"] == 200


def pin(value: str) -> bytes:
    body = json.dumps({"ok": True, "pin": value}).encode()
    return answer(body, "Content-Type: application/json")


def test_a_result_that_a_rule_withholds_is_told_in_no_way(sink: Sink, clerk: bridle.Agent) -> None:
    sink.script = pin("9")
    for _ in range(2):
        with pytest.raises(bridle.Denied) as denied:
            clerk.call("issue.create", TITLE, key="k")
        assert denied.value.code == "forbidden"
        assert "ok" not in repr(denied.value.__dict__)
    assert len(sink.requests) == 1


def test_a_held_result_is_told_once_it_may_be_and_nothing_is_carried_out_again(
    site: Site, sink: Sink, clerk: bridle.Agent
) -> None:
    sink.script = pin("8")
    with pytest.raises(bridle.Held) as held:
        clerk.call("issue.create", TITLE)
    assert code_of(held.value.resume) == "held"
    site.ana.approve(held.value.approval_id, as_user="ben")
    assert held.value.resume()["body"]["pin"] == "8"
    assert len(sink.requests) == 1


def test_each_action_is_paid_for_once(site: Site, sink: Sink, clerk: bridle.Agent) -> None:
    for _ in range(4):
        clerk.call("page.get", {"id": 1}, key="same")
    for number in range(3):
        clerk.call("page.get", {"id": number}, key=f"k{number}")
    sink.script = b"HTTP/1.1 broken\r\n\r\n"
    with pytest.raises(bridle.PerformedError):
        clerk.call("page.get", {"id": 7}, key="fails")
    assert code_of(lambda: clerk.call("page.get", {"id": 8}, key="more")) == "budget_exhausted"
    assert len(sink.requests) == 5
