"""What humans ask of a governor, and workloads that speak for them: the operators' desk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct, structs

from bridle.bundle.load import load
from bridle.governor import refusals
from bridle.governor.credentials import secrets
from bridle.governor.credentials import showing as leases_shown
from bridle.governor.delegation import showing as grants_shown
from bridle.governor.ground import proven
from bridle.governor.ground.core import Core
from bridle.governor.ground.opening import Ground
from bridle.governor.ground.turn import Turn
from bridle.governor.ground.watch import DiskWatch
from bridle.governor.history import explaining
from bridle.governor.identity import key_changes
from bridle.governor.oversight import (
    activation,
    approvals,
    humans,
    missions,
    operators,
    redaction,
    registering,
    showing,
)
from bridle.governor.oversight.activation import By
from bridle.governor.oversight.scrubbing import Scrubber
from bridle.governor.publishing.signed_log import SignedLog
from bridle.governor.revocation import revoking
from bridle.governor.revocation.snapshot import snapshot
from bridle.model import calls
from bridle.model.calls import Caller, Listing, Opened, Reply
from bridle.model.errors import RefusedError

T = TypeVar("T")

# What a workload may ask that speaks for users it has authenticated (`may_assert_user`).
_ASSERTIONS = calls.StartMission | calls.AddPrompt | calls.OpenSession

_ACTS: dict[type[calls.Call], Callable[..., Any]] = {
    calls.AddPrompt: missions.add_prompt,
    calls.CloseSession: missions.close_session,
    calls.Unkill: operators.unkill,
    calls.IdentityVerb: operators.identity,
    calls.Settle: operators.settle,
    calls.EndException: approvals.end,
}
_CHANGES: dict[type[calls.Call], Callable[..., list[dict[str, Any]]]] = {
    calls.KeyVerb: key_changes.change,
    calls.PipelineVerb: registering.change,
}
_SHOWN: dict[type[calls.Call], Callable[..., list[dict[str, Any]]]] = {
    calls.Missions: showing.missions_of,
    calls.Agents: showing.identities,
    calls.Keys: key_changes.listed,
    calls.Pipelines: registering.listed,
    calls.Approvals: showing.approvals,
    calls.Exceptions: showing.excepted,
    calls.Attempts: showing.attempts,
    calls.Explain: explaining.explain,
    calls.Delegations: grants_shown.delegations,
    calls.StatusSnapshot: snapshot,
    calls.Leases: leases_shown.listed,
}


class Office(Struct, frozen=True):
    """What the desk works with. `tell` wakes those who wait for an answer of a human.

    A governor over a throw-away store has no `ground`, `watch` and `log`.
    """

    core: Core
    scrubber: Scrubber
    tell: Callable[[], None]
    ground: Ground | None = None
    watch: DiskWatch | None = None
    log: SignedLog | None = None


class Desk:
    """Answers operators' calls. Safe for use by many threads."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def answer(self, caller: Caller, call: calls.Call) -> Reply:
        """Answer one call. Raises `BridleError` where it is refused."""
        if not caller.operator and not (caller.workload and isinstance(call, _ASSERTIONS)):
            raise refusals.operator_only()
        write = partial(self._as, caller)
        match call:
            case calls.StartMission():
                mission = write(partial(missions.start, caller=caller, call=call))
                reply: Reply = Opened(id=mission.id)
            case calls.OpenSession():
                reply = write(partial(missions.open_session, caller=caller, call=call))
            case calls.MissionVerb():
                changed = write(partial(missions.change, caller=caller, call=call))
                reply = calls.Done(note=changed.status)
            case calls.Answer():
                hold = write(partial(approvals.answer, caller=caller, call=call))
                reply = calls.Done(note=hold.status)
            case calls.Kill():
                reply = Listing(rows=write(partial(operators.kill, caller=caller, call=call)))
            case calls.KeyVerb() | calls.PipelineVerb():
                change = _CHANGES[type(call)]
                reply = Listing(rows=write(partial(change, caller=caller, call=call)))
            case calls.Activate():
                reply = self._activate(caller, call)
            case calls.RotateLogKey():
                reply = self._rotate(caller, call)
            case calls.Redact():
                reply = Listing(rows=[self._redact(caller, call)])
            case calls.Status():
                reply = Listing(rows=[self._status(caller)])
            case _:
                return self._plainly(caller, call)
        # Each of these may have settled a hold that somebody waits for.
        self._office.tell()
        return reply

    def _as(self, caller: Caller, job: Callable[[Turn], T]) -> T:
        """Run an operator's job, if what the connection proved still counts at that moment."""

        def proved(turn: Turn) -> T:
            # INVARIANT: I9 — a key that the bundle no longer names, or whose owner was suspended,
            # opens nothing from that commit on.
            proven.require(turn, caller)
            return job(turn)

        return self._office.core.write(proved, caller=caller)

    def _plainly(self, caller: Caller, call: calls.Call) -> Reply:
        """Answer what needs nothing but a turn of its own."""
        if isinstance(call, calls.Revoke):
            return self._revoke(caller, call)
        if isinstance(call, calls.SecretVerb):
            write = partial(self._as, caller)
            return Listing(rows=secrets.answer(self._office.core, write, caller, call))
        act, show = _ACTS.get(type(call)), _SHOWN.get(type(call))
        if act is not None:
            self._as(caller, partial(act, caller=caller, call=call))
            self._office.tell()
            return calls.Done()
        if show is not None:
            return Listing(rows=self._as(caller, partial(show, call=call)))
        raise refusals.unknown(call)

    def _revoke(self, caller: Caller, call: calls.Revoke) -> calls.Fenced:
        fenced: calls.Fenced = self._as(caller, partial(revoking.revoke, caller=caller, call=call))
        if call.preview:
            return fenced
        self._office.tell()
        # In a turn of its own: what is only shown keeps nobody waiting for the fence.
        ended = self._as(caller, partial(revoking.ended, call=call))
        return structs.replace(fenced, stopped=[*ended, *fenced.stopped])

    def _status(self, caller: Caller) -> dict[str, Any]:
        row = self._as(caller, showing.overview)
        if self._office.watch is None or self._office.ground is None:
            return {**row, "bundle": "", "on_disk": row["active"], "changed": False}
        digest = self._office.watch.digest()
        changed = digest != row["active"]
        return {
            **row,
            "bundle": str(self._office.ground.root),
            "on_disk": digest,
            "changed": changed,
        }

    def _activate(self, caller: Caller, call: calls.Activate) -> Reply:
        if self._office.ground is None:
            raise RefusedError("this governor has no bundle on disk", code="no_bundle")
        # Before the scenarios run: they are work, and this caller may not be entitled to it.
        self._as(caller, lambda turn: humans.operator(turn, caller, call.as_user))
        bundle = load(self._office.ground.root)
        if bundle.digest != call.digest:
            raise RefusedError(
                "the bundle on disk is not the one you were shown",
                code="digest_differs",
                hint="run `bridle check` again and activate what it shows",
            )
        self._office.ground.assert_apart(bundle)
        activation.require_passing(bundle)
        self._office.core.adopt(bundle)

        def job(turn: Turn) -> None:
            # Who may activate is what the bundle in force says, not the new one.
            who = humans.operator(turn, caller, call.as_user)
            activation.activate(turn, bundle, By(user=who, method=caller.method))

        self._as(caller, job)
        if self._office.watch is not None:
            self._office.watch.digest()
        return calls.Done(note=bundle.digest)

    def _rotate(self, caller: Caller, call: calls.RotateLogKey) -> Reply:
        log = self._office.log
        if log is None:
            raise RefusedError("the log of this governor is not signed", code="no_log")
        # Before a key is made: this caller may not be entitled to it.
        self._as(caller, lambda turn: humans.operator(turn, caller, call.as_user))
        with log.rotating:
            made = None if call.retire else log.make()

            def job(turn: Turn) -> None:
                who = humans.operator(turn, caller, call.as_user)
                by = {"by": who, "method": caller.method}
                if made is not None:
                    log.add(turn, made, by)
                else:
                    log.retire(turn, call.retire, by)

            self._as(caller, job)
            return Listing(rows=log.rotated())

    def _redact(self, caller: Caller, call: calls.Redact) -> dict[str, Any]:
        write = partial(self._as, caller)
        if call.preview:
            found = structs.asdict(redaction.preview(write, caller, call))
            return {**found, "scrubbed": False, "unscrubbed": ""}
        erased = write(partial(redaction.redact, caller=caller, call=call))
        # Also where nothing was left to erase: an earlier erasure may have been cut off here.
        left = self._office.scrubber.scrub() if call.scrub else self._office.scrubber.later()
        return {**structs.asdict(erased), "scrubbed": not left, "unscrubbed": left}
