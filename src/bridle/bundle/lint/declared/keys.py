"""Humans and workloads who would need a key and have none."""

from __future__ import annotations

from bridle.bundle.bundle import Bundle
from bridle.bundle.parse.agents import members
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.toml import Document


def check(bundle: Bundle, document: Document, findings: Findings) -> None:
    """Check who has a key. `document` is agents.toml.

    A bundle in which no human has one says nothing of keys, and is left alone.
    """
    operators = set(bundle.manifest.operators or bundle.users)
    approvers = {u for group in bundle.approvers.values() for u in members(group, bundle.users)}
    humans = (operators | approvers) & bundle.users.keys()
    keyless = sorted(user for user in humans if not bundle.users[user].key)
    if bundle.manifest.require_keys:
        for user in keyless:
            findings.error(
                document.at(("users", user)),
                "key_required",
                f"{user} could do nothing: [oversight] asks for keys, and {user} has none",
                "add `key`: `bridle operator new-key` makes one",
            )
    elif len(keyless) < len(humans):
        _weakest(keyless, operators, document, findings)
    _workloads(bundle, document, findings)


def _weakest(
    keyless: list[str], operators: set[str], document: Document, findings: Findings
) -> None:
    for user in keyless:
        code = "operator_without_key" if user in operators else "approver_without_key"
        findings.warning(
            document.at(("users", user)),
            code,
            f"{user} has no key and others have: whoever reaches the operator's socket can be"
            f" {user}",
            "add `key`: `bridle operator new-key` makes one",
        )


def _workloads(bundle: Bundle, document: Document, findings: Findings) -> None:
    for name, workload in bundle.workloads.items():
        if workload.may_assert_user and not workload.key:
            findings.warning(
                document.at(("workloads", name, "may_assert_user")),
                "assertion_without_key",
                f"{name} may assert users, which takes a key, and has none",
                "add `key`: `bridle operator new-key --workload` makes one",
            )
