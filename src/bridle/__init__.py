"""The governor for autonomous agents: decides, action by action, whether a step may run.

Everything here is loaded when it is first used, so that `import bridle` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridle.client.agent import Agent, current
    from bridle.client.bridle import Bridle
    from bridle.client.errors import Denied, Held
    from bridle.client.govern import govern
    from bridle.client.mission import Mission
    from bridle.client.opening import connect, unlock
    from bridle.client.opening import open_bundle as open  # noqa: A004 - bridle.open, never bare
    from bridle.client.used import Used
    from bridle.model.calls import Terms
    from bridle.model.errors import BridleError
    from bridle.model.outcome import Outcome
    from bridle.model.verdict import Effect, Verdict
    from bridle.trust.credential import Credential

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Bridle",
    "BridleError",
    "Credential",
    "Denied",
    "Effect",
    "Held",
    "Mission",
    "Outcome",
    "Terms",
    "Used",
    "Verdict",
    "__version__",
    "connect",
    "current",
    "govern",
    "open",
    "unlock",
]

_FROM = {
    "Agent": ("bridle.client.agent", "Agent"),
    "Bridle": ("bridle.client.bridle", "Bridle"),
    "BridleError": ("bridle.model.errors", "BridleError"),
    "Credential": ("bridle.trust.credential", "Credential"),
    "Denied": ("bridle.client.errors", "Denied"),
    "Effect": ("bridle.model.verdict", "Effect"),
    "Held": ("bridle.client.errors", "Held"),
    "Mission": ("bridle.client.mission", "Mission"),
    "Outcome": ("bridle.model.outcome", "Outcome"),
    "Terms": ("bridle.model.calls", "Terms"),
    "Used": ("bridle.client.used", "Used"),
    "Verdict": ("bridle.model.verdict", "Verdict"),
    "connect": ("bridle.client.opening", "connect"),
    "current": ("bridle.client.agent", "current"),
    "govern": ("bridle.client.govern", "govern"),
    "open": ("bridle.client.opening", "open_bundle"),
    "unlock": ("bridle.client.opening", "unlock"),
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
