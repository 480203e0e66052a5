"""The exception tree. One job: say what failed, with a code for machines and a way out for humans.

A denial is not an error: inside Bridle it is a value (`bridle.model.verdict.Verdict`). Only the
public Python edge turns it into an exception (`bridle.client.errors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridle.model.finding import Finding


class BridleError(Exception):
    """Root of everything Bridle raises.

    `code` is stable and for machines, `hint` says what the reader can do about it. `about` is
    what else the code needs, where a program can act on it.
    """

    code: str = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        about: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint
        self.about = about or {}

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]" + (f"\n  {self.hint}" if self.hint else "")


class BundleError(BridleError):
    """A bundle that must not be used. Carries every finding, not only the first."""

    code = "bundle_invalid"

    def __init__(
        self,
        message: str,
        findings: tuple[Finding, ...] = (),
        *,
        code: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.findings = findings


class StoreError(BridleError):
    """Durable state could not be read or written. Nothing of the failed batch happened."""

    code = "store_unavailable"


class UnreachableError(BridleError):
    """No governor answered. The caller must treat the action as denied."""

    code = "governor_unreachable"


class ProtocolError(BridleError):
    """Bytes on a connection that are not the protocol: wrong version, frame, size or message."""

    code = "protocol_error"


class RefusedError(BridleError):
    """An operation (not an action of an agent) that this caller may not do, or not now."""

    code = "refused"


class NotFoundError(BridleError):
    """The thing an operation names does not exist."""

    code = "not_found"


class UsageError(BridleError):
    """The developer called Bridle in a way that cannot work."""

    code = "usage"


class NotReachedError(BridleError):
    """An effect that ends so was never reached: nothing has happened, and it is recorded so."""

    code = "not_reached"
