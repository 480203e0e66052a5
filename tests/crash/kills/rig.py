"""One trial: a governor, clients, workers and a human on one store, some of them killed again and
again, each started anew at once. In the end all is brought to rest, and the books are checked.

Run as `rig.py FOLDER VICTIM KILLS SEED [MUTANT]`; prints what it found as JSON. VICTIM is one kind,
or `all` three; KILLS is how many of each. One thread only, so that the parts can be forked from it,
with everything imported.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bridle
from bridle.model.calls import Attempts
from bridle.model.errors import UnreachableError
from bridle.store.place import place_of
from crash.kills import acting, books, governing, office
from crash.kills.human import human
from crash.kills.journal import DIED, Doom
from crash.kills.watching import watch

# Seconds: the longest life of a victim once it is up; within which those die that never get up; how
# long the end of a trial may take.
_LIFE = {"governor": 0.3, "client": 0.3, "worker": 0.4}
_BEGINNING = 0.1
_END, _MUTANT_END = 120.0, 3.0
_BY_COMMAND = 8  # every so many governors are started by the command itself
_ASKED = 0.15  # this part of the governors is asked to end, and may die of it
_ENDING = 5.0


class Part:
    """One process of the trial, and how to make it again."""

    def __init__(self, kind: str, name: str, body: Callable[[Doom], None]) -> None:
        self.kind, self.name, self.body = kind, name, body
        self.pid, self.until = 0, 0.0
        # Seconds it lives once it has said that it is up, and where it says so.
        self.life, self.word = 0.0, -1
        # Whether it is asked to end when its time is up, and whether it was.
        self.mercy = self.asked = False


class Rig:
    """Keeps the parts alive, and kills some."""

    def __init__(self, folder: Path, victim: str, seed: int, mutant: str) -> None:
        self.folder, self.mutant = folder, mutant
        self.victims = tuple(_LIFE) if victim == "all" else (victim,)
        self.dice = random.Random(f"{victim}/{seed}")
        self.bundle = office.make(folder)
        self.copy = folder / "checkpoint.copy"
        self.parts: list[Part] = []
        self.ends = 0
        self.kills = dict.fromkeys(self.victims, 0)
        self.wrong: list[str] = []
        self.errors = (folder / "errors").open("ab", buffering=0)

    def run(self, wanted: int) -> None:
        self.governor = Part("governor", "governor", self._govern)
        self._start(self.governor, doomed=False)
        self._furnish()
        for part in self.parts:
            self._start(part)
        self.parts.append(self.governor)
        if "governor" in self.victims:
            self._doom(self.governor)
        while min(self.kills.values()) < wanted and not self.wrong:
            self._turn(killing=True)

    def rest(self) -> None:
        """Kill nobody any more; wait until every step has come to an end, then end the rest."""
        (self.folder / "drain").touch()
        end = time.monotonic() + (_MUTANT_END if self.mutant else _END)
        actors = [part for part in self.parts if part.kind in ("client", "worker", "platform")]
        while any(part.pid for part in actors) and not self.wrong:
            self._turn(killing=False)
            if time.monotonic() > end:
                self.wrong.append(f"not at rest: {[part.name for part in actors if part.pid]}")
        (self.folder / "stop").touch()
        for part in self.parts:
            if part.pid:
                os.kill(part.pid, signal.SIGKILL)
                os.waitpid(part.pid, 0)

    def _furnish(self) -> None:
        """Missions, sessions and seats, by the operator, while nobody is killed yet."""
        self._until_served()
        place = place_of(self.bundle)
        seat = {"socket": str(place.agents_socket)}
        with bridle.connect(self.bundle) as governor:
            for number in range(2):
                mission = governor.start_mission("office", user="ana", prompt="keep the log")
                clerk = {**seat, "mission": mission.id, "agent": "clerk"}
                clerk["handle"] = mission.session("clerk")
                self._actor("client", f"client{number}", acting.client, clerk)
                porter = {**seat, "mission": mission.id, "agent": "porter"}
                porter |= {"lane": f"platform{number}", "worker": f"worker{number}"}
                for kind, body in (("platform", acting.platform), ("worker", acting.worker)):
                    handle = mission.session("porter", executor="worker")
                    own = {**porter, "handle": handle}
                    self._actor(kind, f"{kind}{number}", body, own)
        socket, files = str(place.operator_socket), (place.checkpoint, self.copy)
        self.parts.append(Part("human", "human", lambda _: human(self.folder, socket)))
        self.parts.append(Part("watcher", "watcher", lambda _: watch(self.folder, files)))

    def _actor(self, kind: str, name: str, body: Callable[..., None], seat: dict[str, str]) -> None:
        self.parts.append(Part(kind, name, lambda doom: body(self.folder, name, seat, doom)))

    def _until_served(self) -> None:
        end = time.monotonic() + _END
        while time.monotonic() < end:
            try:
                bridle.connect(self.bundle).close()
            except UnreachableError:
                time.sleep(0.01)
            else:
                return
        self.wrong.append("the governor does not serve")

    # --- lives and deaths -----------------------------------------------------------------------

    def _start(self, part: Part, *, doomed: bool = True) -> None:
        doomed = doomed and part.kind in self.victims
        doom = self._doom(part) if doomed else Doom()
        part.word, word = os.pipe()
        part.pid = os.fork()
        if part.pid:
            os.close(word)
            os.set_blocking(part.word, False)
            return
        try:
            os.dup2(word, 1)
            os.dup2(self.errors.fileno(), 2)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            part.body(doom)
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 0)
        except BaseException:
            traceback.print_exc()
            os._exit(70)
        os._exit(0)

    def _doom(self, part: Part) -> Doom:
        """Choose where it dies; whoever does not get there dies at some moment anyway."""
        longest = _LIFE[part.kind]
        part.asked, part.mercy = False, part.kind == "governor" and self.dice.random() < _ASKED
        part.life, part.until = self.dice.uniform(0.0, longest), time.monotonic() + _END
        chance = self.dice.random()
        if chance < 0.1:  # not even up
            part.until = time.monotonic() + self.dice.uniform(0.0, _BEGINNING)
        if chance < 0.4:
            return Doom()
        part.life = 1.5 * longest
        if part.mercy:
            return Doom(self.dice.choice(governing.ENDING), 1)
        if part.kind == "governor":
            return governing.random_doom(self.dice)
        return Doom(self.dice.choice(acting.POINTS[part.kind]), self.dice.randint(1, 5))

    def _govern(self, doom: Doom) -> None:
        if not self.mutant and self.kills.get("governor", 0) % _BY_COMMAND == 1:
            governing.by_command(self.bundle, self.copy)
        governing.govern(self.bundle, doom, self.mutant, self.copy)

    def _turn(self, *, killing: bool) -> None:
        """Wait a moment for a death, and see to whose time is up."""
        signal.sigtimedwait({signal.SIGCHLD}, 0.01)
        for part in self.parts:
            if not part.pid:
                continue
            if part.life and self._is_up(part):
                part.until, part.life = min(part.until, time.monotonic() + part.life), 0.0
            if killing and part.kind in self.victims and time.monotonic() >= part.until:
                self._end(part)
            pid, status = os.waitpid(part.pid, os.WNOHANG)
            if pid:
                self._ended(part, os.waitstatus_to_exitcode(status), killing=killing)

    def _end(self, part: Part) -> None:
        if part.mercy:
            part.mercy, part.asked, part.until = False, True, time.monotonic() + _ENDING
            os.kill(part.pid, signal.SIGTERM)
        else:
            os.kill(part.pid, signal.SIGKILL)

    def _is_up(self, part: Part) -> bool:
        try:
            return bool(os.read(part.word, 4_096))
        except BlockingIOError:
            return False

    def _ended(self, part: Part, code: int, *, killing: bool) -> None:
        os.close(part.word)
        part.pid = 0
        if code == -signal.SIGKILL and part.kind in self.victims:
            self.kills[part.kind] += 1
            self._start(part, doomed=killing)
        elif part.asked and code in (0, -signal.SIGTERM):
            self.ends += code == 0
            self._start(part, doomed=killing)
        elif code or killing:
            self.wrong.append(f"{part.name} ended by itself: {code}")


def last_look(rig: Rig) -> None:
    """Start the governor by its command, with nothing mended, and ask what humans would ask."""
    command = [sys.executable, "-P", "-m", "bridle"]
    serve = [*command, "serve", str(rig.bundle), "--json", "--checkpoint-copy", str(rig.copy)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE) as served:
        assert served.stdout is not None
        said = json.loads(served.stdout.readline() or "{}")
        if not said.get("ready"):
            rig.wrong.append(f"the store does not open: {said}")
            return
        with bridle.connect(rig.bundle) as governor:
            end = time.monotonic() + _END
            while governor.rows(Attempts(state="started")) and time.monotonic() < end:
                time.sleep(0.02)
            left = {row["id"] for row in governor.rows(Attempts(state="started", limit=1000))}
        listing = [*command, "missions", "attempts", str(rig.bundle), "--json"]
        unknown = json.loads(subprocess.check_output(listing))
        served.terminate()
    if served.returncode:
        rig.wrong.append(f"the governor's end: {served.returncode}")
    told = {"unknown": sorted(row["id"] for row in unknown), "started": sorted(left)}
    (rig.folder / "listed").write_text(json.dumps(told))
    verify = subprocess.run(
        [*command, "audit", "verify", str(rig.bundle)], capture_output=True, text=True, check=False
    )
    if verify.returncode:
        rig.wrong.append(f"the ledger does not verify: {verify.stdout}{verify.stderr}")


def deaths(errors: Path) -> dict[str, int]:
    """How many died at which of the chosen places."""
    lines = errors.read_text(errors="replace").splitlines()
    found = [line.removeprefix(DIED).strip() for line in lines if line.startswith(DIED)]
    return dict(sorted(Counter(found).items()))


def main(folder: Path, victim: str, kills: int, seed: int, mutant: str) -> dict[str, Any]:
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    rig, began = Rig(folder, victim, seed, mutant), time.monotonic()
    rig.run(kills)
    killing = time.monotonic() - began
    rig.rest()
    last_look(rig)
    found = books.check(folder, place_of(rig.bundle).database) if not rig.wrong or mutant else {}
    return {
        "kills": rig.kills,
        "ends": rig.ends,
        "died": deaths(folder / "errors"),
        "seconds": [round(killing, 1), round(time.monotonic() - began, 1)],
        "wrong": [*rig.wrong, *found.get("wrong", [])],
        "seen": found.get("seen", {}),
    }


if __name__ == "__main__":
    where, whom, times, number, *broken = sys.argv[1:]
    told = main(Path(where), whom, int(times), int(number), broken[0] if broken else "")
    print(json.dumps(told))
