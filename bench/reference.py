"""The reference interpreter on the same policies and events: what one decision takes of a replay.

It has no call for one decision that works under its default event schema, so a trace is replayed
with the deciding request and without it, and the difference is what the decision took.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from bench.histories import AGENT, APART_MS, Step
from bench.recalling import Story
from bridle.model.event import EventKind

SCHEMA = """
entity Agent; entity System;
action "pay.refund", "pay.draft", "pay.close" appliesTo {
    principal: [Agent], resource: [System],
    context: { input: { account: String, amount: Long } },
};
"""


@dataclass(frozen=True)
class Sequence:
    """A policy, the folder whose history it sees, and what happened before."""

    name: str
    file: str
    condition: str
    story: Story

    @property
    def scope(self) -> str:
        """The scope of its file."""
        return "agent" if "/agent/" in self.file else "mission"

    @property
    def rules(self) -> str:
        """The policies as text, the same for both."""
        return (
            '@id("rule") forbid (principal, action == Action::"pay.refund", resource)\n'
            f"when temporal {{ {self.condition} }};\n"
            '@id("else") permit (principal, action, resource);\n'
        )


def drafts(count: int) -> Iterator[Step]:
    """Drafts that were made, all of one account."""
    return (Step("draft", EventKind.RESPONSE, 7, n) for n in range(count))


def mixed(count: int) -> Iterator[Step]:
    """Drafts that were made, a tenth of them closed: not the last."""
    return (
        Step("close" if n % 10 == 0 else "draft", EventKind.RESPONSE, 7, n)
        for n in range(count, 0, -1)
    )


AGGREGATE = Sequence(
    "sum in a window",
    "policies/all.dw",
    "(sum a for (a: Long), (t: Timepoint). where formerly within 24h (\n"
    '    Action::"pay.draft"::response{ input.account: context.input.account, input.amount: a }\n'
    "    && tp(t))) > 1000000000",
    drafts,
)
PREVIOUS = Sequence(
    "previous, default event schema",
    "policies/agent/all.dw",
    'previous within 24h Action::"pay.close"::response{ input.account: context.input.account }',
    mixed,
)


def installed() -> bool:
    """Whether the interpreter is there (a development dependency)."""
    return importlib.util.find_spec("dogwood") is not None


class Replayed:
    """The interpreter over a trace of so many events."""

    def __init__(self, case: Sequence, events: int) -> None:
        from dogwood import native

        self._replay = native.replay
        self._rules = case.rules
        past = [_line(n, step) for n, step in enumerate(case.story(events))]
        now = _line(events, Step("refund", EventKind.REQUEST, 7, events))
        self._bare, self._whole = "".join(past), "".join([*past, now])
        if not self.whole().strip().endswith("true"):
            raise RuntimeError(f"the reference did not allow: {case.name}")

    def whole(self) -> str:
        """Replay the trace with the request that is decided."""
        return str(self._replay(self._rules, SCHEMA, self._whole, None))

    def bare(self) -> str:
        """Replay the trace without it."""
        return str(self._replay(self._rules, SCHEMA, self._bare, None))


def _line(number: int, step: Step) -> str:
    inputs = f'input: {{ account: "ACC-{step.account:04}", amount: 5 }}'
    return (
        f'@{number * APART_MS // 1000} scope(principal: Agent::"{AGENT}", '
        f'resource: System::"pay") request_context({inputs}) '
        f'Action::"pay.{step.tool}"::{step.kind.value}({inputs}, '
        f'callerPrincipal: Agent::"{AGENT}", callerResource: System::"pay", '
        f'requestId: "{step.request}", sessionId: "s")\n'
    )
