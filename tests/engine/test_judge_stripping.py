"""I8: a remedy or a shadow, taken away, never makes a policy set more permissive."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.engine import Engine
from bridle.model.verdict import Effect
from engine import judging
from engine.random_office import random_case, random_policies

ANNOTATION = re.compile(r"^@(modify|hold|reason|enforce)\(.*\)\n", re.MULTILINE)
RANDOMS = st.randoms(use_true_random=False)


@given(RANDOMS)
def test_without_all_annotations_no_verdict_is_milder(rnd):
    text = random_policies(rnd)
    plain = ANNOTATION.sub("", text)
    with_remedies, without = Engine(judging.bundle(text)), Engine(judging.bundle(plain))
    for _ in range(5):
        case = random_case(rnd, with_remedies)
        stripped = without.judge(case).effect
        assert stripped in {Effect.ALLOW, Effect.DENY}
        assert stripped.strictness >= with_remedies.judge(case).effect.strictness


STRIPPED = (
    {"modify": (), "hold": (), "shadow": False, "reason": ""},
    {"modify": ()},
    {"hold": ()},
    {"shadow": False},
    {"reason": ""},
)


@given(RANDOMS, st.sampled_from(STRIPPED))
def test_without_annotations_of_one_policy_no_verdict_is_milder(rnd, change):
    office = judging.bundle(random_policies(rnd))
    engine = Engine(office)
    cases = [random_case(rnd, engine) for _ in range(3)]
    for number, policy in enumerate(office.policies):
        bare = msgspec.structs.replace(policy, **change)
        if bare != policy:
            changed = (*office.policies[:number], bare, *office.policies[number + 1 :])
            stripped = Engine(msgspec.structs.replace(office, policies=changed))
            for case in cases:
                milder = engine.judge(case).effect.strictness
                assert stripped.judge(case).effect.strictness >= milder


@pytest.mark.parametrize("annotation", ['@hold("leads")', '@modify("set input.body \\"x\\"")'])
def test_without_its_remedy_an_objection_denies(annotation):
    text = (
        '@id("ok") permit (principal, action, resource);\n'
        f'@id("no")\n{annotation}\nforbid (principal, action, resource) '
        'when { context.input.body == "hello" };'
    )
    assert judging.judge(text).effect in {Effect.HOLD, Effect.MODIFY}
    assert judging.judge(ANNOTATION.sub("", text)).effect is Effect.DENY
