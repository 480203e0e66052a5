"""Compiled policies against Cedar over random expressions and requests, some of them hostile."""

from bridle.engine.cedar.evaluate import Prepared, World
from engine import judging, random_cedar
from engine.pairs import alone, compiled, difference

POLICIES = 8
FITTING, HOSTILE = 3, 2


def world(**how):
    return World(random_cedar.SCHEMA, random_cedar.ENTITIES, **how)


def first_difference(rnd, tally=None):
    """Ask a handful of random policies, each alone and all together; return what differs."""
    office = world()
    text = "".join(random_cedar.policy(rnd, f"p{n}") for n in range(POLICIES))
    policies = judging.policies(text)
    fitting = [random_cedar.request(rnd) for _ in range(FITTING)]
    hostile = [random_cedar.hostile_request(rnd) for _ in range(HOSTILE)]
    for prepared in (*alone(policies), Prepared(policies)):
        for request in (*fitting, *hostile):
            if tally is not None:
                tally[_kind(compiled(office, prepared, request))] += 1
            if found := difference(office, prepared, request):
                return found
        if any(compiled(office, prepared, r) is None for r in fitting):
            return f"left to Cedar: {text}"
    return ""


def _kind(answer):
    if answer is None:
        return "left to Cedar"
    return answer.faults[0].why if answer.faults else (answer.allowed, bool(answer.matched))
