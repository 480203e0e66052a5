"""The governor of the suite: `bridle serve`, that may die at a chosen instruction.

Nothing is replaced by a stand-in: a death is put before or after what the governor does anyway.
Mutants are governors that break a promise, to show that the suite sees it.
"""

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
from msgspec import structs

from bridle.cli import main
from bridle.client.transport.frames import Frames
from bridle.governor.action import attempts, repeats
from bridle.governor.oversight import redaction
from bridle.governor.publishing import records
from bridle.governor.publishing.files import Files
from bridle.governor.publishing.keys import LogKeys
from bridle.governor.publishing.publisher import Publisher
from bridle.governor.publishing.signed_log import SignedLog
from bridle.model.action import ActionState, AttemptState
from bridle.store.rows import ActionRow
from bridle.store.sqlite import SqliteStore
from bridle.store.sqlite.transaction import Batch
from crash.kills.journal import Doom, die

POINTS = (
    *("commit:before", "commit:after", "reply:before", "reply:half", "reply:after"),
    *("wal:half", "wal:after", "wal:synced", "db:half", "db:after", "db:synced"),
)
# Places that a governor comes to seldom: around a signature, its way into the file, the end, a
# change of keys, an erasure.
SIGNING = (
    *("sign:before", "sign:after", "put:before", "put:after", "rename:before", "rename:after"),
    *("key:before", "key:after", "sweep:before", "sweep:after"),
    *("redact:before", "redact:after", "scrub:before", "scrub:after"),
)
ENDING = ("end:before", "end:after", "closed:before", "closed:after")
_KEPT: list[object] = []


def govern(bundle: Path, doom: Doom, mutant: str, copy: Path) -> None:
    """Serve until killed."""
    _doom_files(doom)
    _doom_commits(doom)
    _doom_replies(doom)
    for owner, name, point in _SELDOM:
        _doom_around(owner, name, point, doom)
    if mutant:
        MUTANTS[mutant]()
    sys.argv = ["bridle", "serve", str(bundle), "--json", "--checkpoint-copy", str(copy)]
    main()


def random_doom(dice: random.Random) -> Doom:
    """A place to die at. Of those seldom come to, any but those of the end, which have to be asked
    for."""
    if dice.random() < 0.4:
        return Doom(dice.choice(SIGNING), dice.randint(1, 2))
    point = dice.choice(POINTS)
    # The database is written at a checkpoint only, and at the opening.
    return Doom(point, dice.randint(1, 4 if point.startswith("db") else 40))


