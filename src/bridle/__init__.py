"""The governor for autonomous agents: decides, action by action, whether a step may run.

Everything here is loaded when it is first used, so that `import bridle` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridle.client.agent import Agent, current
    from bridle.client.bridle import Bridle
    from bridle.client.credentials import LeasedCredential, acredential, credential
    from bridle.client.delegating import Invitation, Offer
    from bridle.client.errors import Denied, Held, PerformedError
    from bridle.client.govern import govern
    from bridle.client.inside import attach
    from bridle.client.mission import Mission
    from bridle.client.opening import connect, unlock
    from bridle.client.opening import open_bundle as open  # noqa: A004 - bridle.open, never bare
    from bridle.client.planning import check_plan
    from bridle.client.revoking import Revocation
    from bridle.client.stopping import on_stop
    from bridle.client.used import Used
    from bridle.client.worker import Worker, worker
    from bridle.model.calls import Terms
    from bridle.model.errors import BridleError
    from bridle.model.outcome import Outcome
    from bridle.model.plan import Forecast
    from bridle.model.provenance import Provenance
    from bridle.model.verdict import Effect, Verdict
    from bridle.trust.credential import Credential
    from bridle.trust.definition import of_files as definition
    from bridle.trust.grants.conditions import (
        anything,
        between,
        cidr,
        eq,
        exactly,
        host,
        matches,
        one_of,
        path_under,
        prefix,
        same,
        subset,
        suffix,
    )

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Bridle",
    "BridleError",
    "Credential",
    "Denied",
    "Effect",
    "Forecast",
    "Held",
    "Invitation",
    "LeasedCredential",
    "Mission",
    "Offer",
    "Outcome",
    "PerformedError",
    "Provenance",
    "Revocation",
    "Terms",
    "Used",
    "Verdict",
    "Worker",
    "__version__",
    "acredential",
    "anything",
    "attach",
    "between",
    "check_plan",
    "cidr",
    "connect",
    "credential",
    "current",
    "definition",
    "eq",
    "exactly",
    "govern",
    "host",
    "matches",
    "on_stop",
    "one_of",
    "open",
    "path_under",
    "prefix",
    "same",
    "subset",
    "suffix",
    "unlock",
    "worker",
]

_FROM = {
    "Agent": ("bridle.client.agent", "Agent"),
    "Bridle": ("bridle.client.bridle", "Bridle"),
    "BridleError": ("bridle.model.errors", "BridleError"),
    "Credential": ("bridle.trust.credential", "Credential"),
    "Denied": ("bridle.client.errors", "Denied"),
    "Effect": ("bridle.model.verdict", "Effect"),
    "Forecast": ("bridle.model.plan", "Forecast"),
    "Held": ("bridle.client.errors", "Held"),
    "Invitation": ("bridle.client.delegating", "Invitation"),
    "LeasedCredential": ("bridle.client.credentials", "LeasedCredential"),
    "Mission": ("bridle.client.mission", "Mission"),
    "Offer": ("bridle.client.delegating", "Offer"),
    "Outcome": ("bridle.model.outcome", "Outcome"),
    "PerformedError": ("bridle.client.errors", "PerformedError"),
    "Provenance": ("bridle.model.provenance", "Provenance"),
    "Revocation": ("bridle.client.revoking", "Revocation"),
    "Terms": ("bridle.model.calls", "Terms"),
    "Used": ("bridle.client.used", "Used"),
    "Verdict": ("bridle.model.verdict", "Verdict"),
    "Worker": ("bridle.client.worker", "Worker"),
    "acredential": ("bridle.client.credentials", "acredential"),
    "anything": ("bridle.trust.grants.conditions", "anything"),
    "attach": ("bridle.client.inside", "attach"),
    "between": ("bridle.trust.grants.conditions", "between"),
    "check_plan": ("bridle.client.planning", "check_plan"),
    "cidr": ("bridle.trust.grants.conditions", "cidr"),
    "connect": ("bridle.client.opening", "connect"),
    "credential": ("bridle.client.credentials", "credential"),
    "current": ("bridle.client.agent", "current"),
    "definition": ("bridle.trust.definition", "of_files"),
    "eq": ("bridle.trust.grants.conditions", "eq"),
    "exactly": ("bridle.trust.grants.conditions", "exactly"),
    "govern": ("bridle.client.govern", "govern"),
    "host": ("bridle.trust.grants.conditions", "host"),
    "matches": ("bridle.trust.grants.conditions", "matches"),
    "on_stop": ("bridle.client.stopping", "on_stop"),
    "one_of": ("bridle.trust.grants.conditions", "one_of"),
    "open": ("bridle.client.opening", "open_bundle"),
    "path_under": ("bridle.trust.grants.conditions", "path_under"),
    "prefix": ("bridle.trust.grants.conditions", "prefix"),
    "same": ("bridle.trust.grants.conditions", "same"),
    "subset": ("bridle.trust.grants.conditions", "subset"),
    "suffix": ("bridle.trust.grants.conditions", "suffix"),
    "unlock": ("bridle.client.opening", "unlock"),
    "worker": ("bridle.client.worker", "worker"),
}


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'bridle' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _FROM[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
