"""Turns what is read into imprints: the texts of a result, what detectors find in them.

An imprint of a large result takes a while: `Imprints.ahead` makes it before the turn that takes it
in, so that nobody else waits.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bridle.engine.flow.reading import Reader, leaves
from bridle.engine.flow.source import Imprint

if TYPE_CHECKING:
    from bridle.engine.engine import Engine

MOST = 32_768
"""Chunks of one source that are kept. A quarter of what a mission keeps may be of one source."""

# Shorter texts are read in no time.
_LONG = 4_096


class Imprints:
    """Makes imprints under one key. Safe for use by many threads."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._reader: Reader | None = None
        self._ahead: dict[tuple[str, str], Imprint] = {}

    @property
    def reader(self) -> Reader:
        """What reads values and sources. Made on its first use: most bundles do without."""
        if self._reader is None:
            self._reader = Reader(self._key)
        return self._reader

    def of(self, engine: Engine, texts: Iterable[str], *, labelled: bool = True) -> Imprint:
        """Return the imprint of some texts; with `labelled`, of what detectors find in them too."""
        listed = list(texts)
        found = list(engine.labelled(listed)) if labelled else []
        if not engine.traces:
            # Only labels are asked for: there is no need to know where they turn up.
            return Imprint(labelled={label: b"" for label, _ in found})
        return self.reader.imprint(listed, found, MOST)

    def of_output(self, engine: Engine, output: str) -> Imprint:
        """Return the imprint of a result, given as JSON text."""
        made = self._ahead.get((engine.bundle.digest, output)) if self._ahead else None
        return made if made is not None else self.of(engine, texts_of(output))

    @contextmanager
    def ahead(self, engine: Engine | None, output: str) -> Generator[None, None, None]:
        """Make the imprint of a long result now, for the turn that takes it in."""
        if engine is None or not _is_worth_it(engine, output):
            yield
            return
        known = (engine.bundle.digest, output)
        # One that another caller lets go of too early is made again.
        self._ahead[known] = self.of(engine, texts_of(output))
        try:
            yield
        finally:
            self._ahead.pop(known, None)


def _is_worth_it(engine: Engine, output: str) -> bool:
    longest = engine.bundle.manifest.limits.result_bytes
    return engine.wants_imprints and _LONG <= len(output) <= longest


def texts_of(output: str) -> list[str]:
    """Return the texts of a result: of its values, or all of it where it is no JSON."""
    try:
        value = json.loads(output, object_pairs_hook=_every, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        return [output]
    return list(leaves(value))


def _every(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object with all that stands in it: a key that comes twice hides nothing."""
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    every: dict[str, Any] = {}
    for name, value in pairs:
        every.setdefault(name, []).append(value)
    return every
