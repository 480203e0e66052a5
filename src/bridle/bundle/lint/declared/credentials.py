"""Credentials that nobody could use, that nothing permits, or that travel in the clear."""

from __future__ import annotations

from cedarpy import pst

from bridle.bundle.bundle import Bundle
from bridle.bundle.lint.scope import covers_system
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.toml import Document, KeyPath
from bridle.language.policy import Policy, PolicySetName
from bridle.model.credential import ExchangeCredential, Use
from bridle.model.mission import matches
from bridle.model.tool import System, Tool

VEND = "vend_credential"
_ENDPOINTS = ("endpoint", "revocation")


def check(bundle: Bundle, document: Document, findings: Findings) -> None:
    """Check every system that has a credential. `document` is systems.toml."""
    for system in bundle.systems.values():
        _plain(system, document, findings)
        if system.credential is None:
            continue
        tools = [tool for tool in bundle.tools.values() if tool.system == system.id]
        for tool in tools:
            missing = _missing(bundle, system, tool)
            if missing:
                findings.warning(
                    document.at(("tools", tool.name)),
                    "nobody_separate",
                    f"nobody could carry out {tool.name}: {missing}",
                    "until then every start of it is denied (`not_separated`)",
                )
        if tools and not any(_permits(policy, system, bundle) for policy in bundle.policies):
            findings.warning(
                document.at(("systems", system.id, "credential")),
                "no_vend_permit",
                f"nothing in governance/ permits that the credential of {system.id} is used",
                f"write a permit of `{VEND}` for those who are meant",
            )


def _missing(bundle: Bundle, system: System, tool: Tool) -> str:
    """Return what a tool lacks to be carried out where the system's credential is used."""
    assert system.credential is not None
    if system.credential.use is Use.GOVERNOR:
        if tool.performed is not None:
            return ""
        return f"the credential of {system.id} is for the governor, and it has no `http` or `sql`"
    separate = [w for w in bundle.workloads.values() if w.separate]
    if any(matches(workload.tools, tool.name) for workload in separate):
        return ""
    return f"the credential of {system.id} takes a workload that is `separate` and may execute it"


def _permits(policy: Policy, system: System, bundle: Bundle) -> bool:
    """Whether the scope of a permit covers the use of a system's credential."""
    if policy.set is not PolicySetName.GOVERNANCE or policy.effect != "permit":
        return False
    match policy.node.action:
        case pst.ActionEq(entity=entity):
            acts = entity.id == VEND
        case pst.ActionIn(entities=entities):
            acts = any(entity.id in (VEND, "governance") for entity in entities)
        case _:
            acts = True
    return acts and covers_system(policy.node.resource, system.id, bundle)


def _plain(system: System, document: Document, findings: Findings) -> None:
    path = ("systems", system.id)
    said: list[tuple[KeyPath, str]] = [((*path, "url"), system.url)]
    if isinstance(system.credential, ExchangeCredential):
        below = (*path, "credential")
        said += [((*below, key), getattr(system.credential, key)) for key in _ENDPOINTS]
    for at, url in said:
        if url.startswith("http://"):
            findings.info(
                document.at(at),
                "private_http",
                f"what goes to {url[:80]} is neither encrypted nor proved to be the right place",
                "right on one machine; across a network use https://",
            )
