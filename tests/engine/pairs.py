"""Every question put to both evaluators: compiled policies, and Cedar itself as their oracle."""

from contextlib import contextmanager

import pytest

from bridle.engine.cedar.evaluate import Prepared, World


def same(one, other):
    """Whether two answers are equal. Neither evaluator promises an order."""
    return (
        one.allowed == other.allowed
        and sorted(one.matched) == sorted(other.matched)
        and sorted(map(str, one.faults)) == sorted(map(str, other.faults))
    )


def compiled(world, policies, request):
    """The compiled answer, or None where Cedar is left to answer."""
    return world._compiled(policies, request)


def difference(world, policies, request):
    """Say how the two answers differ, if compiled policies answer at all."""
    mine, cedar = compiled(world, policies, request), world._asked(policies, request)
    if mine is None or same(mine, cedar):
        return ""
    text = "\n".join(p.text for p in policies.policies)
    return f"{text}\n{request}\ncompiled {mine}\nCedar    {cedar}"


@contextmanager
def asked_twice():
    """Ask both at each evaluation while this lasts; yield what differs and who answered."""
    seen = Seen()
    real = World.evaluate

    def evaluate(self, policies, request):
        if policies.ids:
            seen.ask(self, policies, request)
        return real(self, policies, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "evaluate", evaluate)
        yield seen


class Seen:
    def __init__(self):
        self.differences, self.compiled, self.left_to_cedar = [], 0, 0

    def ask(self, world, policies, request):
        if compiled(world, policies, request) is None:
            self.left_to_cedar += 1
            return
        self.compiled += 1
        found = difference(world, policies, request)
        if found:
            self.differences.append(found)


def alone(policies):
    """Every policy as a set of its own, so that no other hides its answer."""
    return [Prepared([p]) for p in policies]
