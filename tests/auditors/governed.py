"""A log as a real governor writes it, and its export."""

from contextlib import suppress
from pathlib import Path

import pytest
from msgspec import Struct

import bridle
from bridle.audit import proving
from bridle.audit.exports import writing
from bridle.audit.growth import Growth
from bridle.ledger import receipt, tiles, trustfile
from bridle.store.place import place_of
from bridle.store.sqlite.reading import snapshot
from client.desk import TICKET, copied

CALLS = 140


class Export(Struct, frozen=True):
    """An export, the store it is of, and the keys of its log as its operator gives them away."""

    folder: Path
    store: Path
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

    def receipts(self) -> list[bytes]:
        """Make the receipts of all records, from the store."""
        with snapshot(self.store / "store.db") as tx:
            return [receipt.render(proving.record(tx, index)) for index in range(self.size)]

    def grown(self, old: int) -> Growth:
        """Prove from the store that it has only grown."""
        with snapshot(self.store / "store.db") as tx:
            return proving.growth(tx, old)


def exported(home: Path) -> Export:
    """Let agents act, close the governor, and export what it recorded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        bundle = copied(home)
        act(bundle)
        store = place_of(bundle)
    folder = home / "export"
    made = writing.export(store, folder)
    trusted = trustfile.parse((folder / "trust-policy").read_bytes())
    keys = [str(each) for each in trusted.keys]
    return Export(folder, store.folder, keys, made.size, bytes.fromhex(made.root))


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
