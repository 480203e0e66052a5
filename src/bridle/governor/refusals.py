"""How a call is told no: in the form that its kind of answer has. Decides nothing."""

from __future__ import annotations

from bridle.governor.ground import clear
from bridle.model import calls
from bridle.model.calls import Failed, Judged, Released, Reply
from bridle.model.errors import BridleError, RefusedError
from bridle.model.reason import Reason
from bridle.model.verdict import Effect, Release, Verdict

# What is answered by a verdict, whatever happens.
ON_ACTIONS = calls.Decide | calls.Begin | calls.Redeem


def operator_only() -> RefusedError:
    """The call is an operator's, and the connection is not."""
    return RefusedError(
        "this needs the operator's connection",
        code="operator_only",
        hint="use the operator socket of this store, as its owner",
    )


def unknown(call: calls.Call) -> RefusedError:
    """No such call."""
    return RefusedError(f"unknown call {type(call).__name__}", code="unknown_call")


def failed(problem: BridleError) -> Failed:
    """The operation did not happen, for this reason."""
    return Failed(
        code=problem.code,
        message=clear.text_of(problem.message),
        hint=clear.text_of(problem.hint),
        about=problem.about,
    )


def no(call: calls.Call, reason: Reason) -> Reply:
    """Nothing was recorded, or the call itself is none: denied where it is about an action."""
    if isinstance(call, calls.Observe):
        release = Release(action="", effect=Effect.DENY, reasons=(reason,))
        return Released(release=release)
    if isinstance(call, ON_ACTIONS):
        return Judged(verdict=Verdict(action="", effect=Effect.DENY, reasons=(reason,)))
    return Failed(code=reason.code, message=reason.text)
