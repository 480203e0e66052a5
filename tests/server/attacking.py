"""What attacks on carried-out actions share: a bundle with rules, budgets and chains."""

from collections.abc import Callable
from typing import Any

import pytest

import bridle
from server.carrying import FILES, SECRET, SYSTEMS

TITLE = {"repo": "main", "title": "fine"}

MISSIONS = (
    FILES["missions.toml"] + "max_depth = 3\n" + "[missions.office.budgets.calls]\nlimit = 5\n"
)
POLICIES = (
    FILES["policies/limits.dw"]
    + """
@id("no-pins") @reason("pins stay inside")
forbid (principal, action == Action::"issue.create:result", resource)
when { context.output has body && context.output.body has pin && context.output.body.pin == "9" };
@id("pins-held") @reason("a lead looks at it") @hold("leads")
forbid (principal, action == Action::"issue.create:result", resource)
when { context.output has body && context.output.body has pin && context.output.body.pin == "8" };
"""
)
GOVERNANCE = FILES["governance/permits.dw"]
# What rules about results are to read has to say what else there is.
JUDGED = SYSTEMS.replace(
    'status = { type = "integer" }\n',
    'status = { type = "integer" }\n'
    'headers = { type = "object", additionalProperties = { type = "string" } }\n',
)
RULED = {"missions.toml": MISSIONS, "policies/limits.dw": POLICIES}


def code_of(job: Callable[[], Any]) -> str:
    with pytest.raises(bridle.BridleError) as refused:
        job()
    assert SECRET not in repr(refused.value)
    return refused.value.code
