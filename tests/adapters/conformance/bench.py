"""What the suite asks of an engine: start its worker, hand an item over, say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bridle.client.worker import Worker


class Came(NamedTuple):
    """What came of an item.

    `kind` is `done` (with its value), `refused`, `held`, `undecided` (nobody could be asked),
    `failed` (the effect's own error), or `waiting` where it has not ended.
    """

    kind: str
    value: Any = None
    text: str = ""


class Bench(Protocol):
    """One engine with its adapter. An item is one step that runs `tool` with the argument `id`.

    Tools are `page.get`, and `page.put` which is idempotent; their effect is `sink.page`.
    """

    gaps: Mapping[str, str]
    """Cases that the engine cannot pass, with the reason: one of those that `GAPS` allows."""

    def running(self, carrier: Worker) -> AbstractContextManager[object]:
        """Run the engine's worker, governed, as this workload. May be run again afterwards."""
        ...

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> Any:
        """Hand an item over, whether or not a worker runs; return what names it.

        With more `deliveries` the engine gives the same step to a worker again after it has ended,
        as it does where the answer of the first was lost, whatever came of it.
        """
        ...

    def came(self, item: Any, *, within: float = 20.0) -> Came:
        """Wait for what came of an item, of its last delivery; at most `within` seconds."""
        ...

    def again(self, item: Any) -> None:
        """Have a held item run again: for engines that cannot hold natively."""
        ...

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        """Return the ways around the gate that are known of this engine.

        Each tries to have a page 99 done that nobody dispatched, while a worker runs, and returns
        (or raises) when it has ended.
        """
        ...

    def stored(self) -> bytes:
        """Return everything that the engine keeps of items: it must hold no secret."""
        ...

    def close(self) -> None:
        """End what the bench started."""
        ...


Make = Callable[[Path], Bench]
"""Every module of a bench has this as `make`; the folder is for the engine's files."""

GAPS: Mapping[str, frozenset[str]] = {
    "held, then approved": frozenset(
        {"no native hold: the step ends, names its approval, and is run again after it"}
    ),
}
"""The gaps that the design allows: no bench may have another."""
