"""Those who act and are killed: a client whose effects are guarded, a platform and its worker.

Each goes on after its death with what its journal says, as an application with a durable plan
does: the same keys, again and again, until each has come to an end.
"""

import os
import random
import time
from pathlib import Path
from typing import Any

import msgspec

from bridle.client.agent import Agent
from bridle.client.bridle import Bridle
from bridle.client.errors import Denied, Held
from bridle.client.transport.channel import Channel
from bridle.client.transport.unix import UnixChannel
from bridle.model.calls import Call, Judged, Released, Reply
from bridle.model.errors import BridleError, UnreachableError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Effect, Verdict
from crash.kills.journal import Doom, Journal, read
from crash.kills.office import LEASE_MS, tool_of

POINTS = {
    "client": (
        *("before:decide", "after:decide", "noted:decide", "effect", "written", "synced"),
        *("before:observe", "after:observe", "noted:observe", "ended"),
    ),
    "worker": (
        *("before:begin", "after:begin", "noted:begin", "effect", "written", "synced"),
        *("before:observe", "after:observe", "noted:observe", "ended"),
    ),
}

# Denials that end a step for good; after any other the step is tried again.
_FINAL = {"forbidden", "approval_denied", "result_opaque"}
_PAUSE = 0.01
# Jobs that a platform has in its queue before it waits for the worker.
_WAITING = 6
# Steps that a client has begun and not ended before it begins no more.
_MOST_OPEN = 30


class RefusedEffectError(Exception):
    """What an effect raises that proves that it did nothing: the tool declares the code."""

    code = "refused"


class Noted:
    """A channel that writes down every receipt as soon as it has come, and is a place to die."""

    def __init__(self, channel: Channel, journal: Journal, doom: Doom) -> None:
        self._channel, self._journal, self._doom = channel, journal, doom
        self.attempt = ""

    @property
    def store(self) -> str:
        return self._channel.store

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        name = type(call).__name__.lower()
        self._doom.at(f"before:{name}")
        reply = self._channel.send(call, timeout=timeout)
        self._doom.at(f"after:{name}")
        self._note(name, reply)
        self._doom.at(f"noted:{name}")
        return reply

    def close(self) -> None:
        self._channel.close()

    def _note(self, name: str, reply: Reply) -> None:
        if isinstance(reply, Judged):
            said: Any = reply.verdict
            self.attempt = said.attempt
        elif isinstance(reply, Released):
            said = reply.release
        else:
            return
        if said.receipt is not None:
            place = {"index": said.receipt.index, "hash": said.receipt.hash}
            self._journal.write("told", call=name, hold=said.approval, **place)


def ended(journal: Path) -> set[str]:
    """The keys of the steps that have come to an end."""
    return {line["key"] for line in read(journal) if line["what"] == "ended"}


class Actor:
    """What client and worker share: the way to the governor, the world they change, the plan."""

    def __init__(self, folder: Path, name: str, seat: dict[str, str], doom: Doom) -> None:
        self.folder, self.name, self.doom = folder, name, doom
        self.journal = Journal(folder / f"{name}.journal")
        self.dice = random.Random(os.urandom(8))
        self.channel = Noted(
            UnixChannel(Path(seat["socket"]), role="agent", timeout=5.0), self.journal, doom
        )
        governor = Bridle(self.channel, agents=self.channel)
        self.agent: Agent = governor.attach(
            seat["handle"], mission=seat["mission"], agent=seat["agent"]
        )
        self._world = Journal(folder / "world")
        self.ended = ended(folder / f"{name}.journal")
        os.write(1, b"up\n")

    def lines(self) -> list[dict[str, Any]]:
        return read(self.folder / f"{self.name}.journal")

    def draining(self) -> bool:
        return (self.folder / "drain").exists()

    def effect(self, key: str) -> dict[str, str]:
        """Change the world, in two steps with a place to die between them."""
        self.doom.at("effect")
        if tool_of(key) == "log.append" and self.dice.random() < 0.15:
            raise RefusedEffectError
        attempt = self.channel.attempt
        self._world.write("effect", key=key, attempt=attempt, by=self.name)
        self.doom.at("written")
        (self.folder / "world.index").write_text(key)
        if self.dice.random() < 0.02:
            time.sleep(1.3 * LEASE_MS / 1000)  # an effect that outlives its lease unless that beats
        self.doom.at("synced")
        return {"key": key, "attempt": attempt}

    def end(self, key: str, how: str, result: Any = None) -> None:
        self.journal.write("ended", key=key, how=how, result=result)
        self.ended.add(key)
        self.doom.at("ended")

    def refused(self, key: str, code: str | None) -> None:
        if code in _FINAL:
            self.end(key, str(code))
        else:
            time.sleep(_PAUSE)


