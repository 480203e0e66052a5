"""The channel into a governor in this very process: for tests, notebooks and the demo."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

from bridle.client.transport import runs, wire
from bridle.client.transport.channel import error_of
from bridle.model.calls import Call, Caller, Decide, Failed, Login, Reply
from bridle.model.errors import BridleError, UnreachableError, UsageError
from bridle.trust.proof import NONCE_BYTES, Challenge

if TYPE_CHECKING:
    from bridle.governor.action.carrying import Carried
    from bridle.model.verdict import Verdict
    from bridle.trust.credential import Credential

# Seconds between two rounds of housekeeping. `bridle serve` keeps the same pace.
TICK_SECONDS = 0.5


class Handler(Protocol):
    """What a transport needs of a governor."""

    @property
    def instance(self) -> str:
        """What proofs are made for: 32 random bytes of this start of the governor, in hex."""
        ...

    @property
    def store(self) -> str:
        """The id of its store."""
        ...

    def lasting(self, tool: str) -> bool:
        """Whether what a tool does may be irreversible, as far as is known. It decides nothing."""
        ...

    def handle(self, caller: Caller, call: Call) -> Reply:
        """Answer one call. Never raises for a call."""
        ...

    def carried(self, verdict: Verdict) -> Carried:
        """Return the tool and the system of what a verdict has started. Raises `BridleError`."""
        ...

    def login(self, caller: Caller, call: Login, challenge: Challenge) -> Caller | Failed:
        """Return the caller as what it has proved to be by answering the challenge."""
        ...

    def distrust(self, caller: Caller, spoken_for: tuple[str, ...]) -> None:
        """Learn that the caller, who spoke for users in these missions, acts as an agent too."""
        ...

    def tick(self) -> object:
        """Recover lapsed leases, expire holds and missions."""
        ...

    def close(self) -> None:
        """Finish, sync, release the store."""
        ...


class EmbeddedChannel:
    """Calls a governor directly. It serves nobody else and does not survive a fork.

    `credential` is a user's, and then the channel acts as that user. Raises `RefusedError` when it
    proves nothing.
    """

    def __init__(self, governor: Handler, *, credential: Credential | None = None) -> None:
        self._governor = governor
        self._pid = os.getpid()
        self._caller = Caller(operator=True, method="embedded", uid=os.getuid())
        self._ticked = time.monotonic()
        self._closed = False
        if credential is not None:
            self.log_in(credential)

    @property
    def store(self) -> str:
        """The id of the governor's store."""
        return self._governor.store

    def log_in(self, credential: Credential) -> None:
        """From here on, act as the user whose credential this is."""
        challenge = Challenge("embedded", os.urandom(NONCE_BYTES).hex(), "operator")
        found = self._governor.login(self._caller, credential.login(challenge), challenge)
        if isinstance(found, Failed):
            raise error_of(found)
        self._caller = found

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """See `Channel.send`. There is nothing to wait for here, so `timeout` has no meaning."""
        del timeout
        if self._closed:
            raise UsageError("this embedded governor has been closed")
        if os.getpid() != self._pid:
            raise UnreachableError(
                "an embedded governor stays in the process that opened it",
                hint="use bridle.open(BUNDLE) without embedded=True to share one between processes",
            )
        # What could not travel must not be judged either, so that both channels refuse the same.
        wire.encode(call)
        try:
            self._housekeeping()
            return self._governor.handle(self._caller, self._proved(call))
        except BridleError:
            raise
        except Exception as problem:
            raise BridleError(f"the governor failed: {type(problem).__name__}") from problem

    def close(self) -> None:
        """Close the governor (in the process that opened it)."""
        if not self._closed and os.getpid() == self._pid:
            self._closed = True
            self._governor.close()

    def _proved(self, call: Call) -> Call:
        # Within one process the handle is enough for what can be undone.
        if isinstance(call, Decide) and not self._governor.lasting(call.tool):
            return call
        return runs.proved(call, self._governor.instance)

    def _housekeeping(self) -> None:
        now = time.monotonic()
        if now - self._ticked >= TICK_SECONDS:
            self._ticked = now
            self._governor.tick()
