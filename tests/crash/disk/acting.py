"""Agents and humans on a disk that fails, what they were told, and whether the ledger says so."""

import json
import random
from pathlib import Path
from typing import Any

from bridle.model import calls
from bridle.model.calls import Caller, Failed, Judged, Released
from bridle.model.errors import StoreError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Receipt
from bridle.store.sqlite import open_store
from crash.disk.calls import Disk
from governor.desk import AGENT, ANYONE, START, Desk, changed

FILES = changed(("bridle.toml", 'version = "1"', 'version = "1"\ndurability = "relaxed"'))
_OK = Outcome(OutcomeKind.OK, output='{"body": "x"}')
# What a store that cannot be written may say of it.
FAILURES = {"store_full", "store_unavailable"}


class Told:
    """What callers were told: receipts, how many decisions, and denials without a record."""

    def __init__(self) -> None:
        self.receipts: dict[int, str] = {}
        self.decided = 0
        self.unrecorded: list[int] = []
        self.gaps = 0
        self.wrong: list[str] = []

    def receipt(self, found: Receipt) -> None:
        if found.index in self.receipts:
            self.wrong.append(f"two answers with the record {found.index}")
        self.receipts[found.index] = found.hash


class Office:
    """A desk whose store may fail at any moment; every answer is kept."""

    def __init__(self, path: Path, disk: Disk, *, checkpoints: bool = True) -> None:
        self.told = Told()
        store = open_store(path, vfs=disk.vfs, relaxed_ms=60_000)
        try:
            store._log_pages = 12 if checkpoints else 0
            self.desk = Desk(FILES, store=store)
            self.session = self.desk.session()
        except BaseException as problem:
            disk.relieve()
            store.close()
            raise StoreError("the store could not be begun", code=_code(problem)) from problem
        self._attempts: list[str] = []
        self._number = 0

    def act(self, dice: random.Random) -> None:
        """One step of an agent or a human."""
        self.desk.clock.move_to(self.desk.clock.now() + 10)
        dice.choice((self._decide, self._decide, self._observe, self._stop))(dice)

    def note(self) -> bool:
        """A strict decision and its start; whether it is on record."""
        return self._ask("note.write", text="x")

    def close(self) -> None:
        self.desk.governor.close()

    def _decide(self, dice: random.Random) -> None:
        if dice.random() < 0.4:
            self._ask("note.read", id=1)
        else:
            self._ask("note.write", text="x" * dice.choice((1, 9, 3_000)))

    def _ask(self, tool: str, **args: Any) -> bool:
        self._number += 1
        key = f"k{self._number}"
        reply = self._send(
            calls.Decide(
                session=self.session, tool=tool, args=json.dumps(args), key=key, start=True
            )
        )
        assert isinstance(reply, Judged)
        verdict = reply.verdict
        if verdict.receipt is None:
            self._unrecorded(verdict.effect, [each.code for each in verdict.reasons])
            return False
        self.told.decided += 1
        self.told.receipt(verdict.receipt)
        if verdict.attempt:
            self._attempts.append(verdict.attempt)
        return True

    def _observe(self, dice: random.Random) -> None:
        if not self._attempts:
            return
        attempt = self._attempts.pop()
        reply = self._send(calls.Observe(session=self.session, attempt=attempt, outcome=_OK))
        if isinstance(reply, Released) and reply.release.receipt is not None:
            self.told.receipt(reply.release.receipt)
        elif isinstance(reply, Failed):
            self._failure(reply.code)
        else:
            self.told.wrong.append(f"a report was answered by {reply}")

    def _stop(self, dice: random.Random) -> None:
        kill = calls.Kill if dice.random() < 0.5 else calls.Unkill
        reply = self._send(kill(scope="tool", subject="bell.ring", as_user="ana"), ANYONE)
        if isinstance(reply, Failed) and reply.code.startswith("store_"):
            self._failure(reply.code)

    def _send(self, call: calls.Call, caller: Caller = AGENT) -> calls.Reply:
        return self.desk.ask(call, caller)

    def _unrecorded(self, effect: Effect, codes: list[ReasonCode]) -> None:
        """I2: without a record there is nothing but one denial."""
        if effect is not Effect.DENY or codes != [ReasonCode.STORE_UNAVAILABLE]:
            self.told.wrong.append(f"answered without a record: {effect} {codes}")
        self.told.unrecorded.append(self.desk.clock.now())

    def _failure(self, code: str) -> None:
        self.told.gaps += 1
        if code not in FAILURES:
            self.told.wrong.append(f"a failing disk was told as {code}")


def _code(problem: BaseException) -> str:
    if isinstance(problem, StoreError):
        return problem.code
    # What the desk was told when it asked for a mission or a session.
    assert isinstance(problem, AssertionError), problem
    found: Failed = problem.args[0]
    return found.code


def audit(path: Path, told: Told) -> None:
    """The ledger verifies and says what was told: each record once, each gap in its numbers."""
    assert told.wrong == []
    store = open_store(path)
    try:
        desk = Desk(FILES, store=store, start=START)
        desk.verified()
        hashes = store.write(lambda tx: [leaf.hash.hex() for leaf in tx.leaves()])
        leaves = desk.leaves()
    finally:
        store.close()
    lost = [index for index, found in told.receipts.items() if hashes[index : index + 1] != [found]]
    assert lost == [], f"acknowledged and lost: {lost}"
    decided = [each for each in leaves if each.kind == "decision"]
    assert len(decided) == told.decided, "what nobody was told is on record"
    _owned_up([each.body for each in leaves if each.kind == "degraded"], told)


def _owned_up(bodies: list[dict[str, Any]], told: Told) -> None:
    gaps = [body for body in bodies if "denied_unrecorded" in body]
    assert sum(body["denied_unrecorded"] for body in gaps) == len(told.unrecorded), gaps
