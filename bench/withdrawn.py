"""A governor in whose store so many things were revoked, and a chain of eight that was not."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from bench import rules, workload
from bench.calls import WorkloadError
from bench.chains import HOUR
from bridle.governor.governor import Governor
from bridle.governor.ground.turn import Turn
from bridle.model import calls
from bridle.model.calls import Caller, Reply
from bridle.model.verdict import Effect
from bridle.store.rows import RevokedRow
from bridle.trust.grants import chain, issue
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, ToolGrant
from bridle.trust.holder import Holder

_CALLER = Caller(operator=True, method="embedded")
_HANDING = '@id("all") permit (principal, action, resource);\n'
_ALL = (Detail(DETAIL_TYPE, {"*": ToolGrant()}),)


class Withdrawn:
    """A call decides a new action, and looks anew whether anything of its chain was revoked."""

    def __init__(self, folder: Path, revoked: int, depth: int) -> None:
        root = rules.write_bundle(folder / "bundle", 1)
        (root / "governance").mkdir()
        (root / "governance" / "all.cedar").write_text(_HANDING, "utf-8")
        self._governor = Governor.open(root, state=folder / "state", embedded=True)
        self._keys = itertools.count()
        self._session = self._handed(depth)
        if (effect := self()) != Effect.ALLOW:
            raise WorkloadError(f"depth {depth}: {effect}")
        _fill(self._governor, revoked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._governor.close()

    def __call__(self) -> Effect:
        """Have one new action decided, recorded and committed."""
        decide = calls.Decide(
            session=self._session,
            tool=rules.READ.tool,
            args=rules.READ.args,
            key=str(next(self._keys)),
        )
        reply = self._governor.handle(_CALLER, decide)
        if not isinstance(reply, calls.Judged):
            raise WorkloadError(repr(reply))
        return reply.verdict.effect

    def advance(self) -> None:
        """Begin another epoch, as a revocation does: nothing is known to be clear any more."""

        def step(turn: Turn) -> None:
            now = turn.globals
            turn.tx.put(structs.replace(now, epoch=now.epoch + 1, revoked=now.revoked + 1))

        self._governor.core.write(step)

    def _handed(self, depth: int) -> str:
        start = calls.StartMission(template=workload.MISSION, user=rules.READ.user)
        mission = self._opened(self._governor.handle(_CALLER, start)).id
        holder = Holder.generate()
        opened = self._opened(
            self._governor.handle(
                _CALLER,
                calls.OpenSession(
                    mission=mission,
                    agent=rules.READ.agent,
                    executor=rules.READ.executor,
                    holder=holder.public,
                ),
            )
        )
        for _ in range(depth):
            to = Holder(Ed25519PrivateKey.generate())
            opened = self._accepted(self._offered(opened, holder, to), to)
            holder = to
        return opened.id

    def _offered(self, above: calls.Opened, holder: Holder, to: Holder) -> str:
        now = self._governor.core.clock.now() // 1_000
        link = issue.attenuate(
            chain.read(above.chain), holder.private, agent=rules.READ.agent, holder=to.public,
            details=_ALL, issued=now, expires=now + HOUR,
        )  # fmt: skip
        reply = self._governor.handle(_CALLER, calls.Offer(session=above.id, link=link))
        if not isinstance(reply, calls.Offered):
            raise WorkloadError(repr(reply))
        return reply.grant

    def _accepted(self, grant: str, holder: Holder) -> calls.Opened:
        blank = calls.Proof(time=0, nonce="", signature="")
        call = calls.Accept(grant=grant, executor=rules.READ.executor, proof=blank)
        proof = holder.prove(call, self._governor.core.instance, grant)
        return self._opened(self._governor.handle(_CALLER, structs.replace(call, proof=proof)))

    @staticmethod
    def _opened(reply: Reply) -> calls.Opened:
        if not isinstance(reply, calls.Opened):
            raise WorkloadError(repr(reply))
        return reply


def _fill(governor: Governor, count: int) -> None:
    """Write so many rows of what was revoked, of grants that no chain here has.

    As they lie in the store, without what stands beside them on record: that would take minutes.
    """
    apart = 2**64 // max(1, count)  # spread as digests are, in order since that is quicker
    named = (f"{number * apart:016x}{'0' * 48}" for number in range(count))
    rows = (
        RevokedRow(id=f"grant:{it}", kind="grant", subject=it, time=1, epoch=1, by="u")
        for it in named
    )
    encoded = ((row.id, msgspec.json.encode(row)) for row in rows)

    def write(tx: Any) -> None:
        tx._connection.executemany('INSERT INTO "revoked" (id, doc) VALUES (?, ?)', encoded)

    governor.core.store.write(write)
