"""Token leak: logs, records, headers, errors and pickles hold nothing that could be used."""

from __future__ import annotations

import copy
import pickle
import traceback
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridle.model import calls
from bridle.model.calls import Failed, Offered, Opened
from bridle.model.errors import UsageError
from bridle.store.sqlite import open_store
from bridle.trust.grants import jws
from bridle.trust.grants.claims import Predicate
from bridle.trust.holder import Holder
from trust.office import NOTES, Office, Run, only

SECRET = "sesame-4711"  # stands in a predicate of a grant, and in no argument
TASK = "ticket-4711"


def busy(office: Office) -> list[Run]:
    """Everything that could be told of grants, told: handing on, acting, refusals, revocation."""
    top = office.run()
    said = (*NOTES, *only("bank.tip", amount=Predicate(any=True), memo=Predicate(prefix=SECRET)))
    run = top.hand("scout", said, task=TASK)
    for tool, args in (("note.write", {"text": "x"}), ("bank.tip", {"amount": 1}),
                       ("bell.ring", {"times": 1})):  # fmt: skip
        run.act(tool, **args)
    run.ask(run.decision("note.write", text="x"))
    top.offer(top.link("scout", Holder.generate(), NOTES))
    office.revoke("grant", run.grant)
    run.act("note.write", text="x")
    return [top, run]


def secrets_of(run: Run) -> dict[str, str]:
    private = run.holder.private.private_bytes_raw()
    return {
        "handle": run.session,
        "seed": run.holder.seed_text(),
        "seed in hex": private.hex(),
        "link": run.texts[-1],
        "payload": run.texts[-1].split(".")[1],
        "signature": run.texts[-1].split(".")[2],
    }


def test_records_name_grants_and_hold_none_in_clear() -> None:
    office = Office()
    runs = busy(office)
    clear = b"\n".join(office.desk.core.write(lambda turn: [it.data for it in turn.tx.leaves()]))
    for run in runs:
        assert run.grant[:16].encode() in clear
        for name, secret in secrets_of(run).items():
            assert secret.encode() not in clear, name
    assert SECRET.encode() not in clear
    assert TASK.encode() not in clear


def test_nothing_in_the_stores_files_opens_anything(tmp_path: Path) -> None:
    office = Office(store=open_store(tmp_path / "bridle.db"))
    runs = busy(office)
    office.desk.core.store.close()
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for run in runs:
        assert run.grant.encode() in held
        for name, secret in secrets_of(run).items():
            assert secret.encode() not in held, name
        assert run.holder.private.private_bytes_raw() not in held
    assert SECRET.encode() not in held


def test_an_erased_mission_leaves_no_task_in_the_files(tmp_path: Path) -> None:
    office = Office(store=open_store(tmp_path / "bridle.db"))
    run = busy(office)[1]
    close = calls.MissionVerb(mission=office.desk.mission, verb="close", as_user="ana", anyway=True)
    office.desk.done(close)
    erase = calls.Redact(mission=office.desk.mission, basis="asked for", as_user="ana")
    office.desk.done(erase)
    office.desk.core.store.close()
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert run.grant.encode() in held
    assert TASK.encode() not in held


def test_what_is_listed_and_answered_holds_no_secret() -> None:
    office = Office()
    runs = busy(office)
    told: list[Any] = [
        office.desk.rows(calls.Delegations(all=True, as_user="ana")),
        office.desk.rows(calls.Missions(mission=office.desk.mission)),
        office.desk.rows(calls.Keys()),
        office.desk.rows(calls.StatusSnapshot()),
        office.desk.rows(calls.Attempts(state="ok")),
        office.revoke("agent", "scout", preview=True),
    ]
    text = msgspec.json.encode(told).decode()
    for run in runs:
        assert run.session not in text
        assert run.holder.seed_text() not in text


def test_a_reference_is_a_name_and_names_no_secret() -> None:
    office = Office()
    giver, receiver = office.run(), Holder.generate()
    offered = giver.offer(giver.link("scout", receiver, NOTES, task="ticket 7"))
    assert isinstance(offered, Offered)
    for secret in secrets_of(giver).values():
        assert secret not in offered.reference
    # Whoever reads it can resolve it under no session but those of its own line.
    stranger = office.run("digger")
    reply = stranger.ask(calls.GrantOf(session=stranger.session, grant=offered.grant))
    assert isinstance(reply, Failed)


def test_refusals_name_the_place_and_not_the_value() -> None:
    office = Office()
    run = office.run().hand("scout", only("note.write", text=Predicate(eq=SECRET)))
    verdict = run.decide("note.write", text="guess-1234")
    said = msgspec.json.encode(verdict).decode()
    assert "not_granted" in said
    assert SECRET not in said
    assert "guess-1234" not in said


def test_a_key_neither_prints_nor_pickles_nor_copies() -> None:
    holder = Holder.generate()
    seed = holder.seed_text()
    assert seed not in f"{holder!r} {holder!s} {holder:}"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(UsageError) as refusal:
            leak(holder)
        assert refusal.value.code == "key_exposed"


def test_a_seed_that_is_wrong_is_not_repeated_in_the_error() -> None:
    wrong = Holder.generate().seed_text()[:-1] + "!"
    with pytest.raises(UsageError) as refusal:
        Holder.from_seed_text(wrong)
    shown = "".join(traceback.format_exception(refusal.value))
    assert wrong not in shown


def test_a_session_opened_on_the_operators_side_does_not_learn_the_key() -> None:
    office = Office()
    holder = Holder.generate()
    reply = office.opening("clerk", holder)
    assert isinstance(reply, Opened)
    claims = msgspec.json.decode(jws.split(reply.chain[0]).payload)
    assert set(claims["cnf"]["jwk"]) == {"kty", "crv", "x"}
