"""Engine against oracle over random offices. Reports the first difference in words."""

from collections import Counter
from random import Random

import msgspec

from bridle.engine.engine import Engine
from engine import judging
from engine.oracle import Oracle
from engine.oracle import seen as in_its_terms
from engine.pairs import asked_twice
from engine.random_office import random_case, random_policies, random_result, random_waived

REQUESTS = 40


def first_difference(rnd, tally=None):
    """Judge `REQUESTS` requests in one random office; return what differs, or nothing.

    Below them, every single evaluation is made by compiled policies and by Cedar itself.
    """
    with asked_twice() as seen:
        found = _first_difference(rnd, tally)
    if found or seen.differences:
        return found or seen.differences[0]
    if tally is not None:
        tally["evaluations"] += seen.compiled
        tally["left to Cedar"] += seen.left_to_cedar
    return ""


def _first_difference(rnd, tally):
    text = random_policies(rnd)
    office = judging.bundle(text)
    engine, oracle = Engine(office), Oracle(office)
    for _ in range(REQUESTS):
        case = msgspec.structs.replace(random_case(rnd, engine), waived=random_waived(rnd, office))
        if rnd.random() < 0.25:
            output = random_result(rnd, case.tool)
            said, wanted = in_its_terms(engine.release(case, output)), oracle.release(case, output)
            said_so = engine.has_release_rules(case.tool)
            if isinstance(wanted, dict) and not said_so and wanted["effect"] != "allow":
                return f"{text}\n{case}\nno release rules, yet {wanted}"
        else:
            said, wanted = in_its_terms(engine.judge(case)), oracle.judge(case)
        if tally is not None:
            tally[_kind(wanted)] += 1
        if said != wanted:
            return f"{text}\n{case}\nengine {said}\noracle {wanted}"
    return ""


def _kind(wanted):
    return wanted if isinstance(wanted, str) else wanted["code"] or wanted["effect"]


def survey(seeds):
    """Return the differences over these seeds, how often each verdict came, and who evaluated."""
    tally = Counter()
    found = [first_difference(Random(seed), tally) for seed in seeds]
    evaluated = {k: tally.pop(k) for k in ("evaluations", "left to Cedar")}
    return [f for f in found if f], tally, evaluated
