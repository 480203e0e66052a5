"""The judgement on one action, and the judgement on releasing its result."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from bridle.model.outcome import Outcome
from bridle.model.reason import Reason


class Effect(StrEnum):
    """The four verdicts. Strictness: deny > hold > modify > allow."""

    ALLOW = "allow"
    MODIFY = "modify"
    HOLD = "hold"
    DENY = "deny"

    @property
    def strictness(self) -> int:
        """0 for allow up to 3 for deny."""
        return _STRICTNESS[self]

    @property
    def runs(self) -> bool:
        """Whether this verdict lets the effect start."""
        return self is Effect.ALLOW or self is Effect.MODIFY


_STRICTNESS = {Effect.ALLOW: 0, Effect.MODIFY: 1, Effect.HOLD: 2, Effect.DENY: 3}


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a record lies: leaf index in the ledger and its RFC 6962 leaf hash (hex).

    `durability` is the mode it was written at: `strict` (fsynced before the verdict left) or
    `relaxed`.
    """

    index: int
    hash: str
    durability: str = "strict"


class Verdict(Struct, frozen=True, forbid_unknown_fields=True):
    """What the governor says about one action.

    `args` is the exact JSON text that may execute: the requested text on allow, the rewritten one
    on modify, empty otherwise. `attempt` and `lease_ms` are set when the call also started the
    action. `outcome` is the stored result of an action that already ended `ok`; it is returned
    instead of running again. `approval` names the pending request on hold.
    """

    action: str
    effect: Effect
    reasons: tuple[Reason, ...] = ()
    args: str = ""
    approval: str = ""
    attempt: str = ""
    lease_ms: int = 0
    outcome: Outcome | None = None
    receipt: Receipt | None = None
    bundle: str = ""

    @property
    def text(self) -> str:
        """The reasons as one agent-safe sentence."""
        return "; ".join(r.text or r.code.value for r in self.reasons)


class Release(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether, and as what, a result may reach the agent.

    `output` is JSON text: what may reach the agent, wherever a rule has judged the result. It is
    empty when no rule applies, so that the original may pass (`allow`), or when nothing may pass.
    """

    action: str
    effect: Effect
    reasons: tuple[Reason, ...] = ()
    output: str = ""
    approval: str = ""
    receipt: Receipt | None = None

    @property
    def text(self) -> str:
        """The reasons as one agent-safe sentence."""
        return "; ".join(r.text or r.code.value for r in self.reasons)
