"""A checked policy: what the engine needs of it, and where it stands in its file."""

from __future__ import annotations

from enum import StrEnum

from cedarpy import pst
from msgspec import Struct

from bridle.language.remedy import Modify
from bridle.language.temporal.ast import Condition
from bridle.model.finding import Location


class PolicySetName(StrEnum):
    """`tools` judges actions and results; `governance` alone judges governance actions."""

    TOOLS = "tools"
    GOVERNANCE = "governance"


class Leaf(Struct, frozen=True):
    """One condition over history, as lowering takes it out of a policy. Its macros are expanded.

    Cedar sees it as the truth `context.history.<name>`. `digest` is the SHA-256 (hex) of its scope
    and canonical text, whatever policy it stands in: state is kept under it. `reads` are the parts
    of the deciding request it looks at (`principal`, `resource`, attributes of `context`).
    `horizon` is how far back, in seconds, what it says can depend on events: nested windows add up.
    `written` is the condition as it stands in its file, macros and all.
    """

    name: str
    condition: Condition
    digest: str
    scope: str
    location: Location
    reads: frozenset[str]
    horizon: int
    written: Condition | None = None


class Policy(Struct, frozen=True):
    """One policy of a bundle.

    `id` is its `@id` (unique in the bundle). `digest`, which an approval is bound to, is the
    SHA-256 (hex) of its exact source text, and of its lowered text where macros or history add to
    what it says. `node` is the typed Cedar AST under the same id, its conditions over history
    replaced by the truths of `leaves`. `modify` and `hold` are its remedy (at most one of the
    two); `shadow` policies are evaluated apart.
    """

    id: str
    effect: str
    text: str
    digest: str
    location: Location
    node: pst.Template
    set: PolicySetName = PolicySetName.TOOLS
    scope: str = "mission"
    reason: str = ""
    modify: tuple[Modify, ...] = ()
    hold: tuple[tuple[str, int], ...] = ()
    shadow: bool = False
    leaves: tuple[Leaf, ...] = ()

    @property
    def has_remedy(self) -> bool:
        """Whether this objection can be met at all."""
        return bool(self.modify or self.hold)
