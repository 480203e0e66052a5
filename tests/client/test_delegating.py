"""Handing on, proving and taking back, with a governor in a process of its own."""

import asyncio
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

import bridle
from bridle.client.transport import runs
from bridle.model import calls
from bridle.model.errors import RefusedError, UsageError
from bridle.trust.grants.codes import GrantError
from bridle.trust.holder import Holder
from client import raw
from client.desk import TICKET, copied, environment, serving
from client.scripted import Sink

COMMENT = {"id": 1, "body": "hello"}
HANDING = """
@id("hand-on")
permit (principal, action == Action::"delegate", resource);
"""


def handing(folder: Path) -> Path:
    """A bundle in which everybody may do everything, and hand it on."""
    bundle = copied(folder)
    (bundle / "governance" / "handing.dw").write_text(HANDING, "utf-8")
    policies = '@id("all") permit (principal, action, resource);'
    (bundle / "policies" / "all.dw").write_text(policies, "utf-8")
    # There, and in its scenarios, researchers do not write.
    remedies = bundle / "policies" / "remedies.cedar"
    text = remedies.read_text("utf-8")
    writing = '[Action::"write", Action::"irreversible"]'
    assert writing in text
    text = text.replace(writing, '[Action::"irreversible"]')
    remedies.write_text(text, "utf-8")
    shutil.rmtree(bundle / "tests")
    return bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the sockets of a governor for all tests here."""
    place = tmp_path_factory.mktemp("handing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(place / "state"))
        with serving(handing(place)) as served:
            yield served.runtime


@pytest.fixture
def gov(folder: Path) -> Iterator[bridle.Bridle]:
    with bridle.connect(folder) as governor:
        yield governor


@pytest.fixture
def triage(gov: bridle.Bridle) -> bridle.Agent:
    return started(gov)


def started(gov: bridle.Bridle) -> bridle.Agent:
    return gov.start_mission("ticket-desk", user="ana").agent("triage", executor="worker-1")


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(bridle.BridleError) as refused:
        act()
    return refused.value.code


def comment(agent: bridle.Agent, **more: Any) -> Any:
    return agent.call("desk.comment", COMMENT, effect=Sink("written"), **more)


def delegated(agent: bridle.Agent, **more: Any) -> bridle.Agent:
    more = {"tools": ["desk.comment"], "executor": "worker-1"} | more
    return agent.delegate("researcher", **more)


# --- proving ------------------------------------------------------------------------------------


def exchanged(connection: Any, body: bytes) -> Any:
    connection.sendall(raw.frame(body))
    return msgspec.json.decode(raw.read_frame(connection))


def greeted(folder: Path) -> tuple[Any, str]:
    """A bare connection, and the instance that the governor greets with."""
    connection = raw.connected(folder)
    connection.sendall(raw.hello())
    return connection, msgspec.json.decode(raw.read_frame(connection))["instance"]


def request(agent: bridle.Agent, instance: str, **changes: Any) -> bytes:
    """A proved request as it travels."""
    handle = agent._session.handle
    call = calls.Decide(
        session=handle, tool="desk.comment", args='{"body":"hello","id":1}', key="k"
    )
    proved = runs.proved(call, instance)
    return msgspec.json.encode(structs.replace(proved, **changes))


def judged(answer: Any) -> tuple[str, list[str]]:
    verdict = answer["verdict"]
    return verdict["effect"], [reason["code"] for reason in verdict.get("reasons", ())]


def test_a_captured_request_is_worth_nothing_on_any_connection(
    folder: Path, triage: bridle.Agent
) -> None:
    first, instance = greeted(folder)
    second, again = greeted(folder)
    assert instance == again
    assert len(instance) == 64
    with first, second:
        body = request(triage, instance)
        assert judged(exchanged(first, body))[0] == "allow"
        assert judged(exchanged(second, body)) == ("deny", ["proof_replayed"])
        assert judged(exchanged(first, body)) == ("deny", ["proof_replayed"])


def test_a_stolen_handle_is_worth_nothing_without_the_key(
    folder: Path, triage: bridle.Agent
) -> None:
    connection, instance = greeted(folder)
    with connection:
        bare = request(triage, instance, proof=None)
        assert judged(exchanged(connection, bare)) == ("deny", ["proof_missing"])
        other = structs.replace(
            msgspec.json.decode(bare, type=calls.Decide),
            proof=Holder.generate().prove(
                msgspec.json.decode(bare, type=calls.Decide), instance, triage.grant
            ),
        )
        stolen = exchanged(connection, msgspec.json.encode(other))
        assert judged(stolen) == ("deny", ["proof_invalid"])


@pytest.mark.parametrize(
    "changed",
    [
        {"args": '{"body":"bye","id":1}'},
        {"tool": "desk.search"},
        {"key": "other"},
        {"start": True},
        {"adapter": "other"},
        {"requester": "0" * 64},
    ],
)
def test_a_proof_is_for_one_request_to_the_letter(
    folder: Path, triage: bridle.Agent, changed: dict[str, Any]
) -> None:
    connection, instance = greeted(folder)
    with connection:
        answer = judged(exchanged(connection, request(triage, instance, **changed)))
        assert answer == ("deny", ["proof_invalid"])


def test_a_proof_made_for_one_governor_process_is_none_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bundle = handing(tmp_path)
    with serving(bundle) as served, bridle.connect(bundle) as governor:
        triage = started(governor)
        connection, old = greeted(served.runtime)
        connection.close()
        assert comment(triage, key="before") == "written"
        captured = request(triage, old)
        served.end(signal.SIGKILL)
        with serving(bundle) as again:
            # The client goes on by itself: each try is proved for whoever answers.
            assert comment(triage, key="after") == "written"
            connection, new = greeted(again.runtime)
            with connection:
                assert new != old
                assert judged(exchanged(connection, captured)) == ("deny", ["proof_invalid"])


def test_everything_an_agent_asks_is_proved(gov: bridle.Bridle, triage: bridle.Agent) -> None:
    verdict = triage.decide("desk.comment", COMMENT, key="k")
    begun = triage.begin(verdict)
    triage.observe(begun, bridle.Outcome("ok", output="null"))
    assert comment(triage, key="called") == "written"

    async def asynchronous() -> Any:
        return await triage.acall("desk.comment", COMMENT, effect=Sink("written"))

    assert asyncio.run(asynchronous()) == "written"
    ticket = triage.call("desk.read_ticket", {"id": 7}, effect=Sink(TICKET))
    assert ticket["id"] == 7


def test_threads_of_one_run_prove_side_by_side(triage: bridle.Agent) -> None:
    got: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: got.append(comment(triage, key=f"k{n}")))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == ["written"] * 16


def test_a_forked_child_is_the_same_run(triage: bridle.Agent) -> None:
    assert comment(triage, key="parent") == "written"
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if comment(triage, key="child") == "written" else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- handing over -------------------------------------------------------------------------------

ATTACHED = """
import sys, bridle
sockets, secret, mission = sys.argv[1:4]
with bridle.connect(sockets, role="agent") as governor:
    agent = governor.attach(secret, mission=mission, agent="triage")
    print(agent.call("desk.comment", {"id": 1, "body": "hello"}, effect=lambda id, body: body))
