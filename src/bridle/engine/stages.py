"""How arguments and results are put to the policies, and read again after a change.

Makes the `context` record of each request. Values from outside arrive typed (see
`bridle.engine.normalise`); none of them can be an entity or an extension value, because the
schema types every attribute of `input` and `output`. Every entity reference is made here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Case, GovernanceCase, Refusal, Typed
from bridle.engine.cedar.entities import uid
from bridle.engine.cedar.panel import Question
from bridle.engine.detect import Detectors
from bridle.engine.flow.context import OriginViews
from bridle.engine.normalise import Normaliser
from bridle.engine.parties import Parties, tool_policies
from bridle.engine.temporal.occurrence import Occurrences
from bridle.engine.temporal.recall import Recall
from bridle.language.policy import Policy


class ArgumentStage:
    """The stage of judging that comes before the effect."""

    __slots__ = ("_detectors", "_normaliser", "_occurrences", "_origins", "_parties")
    root = "input"

    def __init__(
        self,
        bundle: Bundle,
        normaliser: Normaliser,
        detectors: Detectors,
        occurrences: Occurrences,
    ) -> None:
        self._parties = Parties(bundle, tool_policies(bundle), result=False)
        self._occurrences = occurrences
        self._normaliser = normaliser
        self._detectors = detectors
        self._origins = OriginViews(bundle.tools)

    def question(self, case: Case, typed: Typed) -> Question:
        """Return the question with the arguments, what was seen in them and whence they came."""
        reads = self._parties.reads(case.tool)
        views: dict[str, Any] = {"input": self._normaliser.cedar_input(case.tool, typed.value)}
        if "facts" in reads:
            views["facts"] = self._detectors.facts(case.tool, typed.value)
        views |= self._origins.views(case, typed, reads)
        recall = Recall(self._occurrences, case, typed, views.get("facts", {}))
        return self._parties.question(case, action_context(case, views, reads), recall)

    def traces(self, tool: str) -> bool:
        """Whether a policy of a tool asks where its arguments came from."""
        return not self._parties.reads(tool).isdisjoint(("flow", "sinks"))

    def policies(self, tool: str) -> tuple[Policy, ...]:
        """Return the policies that could speak of a tool, whoever uses it."""
        return self._parties.of_tool(tool)

    def looking_back(self, tool: str, agent: str) -> tuple[Policy, ...]:
        """Return the policies of a slice that have conditions over history."""
        return self._parties.looking_back(tool, agent)

    def read(self, tool: str, text: str) -> Typed | Refusal:
        """Read changed arguments from normalise on, as the algorithm demands."""
        return self._normaliser.normalise(tool, text)


class ResultStage:
    """The stage of judging that comes after the effect, on `Action::"<tool>:result"`."""

    __slots__ = ("_detectors", "_normaliser", "_parties", "_rules", "_tools")
    root = "output"

    def __init__(self, bundle: Bundle, normaliser: Normaliser, detectors: Detectors) -> None:
        self._parties = Parties(bundle, tool_policies(bundle), result=True)
        self._normaliser = normaliser
        self._detectors = detectors
        self._tools = bundle.tools
        self._rules: dict[str, bool] = {}

    def question(self, case: Case, typed: Typed) -> Question:
        """Return the question with the arguments, the result, and what was seen in the result."""
        reads = self._parties.reads(case.tool)
        views: dict[str, Any] = {"input": self._normaliser.cedar_input(case.tool, case.typed.value)}
        if "facts" in reads:
            views["facts"] = self._detectors.facts_output(case.tool, typed.value)
        output = self._normaliser.cedar_output(case.tool, typed.value)
        if output is not None:
            views["output"] = output
        return self._parties.question(case, action_context(case, views, reads))

    def has_rules(self, tool: str) -> bool:
        """Whether an enforced forbid can match the tool's results. An unknown tool: yes."""
        known = self._rules.get(tool)
        if known is None:
            known = tool not in self._tools or self._parties.any_forbid(tool)
            self._rules[tool] = known
        return known

    def read(self, tool: str, text: str) -> Typed | Refusal:
        """Read a changed result exactly as the first one was read."""
        return self._normaliser.output(tool, text)


def action_context(case: Case, views: dict[str, Any], reads: Collection[str]) -> dict[str, Any]:
    """Return the context of an action or result: `views`, and what is read besides.

    `views` are the parts that differ: `input`, `facts`, of an action `flow` and `sinks`, of a
    result `output`. `chain.agents` are the ancestors and the actor; `chain.depth` counts the
    ancestors.
    """
    # INVARIANT: I6. A request carries nothing that no policy of its slice looks at.
    context = dict(views)
    if "mission" in reads:
        context["mission"] = case.mission.context()
    if "user" in reads:
        context["user"] = uid("User", case.user)
    if "chain" in reads:
        agents = [uid("Agent", a) for a in (*case.chain, case.agent)]
        context["chain"] = {"depth": len(case.chain), "agents": agents}
    if "system" in reads:
        context["system"] = {"now": case.now}
    if "executor" in reads and case.executor:
        context["executor"] = uid("Workload", case.executor)
    if "plan" in reads and case.plan is not None:
        context["plan"] = case.plan.context()
    return context


def governance_context(case: GovernanceCase) -> dict[str, Any]:
    """Return the context of a governance action."""
    context: dict[str, Any] = {
        "mission": case.mission.context(),
        "system": {"now": case.now},
    }
    given = case.handover
    if given is not None:
        context |= {
            "user": uid("User", case.user),
            "to": uid("Agent", given.to),
            "depth": given.depth,
            "tools": given.tools,
            "effects": given.effects,
            "expires_ms": given.expires_ms,
            "task": given.task,
        }
        if given.workload:
            context["workload"] = uid("Workload", given.workload)
    wanted = case.vending
    if wanted is not None:
        context |= {
            "user": uid("User", case.user),
            "tool": wanted.tool,
            "effect": wanted.effect,
            "executor": wanted.executor,
        }
    return context
