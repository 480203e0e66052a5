"""Revocation race: what starts after `revoke` returned is nothing; the rest is on its list."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bridle.model.calls import Fenced
from bridle.store.sqlite import open_store
from governor.desk import codes
from trust.office import NOTES, Office, Run


@pytest.fixture
def office() -> Office:
    return Office()


SUBJECTS: dict[str, Callable[[Run], str]] = {
    "grant": lambda run: run.grant,
    "key": lambda run: run.holder.fingerprint,
    "agent": lambda run: run.agent,
    "mission": lambda run: run.office.desk.mission,
    "user": lambda run: "ana",
}


@pytest.mark.parametrize("kind", SUBJECTS)
def test_an_action_between_decision_and_start_does_not_start(office: Office, kind: str) -> None:
    run = office.run().hand("scout", NOTES)
    decided = run.decide("note.write", text="x")
    assert decided.effect.runs
    fenced = office.revoke(kind, SUBJECTS[kind](run))
    assert fenced.running == []
    told = run.begin(decided.action)
    assert codes(told) == ["revoked"]
    assert run.take_effect(told, "note.write", {}) == "revoked"
    assert office.ran == []


@pytest.mark.parametrize("kind", SUBJECTS)
def test_what_had_started_is_on_the_list_and_nothing_else(office: Office, kind: str) -> None:
    top = office.run()
    run, other = top.hand("scout", NOTES), top.hand("digger", NOTES)
    started = run.decide("note.write", start=True, text="x")
    beside = other.decide("note.write", start=True, text="y")
    fenced = office.revoke(kind, SUBJECTS[kind](run))
    listed = {row["id"] for row in fenced.running}
    whole = {started.attempt, beside.attempt} if kind in {"mission", "user"} else {started.attempt}
    assert listed == whole


def test_what_is_asked_again_under_a_known_key_does_not_start_either(office: Office) -> None:
    run = office.run().hand("scout", NOTES)
    assert run.decide("note.write", key="step", text="x").effect.runs
    office.revoke("grant", run.grant)
    assert run.act("note.write", key="step", text="x") == "revoked"
    assert office.ran == []


@pytest.mark.parametrize("trial", range(8))
def test_every_effect_after_revoke_returned_is_on_its_list(tmp_path: Path, trial: int) -> None:
    office = Office(store=open_store(tmp_path / "bridle.db"))
    runs = [office.run().hand("scout", NOTES) for _ in range(3)]
    top = runs[trial % 3]
    crowd = [top, top.hand("digger", NOTES), top.hand("porter", NOTES)]
    gate, returned = threading.Barrier(4), threading.Event()
    effects: list[tuple[bool, str]] = []

    def work(run: Run) -> None:
        gate.wait()
        for number in range(25):
            verdict = run.decide("note.write", start=True,
                                 key=f"{run.grant}{number}", text="x")  # fmt: skip
            if not verdict.attempt:
                return
            # The effect: what the sink saw, and whether the revocation had returned by then.
            effects.append((returned.is_set(), verdict.attempt))

    threads = [threading.Thread(target=work, args=(run,)) for run in crowd]
    for thread in threads:
        thread.start()
    gate.wait()
    while len(effects) < 1 + trial * 3 and any(thread.is_alive() for thread in threads):
        pass
    fenced = office.revoke("grant", top.grant)
    returned.set()
    for thread in threads:
        thread.join()
    assert isinstance(fenced, Fenced)
    late = {attempt for after, attempt in effects if after}
    assert late <= {row["id"] for row in fenced.running}
    assert effects
    assert all(run.act("note.write", text="x") == "revoked" for run in crowd)
