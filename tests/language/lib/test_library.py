"""Each rule of the library means what its page says, to Bridle and to the official interpreter."""

from __future__ import annotations

import re

import pytest
from dogwood import native

from language.lib.desk import (
    EVENTS,
    LIBRARY,
    SCHEMA,
    Happened,
    allowed,
    judged,
    library,
    program,
)
from language.lib.stories import STORIES

NAMES = re.findall(r"^def temporal (\w+)\(", library(), re.MULTILINE)
KEPT = [(n, w) for n, story in STORIES.items() for w in story.kept]
BROKEN = [(n, w) for n, story in STORIES.items() for w in story.broken]


def named(name: str, how: str, which: str) -> tuple[str, list[Happened]]:
    story = STORIES[name]
    return story.rule, getattr(story, how)[which]


def test_every_rule_has_a_story_that_keeps_it_and_one_that_breaks_it() -> None:
    assert sorted(NAMES) == sorted(STORIES)
    assert all(story.kept and story.broken for story in STORIES.values())


@pytest.mark.parametrize("scope", ["mission", "user", "agent", "tenant"])
@pytest.mark.parametrize("name", STORIES)
def test_a_call_is_valid_in_every_scope(name: str, scope: str) -> None:
    events = (EVENTS / f"{scope}.dwschema").read_text("utf-8")
    found = native.validate_policy(program(STORIES[name].rule), SCHEMA, events)
    assert found["passed"], found["errors"]


@pytest.mark.parametrize(("name", "which"), KEPT)
def test_where_the_rule_is_kept_the_action_is_allowed(name: str, which: str) -> None:
    assert allowed(*named(name, "kept", which))
    assert judged(*named(name, "kept", which))


@pytest.mark.parametrize(("name", "which"), BROKEN)
def test_where_the_rule_is_broken_the_action_is_stopped(name: str, which: str) -> None:
    assert not allowed(*named(name, "broken", which))
    assert not judged(*named(name, "broken", which))


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_says_what_it_holds_to_and_shows_a_call(name: str) -> None:
    before = library().split(f"def temporal {name}(")[0].rsplit("\n\n", 1)[1]
    comment = [line for line in before.splitlines() if line]
    assert comment
    assert all(line.startswith("// ") for line in comment)
    assert len(comment[0]) > 30 or name in before


def test_the_library_defines_nothing_twice_and_has_no_policies() -> None:
    assert len(NAMES) == len(set(NAMES))
    for path in LIBRARY.glob("*.dw"):
        assert not re.search(r"^(permit|forbid|@)", path.read_text("utf-8"), re.MULTILINE), path
