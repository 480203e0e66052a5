"""The end of a mission: what is still open, and that nothing else is asked."""

import pytest

from bridle.engine.case import Closing, ClosingCase, ShadowHit
from bridle.engine.temporal.history import UnknownHistoryError
from bridle.model.event import EventKind
from bridle.model.reason import ReasonCode
from engine.kept import MISSION, Kept, at, case, engine

END = 'forbid (principal, action == Action::"end_mission", resource)'
OPEN = f"""
@id("answered") @reason("a ticket was read and not commented on")
{END} unless temporal {{ open_close_number(8h, id, Action::"desk.read_ticket"::response{{
    input.id: id }}, Action::"desk.comment"::response{{ input.id: id }}) }};
"""


def closing(seconds=0, history=None, **change):
    fields = {"user": "ana", "mission": MISSION, "now": seconds * 1_000, "history": history}
    return ClosingCase(**{**fields, **change})


def codes(said: Closing) -> list[tuple[str, str]]:
    return [(r.policy, r.code.value) for r in said.open]


@pytest.fixture
def ticket():
    made = engine(OPEN)
    history = Kept(made)
    read = case(made, "desk.read_ticket", {"id": 7})
    history.add(at(read, 0))
    history.add(at(read, 1), EventKind.RESPONSE)
    return made, history


def test_what_was_opened_and_not_closed_objects_to_the_end(ticket):
    made, history = ticket
    said = made.closing(closing(2, history))
    assert codes(said) == [("answered", "forbidden")]
    assert said.open[0].text == "a ticket was read and not commented on"
    assert history.asked == [("mission", "", tuple(made.programs["mission"].leaves))]


def test_once_it_is_closed_the_mission_may_end(ticket):
    made, history = ticket
    comment = case(made, "desk.comment", {"id": 7, "body": "done"})
    history.add(at(comment, 2))
    assert codes(made.closing(closing(3, history))) == [("answered", "forbidden")]
    history.add(at(comment, 3), EventKind.RESPONSE)
    assert made.closing(closing(4, history)) == Closing()


def test_asking_for_the_end_leaves_no_trace(ticket):
    made, history = ticket
    assert made.closing(closing(2, history)) == made.closing(closing(2, history))


def test_a_policy_on_trial_is_only_reported(ticket):
    _, history = ticket
    made = engine(OPEN.replace('@id("answered")', '@id("answered") @enforce("shadow")'))
    said = made.closing(closing(2, history))
    assert (said.open, said.shadow) == ((), (ShadowHit("answered"),))
    assert made.closing(closing()).shadow == (ShadowHit("answered", error=True),)


class Broken(Kept):
    def ask(self, scope, agent, names, event, read):
        raise self.how


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (UnknownHistoryError(ReasonCode.HISTORY_INCOMPLETE, "until noon"), "history_incomplete"),
        (OSError("disk"), "internal"),
    ],
)
def test_what_cannot_be_told_counts_as_open(how, code):
    made = engine(OPEN)
    history = Broken(made)
    history.how = how
    assert codes(made.closing(closing(0, history))) == [("", code)]
    assert codes(made.closing(closing())) == [("", "history_incomplete")]


def test_a_policy_that_fails_counts_as_open():
    made = engine(f'@id("n") {END} when {{ context.system.now + 9223372036854775807 > 0 }};')
    assert codes(made.closing(closing(1))) == [("n", "policy_error")]


def test_a_mission_of_somebody_who_is_not_declared_has_something_open():
    made = engine(
        '@id("n") forbid (principal in Team::"support", action in Action::"closing", resource);'
    )
    assert codes(made.closing(closing(user="zoe"))) == [("", "policy_error")]
    assert codes(made.closing(closing(user="ana"))) == [("n", "forbidden")]
    assert made.closing(closing(user="cleo")) == Closing()


@pytest.mark.parametrize(
    "text",
    [
        '@id("n") forbid (principal, action, resource);',
        (
            '@id("n") forbid (principal, action, resource) when temporal { formerly within 1h '
            'Action::"desk.comment"::request{} };'
        ),
        '@id("n") permit (principal, action == Action::"end_mission", resource);',
        '@id("n") forbid (principal, action in Action::"call", resource);',
    ],
)
def test_nothing_that_does_not_name_the_end_has_a_say_in_it(text):
    made = engine(text)
    assert made.closing(closing(user="zoe")) == Closing()


def test_the_end_sees_the_mission_and_its_user():
    made = engine(
        f'@id("n") {END} when {{ context.mission.labels.contains("personal") '
        '&& context.user == User::"ana" && principal == context.user };'
    )
    assert codes(made.closing(closing())) == [("n", "forbidden")]
    assert made.closing(closing(user="ben")) == Closing()


def test_a_users_history_is_asked_for_that_user():
    made = engine(OPEN, "policies/user")
    history = Kept(made)
    made.closing(closing(1, history))
    assert [scope for scope, *_ in history.asked] == ["user"]
