"""One round: a schema, some policies and histories, put to both sides.

A case counts once per pair of a policy and a history that the reference gave verdicts for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import msgspec

from differential import (
    cases,
    features,
    ours,
    policies,
    reference,
    rewriting,
    shrinking,
    spoiling,
    traces,
    worlds,
)
from differential.cases import Case
from differential.ours import MAKERS
from differential.reference import DiscardedError

POLICIES, HISTORIES = 5, 4
SPOILED = 0.4
INTERRUPTED = 0.4

Phase = Callable[[str], None]


class Round(msgspec.Struct, frozen=True):
    """What a round came to: how often what was met, and the differences, each a small case."""

    tally: dict[str, int]
    differences: tuple[str, ...]


def play(seed: int, phase: Phase = lambda _: None) -> Round:
    """Make up a round and compare all of it. The same seed makes the same round."""
    return _Playing(seed, phase).play()


def corpus(seeds: Iterable[int], count: int) -> list[tuple[Case, str]]:
    """Make up so many valid cases with the reference's verdicts of them."""
    made: list[tuple[Case, str]] = []
    for seed in seeds:
        rnd = Random(seed)
        world = worlds.world(rnd)
        for _ in range(POLICIES):
            policy = policies.policy(rnd, world)
            history = traces.trace(rnd, world, cases.length(rnd))
            case = cases.settled(cases.bearable(Case(world, policy, history)))
            if reference.accepts(case):
                made.append((case, reference.verdicts(case)))
            if len(made) == count:
                return made
    return made


class _Playing:
    def __init__(self, seed: int, phase: Phase) -> None:
        self.seed, self.phase, self.tally = seed, phase, Counter[str]()
        self.differences: list[str] = []

    def play(self) -> Round:
        rnd = Random(self.seed)
        world = worlds.world(rnd)
        histories = [traces.trace(rnd, world, cases.length(rnd)) for _ in range(HISTORIES)]
        for _ in range(POLICIES):
            policy = policies.policy(rnd, world)
            if rnd.random() < SPOILED:
                self._spoiled(rnd, Case(world, policy, ()))
            if rnd.random() < 0.35:
                policy = rewriting.abbreviated(rnd, policy)
            interrupted = rnd.random() < INTERRUPTED
            self.ways = tuple(MAKERS) if interrupted else tuple(MAKERS)[:2]
            if self._accepted(Case(world, policy, ()), "accepted"):
                met = features.of_program(world, policy) | ours.plans(Case(world, policy, ()))
                for history in histories:
                    case = cases.bearable(Case(world, policy, history))
                    self._decided(cases.settled(case), met)
        return Round(dict(self.tally), tuple(self.differences))

    def _spoiled(self, rnd: Random, case: Case) -> None:
        made = spoiling.spoiled(rnd, case.world, case.policy)
        if made is not None:
            name, policy = made
            self.tally[f"spoiled: {name}"] += 1
            damaged = msgspec.structs.replace(case, policy=policy)
            # Not every damage does harm: a field may be named twice, another operator may fit.
            if not self._accepted(damaged, "spoiled, accepted"):
                self.tally["spoiled, refused"] += 1

    def _accepted(self, case: Case, name: str) -> bool:
        self.phase("reference")
        try:
            theirs = reference.accepts(case)
        except DiscardedError as why:
            self.tally[f"discarded: {why}"] += 1
            return False
        self.phase("ours")
        self.tally["validated"] += 1
        self.tally[name] += theirs
        if ours.accepts(case) == theirs:
            return theirs
        known = ours.known_difference(case)
        if known:
            self.tally[f"known difference: {known}"] += 1
        else:
            self._differs(case, disagree_on_validity)
        return False

    def _decided(self, case: Case, met: set[str]) -> None:
        self.phase("reference")
        try:
            theirs = reference.verdicts(case)
        except DiscardedError as why:
            self.tally[f"discarded: {str(why)[:60]}"] += 1
            return
        self.phase("ours")
        self.tally["cases"] += 1
        self.tally["verdicts"] += theirs.count("\n") + 1
        self.tally["both verdicts"] += "true" in theirs and "false" in theirs
        self.tally.update(met | features.of_history(case))
        told = ours.verdicts(case, self.ways)
        self.tally.update(f"by {way}" for way in told.ways)
        if told.disagreements or told.lines != theirs:
            self._differs(case, disagree_on_verdicts)

    def _differs(self, case: Case, differs: Callable[[Case], str]) -> None:
        self.phase("shrinking")
        told = differs(case)
        small = shrinking.smallest(case, lambda c: bool(quietly(differs, c)))
        told = differs(small) or told
        self.differences.append(f"seed {self.seed}\n{cases.texts(small)}\n{told}\n")


def quietly(differs: Callable[[Case], str], case: Case) -> str:
    """Ask of a simplified case, which need not make sense any more."""
    try:
        return differs(case)
    except (DiscardedError, KeyError, StopIteration):
        return ""


def disagree_on_validity(case: Case) -> str:
    """Tell who takes the program for valid, where it is one side only."""
    theirs, found = reference.accepts(case), ours.findings(case)
    if theirs == (not found) or ours.known_difference(case):
        return ""
    return f"the reference accepts: {theirs}; Bridle says: {[str(f) for f in found]}"


def disagree_on_verdicts(case: Case) -> str:
    """Tell the verdicts of both sides, where they differ, or where Bridle is of two minds."""
    if not policies.markers(case.policy) or cases.settled(case) != case:
        return ""
    if not (reference.accepts(case) and ours.accepts(case)):
        return ""
    theirs, told = reference.verdicts(case), ours.verdicts(case)
    if theirs == told.lines and not told.disagreements:
        return ""
    return f"reference:\n{theirs}\nBridle:\n{told.lines}\n" + "\n".join(told.disagreements)
