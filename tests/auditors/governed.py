"""A log as a real governor writes it, and its export."""

from contextlib import suppress
from pathlib import Path

import pytest
from msgspec import Struct

import bridle
from bridle.audit.exports import writing
from bridle.ledger import trustfile
from bridle.store.place import place_of
from client.desk import TICKET, copied

CALLS = 140


class Export(Struct, frozen=True):
    """An export, and the keys of its log as its operator gives them away."""

    folder: Path
    keys: list[str]
    size: int


def exported(home: Path) -> Export:
    """Let agents act, close the governor, and export what it recorded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        bundle = copied(home)
        act(bundle)
        made = writing.export(place_of(bundle), home / "export")
    trusted = trustfile.parse((home / "export" / "trust-policy").read_bytes())
    return Export(home / "export", [str(each) for each in trusted.keys], made.size)


def act(bundle: Path) -> None:
    with bridle.open(bundle, embedded=True) as governor:
        mission = governor.start_mission("ticket-desk", user="ana", prompt="Settle tickets")
        agent = mission.agent("triage")
        for number in range(1, CALLS):
            with suppress(bridle.Denied):
                agent.call("desk.read_ticket", {"id": number}, effect=lambda **_: TICKET)
            if number % 20 == 0:
                with suppress(bridle.Denied, bridle.Held):
                    agent.call("payments.refund", {"order": number}, effect=lambda **_: None)
