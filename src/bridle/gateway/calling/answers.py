"""What a client is told in place of a result: tool errors that a model can read and act upon.

Everything in them is safe to show to an agent: reason codes, the policies' own reasons, approval
ids. Arguments and results are never repeated.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Release, Verdict

_encode = msgspec.json.Encoder().encode

_AGAIN = "Call again with the same arguments once it is approved"


def tool_error(text: str, *, modern: bool = False) -> bytes:
    """Return the text of a CallToolResult that says that the call failed, and why.

    `modern`: for revision 2026-07-28, which wants every result to name its type.
    """
    result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": True}
    return _encode({"resultType": "complete", **result} if modern else result)


def refused(verdict: Verdict) -> str:
    """Say that a call was not let through."""
    if verdict.effect is Effect.HOLD:
        return (
            f"Bridle holds this call for a human ({_codes(verdict.reasons)}): {verdict.text}. "
            f"Approval {verdict.approval} is pending; nothing has run. {_AGAIN}."
        )
    return f"Bridle denied this call ({_codes(verdict.reasons)}): {verdict.text}. Nothing has run."


def withheld(release: Release) -> str:
    """Say that a call ran and its result may not pass, or not yet."""
    if release.effect is Effect.HOLD:
        return (
            f"The call ran. Bridle holds its result for a human ({_codes(release.reasons)}): "
            f"{release.text}. Approval {release.approval} is pending. {_AGAIN}: it will not run "
            "again."
        )
    codes = _codes(release.reasons)
    return f"The call ran. Bridle withholds its result ({codes}): {release.text}."


def not_asked(code: str, why: str) -> str:
    """Say that nobody could judge a call."""
    return f"Bridle denied this call ({code}): {why}. Nothing has run."


def not_told(code: str, why: str) -> str:
    """Say that a call ran and nobody could judge its result."""
    return (
        f"The call ran. Bridle withholds its result ({code}): {why}. What came of the call is not "
        "on record yet; look before you repeat it."
    )


def lost(why: str) -> str:
    """Say that a call was started and nobody knows its end."""
    return f"{why}. Nobody knows whether the call took effect; look before you repeat it."


def _codes(reasons: tuple[Reason, ...]) -> str:
    stopping = [r.code.value for r in reasons if r.code is not ReasonCode.MODIFIED]
    return ", ".join(dict.fromkeys(stopping)) or ReasonCode.FORBIDDEN.value