def client(folder: Path, name: str, seat: dict[str, str], doom: Doom) -> None:
    """An agent's process: takes its plan step by step, each through `call`."""
    actor = Actor(folder, name, seat, doom)
    known = [line["key"] for line in actor.lines() if line["what"] == "plan"]
    while True:
        still = [key for key in known if key not in actor.ended]
        if not still and actor.draining():
            return
        more = len(still) < 4 or (len(still) < _MOST_OPEN and actor.dice.random() < 0.3)
        if more and not actor.draining():
            key = f"{name}-{len(known)}"
            actor.journal.write("plan", key=key)
            known.append(key)
        elif still and actor.dice.random() < 0.9:
            key = actor.dice.choice(still)
        else:
            key = actor.dice.choice(known)
        _step(actor, key)


def _step(actor: Actor, key: str) -> None:
    try:
        result = actor.agent.call(tool_of(key), {"key": key}, effect=actor.effect, key=key)
    except Denied as problem:
        actor.refused(key, problem.code)
    except (Held, RefusedEffectError):
        time.sleep(_PAUSE)
    except UnreachableError:
        time.sleep(_PAUSE)
    else:
        actor.end(key, "ok", result)


def platform(folder: Path, name: str, seat: dict[str, str], doom: Doom) -> None:
    """An orchestrator: decides each step and puts it into the queue of its worker."""
    actor = Actor(folder, name, seat, doom)
    queue = Journal(folder / f"{name}.queue")
    number = len(read(folder / f"{name}.queue"))
    while not actor.draining():
        if number - len(ended(folder / f"{seat['worker']}.journal")) > _WAITING:
            time.sleep(_PAUSE)
            continue
        key = f"{name}-{number}"
        verdict = actor.agent.decide(tool_of(key), {"key": key}, key=key)
        if verdict.receipt is None:  # no governor answered
            time.sleep(_PAUSE)
            continue
        queue.write("job", key=key, verdict=msgspec.json.encode(verdict).decode())
        number += 1


def worker(folder: Path, name: str, seat: dict[str, str], doom: Doom) -> None:
    """A worker of the platform: begins what was decided, runs it, reports it. Jobs come again."""
    actor = Actor(folder, name, seat, doom)
    lane = seat["lane"]
    while True:
        jobs = read(folder / f"{lane}.queue")
        still = [job for job in jobs if job["key"] not in actor.ended]
        if not still:
            if actor.draining():
                return
            time.sleep(_PAUSE)
            continue
        job = actor.dice.choice(still[:4])
        _job(actor, job["key"], msgspec.json.decode(job["verdict"], type=Verdict))


def _job(actor: Actor, key: str, verdict: Verdict) -> None:
    try:
        if not verdict.effect.runs or actor.dice.random() < 0.5:
            verdict = actor.agent.decide(tool_of(key), {"key": key}, key=key)
        if not verdict.effect.runs or verdict.outcome is not None:
            _answered(actor, key, verdict)
            return
        started = actor.agent.begin(verdict)
    except Denied:
        _again(actor, key)
        return
    _carry_out(actor, key, started)


def _again(actor: Actor, key: str) -> None:
    """The verdict has lapsed, or the step is not to be begun: see how it stands."""
    verdict = actor.agent.decide(tool_of(key), {"key": key}, key=key)
    _answered(actor, key, verdict)


def _answered(actor: Actor, key: str, verdict: Verdict) -> None:
    if verdict.outcome is not None and verdict.outcome.kind is OutcomeKind.OK:
        actor.end(key, "ok", msgspec.json.decode(verdict.outcome.output))
    elif verdict.effect is Effect.DENY:
        actor.refused(key, verdict.reasons[0].code.value)
    else:
        time.sleep(_PAUSE)


def _carry_out(actor: Actor, key: str, started: Verdict) -> None:
    arguments = msgspec.json.decode(started.args)
    try:
        result = actor.effect(**arguments)
        outcome = Outcome(OutcomeKind.OK, output=msgspec.json.encode(result).decode())
    except RefusedEffectError as problem:
        result, outcome = None, Outcome(OutcomeKind.ERROR, error=problem.code)
    try:
        release = actor.agent.observe(started, outcome)
    except BridleError:
        return  # the lease settles it, or the next report
    if result is not None and release.effect.runs:
        actor.end(key, "ok", result)
