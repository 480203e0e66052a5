"""Text files that ship with Bridle: event schemas and preludes. Read once, never written."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

SCOPES = ("mission", "user", "agent", "tenant")
"""History scopes: the folder a policy lies in says which one it has."""


@cache
def event_schemas() -> dict[str, str]:
    """Return the event schema (Dogwood `.dwschema` text) of each history scope."""
    folder = files("bridle.bundle") / "events"
    return {scope: (folder / f"{scope}.dwschema").read_text("utf-8") for scope in SCOPES}


@cache
def prelude(name: str) -> str:
    """Return the text of the `tools` or `governance` prelude."""
    return (files("bridle.bundle") / "prelude" / f"{name}.dw").read_text("utf-8")
