"""What may be asked of a governor about credentials. Part of `bridle.model.calls`."""

from __future__ import annotations

from bridle.model.call import AgentCall, OperatorCall


class Vend(AgentCall, frozen=True, kw_only=True, tag="vend"):
    """Ask for the credential of the system that a started attempt acts on.

    Answered `Vended` to the workload that carries the attempt out, where that has proved itself on
    this connection and is declared `separate`; once for each attempt.
    """

    attempt: str


class SecretVerb(OperatorCall, frozen=True, kw_only=True, tag="secret_verb"):
    """Change the sealed secrets of this governor: `verb` is `set`, `remove` or `list`.

    A value is never answered, recorded or shown again. Answered with a listing of names.
    """

    verb: str
    name: str = ""
    value: str = ""

    def __repr__(self) -> str:
        return f"SecretVerb(verb={self.verb!r}, name={self.name!r})"


class Leases(OperatorCall, frozen=True, kw_only=True, tag="leases"):
    """List credentials that were vended, newest first: those in force, or with `all` every one."""

    mission: str = ""
    all: bool = False
    limit: int = 100


AGENT_CALLS = Vend
OPERATOR_CALLS = SecretVerb | Leases
