"""Runs inside `.venv-peers`: times calls of peers, so many at a time as it is told.

It reads lines of `{"case", "rules", "times"}` and answers each with the microseconds of every
call, as a JSON list. Imports nothing of Bridle; what each call does stands in bench/README.md.
`rules` counts rules, for `SEQUENCES` the tool calls that have happened, and for `CHAINS` the
handoffs below the root.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
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


_TOOL, _USED = "web.get", {"url": "https://docs.example/page/7", "size": 12}


def tenuo(depth: int, *, decode: bool) -> Callable[[], object]:
    """Return the decoding of a stack of warrants, or the check of a decoded one with its proof."""
    from tenuo import Authorizer, Pattern, Range, SigningKey, Warrant
    from tenuo import decode_warrant_stack_base64 as read
    from tenuo import encode_warrant_stack as write

    caps = {_TOOL: {"url": Pattern("https://docs.example/*"), "size": Range(0, 100)}}
    keys = [SigningKey.generate() for _ in range(depth + 2)]
    stack = [Warrant.issue(keys[0], capabilities=caps, holder=keys[1].public_key)]
    for signer, holder in pairwise(keys[1:]):
        stack.append(stack[-1].attenuate(caps, signer, holder=holder.public_key))
    text, authorizer = write(stack), Authorizer(trusted_roots=[keys[0].public_key])
    signed: dict[int, bytes] = {}

    def check() -> None:
        now = int(time.time())
        if now not in signed:
            signed.clear()
            signed[now] = stack[-1].sign(keys[-1], _TOOL, _USED, now)
        authorizer.check_chain(stack, _TOOL, _USED, signature=signed[now])

    check()
    return (lambda: read(text)) if decode else check


def biscuit(depth: int, *, parse: bool) -> Callable[[], object]:
    """Return the parsing of a token of so many blocks more, or the authorising of a parsed one."""
    from biscuit_auth import AuthorizerBuilder, Biscuit, BiscuitBuilder, BlockBuilder, KeyPair

    checks = (
        f'check if tool("{_TOOL}"); check if url($u), $u.starts_with("https://docs.example/"); '
        "check if size($s), $s <= 100;"
    )
    root = KeyPair()
    token = BiscuitBuilder(checks).build(root.private_key)
    for _ in range(depth):
        token = token.append(BlockBuilder(checks))
    text, facts = token.to_base64(), {"tool": _TOOL, **_USED}

    def authorise() -> None:
        code = "tool({tool}); url({url}); size({size}); allow if true;"
        builder = AuthorizerBuilder(code, facts)
        limits = builder.limits()
        limits.max_time = timedelta(seconds=10)  # its own millisecond fails now and then
        builder.set_limits(limits)
        builder.build(token).authorize()

    authorise()
    return (lambda: Biscuit.from_base64(text, root.public_key)) if parse else authorise


CHAINS: dict[str, Callable[[int, Path], Callable[[], object]]] = {
    "Tenuo, decode the stack": lambda n, _at: tenuo(n, decode=True),
    "Tenuo, check with its proof, decoded": lambda n, _at: tenuo(n, decode=False),
    "Biscuit, parse and verify": lambda n, _at: biscuit(n, parse=True),
    "Biscuit, authorise, parsed": lambda n, _at: biscuit(n, parse=False),
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
                made = CASES | LEDGERS | SEQUENCES | CHAINS
                calls[key] = made[asked["case"]](asked["rules"], Path(name))
            print(json.dumps(timed(calls[key], asked["times"])), flush=True)


if __name__ == "__main__":
    main()
