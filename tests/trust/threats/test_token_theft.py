"""Token theft: whoever has a handle, a chain or a reference and not the key, has nothing."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridle.model import calls
from bridle.model.calls import Caller, Failed, Offered, Opened
from bridle.trust.holder import Holder
from governor.desk import codes, judged
from trust.office import NOTES, SOCKET, Office, Run

EMBEDDED = Caller(operator=True, method="embedded")


@pytest.fixture
def office() -> Office:
    return Office()


def theft(run: Run, holder: Holder | None, caller: Caller = SOCKET, tool: str = "note.write"
          ) -> list[str]:  # fmt: skip
    """What a thief of the handle is told, who signs with a key of their own, or not at all."""
    args = {"id": 1} if tool == "safe.open" else {"text": "stolen"}
    call = run.decision(tool, start=True, **args)
    call = call if holder is None else run.proved(call, holder)
    verdict = judged(run.ask(call, caller))
    run.take_effect(verdict, tool, args)
    return codes(verdict)


def test_a_stolen_handle_starts_nothing_over_a_socket(office: Office) -> None:
    victim = office.run()
    assert theft(victim, None) == ["proof_missing"]
    assert theft(victim, Holder.generate()) == ["proof_invalid"]
    assert office.ran == []
    assert victim.act("note.write", text="mine") == ""


def test_nor_anything_that_cannot_be_undone_within_the_governors_process(office: Office) -> None:
    victim = office.run()
    assert theft(victim, None, EMBEDDED, "safe.open") == ["proof_missing"]
    assert theft(victim, Holder.generate(), EMBEDDED, "safe.open") == ["proof_invalid"]
    assert office.ran == []


def test_a_thief_with_a_session_of_their_own_cannot_use_it_for_anothers(office: Office) -> None:
    victim, thief = office.run(), office.run("scout")
    call = victim.decision("note.write", start=True, text="stolen")
    for grant in (thief.grant, victim.grant):
        signed = victim.proved(structs.replace(call, key=office.number()), thief.holder, grant)
        assert codes(judged(victim.ask(signed))) == ["proof_invalid"]
    assert office.ran == []


def test_a_stolen_action_is_not_begun(office: Office) -> None:
    victim = office.run()
    decided = victim.decide("note.write", text="mine")
    begin = calls.Begin(session=victim.session, action=decided.action)
    assert codes(judged(victim.ask(begin))) == ["proof_missing"]
    assert codes(judged(victim.ask(victim.proved(begin, Holder.generate())))) == ["proof_invalid"]
    assert victim.begin(decided.action).attempt


def test_a_stolen_reference_is_taken_up_by_nobody_but_whom_it_is_bound_to(office: Office) -> None:
    giver, receiver = office.run(), Holder.generate()
    offered = giver.offer(giver.link("scout", receiver, NOTES))
    assert isinstance(offered, Offered)
    stolen = giver.accepted("scout", Holder.generate(), offered.grant)
    assert isinstance(stolen, Failed)
    assert stolen.code == "proof_invalid"
    assert isinstance(giver.accepted("scout", receiver, offered.grant), Opened)


def test_a_stolen_chain_hands_nothing_on(office: Office) -> None:
    victim, thief = office.run(), Holder.generate()
    stolen = Run(office, "clerk", thief, Opened(id=victim.session, grant=victim.grant,
                                                chain=victim.texts))  # fmt: skip
    reply = stolen.offer(stolen.link("scout", Holder.generate()))
    assert isinstance(reply, Failed)
    assert (reply.code, reply.message) == (
        "grant_invalid", "the link is not signed with its parent's key"
    )  # fmt: skip
