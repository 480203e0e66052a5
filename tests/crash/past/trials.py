"""Trials: a governor's process dies between any two events, others go on, the rules still fire.

Run as `trials.py FOLDER COUNT SEED [MUTANT]`; prints what it found as JSON. A trial is a store and
some lives, each in a process of its own, that die at a chosen instruction. Each life is another
agent or client: it knows nothing but what the store and the journal of acknowledgements say. The
last one looks whether what is remembered is what was acknowledged.
"""

import json
import os
import random
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import structs

from bridle.governor.governor import Governor
from bridle.governor.ground.chance import SystemChance
from bridle.governor.ground.clock import VirtualClock
from bridle.governor.ground.core import Core, Keys, Setting
from bridle.governor.history import partitions, reading, telling
from bridle.ledger.leaf import parse
from bridle.model.verdict import Verdict
from bridle.store.base import Tx
from bridle.store.sqlite import open_store
from crash.kills import governing
from crash.kills.journal import Doom, Journal, die, read
from governor.desk import MINUTE, START, bundle_of
from governor.history.past import FILES, LongDesk, edited

RINGS, TIPS = 5, 3
POINTS = ("commit:before", "commit:after", "wal:half", "wal:after", "db:half", "db:after")
INDEX = """
@id("more")
forbid (principal, action == Action::"note.index", resource)
when temporal { previous within 1m Action::"note.read"::request{} };
"""
MORE = edited(("policies/limits.dw", "", INDEX))
KEYS = Keys(payload=b"p" * 32, digest=b"d" * 32)


class Life:
    """One process with a governor on the store, and what it is told written down."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.dice, self.journal = dice, Journal(folder / "told")
        said = read(folder / "told")
        store = open_store(folder / "store" / "store.db")
        # Clocks of processes differ; none begins before the last record, as for any governor.
        now = max((line["now"] for line in said), default=START) + dice.randint(-MINUTE, MINUTE)
        clock = VirtualClock(max(now, store.write(last_time)))
        core = Core(
            store,
            KEYS,
            Setting("offline", leases=False),
            clock=clock,
            chance=SystemChance(),
        )
        self.desk = LongDesk.__new__(LongDesk)
        self.desk.core, self.desk.clock = core, clock
        self.desk.bundle = bundle_of(FILES)
        self.desk.governor = governing_over(core)
        self.desk._mission, self.desk._sessions = "", {}
        missions = [line["id"] for line in said if line["what"] == "mission"]
        if missions:
            self.desk._mission = missions[0]
        else:
            self.write("mission", id=self.desk.mission)
        self.agent = dice.choice(["clerk", "scout"])
        self.session = self.desk.opened(self.agent)

    def write(self, what: str, **more: Any) -> None:
        self.journal.write(what, now=self.desk.clock.now(), **more)

    def act(self, tool: str, *, mission: str = "", **args: Any) -> Verdict:
        """Ask, and write down the question and the answer."""
        key = os.urandom(8).hex()
        self.write("asked", tool=tool, key=key, mission=mission)
        session = self.desk.opened(self.agent, mission=mission) if mission else self.session
        verdict = self.desk.decide(tool, key, session=session, start=True, **args)
        self.write("answer", tool=tool, key=key, mission=mission, runs=verdict.effect.runs)
        return verdict

    def end(self, tool: str, verdict: Verdict, outcome: str, *, mission: str = "") -> None:
        if not verdict.attempt:
            return
        session = self.session
        self.write("ends", tool=tool, mission=mission, how=outcome)
        self.desk.observe(verdict.attempt, outcome, session=session)
        self.write("ended", tool=tool, mission=mission, how=outcome)

    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.dice.choice(_STEPS)(self)


def last_time(tx: Tx) -> int:
    """The time of the last record."""
    size = tx.frontier().size
    return parse(next(tx.leaves(size - 1, size)).data).time if size else 0


def governing_over(core: Core) -> Governor:
    """A governor that puts the policies in force if the store has none."""
    return Governor.over(core, bundle_of(FILES))


def _read(life: Life) -> None:
    life.end("note.read", life.act("note.read", id=1), '{"body":"x"}')


def _tip(life: Life) -> None:
    verdict = life.act("bank.tip", amount=1)
    life.end("bank.tip", verdict, life.dice.choice(["null", "not_started"]))


def _ring(life: Life) -> None:
    if life.dice.random() < 0.3:
        mission = life.desk.start_mission()
        life.act("bell.ring", mission=mission)
    else:
        life.end("bell.ring", life.act("bell.ring"), "null")


def _later(life: Life) -> None:
    life.desk.later(life.dice.randint(0, 30_000))


def _activate(life: Life) -> None:
    life.desk.activate(life.dice.choice([FILES, MORE]))


def _write(life: Life) -> None:
    life.act("note.write", text=life.dice.choice(["gossip", "hello", "rather a long note"]))


_STEPS: list[Callable[[Life], None]] = [_read, _tip, _tip, _ring, _ring, _later, _activate, _write]


# --- what is checked ------------------------------------------------------------------------------


def check(life: Life, said: list[dict[str, Any]]) -> list[str]:
    """What the last life finds wrong: a rule that does not fire, or fires too early."""
    wrong = [*_read_counts(life, said)]
    wrong += _limit(life, said, "bell.ring", RINGS)
    wrong += _limit(life, said, "bank.tip", TIPS, mission_only=True)
    try:
        life.desk.verified()
    except AssertionError as problem:
        wrong.append(f"the store is not what its log says: {problem}")
    return wrong


def _read_counts(life: Life, said: list[dict[str, Any]]) -> list[str]:
    begun = any(line["what"] == "ends" and line["tool"] == "note.read" for line in said)
    done = any(line["what"] == "ended" and line["tool"] == "note.read" for line in said)
    verdict = life.act("bank.pay", amount=1)
    if done and verdict.effect.runs:
        return ["a payment after a note was read"]
    if not begun and not verdict.effect.runs:
        return [f"a payment was refused, and nothing was read: {verdict.text}"]
    return []


def _limit(
    life: Life, said: list[dict[str, Any]], tool: str, most: int, *, mission_only: bool = False
) -> list[str]:
    """Go on until the limit is reached: together they are just as many as it allows."""
    answers = {line["key"]: line["runs"] for line in said if line["what"] == "answer"}
    asked = [line for line in said if line["what"] == "asked" and line["tool"] == tool]
    ran = sum(answers.get(line["key"], False) for line in asked)
    unsure = sum(line["key"] not in answers for line in asked)
    ends = [line for line in said if line.get("how") == "not_started" and line["tool"] == tool]
    taken_back = sum(line["what"] == "ended" for line in ends) if mission_only else 0
    maybe_back = sum(line["what"] == "ends" for line in ends) if mission_only else 0
    more = 0
    while life.act(tool, **({"amount": 1} if tool == "bank.tip" else {})).effect.runs:
        more += 1
        if more > most:
            break
    if ran - maybe_back + more > most:
        return [f"{tool} ran {ran} - {maybe_back} + {more} times, at most {most} may"]
    if ran + unsure - taken_back + more < most:
        return [f"{tool} was refused after {ran} + {unsure} - {taken_back} + {more} times"]
    return []


# --- lives and deaths -----------------------------------------------------------------------------


def lived(body: Callable[[], list[str]]) -> tuple[bool, list[str]]:
    """Run a life in a process of its own. Returns whether it was killed, and what it said."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        try:
            said = body()
        except BaseException:
            said = [traceback.format_exc()]
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status), json.loads(told) if told else []


