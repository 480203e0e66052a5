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


class Day:
    """A day in the back office: its folder, its governor's place, and what was judged in it."""

    def __init__(self, folder: Path, place: Place) -> None:
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
        with Office(self.folder / "office") as office, self._governor(hear) as gov:
            self.mission = agents.work(gov, office, say)
            self.seen = office.seen()
        self.seconds = time.monotonic() - started

    @contextmanager
    def _governor(self, hear: Callable[[Told], None]) -> Generator[bridle.Bridle]:
        def listen(told: Told) -> None:
            self.told.append(told)
            with suppress(BrokenPipeError):  # nobody reads on; the agents' day goes on
                hear(told)

        # As bridle.open(…, embedded=True), but with somebody listening in.
        governor = Governor.open(self.bundle, state=self.place.folder, embedded=True)
        with bridle.Bridle(Narrator(EmbeddedChannel(governor), listen)) as gov:
            yield gov


@contextmanager
def day(keep: Path | None) -> Generator[Day]:
    """Prepare a day in a folder that is kept, or in one that is gone afterwards."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="bridle-demo-") as name:
            folder = Path(name)
            yield _prepared(folder, place_at(folder / "state"))
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
    yield Day(folder, place)


def _prepared(folder: Path, place: Place) -> Day:
    copying.back_office(folder / "bundle")
    return Day(folder, place)
