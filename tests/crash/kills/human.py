"""The human of the suite: answers holds and settles what nobody knows, over the operator's socket.

What it is about to do is on the disk before it does it, and that it was told so right after.
"""

import os
import random
import time
from pathlib import Path
from typing import Any

from bridle.client.bridle import Bridle
from bridle.client.transport.unix import UnixChannel
from bridle.model.calls import Attempts, MissionVerb, Redact, RotateLogKey, Settle
from bridle.model.errors import BridleError
from bridle.model.outcome import Outcome, OutcomeKind
from crash.kills.journal import Journal, read

_PAUSE = 0.03


def human(folder: Path, socket: str) -> None:
    """Look, answer, look again, until told to stop."""
    journal = Journal(folder / "human.journal")
    dice = random.Random(os.urandom(8))
    governor = Bridle(UnixChannel(Path(socket), role="operator", timeout=5.0))
    left: set[str] = set()
    while not (folder / "stop").exists():
        try:
            for row in governor.rows(Attempts(state="unknown", limit=1000)):
                if row["id"] not in left:
                    left.add(row["id"])
                    _settle(folder, governor, journal, dice, row)
            for row in governor.approvals():
                _answer(governor, journal, dice, row)
            if (folder / "drain").exists():
                continue  # the end of a trial has enough to do
            if dice.random() < 0.08:
                _erase(governor, journal)
            if dice.random() < 0.05:
                _change_keys(governor, journal)
        except BridleError:
            pass  # the governor is dead, or has moved on: look again
        finally:
            time.sleep(_PAUSE)


def _settle(
    folder: Path, governor: Bridle, journal: Journal, dice: random.Random, row: dict[str, Any]
) -> None:
    """Go and see what came of it, and say so; or leave it to whoever asks again."""
    if dice.random() < 0.6:
        return
    happened = any(line["attempt"] == row["id"] for line in read(folder / "world"))
    kind = OutcomeKind.OK if happened else OutcomeKind.NOT_STARTED
    journal.write("settling", attempt=row["id"], kind=kind.value)
    governor.done(Settle(attempt=row["id"], outcome=Outcome(kind), as_user="ana"))
    journal.write("settled", attempt=row["id"], kind=kind.value)


def _answer(governor: Bridle, journal: Journal, dice: random.Random, row: dict[str, Any]) -> None:
    doubts = [cause["id"] for cause in row["causes"] if cause["kind"] == "attempt"]
    told = {"hold": row["id"], "action": row["action"], "doubts": doubts}
    if dice.random() < 0.85:
        journal.write("approving", **told)
        # Two groups may have to agree; one human does not speak for both.
        for user in ("ben", "ana"):
            status = governor.approve(row["id"], as_user=user, digest=row["digest"])
            journal.write("approved", status=status, **told)
            if status != "pending":
                break
    else:
        journal.write("denying", **told)
        status = governor.deny(row["id"], as_user="ben", digest=row["digest"])
        journal.write("denied", status=status, **told)


def _erase(governor: Bridle, journal: Journal) -> None:
    """Start a mission, end it, and have everything that it kept erased."""
    mission = governor.start_mission("office", user="ana", prompt="erase me")
    governor.done(MissionVerb(mission=mission.id, verb="close"))
    journal.write("redacting", mission=mission.id)
    governor.rows(Redact(mission=mission.id, basis="the user asked for it", as_user="ana"))
    journal.write("redacted", mission=mission.id)


def _change_keys(governor: Bridle, journal: Journal) -> None:
    """Have one more key sign the log, or one less where there are several."""
    rows = governor.rows(RotateLogKey(as_user="ana"))
    journal.write("signs", keys=[row["id"] for row in rows if row["state"] == "signs"])
    while len(signing := [row["id"] for row in rows if row["state"] == "signs"]) > 1:
        rows = governor.rows(RotateLogKey(as_user="ana", retire=signing[0]))
        journal.write("retired", key=signing[0])
