"""Runs inside `.venv-peers`: times calls of peers, so many at a time as it is told.

It reads lines of `{"case", "rules", "times"}` and answers each with the microseconds of every
call, as a JSON list. Imports nothing of Bridle; what each call does stands in bench/README.md.
`rules` counts rules, or for `SEQUENCES` the tool calls that have happened.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def agt(rules: int, folder: Path, *, audit: bool) -> Callable[[], object]:
    """Return a call of a function under `govern()`: no rule matches, the default allows."""
    from agentmesh.governance.govern import govern
    from agentmesh.governance.policy import Policy, PolicyRule

    del folder
    named = [
        PolicyRule(
            name=f"danger-{n}",
            condition=f"action.type == 'danger_{n}' and resource.owner == 'x'",
            action="deny",
        )
        for n in range(rules - 1)
    ]
    last = PolicyRule(
        name="drop-or-delete", condition="action.type in ['drop', 'delete']", action="deny"
    )
    policy = Policy(name="rules", agents=["*"], default_action="allow", rules=[*named, last])
    governed = govern(lambda **_args: "done", policy=policy, audit=audit)

    def call() -> None:
        if governed(action="read", resource={"owner": "y"}) != "done":
            raise SystemExit("govern() did not run the function")

    return call


def attenu(rules: int, folder: Path, *, file: bool) -> Callable[[], object]:
    """Return a check of a delegated guard that holds `rules` scopes; the last one matches."""
    from attenu_guard import Authority, Guard, RowLimit

    scopes = frozenset([f"s{n}.read" for n in range(rules - 1)] + ["z.read"])
    path = str(folder / f"attenu-{rules}.jsonl") if file else None
    authority = Authority(scopes, ceilings=[RowLimit(1000)], ttl=36_000)
    root = Guard.issue("o", authority, audit_path=path)
    guard = root.delegate("a", authority, task="work")

    def call() -> None:
        if not guard.check("z.read", context={"rows": 5}).allowed:
            raise SystemExit("attenu-guard did not allow the call")

    return call


CASES: dict[str, Callable[[int, Path], Callable[[], object]]] = {
    "AGT govern(), no audit": lambda n, at: agt(n, at, audit=False),
    "AGT govern(), audit in memory": lambda n, at: agt(n, at, audit=True),
    "attenu-guard, ledger in memory": lambda n, at: attenu(n, at, file=False),
    "attenu-guard, ledger in a file": lambda n, at: attenu(n, at, file=True),
}


def agt_log(folder: Path, *, file: bool) -> Callable[[], object]:
    """Return an entry of AGT's Merkle log in memory, and in a signed file too if asked for."""
    from agentmesh.governance.audit import AuditLog
    from agentmesh.governance.audit_backends import FileAuditSink

    log = AuditLog(sink=FileAuditSink(folder / "agt.jsonl", b"k" * 32) if file else None)
    return lambda: log.log("tool_call", "did:a", "read", resource="y", data=_ENTRY)


def attenu_log(folder: Path) -> Callable[[], object]:
    """Return an entry of attenu-guard's hash-chained file."""
    from attenu_guard.audit import AuditLog

    log = AuditLog(folder / "attenu-log.jsonl")
    return lambda: log.append("check", "2026-01-01T00:00:00Z", actor="a", scope="y", **_ENTRY)


_ENTRY = {
    "tool": "pay.t0",
    "account": "ACC-000123",
    "amount": 1250,
    "currency": "EUR",
    "reference": "2026-11-0042",
}

LEDGERS: dict[str, Callable[[int, Path], Callable[[], object]]] = {
    "AGT AuditLog, Merkle log in memory": lambda _n, at: agt_log(at, file=False),
    "AGT AuditLog and FileAuditSink, not fsynced": lambda _n, at: agt_log(at, file=True),
    "attenu-guard AuditLog in a file, not fsynced": lambda _n, at: attenu_log(at),
}


_PAIR = """
raise "refund after close" if:
    (first: ToolCall) -> (second: ToolCall)
    first is tool:close
    second is tool:refund
"""


def invariant(events: int) -> Callable[[], object]:
    """Return the judging of a pending call after so many messages, none of them the first tool."""
    os.environ |= {"LOCAL_POLICY": "1", "INVARIANT_MAX_ITERATIONS": "1000000"}
    from invariant.analyzer import LocalPolicy

    policy = LocalPolicy.from_string(_PAIR)
    past = [message for n in range(events // 2) for message in _called(n, "draft")]
    (pending, _) = _called(events, "refund")

    def call() -> None:
        if policy.analyze_pending(past, [pending]).errors:
            raise SystemExit("Invariant objected")

    return call


def _called(number: int, tool: str) -> tuple[dict[str, Any], dict[str, Any]]:
    arguments = {"account": "ACC-0007", "amount": 5}
    asked = {"name": tool, "arguments": arguments}
    return (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": str(number), "type": "function", "function": asked}],
        },
        {"role": "tool", "tool_call_id": str(number), "content": "done"},
    )


SEQUENCES: dict[str, Callable[[int, Path], Callable[[], object]]] = {
    "Invariant, ordered pair": lambda n, _at: invariant(n),
}


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Microseconds of each of so many calls."""
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - began) / 1000)
    return taken


def main() -> None:
    """Answer lines until there are no more."""
    warnings.simplefilter("ignore")
    calls: dict[tuple[str, int], Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-peers-", dir=sys.argv[1]) as name:
        for line in sys.stdin:
            asked = json.loads(line)
            key = (asked["case"], asked["rules"])
            if key not in calls:
                calls[key] = (CASES | LEDGERS | SEQUENCES)[asked["case"]](
                    asked["rules"], Path(name)
                )
            print(json.dumps(timed(calls[key], asked["times"])), flush=True)


if __name__ == "__main__":
    main()
