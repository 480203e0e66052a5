"""Replay: a captured request is good once, for what it asks, with this start of this governor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bridle.model import calls
from bridle.store.sqlite import open_store
from governor.desk import codes, judged
from trust.office import SOCKET, Office


@pytest.fixture
def office() -> Office:
    return Office()


def test_the_same_request_is_not_heard_twice(office: Office) -> None:
    run = office.run()
    call = run.proved(run.decision("note.write", start=True, text="once"))
    first, again = judged(run.ask(call)), judged(run.ask(call))
    assert first.attempt
    assert codes(again) == ["proof_replayed"]
    assert run.take_effect(first, "note.write", {"text": "once"}) == ""
    assert codes(judged(run.ask(call))) == ["proof_replayed"]
    assert len(office.ran) == 1


def test_of_64_threads_with_one_proof_exactly_one_is_heard(office: Office) -> None:
    run = office.run()
    call = run.proved(run.decision("bell.ring", start=True, times=1))
    # Copies: the same bytes arriving over as many connections.
    copies = [structs.replace(call) for _ in range(64)]
    with ThreadPoolExecutor(64) as pool:
        told = list(pool.map(lambda each: judged(run.ask(each)), copies))
    assert sorted(codes(verdict) for verdict in told) == [[], *[["proof_replayed"]] * 63]
    assert sum(bool(verdict.attempt) for verdict in told) == 1


CHANGES: dict[str, dict[str, Any]] = {
    "arguments": {"args": '{"text":"other"}'},
    "spelling of the arguments": {"args": '{"text": "mine"}'},
    "tool": {"tool": "note.index"},
    "key": {"key": "other"},
    "start": {"start": True},
    "adapter": {"adapter": "mcp"},
    "definition": {"definition": "ab" * 32},
    "requester": {"requester": "ab" * 32},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_proof_is_for_no_other_request(office: Office, name: str) -> None:
    run = office.run()
    call = run.proved(run.decision("note.write", text="mine"))
    assert codes(judged(run.ask(structs.replace(call, **CHANGES[name])))) == ["proof_invalid"]


def test_nor_for_another_operation_or_session(office: Office) -> None:
    run, other = office.run(), office.run()
    decided = run.decide("note.write", text="mine")
    proof = run.proved(run.decision("note.write", text="mine")).proof
    begin = calls.Begin(session=run.session, action=decided.action, proof=proof)
    assert codes(judged(run.ask(begin))) == ["proof_invalid"]
    call = other.decision("note.write", text="mine")
    assert codes(judged(other.ask(run.proved(call)))) == ["proof_invalid"]


def test_a_proof_does_not_outlive_the_governor_it_was_made_for(tmp_path: Path) -> None:
    before = Office(store=open_store(tmp_path / "bridle.db"))
    run = before.run()
    used = run.proved(run.decision("note.write", start=True, text="mine"))
    assert judged(run.ask(used)).attempt
    unused = run.proved(run.decision("note.write", start=True, text="mine"))
    before.desk.core.store.close()
    after = Office(store=open_store(tmp_path / "bridle.db"), start=before.desk.clock.now())
    for call in (used, unused):
        assert codes(judged(after.desk.ask(call, SOCKET))) == ["proof_invalid"]
    run.office = after
    assert run.act("bell.ring", key="later", times=1) == ""
