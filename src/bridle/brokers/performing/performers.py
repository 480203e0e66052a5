"""Carries an action out as its tool declares: the one place that knows which performer that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridle.brokers.broker import Secret
from bridle.brokers.performing import http
from bridle.brokers.performing.failures import UnreachedError
from bridle.brokers.performing.stopping import Stop
from bridle.model.performing import Egress, HttpCall, SqlCall
from bridle.model.tool import System, Tool


def perform(  # noqa: PLR0913 - what performers share
    tool: Tool,
    system: System,
    arguments: Mapping[str, Any],
    secret: Secret | None,
    stop: Stop,
    *,
    lease: str = "",
) -> Any:
    """Carry an action out and return its result, a JSON value without the secret.

    `lease` names the credential's lease (empty: none), for performers that mark what they run.
    Raises `UnreachedError` where nothing has happened, `PerformError` for any other failure.
    """
    how = tool.performed
    if isinstance(how, HttpCall):
        return http.call(how, system, arguments, secret, stop)
    if isinstance(how, Egress):
        return http.egress(how, system, arguments, secret, stop)
    if isinstance(how, SqlCall):
        from bridle.brokers.performing import sql

        return sql.call(how, system, arguments, secret, stop, lease=lease)
    raise UnreachedError("nothing says how the governor's side carries this out")
