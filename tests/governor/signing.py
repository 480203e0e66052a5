"""A governor of a store in a folder, as an operator and an auditor see it: for tests of its log."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridle.bundle.load import load
from bridle.governor.governor import Governor
from bridle.governor.ground.opening import Site
from bridle.governor.publishing import keys
from bridle.governor.publishing.publisher import Publisher
from bridle.ledger import checkpoint, leaf, note
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Key
from bridle.ledger.tree import root_of
from bridle.model import calls
from bridle.model.calls import Caller, Failed, Listing, Reply
from bridle.model.record import Leaf
from bridle.store.place import Place
from bridle.store.sqlite.reading import snapshot
from governor.desk import ANYONE, FILES

ORIGIN = "example.com/prod/desk"
NAMED = {**FILES, "bridle.toml": FILES["bridle.toml"] + f'[ledger]\norigin = "{ORIGIN}"\n'}


class Logged:
    """A bundle and a store in two folders, a governor, and what lies there."""

    def __init__(
        self, folder: Path, *copies: Path, files: dict[str, str] = NAMED, start: bool = True
    ) -> None:
        self.root, self.state, self.copies = folder / "bundle", folder / "state", copies
        self.place = Place("test", self.state, self.state)
        self.write(files)
        self.governor: Governor
        if start:
            self.start()

    def write(self, files: dict[str, str]) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def start(self) -> None:
        site = Site(state=self.state, copies=self.copies)
        self.governor = Governor.open(self.root, site=site, embedded=True)

    def again(self) -> None:
        self.governor.close()
        self.start()

    # --- what an operator does --------------------------------------------------------------

    def ask(self, call: calls.Call, caller: Caller = ANYONE) -> Reply:
        return self.governor.handle(caller, call)

    def refused(self, call: calls.Call, caller: Caller = ANYONE) -> str:
        reply = self.ask(call, caller)
        assert isinstance(reply, Failed), reply
        assert reply.message
        return reply.code

    def act(self, times: int = 1) -> None:
        """Have something recorded."""
        for _ in range(times):
            assert not isinstance(self.ask(calls.Kill(scope="all", as_user="ana")), Failed)

    def rotate(self, retire: str = "") -> list[dict[str, Any]]:
        reply = self.ask(calls.RotateLogKey(retire=retire, as_user="ana"))
        assert isinstance(reply, Listing), reply
        return reply.rows

    def activate(self) -> Reply:
        return self.ask(calls.Activate(digest=load(self.root).digest, as_user="ana"))

    @property
    def publisher(self) -> Publisher:
        log = self.governor._log
        assert log is not None
        return log._publisher

    # --- what an auditor sees ---------------------------------------------------------------

    @property
    def file(self) -> Path:
        return self.place.checkpoint

    def verifiers(self) -> list[Key]:
        with snapshot(self.place.database) as tx:
            return keys.verifiers(tx)

    def signed(self, path: Path | None = None) -> Checkpoint:
        return self.read((path or self.file).read_bytes())

    def read(self, data: bytes, *trusted: Key) -> Checkpoint:
        return checkpoint.read(data, trusted or self.verifiers()).checkpoint

    def by(self, data: bytes) -> list[Key]:
        """Who signed, in order of adding."""
        signed = checkpoint.read(data, self.verifiers()).keys
        assert len(note.parse(data).signatures) == len(signed)
        return [key for key in self.verifiers() if key in signed]

    def kept(self) -> list[bytes]:
        with snapshot(self.place.database) as tx:
            return tx.checkpoints()

    def bodies(self, kind: str = "log") -> list[dict[str, Any]]:
        return [each.body for each in self.leaves() if each.kind == kind]

    def leaves(self) -> list[Leaf]:
        return [leaf.parse(data) for data in self.data()]

    def data(self) -> list[bytes]:
        with snapshot(self.place.database) as tx:
            return [stored.data for stored in tx.leaves()]

    def holds(self, signed: Checkpoint) -> bool:
        """Whether the log of now begins with what was signed."""
        data = self.data()
        return signed.size <= len(data) and root_of(data[: signed.size]) == signed.root

    # --- what an attacker does --------------------------------------------------------------

    def edit(self, change: str | Callable[[sqlite3.Connection], object]) -> None:
        with sqlite3.connect(self.place.database) as store:
            store.executescript(change) if isinstance(change, str) else change(store)
        store.close()

    def image(self, folder: Path) -> "Logged":
        """The same, as a crash at this moment would leave it; not started."""
        shutil.copytree(self.root.parent, folder)
        other = Logged.__new__(Logged)
        other.root, other.state, other.copies = folder / "bundle", folder / "state", ()
        other.place = Place("image", other.state, other.state)
        return other
