"""Engine against oracle over random offices. Reports the first difference in words."""

from collections import Counter
from random import Random

import msgspec

from bridle.engine.engine import Engine
from engine import judging
from engine.oracle import Oracle, seen
from engine.random_office import random_case, random_policies, random_result, random_waived

REQUESTS = 40


def first_difference(rnd, tally=None):
    """Judge `REQUESTS` requests in one random office; return what differs, or nothing."""
    text = random_policies(rnd)
    office = judging.bundle(text)
    engine, oracle = Engine(office), Oracle(office)
    for _ in range(REQUESTS):
        case = msgspec.structs.replace(random_case(rnd, engine), waived=random_waived(rnd, office))
        if rnd.random() < 0.25:
            output = random_result(rnd, case.tool)
            said, wanted = seen(engine.release(case, output)), oracle.release(case, output)
            said_so = engine.has_release_rules(case.tool)
            if isinstance(wanted, dict) and not said_so and wanted["effect"] != "allow":
                return f"{text}\n{case}\nno release rules, yet {wanted}"
        else:
            said, wanted = seen(engine.judge(case)), oracle.judge(case)
        if tally is not None:
            tally[_kind(wanted)] += 1
        if said != wanted:
            return f"{text}\n{case}\nengine {said}\noracle {wanted}"
    return ""


def _kind(wanted):
    return wanted if isinstance(wanted, str) else wanted["code"] or wanted["effect"]


def survey(seeds):
    """Return the differences found over these seeds, and how often each verdict came."""
    tally = Counter()
    found = (first_difference(Random(seed), tally) for seed in seeds)
    return [f for f in found if f], tally
