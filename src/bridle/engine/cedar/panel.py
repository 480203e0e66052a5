"""One round of judging: what the policies say about one form of an action. It draws no verdict.

The common case (nobody objects, no chain, no shadow policy) is exactly one Cedar evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from bridle.engine.case import ShadowHit
from bridle.engine.cedar.answer import Answer, PolicyFault, Request
from bridle.engine.cedar.evaluate import Prepared, World
from bridle.engine.cedar.slicer import Slice
from bridle.language.policy import Policy


class Party(Struct, frozen=True):
    """A principal to judge as: the policies that can match it, and the request in its name."""

    slice: Slice
    request: Request


class Question(Struct, frozen=True):
    """The actor, and everyone else whose forbids count: the rest of the chain, a requester."""

    actor: Party
    others: tuple[Party, ...] = ()


class Opinion(Struct, frozen=True):
    """What the policies say.

    `permitted`: the permits alone allow the actor. `objections` are the enforced forbids that
    apply to any party, in id order, without those of `waived`. `faults` are enforced policies
    that could not be evaluated; with any of them nothing else counts.
    """

    permitted: bool
    objections: tuple[Policy, ...]
    faults: tuple[PolicyFault, ...]
    shadow: frozenset[ShadowHit]


class Panel:
    """The policies of one set together with the world they are evaluated in."""

    __slots__ = ("_policies", "_world")

    def __init__(self, world: World, policies: Mapping[str, Policy]) -> None:
        self._world = world
        self._policies = policies

    def ask(self, question: Question, waived: frozenset[tuple[str, str]]) -> Opinion:
        """Evaluate enforced and shadow policies for every party.

        `waived` are (id, text digest) pairs of forbids that do not object. A waived forbid that
        fails is still a fault: what was approved is its objection, not its absence.
        """
        actor = question.actor
        answer = self._world.evaluate(actor.slice.enforced, actor.request)
        # INVARIANT: I5. A forbid that matches anyone in the chain counts; permits judge the actor.
        rest = [self._world.evaluate(p.slice.personal, p.request) for p in question.others]
        hits = {i for a in (answer, *rest) if not a.allowed for i in a.matched}
        permits = self._permits(actor, answer)
        faults = _union(a.faults for a in (answer, *rest, permits))
        return Opinion(
            permitted=permits.allowed,
            objections=self._objections(hits, waived),
            faults=faults,
            shadow=self._shadow(question),
        )

    def _permits(self, actor: Party, answer: Answer) -> Answer:
        """Return the permits' own answer, asking again only where a forbid has covered it."""
        if answer.faults or answer.allowed or not answer.matched:
            return answer
        return self._world.evaluate(actor.slice.permits, actor.request)

    def _objections(self, hits: set[str], waived: frozenset[tuple[str, str]]) -> tuple[Policy, ...]:
        applying = (self._policies[i] for i in sorted(hits))
        return tuple(p for p in applying if (p.id, p.digest) not in waived)

    def _shadow(self, question: Question) -> frozenset[ShadowHit]:
        hits: set[ShadowHit] = set()
        actor = question.actor
        hits |= self._tried(actor.slice.shadow, actor.request)
        for party in question.others:
            hits |= self._tried(party.slice.shadow_personal, party.request)
        return frozenset(hits)

    def _tried(self, policies: Prepared, request: Request) -> set[ShadowHit]:
        answer = self._world.evaluate(policies, request)
        hits = {ShadowHit(i) for i in answer.matched}
        for fault in answer.faults:
            named = (fault.policy,) if fault.policy else policies.ids
            hits |= {ShadowHit(i, error=True) for i in named}
        return hits


def _union(faults: Iterable[tuple[PolicyFault, ...]]) -> tuple[PolicyFault, ...]:
    distinct = {f for some in faults for f in some}
    return tuple(sorted(distinct, key=lambda f: (f.policy, f.why)))
