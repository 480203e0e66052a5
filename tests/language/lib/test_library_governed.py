"""The library's stories, governed: what a rule stops, the governor denies, and by that rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridle.model.verdict import Effect, Verdict
from language.lib.governed import Play
from language.lib.stories import STORIES, ask, error

KEPT = [(n, w) for n, story in STORIES.items() for w in story.kept]
BROKEN = [(n, w) for n, story in STORIES.items() for w in story.broken]


def verdict(name: str, how: str, which: str, folder: str = "policies") -> Verdict:
    play = Play(name, folder)
    try:
        return play.tell(getattr(STORIES[name], how)[which])
    finally:
        play.close()


@pytest.mark.parametrize(("name", "which"), KEPT)
def test_where_the_rule_is_kept_the_governor_allows(name: str, which: str) -> None:
    found = verdict(name, "kept", which)
    assert found.effect is Effect.ALLOW, found.reasons


@pytest.mark.parametrize(("name", "which"), BROKEN)
def test_where_the_rule_is_broken_the_governor_denies_by_it(name: str, which: str) -> None:
    found = verdict(name, "broken", which)
    assert found.effect is Effect.DENY
    assert [reason.policy for reason in found.reasons] == ["rule"]


@pytest.mark.parametrize(
    ("name", "which"), [("at_most", "one too many"), ("sum_at_most", "equal amounts are two")]
)
def test_a_new_mission_is_no_way_around_a_limit_of_the_tenants(name: str, which: str) -> None:
    story = STORIES[name].broken[which]
    apart = [replace(each, mission=str(number)) for number, each in enumerate(story)]
    for folder, effect in (("policies", Effect.ALLOW), ("policies/tenant", Effect.DENY)):
        play = Play(name, folder)
        try:
            assert play.tell(apart).effect is effect
        finally:
            play.close()


@pytest.mark.parametrize("code", ["denied", "not_started", "unknown", "contradicted"])
def test_no_error_code_that_an_executor_reports_makes_room(code: str) -> None:
    ran = [
        each
        for at in (0, 10)
        for each in (ask(at, id=str(at)), error(at + 1, f"reported:{code}", "ask", id=str(at)))
    ]
    play = Play("at_most")
    try:
        assert play.tell([*ran, ask(20)]).effect is Effect.DENY
    finally:
        play.close()
