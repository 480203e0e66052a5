"""The engine of one bundle: reads, judges, releases. Pure, immutable once made, thread-safe.

Every answer is a value. Whatever fails inside is a denial, never an exception and never an allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.engine import verdicts
from bridle.engine.case import (
    Case,
    Closing,
    ClosingCase,
    GovernanceCase,
    Judgement,
    Refusal,
    Typed,
)
from bridle.engine.cedar.entities import entities
from bridle.engine.cedar.evaluate import World
from bridle.engine.cedar.panel import Panel
from bridle.engine.closing import Obligations
from bridle.engine.detect import Detectors
from bridle.engine.flow.arguments import Meanings
from bridle.engine.governance import Governance
from bridle.engine.judge import Judge
from bridle.engine.normalise import Normaliser
from bridle.engine.parties import (
    asks_for_origins,
    asks_what_was_read,
    tool_policies,
    undeclared,
)
from bridle.engine.stages import ArgumentStage, ResultStage
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.caps import Caps
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.occurrence import Occurrences
from bridle.engine.temporal.program import Program
from bridle.language.policy import Policy
from bridle.model.event import EventKind
from bridle.model.reason import ReasonCode


class Engine:
    """Decides for one bundle. What depends on a tool is prepared on its first use and kept.

    Raises `BundleError` when the bundle's entities do not fit its schema or a policy is a
    template; `bridle check` finds both earlier. Without `compiled` Cedar itself answers every
    question, which takes longer and changes no answer. `programs` are the conditions over history
    by scope; a scope without any is left out. `traces` says whether any policy asks where arguments
    came from, `meanings` what they mean, and `heeds` whether any asks what a mission has read.
    """

    def __init__(self, bundle: Bundle, *, compiled: bool = True) -> None:
        self.bundle = bundle
        self._normaliser = Normaliser(bundle)
        self._detectors = detectors = Detectors(bundle)
        world = World(bundle.schemas.judging, entities(bundle), compiled=compiled)
        panel = Panel(world, {p.id: p for p in tool_policies(bundle)})
        self._judge = Judge(panel, detectors, bundle.approvers)
        self._occurrences = Occurrences(bundle)
        self._arguments = ArgumentStage(bundle, self._normaliser, detectors, self._occurrences)
        self._results = ResultStage(bundle, self._normaliser, detectors)
        self._governance = Governance(bundle, compiled=compiled)
        self._obligations = Obligations(bundle, world, self._occurrences)
        self.programs = _programs(bundle)
        self.traces = any(map(asks_for_origins, tool_policies(bundle)))
        self.heeds = any(map(asks_what_was_read, tool_policies(bundle)))
        self.meanings = Meanings(bundle.tools, bundle.systems)

    def normalise(self, tool: str, text: str) -> Typed | Refusal:
        """Read the exact JSON text of an action's arguments into canonical form, or refuse it."""
        return self._normaliser.normalise(tool, text)

    def steering(self, typed: Typed, tool: str, but: frozenset[tuple[str, ...]]) -> Any:
        """Return what of an action's arguments steers its effect, without those at the paths `but`.

        Content is left out. Compare two of them by `bridle.engine.normalise.steering.same`.
        """
        return self._normaliser.steering(tool, typed.value, but)

    def declares(self, tool: str, path: tuple[str, ...]) -> bool:
        """Whether a path of names leads to a declared argument of a tool."""
        return self._normaliser.declares(tool, path)

    def judge(self, case: Case) -> Judgement:
        """Judge an action whose arguments have been normalised by this engine."""
        return self._guarded(case, self._arguments, case.typed)

    def release(self, case: Case, output: str) -> Judgement | Refusal:
        """Judge whether, and as what, a result may reach the agent. `output` is its JSON text."""
        typed = self.result(case.tool, output)
        return typed if isinstance(typed, Refusal) else self._guarded(case, self._results, typed)

    def result(self, tool: str, text: str) -> Typed | Refusal:
        """Read the JSON text of a result into canonical form, or refuse it."""
        try:
            return self._normaliser.output(tool, text)
        except Exception:
            return Refusal(ReasonCode.INTERNAL, "the result could not be read")

    def result_parts(self, tool: str, text: str) -> Typed | None:
        """Read of a result what can be read, for its event. None where nothing can."""
        try:
            return self._normaliser.output_parts(tool, text)
        except Exception:
            return None

    def has_release_rules(self, tool: str) -> bool:
        """Whether an enforced forbid can match a result of the tool, for any declared agent.

        Where none can, every result is released: the prelude permits it, so it need not be judged.
        """
        return self._results.has_rules(tool)

    def governance(self, case: GovernanceCase) -> Judgement:
        """Judge a governance action by the policies in `governance/` alone."""
        return self._governance.judge(case)

    def closing(self, case: ClosingCase) -> Closing:
        """Return what policies say is still open at the end of a mission."""
        return self._obligations.judge(case)

    def event(  # noqa: PLR0913 - the parts of an event, by name
        self,
        case: Case,
        kind: EventKind,
        atoms: Atomiser,
        *,
        typed: Typed | None = None,
        output: Typed | None = None,
        error: str = "",
    ) -> Event:
        """Return what history holds of an action: see `bridle.engine.temporal.occurrence`.

        `typed` are its final arguments (default: those of the case), `output` what a response
        brought, `error` the code of an error. Raises `KeyError` for a tool that the bundle lacks.
        """
        return self._occurrences.event(case, kind, atoms, typed=typed, output=output, error=error)

    @property
    def wants_imprints(self) -> bool:
        """Whether what is read has to be looked through at all."""
        return self.traces or bool(self.bundle.manifest.detected)

    def asks_for_origins(self, tool: str) -> bool:
        """Whether a policy of a declared tool asks where its arguments came from."""
        return self._arguments.traces(tool)

    def labelled(self, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield a label and the value that carries it for all that detectors find in texts.

        Which labels a detector attaches is said in the bundle's manifest. Of a text that cannot be
        searched in full, all of it carries all labels.
        """
        detected = self.bundle.manifest.detected
        if not detected:
            return
        for text in texts:
            for span in self._detectors.find(text, detected):
                for label in detected.get(span.detector, ()):
                    yield label, text[span.start : span.end]

    def policies(self, tool: str) -> tuple[Policy, ...]:
        """Return the policies that could speak of a declared tool's actions, shadow ones too."""
        return self._arguments.policies(tool)

    def looking_back(self, tool: str, agent: str) -> tuple[Policy, ...]:
        """Return the policies with conditions over history that could speak, shadow ones too."""
        return self._arguments.looking_back(tool, agent)

    def reader(self, case: Case, agent: str, atoms: Atomiser) -> Read:
        """Return what conditions read of an action, with `agent` as principal."""
        facts = self._detectors.facts(case.tool, case.typed.value)
        return self._occurrences.read(case, agent, case.typed.value, facts, atoms)

    def _guarded(self, case: Case, stage: ArgumentStage | ResultStage, typed: Typed) -> Judgement:
        stranger = undeclared(self.bundle, case)
        if stranger is not None:
            return verdicts.refused(stranger.code, stranger.text)
        try:
            return self._judge.judge(stage, case, typed)
        except Exception:
            # INVARIANT: I2. No failure of ours reaches the caller as anything but a denial.
            return verdicts.refused(ReasonCode.INTERNAL, "judging failed")


def _programs(bundle: Bundle) -> dict[str, Program]:
    """Return what each scope's histories have to be kept for, shadow policies included."""
    leaves = [leaf for policy in tool_policies(bundle) for leaf in policy.leaves]
    limits = bundle.manifest.limits
    caps = Caps(events=limits.history_events, matches=limits.history_matches)
    return {
        scope: Program((leaf for leaf in leaves if leaf.scope == scope), caps)
        for scope in sorted({leaf.scope for leaf in leaves})
    }
