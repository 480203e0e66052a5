"""A log as a real governor writes it, and its export, by the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from msgspec import Struct

import bridle
from bridle.client.agent import Agent
from bridle.client.bridle import Bridle
from bridle.ledger import tiles
from bridle.model.calls import RotateLogKey
from client.desk import SOURCE, TICKET, copied

CALLS = 140
BRIDLE = [sys.executable, "-P", "-m", "bridle"]


class Export(Struct, frozen=True):
    """An export, the bundle whose log it is, and the keys that its operator gives away."""

    folder: Path
    bundle: Path
    keys: list[str]
    size: int
    root: bytes

    def leaves(self) -> list[bytes]:
        """Read all records."""
        return [
            leaf
            for tile in tiles.tiles_of(self.size)
            if tile.level == 0
            for leaf in tiles.leaves((self.folder / tile.bundle).read_bytes())
        ]

    def opened(self, folder: Path) -> Path:
        """Export the log once more, with payloads."""
        printed("export", "--payloads", "--out", str(folder), str(self.bundle))
        return folder

    def prove(self, *words: str) -> bytes:
        """Have `bridle audit prove` write a proof."""
        return printed("prove", *words, str(self.bundle))


def printed(*words: str) -> bytes:
    """Run `bridle audit` on a bundle, named last, and return what it prints."""
    state = str(Path(words[-1]).parent / "state")
    return subprocess.run(
        [*BRIDLE, "audit", *words],
        env={**os.environ, "PYTHONPATH": SOURCE, "XDG_STATE_HOME": state},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout


def exported(bundle: Path) -> Export:
    """Export the log of a bundle that no governor serves any more."""
    folder = bundle.parent / "export"
    made = json.loads(printed("export", "--out", str(folder), "--json", str(bundle)))
    keys = [row["key"] for row in json.loads(printed("keys", "--json", str(bundle)))]
    return Export(folder, bundle, keys, made["size"], bytes.fromhex(made["root"]))


def plain(home: Path) -> Export:
    """A log with one key."""
    bundle = copied(home)
    with acting(bundle) as (_, agent):
        act(agent, CALLS)
    return exported(bundle)


def rotated(home: Path) -> Export:
    """A log whose key was replaced while agents acted: one, both, the other."""
    bundle = copied(home)
    with acting(bundle) as (governor, agent):
        act(agent, 10)
        first, _ = governor.rows(RotateLogKey(as_user="ana"))
        act(agent, 10)
        governor.rows(RotateLogKey(retire=first["id"], as_user="ana"))
        act(agent, 10)
    return exported(bundle)


@contextmanager
def acting(bundle: Path) -> Iterator[tuple[Bridle, Agent]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(bundle.parent / "state"))
        with bridle.open(bundle, embedded=True) as governor:
            mission = governor.start_mission("ticket-desk", user="ana", prompt="Settle tickets")
            yield governor, mission.agent("triage")


def act(agent: Agent, calls: int) -> None:
    """Read tickets, and try now and then what is denied or held."""
    for number in range(1, calls):
        with suppress(bridle.Denied):
            agent.call("desk.read_ticket", {"id": number}, effect=lambda **_: TICKET)
        if number % 20 == 0:
            with suppress(bridle.Denied, bridle.Held):
                agent.call("payments.refund", {"order": number}, effect=lambda **_: None)
