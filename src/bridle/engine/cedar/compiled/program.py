"""Compiled policies, and a round of evaluating them as Cedar's authorizer does."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

from cedarpy import pst
from msgspec import Struct

from bridle.engine.cedar.answer import Answer, PolicyFault, Request
from bridle.engine.cedar.compiled import forms, schema
from bridle.engine.cedar.compiled.expressions import Compiler, ref
from bridle.engine.cedar.compiled.graph import Graph
from bridle.engine.cedar.compiled.operators import Frame, Term
from bridle.engine.cedar.compiled.values import TYPE, EvaluationError, Ref, Unsupported
from bridle.language.policy import Policy

Take = Callable[[Frame], Ref]
PRINCIPAL: Take = operator.itemgetter(0)
ACTION: Take = operator.itemgetter(1)
RESOURCE: Take = operator.itemgetter(2)

_REMEMBERED = 256


class Rule(Struct, frozen=True):
    """A compiled policy: it applies where all of `scope` is true and each condition as wanted.

    `scope` looks at principal, action and resource alone, and never fails.
    """

    id: str
    permits: bool
    scope: tuple[Term, ...]
    conditions: tuple[tuple[Term, bool], ...]

    def concerns(self, frame: Frame) -> bool:
        """Whether the scope matches."""
        return all(term(frame) is True for term in self.scope)

    def applies(self, frame: Frame) -> bool:
        """Whether the conditions are satisfied as well. Raises `EvaluationError`."""
        for term, wanted in self.conditions:
            value = term(frame)
            if value is not wanted:
                if value is True or value is False:
                    return False
                raise EvaluationError(TYPE)
        return True


class Program:
    """The compiled policies of a set, in its order.

    Which of them a principal, action and resource concern is remembered: mostly they are the same
    few names. The memory is a hint, so two threads may both write to it.
    """

    __slots__ = ("_concerned", "_rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._concerned: dict[tuple[Ref, Ref, Ref], tuple[Rule, ...]] = {}

    def concerned(self, frame: Frame) -> tuple[Rule, ...]:
        """Return the policies whose scope matches."""
        who = frame[:3]
        found = self._concerned.get(who)
        if found is None:
            found = tuple([rule for rule in self._rules if rule.concerns(frame)])
            if len(self._concerned) >= _REMEMBERED:
                self._concerned.clear()
            self._concerned[who] = found
        return found


class Evaluator:
    """Answers requests of one world by compiled policies, wherever it understands all of them.

    Raises `Unsupported` when the schema or the entities are not understood. `entities` and
    `printed` are what Cedar prints of both.
    """

    __slots__ = ("_applies", "_compiler", "_graph")

    def __init__(self, printed: str, entities: str) -> None:
        self._applies = schema.requests(printed)
        self._graph = Graph(entities)
        self._compiler = Compiler(self._graph)

    def program(self, policies: Iterable[Policy]) -> Program | None:
        """Compile a policy set; None where one of its policies is not understood exactly."""
        try:
            return Program(self._rule(policy) for policy in policies)
        except (Unsupported, RecursionError):
            return None

    def answer(self, program: Program, request: Request) -> Answer | None:
        """Return what Cedar would say; None where that takes asking it.

        A request that Cedar would refuse is one of those: it need not be told apart here.
        """
        frame = self._frame(request)
        if frame is None:
            return None
        permits: list[str] = []
        forbids: list[str] = []
        faults: list[PolicyFault] = []
        for rule in program.concerned(frame):
            try:
                if rule.applies(frame):
                    (permits if rule.permits else forbids).append(rule.id)
            except EvaluationError as e:
                faults.append(PolicyFault(rule.id, e.why))
        allowed = bool(permits) and not forbids
        return Answer(allowed, tuple(permits if allowed else forbids), tuple(faults))

    def _frame(self, request: Request) -> Frame | None:
        """Read a request, checked against the schema; None for one that is not of our forms."""
        try:
            principal, action = forms.uid(request.principal), forms.uid(request.action)
            resource = forms.uid(request.resource)
            applies = self._applies.get(action.name) if action.kind == "Action" else None
            # INVARIANT: I2. What does not fit the schema is not judged here but refused by Cedar.
            if (
                applies is None
                or principal.kind not in applies.principals
                or resource.kind not in applies.resources
            ):
                return None
            return principal, action, resource, applies.context(request.context)
        except Unsupported:
            return None

    def _rule(self, policy: Policy) -> Rule:
        node = policy.node
        if node.effect not in ("permit", "forbid"):
            raise Unsupported
        scope = (
            *self._scope(node.principal, PRINCIPAL),
            *self._actions(node.action),
            *self._scope(node.resource, RESOURCE),
        )
        conditions = tuple([self._condition(clause) for clause in node.clauses])
        return Rule(policy.id, node.effect == "permit", scope, conditions)

    def _condition(self, clause: pst.Clause) -> tuple[Term, bool]:
        match clause:
            case pst.When(expr):
                return self._compiler.term(expr), True
            case pst.Unless(expr):
                return self._compiler.term(expr), False
            case _:
                raise Unsupported

    def _scope(self, constraint: pst.PrincipalOrResourceConstraint, who: Take) -> list[Term]:
        match constraint:
            case pst.ScopeAny():
                return []
            case pst.ScopeEq(pst.EntityUid() as entity):
                return [_is(ref(entity), who)]
            case pst.ScopeIn(pst.EntityUid() as entity):
                return [self._within(frozenset((ref(entity),)), who)]
            case pst.ScopeIs(kind):
                return [_of_kind(str(kind), who)]
            case pst.ScopeIsIn(kind, pst.EntityUid() as entity):
                return [
                    _of_kind(str(kind), who),
                    self._within(frozenset((ref(entity),)), who),
                ]
            case _:
                raise Unsupported

    def _actions(self, constraint: pst.ActionConstraint) -> list[Term]:
        match constraint:
            case pst.ScopeAny():
                return []
            case pst.ActionEq(entity):
                return [_is(ref(entity), ACTION)]
            case pst.ActionIn(entities):
                return [self._within(frozenset(map(ref, entities)), ACTION)]
            case _:
                raise Unsupported

    def _within(self, refs: frozenset[Ref], who: Take) -> Term:
        return lambda frame: not refs.isdisjoint(self._graph.within(who(frame)))


def _is(entity: Ref, who: Take) -> Term:
    return lambda frame: who(frame) == entity


def _of_kind(kind: str, who: Take) -> Term:
    return lambda frame: who(frame).kind == kind
