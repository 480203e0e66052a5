"""Holder proofs: a run's key signs each request, for one governor process, once, and for now only.

Pure but for the clock and random bytes that `Holder.prove` takes. What a proof is needed for is
the governor's rule; that a nonce is used once is the job of `Nonces`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import os
import re
import time
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct, structs

from bridle.model import public_key
from bridle.model.calls import Accept, Begin, CheckPlan, Decide, Proof, Redeem
from bridle.model.errors import UsageError
from bridle.trust.grants.codes import GrantCode, GrantError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as _Private

WINDOW_MS = 30_000
"""How far a proof's time may be from the governor's, on either side."""

# Part of what is signed: no signature made for anything else can be taken for a proof of this.
_DOMAIN = b"bridle proof 1\n"
_SIGNATURE_BYTES = 64
_SEED_BYTES = 32
_LATEST_MS = 2**53
_NONCE = re.compile(r"[0-9a-f]{32}")

Provable = Decide | Begin | Redeem | Accept | CheckPlan


class Statement(Struct, frozen=True, kw_only=True):
    """What a proof is for: all of a request that bears on what happens.

    `instance` is the governor process that is asked, `grant` the digest of the session's leaf, `op`
    the kind of the request. `session` and `args` are SHA-256 (hex) of the handle and of the
    arguments' exact text. `start` is `1` to start it, `p` to have it carried out, `1p` for
    both. What an operation has not, is empty.
    """

    instance: str
    grant: str
    op: str
    session: str = ""
    action: str = ""
    tool: str = ""
    args: str = ""
    key: str = ""
    adapter: str = ""
    start: str = ""
    definition: str = ""
    requester: str = ""
    approval: str = ""
    executor: str = ""
    provenance: str = ""
    plan: str = ""
    step: str = ""


def statement_of(call: Provable, instance: str, grant: str) -> Statement:
    """Return what the proof of a request states, for the governor `instance` and leaf `grant`."""
    if isinstance(call, Accept):
        return Statement(
            instance=instance, grant=grant, op="accept", action=call.grant, executor=call.executor
        )
    session = _digest(call.session)
    if isinstance(call, CheckPlan):
        return Statement(
            instance=instance,
            grant=grant,
            op="check_plan",
            session=session,
            plan=_digest(call.plan),
            requester=call.requester,
        )
    if isinstance(call, Begin):
        return Statement(
            instance=instance,
            grant=grant,
            op="begin",
            session=session,
            action=call.action,
            definition=call.definition,
        )
    start = ("1" if call.start else "") + ("p" if call.perform else "")
    if isinstance(call, Redeem):
        return Statement(
            instance=instance,
            grant=grant,
            op="redeem",
            session=session,
            action=call.action,
            approval=call.approval,
            start=start,
            definition=call.definition,
        )
    return Statement(
        instance=instance,
        grant=grant,
        op="decide",
        session=session,
        tool=call.tool,
        args=_digest(call.args),
        key=call.key,
        adapter=call.adapter,
        start=start,
        definition=call.definition,
        requester=call.requester,
        provenance=_digest(call.provenance) if call.provenance else "",
        plan=call.plan,
        step=call.step,
    )


def sign(private: _Private, statement: Statement, time_ms: int, nonce: str) -> Proof:
    """Return the proof of a statement. `nonce` is 32 hex digits, random and never used again."""
    signature = private.sign(_message(statement, time_ms, nonce))
    return Proof(time=time_ms, nonce=nonce, signature=base64.b64encode(signature).decode())


def check(public: bytes, statement: Statement, proof: Proof, now_ms: int) -> None:
    """Refuse a proof that is not of this statement by the holder of `public` (32 raw bytes), now.

    Raises `GrantError`: `proof_invalid`, `proof_stale` (its time is more than 30 s from `now_ms`).
    Whether its nonce was used before is for `Nonces` to say, afterwards.
    """
    if not _NONCE.fullmatch(proof.nonce) or not 0 <= proof.time <= _LATEST_MS:
        raise _invalid()
    if abs(now_ms - proof.time) > WINDOW_MS:
        raise GrantError(
            GrantCode.PROOF_STALE,
            "the proof's time is more than 30 s from the governor's",
            hint="set the clocks of both machines by the same source",
        )
    raw = _signature(proof.signature)
    try:
        _key(public).verify(raw, _message(statement, proof.time, proof.nonce))
    except (InvalidSignature, ValueError):
        raise _invalid() from None


class Nonces:
    """The nonces of proofs that could still be presented again. Each is used once, by one thread.

    In memory: a proof names the governor process that it is for, so none outlives this. `capacity`
    bounds how many are remembered; where all of them could still be presented again, a further
    proof is refused rather than one of them forgotten. `share` bounds those of one owner (0: a
    quarter of all), so that who is busy refuses none but themselves.
    """

    def __init__(
        self, capacity: int = 250_000, window_ms: int = WINDOW_MS, *, share: int = 0
    ) -> None:
        self._capacity = capacity
        self._share = share or max(1, capacity // 4)
        self._owned: dict[str, int] = {}
        self._window = window_ms
        self._lock = Lock()
        self._made: dict[str, int] = {}
        self._oldest: list[tuple[int, str, str]] = []
        self._forgotten = -1

    def __len__(self) -> int:
        return len(self._made)

    def use(self, nonce: str, now_ms: int, made_ms: int | None = None, *, owner: str = "") -> None:
        """Take a nonce, or refuse. `made_ms` is the proof's time (None: it may be any in force).

        `owner` is whose share it counts to (empty: nobody's, all of the capacity is open to it).

        Raises `GrantError`: `proof_replayed`, also where there is no room; `proof_stale` for a
        proof whose nonce might have been forgotten, which takes a clock that was set back.
        """
        made = now_ms + self._window if made_ms is None else made_ms
        with self._lock:
            self._forget(now_ms)
            # INVARIANT: I5 a proof is good once, whatever the clock does and however many ask
            if made <= self._forgotten:
                raise GrantError(GrantCode.PROOF_STALE, "the clock was set back since this time")
            if nonce in self._made:
                raise GrantError(GrantCode.PROOF_REPLAYED, "this proof was presented before")
            if len(self._made) >= self._capacity:
                raise GrantError(
                    GrantCode.PROOF_REPLAYED,
                    f"{self._capacity} proofs of the last minute are remembered, and no more fit",
                )
            held = self._owned.get(owner, 0)
            if owner and held >= self._share:
                raise GrantError(
                    GrantCode.PROOF_REPLAYED,
                    f"{held} proofs of the last minute are remembered for one owner: no more fit",
                )
            self._made[nonce] = made
            self._owned[owner] = held + 1
            heapq.heappush(self._oldest, (made, nonce, owner))

    def _forget(self, now_ms: int) -> None:
        while self._oldest and self._oldest[0][0] + self._window < now_ms:
            made, nonce, owner = heapq.heappop(self._oldest)
            del self._made[nonce]
            self._owned[owner] -= 1
            if not self._owned[owner]:
                del self._owned[owner]
            self._forgotten = max(self._forgotten, made)


class Holder:
    """The key of one run of an agent, in memory only: it does not pickle, copy or print.

    `public` is the public key as text. `private` signs what is handed on
    (`bridle.trust.grants.issue.attenuate`).
    """

    __slots__ = ("private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self.private = private
        self.public = public_key.written(private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Holder:
        """Return a holder with a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed_text(cls, text: str) -> Holder:
        """Return the holder that `seed_text` gave. Raises `UsageError` (`key_invalid`)."""
        raw = b""
        if len(text) == len(_seed_text(bytes(_SEED_BYTES))) and text.isascii():
            try:
                raw = base64.b64decode(text + "=", altchars=b"-_", validate=True)
            except binascii.Error:
                raw = b""
        # The text is a secret: what is wrong with it is said without it.
        if len(raw) != _SEED_BYTES or _seed_text(raw) != text:
            raise UsageError("this is not the key of a run", code="key_invalid")
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the public key."""
        return public_key.fingerprint(self.public)

    def seed_text(self) -> str:
        """Return the private key as base64url, for another process of the same run. A secret."""
        return _seed_text(self.private.private_bytes_raw())

    def prove(
        self, call: Provable, instance: str, grant: str, *, time_ms: int | None = None
    ) -> Proof:
        """Return a new proof of a request, to be sent on a connection to governor `instance`.

        `grant` is the digest of the session's leaf (of an `Accept`: of the grant that is accepted).
        `time_ms` is the time it states (None: this machine's clock). The call's own `proof` is not
        looked at.
        """
        now = time.time_ns() // 1_000_000 if time_ms is None else time_ms
        return sign(self.private, statement_of(call, instance, grant), now, os.urandom(16).hex())

    def __repr__(self) -> str:
        return "<bridle.Holder>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        del protocol
        raise UsageError(
            "the key of a run stays in its process",
            code="key_exposed",
            hint="hand the session over (`Mission.session()`), or the task (`Agent.delegate`)",
        )


@lru_cache(maxsize=1_024)
def _key(public: bytes) -> Ed25519PublicKey:
    if len(public) != public_key.KEY_BYTES or public_key.is_weak(public):
        raise ValueError("anybody could sign under this key")
    return Ed25519PublicKey.from_public_bytes(public)


def _message(statement: Statement, time_ms: int, nonce: str) -> bytes:
    """Each part is preceded by its length in bytes, so that nothing can move between them."""
    texts = (*structs.astuple(statement), str(time_ms), nonce)
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    return _DOMAIN + b"".join([len(part).to_bytes(4, "big") + part for part in parts])


def _signature(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
    # One text for each proof: base64 with other padding bits is not the same proof.
    if len(raw) != _SIGNATURE_BYTES or base64.b64encode(raw).decode() != text:
        raise _invalid()
    return raw


def _invalid() -> GrantError:
    return GrantError(GrantCode.PROOF_INVALID, "the proof is not of this request by this holder")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _seed_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
