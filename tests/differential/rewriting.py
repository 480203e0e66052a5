"""Where conditions stand within a policy, and putting others in their place."""

from __future__ import annotations

from random import Random

import msgspec

from bridle.language.temporal import ast
from differential import abbreviating, policies, trees
from differential.policies import Marker, Policy


def conditions(policy: Policy) -> list[tuple[trees.Steps, ast.Condition]]:
    """Give each condition of a policy with the way to it."""
    return [
        ((*steps, "condition"), marker.condition) for steps, marker in trees.of_kind(policy, Marker)
    ]


def abbreviated(rnd: Random, policy: Policy) -> Policy:
    """Write some of the policy's conditions with macros."""
    macros = list[policies.Macro]()
    for steps, condition in conditions(policy):
        made = abbreviating.abbreviated(rnd, condition, f"rule_{len(macros)}")
        if made is not None:
            changed, macro = made
            policy = trees.put(policy, steps, changed)
            macros.append(macro)
    return msgspec.structs.replace(policy, macros=tuple(macros))
