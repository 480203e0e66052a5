"""Credentials inside effects: a separate worker asks for what opens the system that it acts on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NoReturn, Self

from bridle.client.attempt import running
from bridle.client.attempt.running import Running
from bridle.client.errors import Denied
from bridle.client.transport.channel import Channel, error_of
from bridle.model.calls import Failed, Vend, Vended
from bridle.model.errors import BridleError, NotReachedError, ProtocolError, UsageError
from bridle.model.reason import ReasonCode

_PLACE = "{secret}"
_HINTS = {
    ReasonCode.NOT_SEPARATED.value: "declare `separate = true` for the workload, and connect with "
    "its credential (`bridle.unlock`)",
    ReasonCode.CREDENTIAL_UNAVAILABLE.value: "`bridle leases` shows what its broker said",
    ReasonCode.EXECUTOR_NOT_PROVEN.value: "connect with the workload's credential "
    "(`bridle.unlock`)",
}
# What else can be wrong is an error of the call, and no word about the action.
_DENIALS = frozenset(code.value for code in ReasonCode)


class CredentialDenied(Denied, NotReachedError):  # noqa: N818 - a denial is no error
    """There is no credential for this attempt. An effect that ends so has not begun.

    It is therefore asked for before anything else is done.
    """

    code = ReasonCode.CREDENTIAL_DENIED.value


class LeasedCredential:
    """What opens a system for the action that runs here, until `expires` (seconds, Unix time).

    Not shown, pickled or copied. After `forget`, or the end of `with`, it is gone from here; at the
    system it ends with the action in any case.
    """

    __slots__ = ("_fields", "expires", "lease", "system")

    def __init__(
        self, *, system: str, lease: str, expires: float, fields: Mapping[str, str]
    ) -> None:
        self.system = system
        self.lease = lease
        self.expires = expires
        self._fields = dict(fields)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its values: `secret`, or those of a connection (`user`, `password`, …)."""
        return tuple(self._fields)

    def reveal(self, field: str = "secret") -> str:
        """Return a value, to be put where it is used and kept nowhere.

        Raises `UsageError` where there is none of that name, or it has expired.
        """
        if time.time() >= self.expires:
            self.forget()
        if not self._fields:
            raise UsageError(
                "this credential has expired, or was forgotten",
                hint="each action gets one, for its own time",
            )
        if field not in self._fields:
            raise UsageError(f"it has {', '.join(self._fields)}, and nothing else")
        return self._fields[field]

    def header(self, form: str = "Bearer {secret}") -> str:
        """Return the value of a header: `form` with the secret in it. Raises as `reveal`."""
        return form.replace(_PLACE, self.reveal())

    def forget(self) -> None:
        """Let go of the values."""
        self._fields = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.forget()

    def __repr__(self) -> str:
        return f"<bridle.LeasedCredential of {self.system}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        del protocol
        raise UsageError(
            "a credential stays in the process that carries the action out",
            hint="ask for it there, inside the effect",
        )


def credential() -> LeasedCredential:
    """Return the credential of the system that the action which runs here acts on.

    To be called inside an effect, once, before it does anything. The process is that of a workload
    which is declared `separate` and has proved its key. Raises `CredentialDenied` (a `Denied`:
    `not_separated`, `credential_denied`, `credential_unavailable`, …), `UnreachableError` when the
    governor does not answer, `UsageError` outside an effect.
    """
    return _asked(running.current())


async def acredential() -> LeasedCredential:
    """The async twin of `credential`."""
    from bridle.client.attempt import waiting

    return await waiting.to_the_end(_asked, running.current())


def _asked(attempt: Running) -> LeasedCredential:
    vended = vend(attempt.channel, attempt.session, attempt.attempt)
    return LeasedCredential(
        system=vended.system,
        lease=vended.lease,
        expires=vended.expires / 1000,
        fields=vended.secret,
    )


def vend(channel: Channel, session: str, attempt: str) -> Vended:
    """Ask for the credential of a started attempt. Raises as `credential`."""
    reply = channel.send(Vend(session=session, attempt=attempt))
    if isinstance(reply, Vended) and reply.secret:
        return reply
    if isinstance(reply, Failed):
        raise _refusal(reply)
    raise ProtocolError("the governor answered something else than a credential")


def _refusal(failed: Failed) -> BridleError:
    if failed.code not in _DENIALS:
        return error_of(failed)
    hint = failed.hint or _HINTS.get(failed.code, "")
    return CredentialDenied(failed.message, code=failed.code, hint=hint)
