"""A connection to a governor: missions to start, holds to answer, the switch to stop everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bridle.client import erasing
from bridle.client.agent import Agent
from bridle.client.attempt.arguments import to_text
from bridle.client.mission import Mission, Session
from bridle.client.transport import runs
from bridle.client.transport.channel import Channel, ask
from bridle.model.calls import (
    Activate,
    Answer,
    Approvals,
    Call,
    Delegations,
    Done,
    EndException,
    Exceptions,
    Fenced,
    Kill,
    Listing,
    Missions,
    Opened,
    Redact,
    Revoke,
    StartMission,
    Status,
    Terms,
    Unkill,
)
from bridle.model.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from bridle.client.delegating import Invitation
    from bridle.client.revoking import Revocation
    from bridle.trust.credential import Credential


class Bridle:
    """A governor, as `bridle.open` and `bridle.connect` return it.

    `operator` is the way for the operator's calls, `agents` the way for the agents' (the same
    one when it is left out), `reference` what pickled agents connect to. Safe for threads and
    fork. Every operator's call raises `RefusedError` when this human may not do it,
    `UnreachableError` when the governor does not answer. `as_user` names the human; a lone
    operator, and who connected with a credential, need not.
    """

    def __init__(
        self, operator: Channel, *, agents: Channel | None = None, reference: str = ""
    ) -> None:
        self.operator = operator
        self.agents = agents or operator
        self.reference = reference

    def start_mission(self, template: str, *, user: str, prompt: str = "") -> Mission:
        """Start a mission from a template on behalf of `user`, with what they said."""
        call = StartMission(template=template, user=user, prompt=prompt)
        return Mission(self, ask(self.operator, call, Opened).id)

    def mission(self, id: str) -> Mission:  # noqa: A002 - the word users know it by
        """Return a mission that was started before. Raises `NotFoundError`."""
        ask(self.operator, Missions(mission=id), Listing)
        return Mission(self, id)

    def missions(self) -> list[dict[str, Any]]:
        """Missions, newest first."""
        return self.rows(Missions())

    def attach(self, handle: str, *, mission: str, agent: str) -> Agent:
        """Return the agent of a session that an operator opened and handed over."""
        session = Session(self, mission, agent, run=runs.read(handle))
        return Agent(Mission(self, mission), agent, "", session)

    def approvals(self) -> list[dict[str, Any]]:
        """What waits for a human, oldest first."""
        return self.rows(Approvals())

    def approve(  # noqa: PLR0913 - all but one by name
        self,
        id: str,  # noqa: A002 - the word users know it by
        *,
        as_user: str = "",
        reason: str = "",
        digest: str = "",
        args: Mapping[str, Any] | str = "",
        terms: Terms | None = None,
        card: str = "",
    ) -> str:
        """Approve a hold as a human and return its status.

        `digest` is that of what the human saw; without it, the agent's request as it is at this
        moment, but never what other humans have written (`RefusedError`, `digest_missing`). `args`
        approves these arguments instead, `terms` more than this one action. Both have to be allowed
        by everything but what the hold asks for; votes for something else then no longer count.
        `card`, the name of the card that was shown, approves every hold on it, all or none; then
        there is no digest, nothing is edited, and no terms.
        """
        call = Answer(
            approval=id,
            approve=True,
            reason=reason,
            digest=digest if digest or card else self._digest(id),
            as_user=as_user,
            args=to_text(args) if args else "",
            terms=terms,
            card=card,
        )
        return self.done(call)

    def deny(
        self,
        id: str,  # noqa: A002
        *,
        as_user: str = "",
        reason: str = "",
        digest: str = "",
        card: str = "",
    ) -> str:
        """Deny a hold (with `card`: every hold on its card) as a human and return its status."""
        call = Answer(
            approval=id, approve=False, reason=reason, digest=digest, as_user=as_user, card=card
        )
        return self.done(call)

    def exceptions(self, mission: str = "") -> list[dict[str, Any]]:
        """What humans approved for the rest of a mission (of all missions), newest first."""
        return self.rows(Exceptions(mission=mission))

    def end_exception(self, id: str, *, as_user: str = "") -> None:  # noqa: A002
        """End an exception before its time, as one who granted it or as an operator."""
        self.done(EndException(exception=id, as_user=as_user))

    def kill(
        self, scope: str, subject: str = "", *, reason: str = "", as_user: str = ""
    ) -> list[dict[str, Any]]:
        """Stop everything in a scope: `all`, or `tool`, `agent`, `mission` with a subject.

        Returns the attempts that had already started: only they may still go on.
        """
        return self.rows(Kill(scope=scope, subject=subject, reason=reason, as_user=as_user))

    def revoke(
        self,
        subject: str | Agent,
        *,
        kind: str = "grant",
        reason: str = "",
        as_user: str = "",
        preview: bool = False,
    ) -> Revocation:
        """Take trust back for good: a grant (or the one an agent has) with everything below it.

        Or, by `kind`, a `key` (its fingerprint), an `agent`, a `mission` or a `user`: what names
        them and was granted so far. Nothing it covers starts once this has returned; the answer
        lists what had started. With `preview` nothing is revoked.
        """
        from bridle.client import revoking

        name = revoking.name_of(subject)
        call = Revoke(kind=kind, subject=name, reason=reason, preview=preview, as_user=as_user)
        return revoking.fenced(kind, name, ask(self.operator, call, Fenced), self)

    def delegations(self, mission: str = "", *, all: bool = False) -> list[dict[str, Any]]:  # noqa: A002
        """Grants in force (with `all`, those that ended as well), parents before children."""
        return self.rows(Delegations(mission=mission, all=all))

    def invite(self, agent: str, *, credential: Credential | None = None) -> Invitation:
        """Return a run of `agent` in this process that another agent can hand a task on to.

        `credential` is the agent's, where it has keys.
        """
        from bridle.client.delegating import Invitation

        return Invitation(self, agent, credential=credential)

    def resume(self, scope: str, subject: str = "", *, as_user: str = "") -> None:
        """Lift a kill."""
        self.done(Unkill(scope=scope, subject=subject, as_user=as_user))

    def activate(self, digest: str = "", *, as_user: str = "") -> str:
        """Make the bundle on disk the active one and return its digest.

        `digest` is that of the files the human looked at; without it, those of this moment.
        """
        if not digest:
            digest = str(self.status()["on_disk"])
        return self.done(Activate(digest=digest, as_user=as_user))

    def redact(  # noqa: PLR0913 - all but one by name
        self,
        mission: str = "",
        *,
        basis: str,
        user: str = "",
        record: int = -1,
        fields: Iterable[str] = (),
        preview: bool = False,
        as_user: str = "",
    ) -> list[dict[str, Any]]:
        """Erase sealed values for good, on record, and return what was erased, a row for each.

        Of a `mission` that is over, of every such mission of a `user`, or of one `record` (its
        index in the log), all of it or some `fields`. `basis` says why, in clear text. With
        `preview` nothing is erased. Rows of a user's missions that cannot be erased yet have
        `refused`. Where `scrubbed` is false, older copies are left in the store's files for now:
        `unscrubbed` says why, and when the governor tries again.
        """
        if sum((bool(mission), bool(user), record >= 0)) != 1:
            raise UsageError("name a mission, a user or a record to erase")
        call = Redact(
            mission=mission,
            record=record,
            fields=tuple(fields),
            basis=basis,
            preview=preview,
            as_user=as_user,
        )
        return erasing.redact(self.rows, call, user)

    def status(self) -> dict[str, Any]:
        """The governor's state: active bundle, kills, what waits, size of the ledger."""
        rows = self.rows(Status())
        if len(rows) != 1:
            raise NotFoundError("the governor told nothing of its state")
        return rows[0]

    def close(self) -> None:
        """Let go of the governor; an embedded one closes its store."""
        self.agents.close()
        self.operator.close()

    def done(self, call: Call) -> str:
        """Have an operation done; return the governor's note."""
        return ask(self.operator, call, Done).note

    def rows(self, call: Call) -> list[dict[str, Any]]:
        """Ask for a listing."""
        return ask(self.operator, call, Listing).rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<bridle.Bridle {self.reference}>"

    def _digest(self, hold: str) -> str:
        """What a hold is about now, as far as it is the agent's own request."""
        rows = self.rows(Approvals(approval=hold))
        written = not rows or rows[0].get("edited") or rows[0].get("terms")
        return "" if written else str(rows[0].get("digest", ""))
