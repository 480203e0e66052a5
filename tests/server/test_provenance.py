"""What a client says of where its arguments came from, over the socket of a governor."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from server.carrying import SYSTEMS, serving

LABELLED = SYSTEMS.replace(
    '[systems.notes]\ndomain = "house"', '[systems.notes]\ndomain = "house"\nlabels = ["secret"]'
).replace('http = { method = "GET", path = "/pages/{id}" }\n', "")
RULES = """
@id("no-secrets-out") @reason("secrets stay in the house")
forbid (principal, action == Action::"page.get", resource)
when { context.flow has id && context.flow.id.labels.contains("secret") };
"""
PAGE = {"id": 7}


@pytest.fixture
def clerk(tmp_path: Path) -> Iterator[bridle.Agent]:
    files = {"policies/origins.dw": RULES}
    with serving(tmp_path, "http://127.0.0.1:1", systems=LABELLED, files=files) as site:
        mission = site.ana.start_mission("office", user="ana", prompt="read pages 1 to 7")
        yield mission.agent("clerk")


def fetched(id: int) -> str:  # noqa: A002 - the argument's name
    return f"page {id}"


def test_a_client_says_where_its_arguments_came_from(clerk: bridle.Agent) -> None:
    assert clerk.call("page.get", PAGE, effect=fetched) == "page 7"
    known = {"id": bridle.Provenance(labels=["secret"])}
    with pytest.raises(bridle.Denied) as denied:
        clerk.call("page.get", PAGE, effect=fetched, provenance=known)
    assert denied.value.code == "forbidden"
    assert clerk.decide("page.get", PAGE, provenance=known).effect == "deny"

    async def asynchronously() -> None:
        assert (await clerk.adecide("page.get", PAGE, provenance=known)).effect == "deny"
        with pytest.raises(bridle.Denied):
            await clerk.acall("page.get", PAGE, effect=fetched, provenance=known)

    asyncio.run(asynchronously())


def test_a_step_with_a_key_is_named_by_it(clerk: bridle.Agent) -> None:
    clerk.call("note.read", {"id": 1}, effect=lambda **_: {"page": 7}, key="note")
    known = {"id": bridle.Provenance(read=[clerk.action_of("note")])}
    assert clerk.decide("page.get", PAGE).effect == "allow"
    verdict = clerk.decide("page.get", PAGE, provenance=known)
    assert [reason.policy for reason in verdict.reasons] == ["no-secrets-out"]


def test_what_is_no_provenance_is_refused_before_anything_is_asked(clerk: bridle.Agent) -> None:
    with pytest.raises(TypeError, match=r"bridle\.Provenance"):
        clerk.call("page.get", PAGE, effect=fetched, provenance={"id": ["secret"]})  # type: ignore[dict-item]
