"""Executor impersonating the decider: who carries out and who decides prove themselves apart."""

from __future__ import annotations

import pytest

from bridle.model import calls
from bridle.model.calls import Caller, Failed, Offered, Opened
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.trust import credential
from bridle.trust.holder import Holder
from governor.desk import codes, judged
from governor.proving import proved
from trust.office import NOTES, SOCKET, Office, Run, edited

WORKER = credential.generate("workload", "worker")
PORTER = credential.generate("workload", "porter")
KEYED = (
    ("agents.toml", "[workloads.worker]\n", f'[workloads.worker]\nkey = "{WORKER.public}"\n'),
    ("agents.toml", "[workloads.porter]\n", f'[workloads.porter]\nkey = "{PORTER.public}"\n'),
)


@pytest.fixture
def office() -> Office:
    return Office(edited(*KEYED))


@pytest.fixture
def worker(office: Office) -> Caller:
    """A connection that has proved the session's executor."""
    return proved(office.desk, WORKER, SOCKET)


def told(run: Run, caller: Caller, *, sign: bool = True, tool: str = "note.write") -> list[str]:
    args = {"id": 1} if tool == "safe.open" else {"text": "x"}
    call = run.decision(tool, start=True, **args)
    verdict = judged(run.ask(run.proved(call) if sign else call, caller))
    run.take_effect(verdict, tool, args)
    return codes(verdict)


def test_each_without_the_other_is_denied(office: Office, worker: Caller) -> None:
    run = office.run()
    assert told(run, worker, sign=False) == ["proof_missing"]
    assert told(run, SOCKET) == ["executor_not_proven"]
    assert office.ran == []
    assert told(run, worker) == []
    assert len(office.ran) == 1


def test_an_executor_does_not_decide_with_its_own_key(office: Office, worker: Caller) -> None:
    run = office.run()
    own = Holder(WORKER._private)
    call = run.decision("note.write", start=True, text="x")
    assert codes(judged(run.ask(run.proved(call, own), worker))) == ["proof_invalid"]
    assert office.ran == []


def test_another_workload_does_not_carry_out_what_is_this_ones(office: Office) -> None:
    run = office.run()
    other = proved(office.desk, PORTER, SOCKET)
    assert told(run, other) == ["executor_not_proven"]
    decided = run.decide("note.write", caller=proved(office.desk, WORKER, SOCKET), text="x")
    assert decided.effect.runs
    begin = run.proved(calls.Begin(session=run.session, action=decided.action))
    assert codes(judged(run.ask(begin, other))) == ["executor_not_proven"]
    assert office.ran == []


def test_an_agents_key_does_not_log_in_as_a_workload(office: Office) -> None:
    run = office.run()
    posing = credential.Credential("workload", "worker", run.holder.private)
    with pytest.raises(AssertionError):
        proved(office.desk, posing, SOCKET)


def test_an_offer_is_not_taken_up_for_a_workload_that_is_not_there(
    office: Office, worker: Caller
) -> None:
    giver, receiver = office.run(), Holder.generate()
    offered = giver.offer(giver.link("scout", receiver, NOTES))
    assert isinstance(offered, Offered)
    blank = calls.Proof(time=0, nonce="0" * 32, signature="")
    accept = calls.Accept(grant=offered.grant, executor="worker", proof=blank)
    signed = giver.proved(accept, receiver, offered.grant)
    refusal = giver.ask(signed, SOCKET)
    assert isinstance(refusal, Failed)
    assert refusal.code == "executor_not_proven"
    again = giver.proved(accept, receiver, offered.grant)
    assert isinstance(giver.ask(again, worker), Opened)


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_STARTED, OutcomeKind.ERROR])
def test_whoever_has_the_handle_alone_cannot_say_that_nothing_happened(
    office: Office, worker: Caller, kind: OutcomeKind
) -> None:
    def starts_after_it_was_said_by(caller: Caller) -> bool:
        run = office.run()
        call = run.decision("note.write", start=True, text="x")
        first = judged(run.ask(run.proved(call), worker))
        assert first.attempt
        outcome = Outcome(kind, error="connect")
        run.ask(calls.Observe(session=run.session, attempt=first.attempt, outcome=outcome), caller)
        ends.append(office.desk.leaves("outcome")[-1].body["kind"])
        return bool(judged(run.ask(run.proved(call), worker)).attempt)

    ends: list[str] = []
    assert not starts_after_it_was_said_by(SOCKET)
    assert kind is OutcomeKind.ERROR or starts_after_it_was_said_by(worker)
    assert ends[0] == "unknown"


def test_the_record_tells_them_apart(office: Office, worker: Caller) -> None:
    run = office.run()
    assert told(run, worker) == []
    ids = office.desk.leaves("started")[-1].ids
    assert (ids["agent"], ids["executor"]) == ("clerk", "worker")
    assert (ids["key"], ids["proof"]) == (run.holder.fingerprint[:16], "ed25519")
