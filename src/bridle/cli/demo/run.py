"""Runs the demo: lays bundle and office out, opens an embedded governor, lets the agents work."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import bridle
from bridle.cli import copying
from bridle.cli.demo import agents
from bridle.cli.demo.narrator import Narrator, Told
from bridle.cli.demo.office import Office
from bridle.client.transport.embedded import EmbeddedChannel
from bridle.governor.governor import Governor
from bridle.model.errors import UsageError
from bridle.store.place import Place, place_at, place_of
from bridle.trust import credential
from bridle.trust.credential import Credential


class Day:
    """A day in the back office: its folder, its governor's place, and what was judged in it.

    `humans` are the keys of those who have one, by name. They are in nobody's file.
    """

    def __init__(self, folder: Path, place: Place, humans: dict[str, Credential]) -> None:
        self.humans = humans
        self.folder = folder
        self.bundle = folder / "bundle"
        self.place = place
        self.told: list[Told] = []
        self.seen: dict[str, Any] = {}
        self.mission = ""
        self.seconds = 0.0

    def live(self, hear: Callable[[Told], None], say: Callable[[str], None]) -> None:
        """Let the agents work; `hear` gets each judgement at once, `say` the story between."""
        started = time.monotonic()
        with Office(self.folder / "office") as office, self._people(hear) as (ana, ben):
            self.mission = agents.work(ana, ben, office, say)
            self.seen = office.seen()
        self.seconds = time.monotonic() - started

    @contextmanager
    def _people(self, hear: Callable[[Told], None]) -> Generator[tuple[bridle.Bridle, agents.Lead]]:
        """Open the governor for ana, whose mission it is, and for ben, who approves."""

        def listen(told: Told) -> None:
            self.told.append(told)
            with suppress(BrokenPipeError):  # nobody reads on; the agents' day goes on
                hear(told)

        # As bridle.open(…, embedded=True), but with somebody listening in.
        governor = Governor.open(self.bundle, state=self.place.folder, embedded=True)
        try:
            mine = EmbeddedChannel(governor, credential=self.humans.get("ana"))
            his = EmbeddedChannel(governor, credential=self.humans.get("ben"))
            proof = " with his key, which was made for this demo" if self.humans else ""
            yield bridle.Bridle(Narrator(mine, listen)), agents.Lead(bridle.Bridle(his), proof)
        finally:
            governor.close()


@contextmanager
def day(keep: Path | None) -> Generator[Day]:
    """Prepare a day in a folder that is kept, or in one that is gone afterwards."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="bridle-demo-") as name:
            folder = Path(name)
            yield _throw_away(folder)
        return
    copying.claim(keep)
    folder = keep.resolve()
    copying.back_office(folder / "bundle")
    place = place_of(folder / "bundle")
    if place.database.exists():
        raise UsageError(
            f"a store of an earlier bundle at this path is in {place.folder}",
            code="not_empty",
            hint="name another folder, or remove that store",
        )
    # Without keys, so that whoever plays with it can be everybody.
    yield Day(folder, place, {})


def _throw_away(folder: Path) -> Day:
    """A day after which nothing is left: its humans' keys only ever are in memory."""
    copying.back_office(folder / "bundle")
    humans = {name: credential.generate("user", name) for name in ("ana", "ben")}
    for name, each in humans.items():
        copying.give_key(folder / "bundle", name, each.public)
    return Day(folder, place_at(folder / "state"), humans)
