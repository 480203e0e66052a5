"""Who is judged: the actor, the rest of its chain and of a requester's, each with its slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Case, Refusal
from bridle.engine.cedar.answer import Request
from bridle.engine.cedar.entities import Kin, kin_of_action, kin_of_agent, kin_of_system, uid
from bridle.engine.cedar.panel import Party, Question
from bridle.engine.cedar.slicer import Scope, Slicer, context_reads, entity_matches
from bridle.engine.temporal.history import NOTHING_WANTED, Wanted
from bridle.engine.temporal.recall import Recall, nothing_known
from bridle.language.policy import Policy, PolicySetName
from bridle.model.identity import GOVERNOR
from bridle.model.reason import ReasonCode

RESULT_SUFFIX = ":result"
ALL = frozenset(
    (
        "facts",
        "flow",
        "flow.*",
        "sinks",
        "sinks.*",
        "mission",
        "user",
        "chain",
        "executor",
        "system",
        "plan",
    )
)
"""What `context` holds beside `input` and `output`, in the names of `context_reads`."""
PRELUDE = "bridle."
"""What the ids of built-in policies begin with. No other policy may have such an id."""


class Parties:
    """Makes the questions about actions, or about results, of one bundle.

    Slices are kept per tool and agent, both declared names, so their number is bounded.
    """

    __slots__ = ("_bundle", "_reads", "_result", "_slicer")

    def __init__(self, bundle: Bundle, policies: Iterable[Policy], *, result: bool) -> None:
        self._bundle = bundle
        self._result = result
        self._slicer = Slicer(p for p in policies if not result or _on_results(p))
        self._reads: dict[str, frozenset[str]] = {}

    def question(
        self, case: Case, context: dict[str, Any], recall: Recall | None = None
    ) -> Question:
        """Return the question of `case` in this context. Its names must be declared.

        `recall` is asked only where a policy looks back. Raises `UnknownHistoryError`.
        """
        actor = self._party(case, case.agent, context, recall)
        others = tuple(self._party(case, a, context, recall) for a in _others(case))
        return Question(actor, others)

    def reads(self, tool: str) -> frozenset[str]:
        """The attributes of `context` that any policy of this tool looks at, shadow ones included.

        A request need not carry the others: what nobody reads cannot change an answer.
        """
        known = self._reads.get(tool)
        if known is None:
            each = [context_reads(p) for p in self.of_tool(tool)]
            known = ALL if None in each else frozenset[str]().union(*filter(None, each))
            self._reads[tool] = known
        return known

    def of_tool(self, tool: str) -> tuple[Policy, ...]:
        """Return the policies that could speak of a tool, whoever uses it, shadow ones included."""
        return tuple(self._slicer.matching(self._scope(tool, None)))

    def looking_back(self, tool: str, agent: str) -> tuple[Policy, ...]:
        """Return the policies of a slice that look back, shadow ones included."""
        scope = self._scope(tool, kin_of_agent(self._bundle, agent))
        return tuple(p for p in self._slicer.matching(scope) if p.leaves)

    def any_forbid(self, tool: str) -> bool:
        """Whether an enforced forbid can match this tool, for any declared agent."""
        forbids = [
            p.node.principal
            for p in self._slicer.matching(self._scope(tool, None))
            if p.effect == "forbid" and not p.shadow
        ]
        agents = [kin_of_agent(self._bundle, a) for a in self._bundle.agents]
        return any(entity_matches(f, a) for f in forbids for a in agents)

    def _party(
        self, case: Case, agent: str, context: dict[str, Any], recall: Recall | None
    ) -> Party:
        found = self._slicer.slice(
            (case.tool, agent),
            lambda: self._scope(case.tool, kin_of_agent(self._bundle, agent)),
        )
        leaves = found.history if agent == case.agent else found.history_personal
        if leaves is not NOTHING_WANTED:
            context = {**context, "history": _truths(recall, agent, leaves)}
        request = Request(
            uid("Agent", agent),
            uid("Action", case.tool + RESULT_SUFFIX if self._result else case.tool),
            uid("System", self._bundle.tools[case.tool].system),
            context,
        )
        return Party(found, request)

    def _scope(self, tool: str, agent: Kin | None) -> Scope:
        declared = self._bundle.tools[tool]
        action = action_kin(tool, declared.effect.value, result=self._result)
        return Scope(agent, action, kin_of_system(self._bundle, declared.system))


def _truths(recall: Recall | None, agent: str, leaves: Wanted) -> dict[str, bool]:
    return nothing_known(leaves) if recall is None else recall.truths(agent, leaves)


def tool_policies(bundle: Bundle) -> tuple[Policy, ...]:
    """Return the policies that judge actions and results, without those of `governance/`."""
    return tuple(p for p in bundle.policies if p.set is PolicySetName.TOOLS)


def asks_for_origins(policy: Policy) -> bool:
    """Whether a policy can look at where arguments came from."""
    reads = context_reads(policy)
    return reads is None or not reads.isdisjoint(("flow", "sinks"))


def asks_what_was_read(policy: Policy) -> bool:
    """Whether a policy can look at what its mission has read before."""
    reads = context_reads(policy)
    if reads is None or asks_for_origins(policy):
        return True
    named = any(word in policy.text for word in ("labels", "untrusted"))
    return "mission" in reads and (named or bool(policy.leaves))


def action_kin(tool: str, effect: str, *, result: bool) -> Kin:
    """Return a tool's action with the groups that the schema generator puts it in."""
    if result:
        return kin_of_action(tool + RESULT_SUFFIX, "release")
    return kin_of_action(tool, effect, "call")


def _on_results(policy: Policy) -> bool:
    """Whether a policy has a say on results: every forbid, and of the permits only the prelude's.

    A result is released unless a forbid objects, so a permit that happens to match results too
    adds nothing, and its failure on one is no objection.
    """
    return policy.effect == "forbid" or policy.id.startswith(PRELUDE)


def undeclared(bundle: Bundle, case: Case) -> Refusal | None:
    """Return a refusal if a case names something the bundle does not declare.

    Cedar would judge a stranger as an entity without attributes, in no team: a forbid on its team
    would not match.
    """
    if case.tool not in bundle.tools:
        return Refusal(ReasonCode.UNKNOWN_TOOL, "there is no such tool")
    agents = all(a in bundle.agents for a in (case.agent, *_others(case)))
    executor = case.executor in ("", GOVERNOR, *bundle.workloads)
    if agents and case.user in bundle.users and executor:
        return None
    return Refusal(ReasonCode.POLICY_ERROR, "an identity of this action is not declared")


def _others(case: Case) -> Iterator[str]:
    """Yield the ancestors and the requesters, each once and without the actor."""
    return (a for a in dict.fromkeys((*case.chain, *case.requesters)) if a != case.agent)
