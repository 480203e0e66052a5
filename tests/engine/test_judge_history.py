"""Judging by history: what is asked when, by whom, and what happens where it cannot be told."""

import pytest

from bridle.engine.case import ShadowHit
from bridle.engine.temporal.history import UnknownHistoryError
from bridle.model.event import EventKind
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect
from engine.kept import Kept, at, case, codes, engine

COMMENT = {"id": 1, "body": "hi"}
OWN = 'Action::"desk.comment"::'
TWICE = f"""
@id("twice") @reason("twice an hour is enough")
forbid (principal, action == Action::"desk.comment", resource)
unless temporal {{ at_most(2, 1h, {OWN}request{{ input.id: context.input.id }}, {OWN}error{{}}) }};
"""
PERSONAL = f"""
@id("twice-each")
forbid (principal, action == Action::"desk.comment", resource)
unless temporal {{ at_most(2, 1h, {OWN}request{{}}, {OWN}error{{}}) }};
"""


class Broken(Kept):
    """A history that cannot be told, in one way or another."""

    def __init__(self, made, how):
        super().__init__(made)
        self.how = how

    def ask(self, scope, agent, names, event, read):
        if isinstance(self.how, Exception):
            raise self.how
        return self.how


@pytest.mark.parametrize("compiled", [True, False])
def test_a_limit_counts_what_ran_or_may_still_run_and_windows_pass(compiled):
    made = engine(TWICE, compiled=compiled)
    first, history = case(made, "desk.comment", COMMENT), Kept(made)
    effects = []
    for seconds in (0, 1, 2, 3, 3_600, 3_601, 3_602, 3_603):
        now = at(first, seconds, history)
        judged = made.judge(now)
        effects.append(judged.effect.value)
        history.add(now)
        if judged.effect is Effect.DENY:
            assert codes(judged) == {"forbidden"}
            history.add(now, EventKind.ERROR, error="denied")
    assert effects == [
        "allow", "allow", "deny", "deny", "deny", "allow", "allow", "deny",
    ]  # fmt: skip


def test_other_arguments_have_a_count_of_their_own():
    made = engine(TWICE)
    history = Kept(made)
    for seconds in range(2):
        history.add(at(case(made, "desk.comment", COMMENT), seconds))
    other = case(made, "desk.comment", {**COMMENT, "id": 2})
    assert made.judge(at(other, 3, history)).effect is Effect.ALLOW


def test_the_action_that_is_judged_again_counts_once():
    made = engine(TWICE)
    history, first = Kept(made), case(made, "desk.comment", COMMENT)
    history.add(at(first, 0))
    history.add(at(first, 1))
    assert made.judge(at(first, 1, history)).effect is Effect.ALLOW
    assert made.judge(at(first, 2, history)).effect is Effect.DENY


def test_without_a_history_whatever_looks_back_is_denied():
    made = engine(TWICE)
    judged = made.judge(case(made, "desk.comment", COMMENT))
    assert judged.effect is Effect.DENY
    assert codes(judged) == {"history_incomplete"}


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (UnknownHistoryError(ReasonCode.HISTORY_INCOMPLETE, "until noon"), "history_incomplete"),
        (UnknownHistoryError(ReasonCode.LIMIT_EXCEEDED, "too much"), "limit_exceeded"),
        (OSError("disk"), "internal"),
        ({}, "internal"),
    ],
)
def test_a_history_that_cannot_be_told_denies(how, code):
    made = engine(TWICE)
    judged = made.judge(case(made, "desk.comment", COMMENT, history=Broken(made, how)))
    assert (judged.effect, codes(judged)) == (Effect.DENY, {code})


@pytest.mark.parametrize("truth", [None, 1, "true"])
def test_an_answer_that_is_no_truth_denies(truth):
    made = engine(TWICE)
    name = next(iter(made.programs["mission"].leaves))
    judged = made.judge(case(made, "desk.comment", COMMENT, history=Broken(made, {name: truth})))
    assert (judged.effect, codes(judged)) == (Effect.DENY, {"history_incomplete"})


def test_actions_that_no_policy_looks_back_for_ask_nothing():
    made = engine(TWICE)
    history = Broken(made, OSError("asked"))
    read = case(made, "desk.search", {"query": "x"}, history=history)
    assert made.judge(read).effect is Effect.ALLOW


def test_results_are_released_without_a_history():
    made = engine(
        '@id("n") forbid (principal, action, resource) '
        f"when temporal {{ formerly within 1h {OWN}request{{}} }};"
    )
    done = case(made, "desk.search", {"query": "x"})
    assert made.release(done, "[]").effect is Effect.ALLOW
    assert codes(made.judge(done)) == {"history_incomplete"}


# --- shadow policies ------------------------------------------------------------------------------


