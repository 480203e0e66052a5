"""Cuts the power at chosen points of a record and hands each image to a judge."""

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from crash.power.vfs import Disk, Event, written

# How much of what was not synced is left: nothing, all, and in between.
KEEPS = (0.0, 1.0, 0.5, 0.9, 0.2)

# A judge is given the image's database, and the notes of all that happened before the cut.
Judge = Callable[[Path, list[Event]], None]


def cut(
    events: list[Event],
    places: Iterable[tuple[int, int]],
    folder: Path,
    judge: Judge,
    files: dict[str, bytes] | None = None,
) -> int:
    """Cut after `place` events, for each `(place, seed)` in order of place; return how many.

    `files` lay on the disk before the first event.
    """
    done = 0
    for place, seed, image in images(events, places, files or {}):
        where = folder / "image"
        try:
            judge(written(image, where), events[:place])
        except Exception as problem:
            problem.add_note(f"cut after event {place}, seed {seed}: {_around(events, place)}")
            raise
        shutil.rmtree(where)
        done += 1
    return done


def images(
    events: list[Event], places: Iterable[tuple[int, int]], files: dict[str, bytes]
) -> Iterator[tuple[int, int, dict[str, bytes]]]:
    """What each cut leaves, with its place and seed."""
    disk, at = Disk(files), 0
    for place, seed in places:
        while at < place:
            disk.follow(events[at])
            at += 1
        dice = random.Random(f"{place}/{seed}")
        yield place, seed, disk.image(dice, KEEPS[seed % len(KEEPS)])


def every(events: list[Event], step: int = 1, seeds: int = len(KEEPS)) -> Iterator[tuple[int, int]]:
    """Every `step`-th place after something happened to the disk, with so many seeds each."""
    places = [at for at, event in enumerate(events, 1) if event.kind != "note"]
    for number, place in enumerate(places):
        if number % step == 0 or place == places[-1]:
            yield from ((place, seed) for seed in range(seeds))


def some(events: list[Event], count: int, seed: int) -> Iterator[tuple[int, int]]:
    """So many places at random, in order."""
    dice = random.Random(seed)
    found = [(dice.randint(1, len(events)), dice.randrange(1 << 30)) for _ in range(count)]
    yield from sorted(found)


def notes(events: list[Event]) -> list[Any]:
    return [event.note for event in events if event.kind == "note"]


def due(events: list[Event]) -> set[Any]:
    """What must be there: what was acknowledged as strict, and as relaxed before a later sync.

    Notes are `("strict", what)` and `("relaxed", what)`. A strict note may come late, when another
    caller's relaxed write has followed already: so it speaks for itself only.
    """
    found: set[Any] = set()
    soft: set[Any] = set()
    for event in events:
        if event.kind == "note" and event.note[0] == "strict":
            found.add(event.note[1])
        elif event.kind == "note" and event.note[0] == "relaxed":
            soft.add(event.note[1])
        elif event.kind == "sync" and event.name.endswith("-wal"):
            found |= soft
    return found


def _around(events: list[Event], place: int) -> str:
    return " ".join(f"{e.kind}:{e.name or e.note}@{e.offset}" for e in events[place - 4 : place])
