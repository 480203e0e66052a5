"""How many Cedar evaluations a judgement takes, and how many policies each one sees."""

from threading import Thread

import pytest

from bridle.engine.cedar import evaluate
from bridle.engine.engine import Engine
from bridle.model.verdict import Effect
from engine import judging

PERMIT = '@id("ok") permit (principal, action, resource);\n'
ASK = '@id("ask") @hold("leads") forbid (principal, action in Action::"call", resource);\n'
SHADOW = '@id("try") @enforce("shadow") forbid (principal, action, resource);\n'
BOSS = '@id("no") forbid (principal == Agent::"boss", action, resource);\n'


@pytest.fixture
def calls(monkeypatch):
    seen = []
    real = evaluate.World.evaluate

    def counted(self, policies, request):
        # An empty set is no evaluation: it has one answer.
        seen.extend([len(policies.ids)] if policies.ids else [])
        return real(self, policies, request)

    monkeypatch.setattr(evaluate.World, "evaluate", counted)
    return seen


def judged(text, **change):
    engine = Engine(judging.bundle(text))
    return engine.judge(judging.case(engine, **change))


def test_the_common_case_is_one_evaluation(calls):
    assert judged(PERMIT).effect is Effect.ALLOW
    assert calls == [1]


def test_a_denial_for_want_of_a_permit_is_one_evaluation(calls):
    judged(BOSS)
    assert calls == [], "nothing can match, so there is nothing to ask"
    judged('@id("ok") permit (principal, action, resource) when { false };')
    assert calls == [1]


def test_an_objection_costs_one_more(calls):
    assert judged(PERMIT + ASK).effect is Effect.HOLD
    assert calls == [2, 1]


def test_a_shadow_policy_costs_one_more(calls):
    judged(PERMIT + SHADOW)
    assert calls == [1, 1]


def test_an_ancestor_costs_only_what_can_differ_for_it(calls):
    judged(PERMIT + BOSS + SHADOW, chain=("clerk", "boss"))
    assert calls == [1, 1, 1], "the actor, the forbid that names the boss, the shadow policy"
    calls.clear()
    judged(PERMIT + ASK, chain=("clerk", "boss"))
    assert calls == [2, 1], "a forbid on everybody is not asked again for each ancestor"


def test_policies_that_cannot_apply_are_not_in_the_slice(calls):
    unrelated = "".join(
        f'@id("u{n}") forbid (principal, action == Action::"pay.refund", resource);\n'
        f'@id("v{n}") permit (principal == Agent::"boss", action, resource);\n'
        f'@id("w{n}") forbid (principal, action, resource in Domain::"finance");\n'
        for n in range(50)
    )
    assert judged(PERMIT + unrelated).effect is Effect.ALLOW
    assert calls == [1]


def test_many_threads_get_the_verdicts_of_one():
    text = PERMIT + ASK + SHADOW + BOSS
    engine = Engine(judging.bundle(text))
    cases = [
        judging.case(engine, tool, agent=agent, chain=chain)
        for tool in judging.ARGUMENTS
        for agent in judging.TEAM_OF
        for chain in ((), ("boss",), ("clerk", "boss"))
    ]
    alone = [Engine(judging.bundle(text)).judge(c) for c in cases]
    results = {}

    def work(number):
        results[number] = [engine.judge(c) for c in cases]

    threads = [Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results[n] == alone for n in range(4))