def test_a_shadow_policy_without_a_history_is_an_error_on_record_and_decides_nothing():
    made = engine(TWICE.replace('@id("twice")', '@id("twice") @enforce("shadow")'))
    for history in (None, Broken(made, OSError("disk")), Broken(made, {})):
        judged = made.judge(case(made, "desk.comment", COMMENT, history=history))
        assert judged.effect is Effect.ALLOW
        assert judged.shadow == (ShadowHit("twice", error=True),)


def test_a_shadow_policy_says_what_it_would_have_said():
    made = engine(TWICE.replace('@id("twice")', '@id("twice") @enforce("shadow")'))
    history, first = Kept(made), case(made, "desk.comment", COMMENT)
    history.add(at(first, 0))
    history.add(at(first, 1))
    judged = made.judge(at(first, 2, history))
    assert (judged.effect, judged.shadow) == (Effect.ALLOW, (ShadowHit("twice"),))


def test_what_a_shadow_policy_shares_with_an_enforced_one_is_needed():
    shadow = TWICE.replace('@id("twice")', '@id("shadow") @enforce("shadow")')
    made = engine(TWICE + shadow)
    judged = made.judge(case(made, "desk.comment", COMMENT))
    assert (judged.effect, codes(judged)) == (Effect.DENY, {"history_incomplete"})


# --- remedies -------------------------------------------------------------------------------------


def test_each_round_asks_with_the_arguments_of_that_round():
    text = f"""
    @id("first") @reason("r") @modify("drop input.internal")
    forbid (principal, action == Action::"desk.comment", resource)
    when {{ context.input has internal }};
    @id("seen")
    forbid (principal, action == Action::"desk.comment", resource)
    unless temporal {{ !{OWN}request{{ input.internal: _ }} && !{OWN}error{{}} since within 1h
        {OWN}request{{}} }};
    """
    made = engine(text)
    history = Kept(made)
    asked = case(made, "desk.comment", {**COMMENT, "internal": True}, history=history)
    assert codes(made.judge(asked)) == {"forbidden"}
    held = text.replace('@id("seen")', '@id("seen") @reason("r") @hold("finance")')
    again = engine(held)
    history = Kept(again)
    judged = again.judge(at(asked, 1, history))
    assert (judged.effect, judged.objected) == (Effect.MODIFY, ("first",))
    assert len(history.asked) == 2


# --- whose history --------------------------------------------------------------------------------


def test_each_agent_of_a_chain_is_judged_by_its_own_history():
    made = engine(PERSONAL, "policies/agent")
    history, first = Kept(made), case(made, "desk.comment", COMMENT)
    for seconds in range(2):
        history.add(at(first, seconds, agent="researcher"))
    alone = made.judge(at(first, 3, history))
    assert (alone.effect, {a for _, a, _ in history.asked}) == (Effect.ALLOW, {"triage"})
    launder = made.judge(at(first, 3, history, chain=("researcher",)))
    assert launder.effect is Effect.DENY
    assert "twice-each" in {r.policy for r in launder.reasons}


def test_a_child_uses_up_the_quota_of_its_ancestors():
    made = engine(PERSONAL, "policies/agent")
    history, first = Kept(made), case(made, "desk.comment", COMMENT)
    for seconds in range(2):
        history.add(at(first, seconds, chain=("researcher",)))
    own = at(first, 3, history, agent="researcher")
    assert "twice-each" in {r.policy for r in made.judge(own).record}


def test_a_condition_on_the_principal_is_judged_for_the_whole_chain():
    text = """
    @id("own") forbid (principal, action == Action::"desk.comment", resource)
    when temporal { formerly within 1h Action::"desk.search"::request{
        callerPrincipal: principal } };
    """
    made = engine(text)
    history = Kept(made)
    history.add(at(case(made, "desk.search", {"query": "x"}), 0, agent="researcher"))
    first = at(case(made, "desk.comment", COMMENT), 1, history)
    assert made.judge(first).effect is Effect.ALLOW
    assert made.judge(at(first, 1, history, chain=("researcher",))).effect is Effect.DENY


def test_scopes_are_asked_apart_and_joined_by_cedar():
    text = TWICE + PERSONAL.replace("twice-each", "both")
    made = engine(text, "policies/tenant")
    assert set(made.programs) == {"tenant"}
    assert len(made.programs["tenant"].leaves) == 2
    assert made.programs["tenant"].limits.events == 100_000


def test_a_bundle_that_never_looks_back_keeps_no_history():
    made = engine('@id("n") forbid (principal, action, resource) when { false };')
    assert made.programs == {}


def test_what_only_a_condition_over_history_reads_is_made_for_it():
    text = """
    @id("facts") forbid (principal, action == Action::"desk.comment", resource)
    when temporal { formerly within 1h Action::"desk.comment"::request{
        input.id: context.facts.body.length } };
    """
    made = engine(text)
    history = Kept(made)
    short, long = ({"id": 2, "body": body} for body in ("hi", "hello"))
    assert codes(made.judge(at(case(made, "desk.comment", short), 1, history))) == {"forbidden"}
    assert made.judge(at(case(made, "desk.comment", long), 1, history)).effect is Effect.ALLOW