def trial(folder: Path, number: int, seed: int) -> dict[str, Any]:
    """One trial: some lives that die, and one that looks."""
    dice = random.Random(f"{seed}/{number}")
    (folder / "store").mkdir(parents=True, mode=0o700)
    killed, wrong = 0, []
    # The first makes the store, so that there always is one.
    for life in range(dice.randint(2, 4)):
        point, times = dice.choice(POINTS), dice.randint(1, 30)
        own = random.Random(f"{seed}/{number}/{life}")

        def body(point: str = point, times: int = times, own: random.Random = own) -> list[str]:
            doom = Doom(point, times)
            governing._doom_commits(doom)
            governing._doom_files(doom)
            Life(folder, own).live(own.randint(2, 14))
            die()
            return []

        died, said = lived(body)
        killed += died
        wrong += said
    last = random.Random(f"{seed}/{number}/last")

    def look() -> list[str]:
        return check(Life(folder, last), read(folder / "told"))

    _, said = lived(look)
    told = Counter(line["what"] for line in read(folder / "told"))
    return {"killed": killed, "wrong": wrong + said, "told": dict(told)}


# --- mutants --------------------------------------------------------------------------------------


def _forgets() -> None:
    """What happened before this process is not looked at."""
    partitions.chain.kept = lambda *_args, **_more: iter(())
    reading.usable = lambda *_args: None


def _keeps_no_tail() -> None:
    """A snapshot counts as all there is."""
    ordinary = partitions.chain.kept

    def kept(turn: Any, row: Any, after: int = 0, head: str = "") -> Any:
        return iter(()) if after else ordinary(turn, row, after, head)

    partitions.chain.kept = kept


def _adds_before_it_is_asked() -> None:
    """A request enters history twice: when it is judged and when it is decided."""
    ordinary = telling.of_verdict

    def twice(turn: Any, deed: Any, effect: Any) -> Any:
        other = structs.replace(deed, request=deed.request + 100)
        ordinary(turn, other, effect)
        return ordinary(turn, deed, effect)

    telling.of_verdict = twice


MUTANTS = {"forgets": _forgets, "tail": _keeps_no_tail, "twice": _adds_before_it_is_asked}


def main(folder: Path, count: int, seed: int, mutant: str = "") -> None:
    # Few events are many here: there are snapshots, and what is read in before a turn.
    partitions.TAIL, partitions.AT_HAND, reading._AT_ONCE = 6, 12, 5
    if mutant:
        MUTANTS[mutant]()
    bundle_of(MORE)
    found: Counter[str] = Counter()
    wrong: list[str] = []
    for number in range(count):
        place = folder / str(number)
        done = trial(place, number, seed)
        found.update({"trials": 1, "killed": done["killed"], **done["told"]})
        wrong += [f"{number}: {each}" for each in done["wrong"]]
        shutil.rmtree(place)
        if wrong and mutant:
            break
    print(json.dumps({"found": dict(found), "wrong": wrong[:20]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
