"""What goes into a judgement and what comes out. Plain data, with the engine in between."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bridle.engine.flow.source import Flow
from bridle.engine.temporal.history import History
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect


class Typed(Struct, frozen=True):
    """Canonical arguments or a result.

    `text` is the exact JSON that executes (as requested, or re-encoded after a modification);
    `value` its plain Python form (fractions as `decimal.Decimal`); `digest` the SHA-256 (hex) of
    the RFC 8785 form with 64-bit integers and decimals as strings, bound to the tool's name.
    """

    text: str
    value: Any
    digest: str


class Refusal(Struct, frozen=True):
    """Input that yields no judgement. `text` names the place, never the value."""

    code: ReasonCode
    text: str


class MissionView(Struct, frozen=True):
    """What policies see of a mission.

    `labels` are those of everything it has read; `untrusted` is whether it has read anything that
    nobody vouches for, and counts as true where nobody knows.
    """

    id: str
    template: str
    purpose: str = ""
    labels: tuple[str, ...] = ()
    untrusted: bool = True
    clearance: tuple[str, ...] = ()

    def context(self) -> dict[str, Any]:
        """Return it as `context.mission` holds it."""
        return {
            "id": self.id,
            "template": self.template,
            "purpose": self.purpose,
            "labels": self.labels,
            "untrusted": self.untrusted,
            "clearance": self.clearance,
        }


class PlanView(Struct, frozen=True):
    """What policies see of the plan that an action cites: its digest, the step, whether it differs.

    `why` says why it deviates, empty where it does not: `unregistered` (no such plan of this agent
    in this mission), `step` (none of that name), `tool`, `arguments`, `order` (what it comes after
    has not ended `ok`) or `repeated` (another action was let run as this step).
    """

    digest: str
    step: str
    why: str = "unregistered"

    @property
    def deviates(self) -> bool:
        """Whether it is not known to be that step."""
        return bool(self.why)

    def context(self) -> dict[str, Any]:
        """Return it as `context.plan` holds it."""
        return {"digest": self.digest, "step": self.step, "deviates": self.deviates}


class Case(Struct, frozen=True, kw_only=True):
    """Everything one judgement depends on. `chain` are the actor's ancestors, root first.

    `requesters` are the agents on whose behalf a deputy acts: the requester's chain, itself last.

    `now` is the governor's clock in milliseconds since the epoch. `waived` are `(policy id, text
    digest)` pairs of forbids that an approval lifts for this action only. `id` is the action's:
    history knows its events by it. Without a `history`, whatever looks back is denied. Without a
    `flow`, nothing is known of where the arguments came from. `plan` is what the action cites.
    """

    tool: str
    typed: Typed
    agent: str
    user: str
    mission: MissionView
    now: int
    executor: str = ""
    chain: tuple[str, ...] = ()
    requesters: tuple[str, ...] = ()
    waived: frozenset[tuple[str, str]] = frozenset()
    id: str = ""
    history: History | None = None
    flow: Flow | None = None
    plan: PlanView | None = None


class ClosingCase(Struct, frozen=True, kw_only=True):
    """The end of a mission, asked for its user's sake. `id` as in `Case`."""

    user: str
    mission: MissionView
    now: int
    history: History | None = None
    id: str = ""


class Handover(Struct, frozen=True, kw_only=True):
    """A grant that one agent hands to another: what `delegate` is judged by.

    `agent` gives and `to` receives, who will stand `depth` grants below the root. `tools` are the
    declared tools it names and `effects` their classes. It is to hold for `expires_ms`; `task` says
    whether it is bound to one. `chain` are the giver's ancestors, root first. With a `workload` the
    giver stays who decides (`to` is itself), and that workload carries out.
    """

    agent: str
    to: str
    depth: int
    tools: tuple[str, ...]
    effects: tuple[str, ...]
    expires_ms: int
    task: bool = False
    chain: tuple[str, ...] = ()
    workload: str = ""


class Vending(Struct, frozen=True, kw_only=True):
    """The credential of a system that an action needs: what `vend_credential` is judged by.

    `agent` acts by `tool`, whose class is `effect`; `executor` is the workload that would be given
    it. `chain` are the agents that it acts through or for: all of them must be permitted.
    """

    agent: str
    system: str
    tool: str
    effect: str
    executor: str
    chain: tuple[str, ...] = ()


class GovernanceCase(Struct, frozen=True, kw_only=True):
    """A governance action on a mission, or on a system (`vending`).

    `start_mission` and `add_prompt` are the user's own, `delegate` (see `handover`) and
    `vend_credential` (see `vending`) an agent's in a mission of that user.
    """

    action: str
    user: str
    mission: MissionView
    now: int
    handover: Handover | None = None
    vending: Vending | None = None


class Cause(Struct, frozen=True):
    """What a hold asks humans to lift.

    `kind` is `forbid` (id and text digest), `budget` (name and amount) or `attempt` (id).
    """

    kind: str
    id: str
    digest: str = ""
    amount: int = 0


class ShadowHit(Struct, frozen=True):
    """A shadow policy that would have objected, or failed to evaluate (`error`)."""

    policy: str
    error: bool = False


class Closing(Struct, frozen=True):
    """What is still open at the end of a mission. Without anything in `open` it may end.

    `open` are the objections of enforced policies, and whatever could not be judged; they are safe
    to show. `shadow` are policies on trial that would have objected.
    """

    open: tuple[Reason, ...] = ()
    shadow: tuple[ShadowHit, ...] = ()


class Judgement(Struct, frozen=True, kw_only=True):
    """The engine's answer.

    `reasons` are safe for the agent, `record` are the full ones. `typed` is what may execute (or
    be released): the input on allow, the rewritten one on modify. `groups` maps approver groups to
    the number of distinct humans each needs. `objected` are the ids of all policies that objected
    and were met by a remedy.
    """

    effect: Effect
    reasons: tuple[Reason, ...] = ()
    record: tuple[Reason, ...] = ()
    typed: Typed | None = None
    causes: tuple[Cause, ...] = ()
    groups: dict[str, int] = {}
    shadow: tuple[ShadowHit, ...] = ()
    objected: tuple[str, ...] = ()
