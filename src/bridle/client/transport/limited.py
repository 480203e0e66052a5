"""Operator sides of connections that are no operator's: shut, or open for a workload's few calls.

The governor decides all of this itself; here an honest caller learns it before anything is sent.
"""

from __future__ import annotations

from bridle.client.transport.channel import Channel
from bridle.model.calls import AddPrompt, Call, OpenSession, Reply, StartMission
from bridle.model.errors import RefusedError

_ASSERTIONS = StartMission | AddPrompt | OpenSession


class NoOperator:
    """Stands where a connection of role `agent` has no operator's side."""

    @property
    def store(self) -> str:
        """Nobody asks here."""
        return ""

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """Refuse the call."""
        del call, timeout
        raise RefusedError(
            "this connection has the role `agent`",
            code="operator_only",
            hint='connect with role="operator", as the user who owns the store',
        )

    def close(self) -> None:
        """Nothing to let go of."""


class Asserting:
    """The way on which a workload speaks for users it has authenticated (`may_assert_user`).

    `channel` is to the agents' socket and carries no agent's calls: where it did, what the users
    said would no longer count as theirs.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def store(self) -> str:
        """The id of the governor's store."""
        return self._channel.store

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """Pass on what starts missions, adds prompts and opens sessions; refuse the rest."""
        if isinstance(call, _ASSERTIONS):
            return self._channel.send(call, timeout=timeout)
        raise RefusedError(
            f"a workload speaks for users, it is no operator: {type(call).__name__} is not for it",
            code="operator_only",
            hint="connect as an operator for everything else",
        )

    def close(self) -> None:
        """Let go of the governor."""
        self._channel.close()