"""

RECEIVER = """
import sys, bridle
with bridle.connect(sys.argv[1], role="agent") as governor:
    invited = governor.invite("researcher")
    print(invited.public, flush=True)
    agent = invited.accept(sys.stdin.readline().strip(), executor="worker-1")
    print(agent.call("desk.comment", {"id": 1, "body": "hello"}, effect=lambda id, body: body))
"""


def test_a_session_handed_over_acts_and_proves_in_another_process(
    folder: Path, gov: bridle.Bridle
) -> None:
    mission = gov.start_mission("ticket-desk", user="ana")
    secret = mission.session("triage", executor="worker-1")
    done = subprocess.run(
        [sys.executable, "-c", ATTACHED, str(folder), secret, mission.id],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "hello\n", done.stderr
    handle = secret.split(".")[0]
    half = gov.attach(handle, mission=mission.id, agent="triage")
    with pytest.raises(bridle.Denied) as refused:
        comment(half)
    assert refused.value.code == "proof_missing"
    assert "Mission.session" in refused.value.hint


def test_a_task_goes_to_a_process_that_has_no_operator(folder: Path, triage: bridle.Agent) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RECEIVER, str(folder)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as receiver:
        assert receiver.stdin is not None
        assert receiver.stdout is not None
        public = receiver.stdout.readline().strip()
        offer = triage.offer("researcher", to=public, tools=["desk.comment"])
        told, _ = receiver.communicate(offer.reference + "\n", timeout=60)
        assert told == "hello\n"


def test_what_was_handed_on_may_do_what_it_was_given_and_nothing_else(triage: bridle.Agent) -> None:
    helper = delegated(
        triage, tools={"desk.comment": {"id": bridle.eq(1), "body": bridle.anything()}}
    )
    assert comment(helper) == "written"
    sink = Sink()
    other = {**COMMENT, "id": 2}
    assert code_of(lambda: helper.call("desk.comment", other, effect=sink)) == "not_granted"
    assert code_of(lambda: helper.call("desk.search", {"query": "x"}, effect=sink)) == "not_granted"
    assert sink.ran == 0


def test_a_key_names_a_step_of_its_own_line(triage: bridle.Agent) -> None:
    helper = delegated(triage)
    assert comment(triage, key="k") == comment(helper, key="k") == "written"
    assert triage.decide("desk.comment", COMMENT, key="k").action != (
        helper.decide("desk.comment", COMMENT, key="k").action
    )


def test_an_offer_is_taken_up_once_and_by_nobody_else(
    gov: bridle.Bridle, triage: bridle.Agent
) -> None:
    invited = gov.invite("researcher")
    offer = triage.offer("researcher", to=invited.public, tools=["desk.comment"])
    with pytest.raises(RefusedError):
        gov.invite("researcher").accept(offer.reference, executor="worker-1")
    assert comment(invited.accept(offer.reference, executor="worker-1")) == "written"
    with pytest.raises(RefusedError):
        invited.accept(offer.reference, executor="worker-1")


def test_keys_do_not_leave_the_process_with_pickles(triage: bridle.Agent) -> None:
    helper = delegated(triage)
    for agent in (triage, helper):
        seed = agent._session.run.holder.seed_text()
        for said in (repr(agent), repr(agent._session.run), str(vars(agent))):
            assert seed not in said
    assert triage._session.run.holder.seed_text().encode() not in pickle.dumps(triage)


@pytest.mark.parametrize("expires", ["", "15", "0m", "-1s", "1y", 0, -5, 1e12])
def test_terms_that_mean_nothing_are_refused_before_anything_is_signed(
    triage: bridle.Agent, expires: Any
) -> None:
    with pytest.raises((UsageError, GrantError)):
        delegated(triage, expires=expires)


# --- serving, and taking back -------------------------------------------------------------------


def test_a_deputy_does_what_both_may(triage: bridle.Agent) -> None:
    helper = delegated(triage)
    deputy = triage.serving(helper.context)
    assert comment(deputy) == "written"
    read = {"tool": "desk.read_ticket", "args": {"id": 7}, "effect": Sink(TICKET)}
    assert code_of(lambda: deputy.call(**read)) == "not_granted"
    assert triage.call(**read)["id"] == 7
    assert helper._session.handle not in helper.context


def test_what_is_revoked_starts_nothing_more(gov: bridle.Bridle, triage: bridle.Agent) -> None:
    helper = delegated(triage)
    verdict = helper.decide("desk.comment", COMMENT, key="k")
    assert gov.revoke(helper, as_user="ana").quiesce(timeout=10) == []
    assert code_of(lambda: helper.begin(verdict)) == "revoked"
    assert code_of(lambda: comment(helper)) == "revoked"
    assert comment(triage) == "written"


def test_a_giver_takes_back_what_came_from_it_and_nothing_above(
    gov: bridle.Bridle, triage: bridle.Agent
) -> None:
    helper = delegated(triage)
    with pytest.raises(RefusedError):
        helper.revoke(triage)
    triage.revoke(helper)
    assert code_of(lambda: comment(helper)) == "revoked"


def test_an_effect_that_runs_is_listed_told_and_waited_for(
    gov: bridle.Bridle, triage: bridle.Agent
) -> None:
    helper = delegated(triage)
    runs_now, told = threading.Event(), threading.Event()
    heard: list[str] = []

    def effect(id: int, body: str) -> str:  # noqa: A002 - the tool's argument
        bridle.on_stop(lambda why: (heard.append(why), told.set()))
        runs_now.set()
        assert told.wait(60)
        return body

    acting = threading.Thread(
        target=lambda: helper.call("desk.comment", COMMENT, effect=effect, on_denied="return")
    )
    acting.start()
    assert runs_now.wait(60)
    fenced = gov.revoke(helper, as_user="ana")
    assert [row["tool"] for row in fenced.running] == ["desk.comment"]
    assert fenced.quiesce(timeout=60) == []
    acting.join(60)
    assert heard == ["revoked"]