class _DoomedFile(apsw.VFSFile):
    def __init__(self, doom: Doom, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._doom, self._name = doom, "wal" if path.endswith("-wal") else "db"
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 (its name in SQLite)
        half = len(data) // 2
        super().xWrite(data[:half], offset)
        self._doom.at(f"{self._name}:half")
        super().xWrite(data[half:], offset + half)
        self._doom.at(f"{self._name}:after")

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._doom.at(f"{self._name}:synced")


class _DoomedVFS(apsw.VFS):
    def __init__(self, doom: Doom) -> None:
        self._doom = doom
        super().__init__("doomed", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is None:
            return apsw.VFSFile("unix", name, flags)
        return _DoomedFile(self._doom, name, flags)


def _doom_files(doom: Doom) -> None:
    _KEPT.append(_DoomedVFS(doom))


def _doom_commits(doom: Doom) -> None:
    commit = Batch.commit

    def doomed(self: Batch) -> None:
        doom.at("commit:before")
        commit(self)
        doom.at("commit:after")

    Batch.commit = doomed


def _doom_replies(doom: Doom) -> None:
    send = Frames.send

    def doomed(self: Frames, body: bytes, deadline: float) -> None:
        doom.at("reply:before")
        if doom.is_at("reply:half"):
            frame = len(body).to_bytes(4, "big") + body
            self._connection.send(frame[: len(frame) // 2])
            die()
        send(self, body, deadline)
        doom.at("reply:after")

    Frames.send = doomed


_SELDOM: tuple[tuple[Any, str, str], ...] = (
    (Publisher, "sign", "sign"),
    (Files, "put", "put"),
    (Path, "replace", "rename"),
    (LogKeys, "make", "key"),
    (LogKeys, "forget", "sweep"),
    (redaction, "redact", "redact"),
    (SqliteStore, "scrub", "scrub"),
    (SignedLog, "end", "end"),
    (records, "closed", "closed"),
)


def _doom_around(owner: Any, name: str, point: str, doom: Doom) -> None:
    ordinary = getattr(owner, name)

    def doomed(*args: Any, **more: Any) -> Any:
        doom.at(f"{point}:before")
        result = ordinary(*args, **more)
        doom.at(f"{point}:after")
        return result

    setattr(owner, name, doomed)


# --- mutants: each breaks one promise ------------------------------------------------------------


def _answers_before_the_commit() -> None:
    """Acknowledge at once, commit later: the transaction of many callers is held open."""
    state = {"open": None, "since": 0.0}
    lock = threading.Lock()

    def flush() -> None:
        if state["open"] is not None:
            state["open"].commit()
            state["open"] = None

    def write(self: SqliteStore, job: Callable[[Any], Any], *, relaxed: bool = False) -> Any:
        with lock:
            if time.monotonic() - state["since"] > 0.05:
                flush()
            if state["open"] is None:
                state["open"], state["since"] = self._begin(durable=True), time.monotonic()
                state["open"].begin()
            return state["open"].run(job)

    SqliteStore.write = write


def _starts_without_a_record() -> None:
    """The gate lets everything pass, and writes nothing down."""

    def start(at: Any, action: ActionRow, tool: Any) -> Any:
        return attempts.AttemptRow(
            id=at.turn.id("att"),
            action=action.id,
            mission=action.mission,
            agent=action.agent,
            tool=action.tool,
            executor=at.session.executor,
            state=AttemptState.STARTED,
            started=at.now,
            lease=at.now + tool.timeout_ms,
        )

    attempts.start = start


def _runs_again_after_a_lapse() -> None:
    """Recovery takes a start that nobody reported for one that never happened."""

    def lapse(turn: Any, attempt: Any) -> None:
        turn.tx.put(structs.replace(attempt, state=AttemptState.NOT_STARTED, ended=turn.now))
        action = turn.tx.get(ActionRow, attempt.action)
        if action is not None and action.attempt == attempt.id:
            turn.tx.put(structs.replace(action, state=ActionState.ENDED))

    attempts.lapse = lapse


def _starts_what_runs() -> None:
    """A repeated call starts a running action once more: it forgets to ask whether it runs."""
    repeats._ANSWERS[ActionState.STARTED] = lambda asked, row: repeats.JudgeAgain(
        structs.replace(row, state=ActionState.ENDED, attempts=0)
    )


def _gives_back_what_may_be_spent() -> None:
    """A lapse returns the charge, though the effect may have happened."""
    ordinary = attempts.lapse

    def lapse(turn: Any, attempt: Any) -> None:
        action = turn.tx.get(ActionRow, attempt.action)
        if action is not None:
            turn.tx.put(attempts.refund(turn, action))
        ordinary(turn, attempt)

    attempts.lapse = lapse


_BEGINNING = 40
"""Records of missions and sessions that are opened before anybody may be killed."""


def _lets_a_checkpoint_out_before_its_commit() -> None:
    """And is killed in between, now and then, once the others are at work."""
    ordinary = Publisher.sign

    def sign(self: Publisher, tx: Any) -> bytes:
        note = ordinary(self, tx)
        self._files.put(note)
        if tx.frontier().size > _BEGINNING and random.random() < 0.2:
            die()
        return note

    Publisher.sign = sign


def _does_not_own_up_to_an_end() -> None:
    """A governor that was killed leaves no trace."""
    records.interrupted = lambda turn, since, relaxed_ms: None


MUTANTS: dict[str, Callable[[], None]] = {
    "answers before the commit": _answers_before_the_commit,
    "starts without a record": _starts_without_a_record,
    "runs again after a lapse": _runs_again_after_a_lapse,
    "starts what runs": _starts_what_runs,
    "gives back what may be spent": _gives_back_what_may_be_spent,
    "lets a checkpoint out before its commit": _lets_a_checkpoint_out_before_its_commit,
    "does not own up to an end": _does_not_own_up_to_an_end,
}


def by_command(bundle: Path, copy: Path) -> None:
    """Become the command that operators use."""
    command = [sys.executable, "-P", "-m", "bridle", "serve", str(bundle), "--json"]
    os.execv(sys.executable, [*command, "--checkpoint-copy", str(copy)])
