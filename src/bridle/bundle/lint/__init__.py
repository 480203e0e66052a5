"""What is wrong with a bundle whose files can each be read: names, types, remedies, dead rules."""

from __future__ import annotations

from bridle.bundle.bundle import Bundle
from bridle.bundle.lint.declared import budgets, credentials, keys, missions, tools
from bridle.bundle.lint.history import conditions, sequences
from bridle.bundle.lint.places import Places
from bridle.bundle.lint.policies import cedar, entities, origins, reach
from bridle.bundle.lint.policies.remedies import RemedyLint
from bridle.bundle.lint.scope import Seen, covered, in_scope, seen_of
from bridle.bundle.obligations import names_closing
from bridle.bundle.parse import agents, manifest, systems
from bridle.bundle.parse import missions as mission_files
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.toml import Document
from bridle.language.policy import Policy, PolicySetName


def run(bundle: Bundle, documents: dict[str, Document], findings: Findings) -> None:
    """Run every lint. `documents` are the TOML files, for the places of keys."""
    places = Places(bundle.texts)
    _policies(bundle, places, documents, findings)
    tools.check(bundle, documents[systems.FILE], findings)
    credentials.check(bundle, documents[systems.FILE], findings)
    missions.check(bundle, documents[mission_files.FILE], findings)
    budgets.check(bundle, documents, findings)
    keys.check(bundle, documents[agents.FILE], findings)


def _policies(
    bundle: Bundle, places: Places, documents: dict[str, Document], findings: Findings
) -> None:
    entities.check(bundle.policies, bundle, places, findings)
    conditions.check(bundle, places, findings)
    judged = _of(bundle, PolicySetName.TOOLS)
    governing = _of(bundle, PolicySetName.GOVERNANCE)
    ending = [p for p in judged if names_closing(p)]
    calling = [p for p in judged if not names_closing(p)]
    dead = cedar.check(calling, bundle.schemas.calls, places, findings)
    dead |= cedar.check(ending, bundle.schemas.tools, places, findings)
    dead |= cedar.check(governing, bundle.schemas.governance, places, findings)
    applies = _applies(bundle, judged, dead)
    obliging = {p.id for p in ending if p.effect == "forbid"} - dead
    unused = dead | {name for name, seen in applies.items() if not seen} - obliging
    for policy in (*judged, *governing):
        origins.labels(policy, bundle, places, findings)
        if policy.id in unused and not policy.id.startswith("bridle."):
            reach.never_applies(policy, findings)
        if policy.has_remedy and not policy.reason:
            _missing_reason(policy, findings)
        if policy.has_remedy and names_closing(policy):
            _closing_remedy(policy, places, findings)
    known = frozenset({*manifest.BUILT_IN_DETECTORS, *(d.name for d in bundle.manifest.detectors)})
    everything = seen_of(bundle.tools.values())
    for policy in judged:
        sequences.check(policy, applies[policy.id], bundle, findings)
        scope = in_scope(policy, bundle, everything)
        reach.presence(policy, scope, places, findings)
        origins.check(policy, scope, places, findings)
        if policy.modify:
            RemedyLint(policy, places, findings).check(applies[policy.id], known)
        reach.DetectorLint(policy, places, findings).check(applies[policy.id], known)
    reach.permits(bundle, applies, documents[systems.FILE], findings)


def _closing_remedy(policy: Policy, places: Places, findings: Findings) -> None:
    findings.error(
        places.annotation(policy, "modify" if policy.modify else "hold"),
        "remedy_on_closing",
        f"{policy.id} is about the end of a mission, which nothing can change or hold",
        "drop the remedy: an obligation is met by closing what is open",
    )


def _missing_reason(policy: Policy, findings: Findings) -> None:
    findings.info(
        policy.location,
        "missing_reason",
        f"{policy.id} has a remedy and no @reason",
        "the reason is what the agent, and the human who approves, are told",
    )


def _of(bundle: Bundle, set_name: PolicySetName) -> list[Policy]:
    return [p for p in bundle.policies if p.set is set_name]


def _applies(
    bundle: Bundle, judged: list[Policy], dead: frozenset[str]
) -> dict[str, tuple[Seen, ...]]:
    everything = seen_of(bundle.tools.values())
    return {p.id: () if p.id in dead else covered(p, bundle, everything) for p in judged}
