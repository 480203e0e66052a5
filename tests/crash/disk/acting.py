"""Agents and humans on a disk that fails: what they do, and what they were told."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridle.governor.governor import Governor
from bridle.governor.ground.opening import Site
from bridle.model import calls
from bridle.model.calls import Caller, Failed, Judged, Opened, Released, Reply
from bridle.model.errors import StoreError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Receipt
from bridle.store.sqlite import open_store
from crash.disk.calls import Disk
from governor.desk import AGENT, ANYONE, Desk, changed

FILES = changed(("bridle.toml", 'version = "1"', 'version = "1"\ndurability = "relaxed"'))
_OK = Outcome(OutcomeKind.OK, output='{"body": "x"}')
# What a store that cannot be written may say of it.
FAILURES = {"store_full", "store_unavailable"}


class Told:
    """What callers were told: receipts, how many decisions, and when a denial had no record."""

    def __init__(self) -> None:
        self.receipts: dict[int, str] = {}
        self.strict: set[int] = set()
        self.decided = 0
        # Between which two moments each was sent and answered, in the governor's milliseconds.
        self.unrecorded: list[tuple[int, int]] = []
        self.wrong: list[str] = []

    def receipt(self, found: Receipt) -> None:
        if found.index in self.receipts:
            self.wrong.append(f"two answers with the record {found.index}")
        self.receipts[found.index] = found.hash
        if found.durability == "strict":
            self.strict.add(found.index)

    def add(self, other: "Told") -> None:
        """What others at the same governor were told, as well."""
        for index, found in other.receipts.items():
            self.receipt(Receipt(index=index, hash=found))
        self.decided += other.decided
        self.unrecorded += other.unrecorded
        self.wrong += other.wrong


class Office:
    """Agents and a human at a governor whose store may fail; every answer is kept."""

    def __init__(self, governor: Governor, now: Callable[[], int]) -> None:
        self.governor, self._now, self.told = governor, now, Told()
        mission = self._opened(calls.StartMission(template="office", user="ana"))
        self.session = self._opened(
            calls.OpenSession(mission=mission, agent="clerk", executor="worker")
        )
        self._attempts: list[str] = []
        self._number = 0

    def act(self, dice: random.Random) -> None:
        """One step of an agent or a human."""
        dice.choice((self._decide, self._decide, self._observe, self._stop))(dice)

    def note(self, size: int = 1) -> bool:
        """A strict decision and its start; whether it is on record."""
        return self._ask("note.write", text="x" * size)

    def read(self) -> bool:
        """A relaxed decision and its start; whether it is on record."""
        return self._ask("note.read", id=1)

    def _decide(self, dice: random.Random) -> None:
        if dice.random() < 0.4:
            self.read()
        else:
            self.note(dice.choice((1, 9, 3_000)))

    def _ask(self, tool: str, **args: Any) -> bool:
        self._number += 1
        key, text, asked = f"k{self._number}", json.dumps(args), self._now()
        call = calls.Decide(session=self.session, tool=tool, args=text, key=key, start=True)
        reply = self._send(call)
        assert isinstance(reply, Judged)
        verdict = reply.verdict
        if verdict.receipt is None:
            self._unrecorded(asked, verdict.effect, [each.code for each in verdict.reasons])
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

    def _send(self, call: calls.Call, caller: Caller = AGENT) -> Reply:
        return self.governor.handle(caller, call)

    def _opened(self, call: calls.Call) -> str:
        reply = self._send(call, ANYONE)
        if isinstance(reply, Failed):
            raise StoreError(reply.message, code=reply.code)
        assert isinstance(reply, Opened)
        return reply.id

    def _unrecorded(self, asked: int, effect: Effect, codes: list[ReasonCode]) -> None:
        """I2: without a record there is nothing but one denial."""
        if effect is not Effect.DENY or codes != [ReasonCode.STORE_UNAVAILABLE]:
            self.told.wrong.append(f"answered without a record: {effect} {codes}")
        self.told.unrecorded.append((asked, self._now()))

    def _failure(self, code: str) -> None:
        if code not in FAILURES:
            self.told.wrong.append(f"a failing disk was told as {code}")


def at_a_desk(path: Path, disk: Disk, *, checkpoints: bool = True) -> tuple[Office, Desk]:
    """An office on a clock of its own. Raises `StoreError` where the disk does not let it open."""
    store = open_store(path, vfs=disk.vfs, relaxed_ms=60_000)
    store._log_pages = 12 if checkpoints else 0
    try:
        desk = Desk(FILES, store=store)
        return Office(desk.governor, desk.clock.now), desk
    except BaseException:
        disk.relieve()
        store.close()
        raise


def at_a_bundle(folder: Path, state: Path, *, copies: tuple[Path, ...] = ()) -> Office:
    """An office as a program has it: a governor that signs, on the system's clock."""
    bundle = folder / "bundle"
    for name, text in FILES.items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text)
    governor = Governor.open(bundle, embedded=True, site=Site(state=state, copies=copies))
    return Office(governor, governor.core.clock.now)
