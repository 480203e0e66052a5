"""The keys of the runs of agents that act in this process, and the proofs that are made with them.

A run is known by the handle of its session; before it has one, by what stands for its proof.
Channels ask here right before they send: a proof is for one try, on one connection, to one governor
process. Keys are kept for as long as somebody keeps the run.
"""

from __future__ import annotations

import os
import weakref

from msgspec import structs

from bridle.model.calls import Accept, Begin, Call, CheckPlan, Decide, Proof, Redeem
from bridle.model.errors import UsageError
from bridle.trust.holder import Holder

_SEPARATOR = "."


class Run:
    """One run of an agent: its key, the handle of its session and the digest of its grant.

    A session that was opened without a key has neither `holder` nor `grant`.
    """

    __slots__ = ("__weakref__", "grant", "handle", "holder")

    def __init__(self, handle: str, holder: Holder | None = None, grant: str = "") -> None:
        self.handle = handle
        self.holder = holder
        self.grant = grant
        if holder is not None and handle:
            _by_handle[handle] = self

    def text(self) -> str:
        """Return handle, key and grant as one secret text, for another process of the same run."""
        if self.holder is None:
            return self.handle
        return _SEPARATOR.join((self.handle, self.holder.seed_text(), self.grant))

    def __repr__(self) -> str:
        return "<bridle run>"


def read(text: str) -> Run:
    """Return the run that `Run.text` gave. Raises `UsageError` (`key_invalid`)."""
    parts = text.split(_SEPARATOR)
    if len(parts) == 1:
        return Run(text)
    if len(parts) != len(("handle", "key", "grant")):
        raise UsageError("this is no session that was handed over", code="key_invalid")
    handle, seed, grant = parts
    return Run(handle, Holder.from_seed_text(seed), grant)


def accepting(grant: str, holder: Holder) -> Run:
    """Return a run that can prove to accept a grant, while it is kept."""
    # A name of its own: others in this process may be about to accept the same grant.
    return Run(os.urandom(16).hex(), holder, grant)


def unproved(run: Run) -> Proof:
    """Return what stands for the proof of a call that accepts, until the call is sent."""
    return Proof(time=0, nonce=run.handle, signature="")


def proved(call: Call, instance: str) -> Call:
    """Return `call` with a new proof for the governor `instance`, where its run has a key here."""
    if isinstance(call, Accept):
        run = _by_handle.get(call.proof.nonce)
    elif isinstance(call, Decide | Begin | Redeem | CheckPlan):
        run = _by_handle.get(call.session)
    else:
        return call
    if run is None or run.holder is None:
        return call
    return structs.replace(call, proof=run.holder.prove(call, instance, run.grant))


_by_handle: weakref.WeakValueDictionary[str, Run] = weakref.WeakValueDictionary()
