"""Credentials inside effects: what a worker gets, what it cannot do with it, and refusals."""

import asyncio
import copy
import pickle
import time
from typing import Any

import pytest

import bridle
from bridle.client.agent import Agent
from bridle.client.credentials import CredentialDenied
from bridle.client.errors import Denied
from bridle.model import calls
from bridle.model.errors import NotReachedError, ProtocolError, UsageError
from client.scripted import Scripted, Sink

SECRET = "opens-the-crm"


@pytest.fixture
def vending(governor: Scripted) -> dict[str, Any]:
    """What the governor answers to `Vend`; `reply` takes its place where it is set."""
    about: dict[str, Any] = {"expires": (time.time() + 60) * 1000, "secret": {"secret": SECRET}}
    handle = governor.handle

    def answering(caller: calls.Caller, call: calls.Call) -> calls.Reply:
        reply = handle(caller, call)
        if not isinstance(call, calls.Vend):
            return reply
        if "reply" in about:
            return about["reply"]
        expires = int(about["expires"])
        return calls.Vended(lease="lse_1", system="crm", expires=expires, secret=about["secret"])

    governor.handle = answering
    return about


def test_an_effect_gets_the_credential_of_the_attempt_that_it_runs(
    governor: Scripted, agent: Agent, vending: dict[str, Any]
) -> None:
    def effect() -> str:
        with bridle.credential() as crm:
            assert (crm.system, crm.lease, crm.fields) == ("crm", "lse_1", ("secret",))
            assert crm.header("Token {secret}") == f"Token {SECRET}"
            return crm.reveal()[:5]

    assert agent.call("t", effect=effect) == "opens"
    (asked,) = governor.of(calls.Vend)
    (told,) = governor.of(calls.Observe)
    assert (asked.session, asked.attempt) == (told.session, told.attempt)


def test_an_async_effect_gets_it_without_blocking_its_loop(
    agent: Agent, vending: dict[str, Any]
) -> None:
    async def effect() -> str:
        return (await bridle.acredential()).header()

    assert asyncio.run(agent.acall("t", effect=effect)) == f"Bearer {SECRET}"


def test_effects_beside_one_another_ask_each_for_their_own(
    governor: Scripted, agent: Agent, vending: dict[str, Any]
) -> None:
    async def effect() -> None:
        await bridle.acredential()

    async def both() -> None:
        await asyncio.gather(agent.acall("t", effect=effect), agent.acall("u", effect=effect))

    asyncio.run(both())
    assert len({call.attempt for call in governor.of(calls.Vend)}) == 2


def test_outside_an_effect_nobody_is_asked(governor: Scripted, agent: Agent) -> None:
    with pytest.raises(UsageError):
        bridle.credential()
    agent.call("t", effect=Sink())
    with pytest.raises(UsageError):
        bridle.credential()
    assert governor.of(calls.Vend) == []


def test_it_is_not_shown_not_copied_and_not_pickled(agent: Agent, vending: dict[str, Any]) -> None:
    def effect() -> None:
        crm = bridle.credential()
        assert SECRET not in f"{crm} {crm!r} {crm.fields}"
        assert not hasattr(crm, "__dict__")
        for copying in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(UsageError):
                copying(crm)

    agent.call("t", effect=effect)


def test_after_its_block_it_is_gone(agent: Agent, vending: dict[str, Any]) -> None:
    kept: list[bridle.LeasedCredential] = []

    def effect() -> None:
        with bridle.credential() as crm:
            kept.append(crm)

    agent.call("t", effect=effect)
    with pytest.raises(UsageError):
        kept[0].reveal()


def test_what_has_expired_is_revealed_to_nobody(agent: Agent, vending: dict[str, Any]) -> None:
    vending["expires"] = time.time() * 1000 - 1

    def effect() -> None:
        with pytest.raises(UsageError):
            bridle.credential().header()

    agent.call("t", effect=effect)


def test_a_field_that_is_not_there_is_named_without_values(
    agent: Agent, vending: dict[str, Any]
) -> None:
    vending["secret"] = {"user": "u", "password": SECRET}

    def effect() -> None:
        with pytest.raises(UsageError) as caught:
            bridle.credential().reveal()
        assert SECRET not in str(caught.value)
        assert bridle.credential().reveal("password") == SECRET

    agent.call("t", effect=effect)


@pytest.mark.parametrize("code", ["not_separated", "credential_denied", "credential_unavailable"])
def test_where_there_is_none_the_effect_is_recorded_as_never_begun(
    governor: Scripted, agent: Agent, vending: dict[str, Any], code: str
) -> None:
    vending["reply"] = calls.Failed(code=code, message="no")
    with pytest.raises(Denied) as caught:
        agent.call("t", effect=bridle.credential)
    assert (caught.value.code, type(caught.value)) == (code, CredentialDenied)
    assert isinstance(caught.value, NotReachedError)
    assert governor.outcomes() == ["not_started"]


def test_an_effect_that_does_without_is_recorded_as_it_ended(
    governor: Scripted, agent: Agent, vending: dict[str, Any]
) -> None:
    vending["reply"] = calls.Failed(code="credential_unavailable", message="no")

    def effect() -> str:
        with pytest.raises(Denied):
            bridle.credential()
        return "from the cache"

    assert agent.call("t", effect=effect) == "from the cache"
    assert governor.outcomes() == ["ok"]


@pytest.mark.parametrize(
    "reply",
    [
        calls.Done(),
        calls.Listing(rows=[]),
        calls.Vended(lease="l", system="crm", expires=2**52, secret={}),
    ],
)
def test_another_answer_is_no_credential(
    agent: Agent, vending: dict[str, Any], reply: calls.Reply
) -> None:
    vending["reply"] = reply
    with pytest.raises(ProtocolError):
        agent.call("t", effect=bridle.credential)
