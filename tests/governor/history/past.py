"""Policies that look back, and a desk from which their history can be seen."""

from collections.abc import Iterator
from typing import Any

from bridle.governor.history import whose
from bridle.governor.history.whose import Whose
from bridle.store.base import Store
from bridle.store.rows import EventRow, PartitionRow
from governor.desk import START, Desk, changed

MISSION = """
@id("no-pay-after-read") @reason("no payment after a note was read")
forbid (principal, action == Action::"bank.pay", resource)
when temporal { formerly within 1h Action::"note.read"::response{} };

@id("three-tips") @reason("three tips in an hour")
forbid (principal, action == Action::"bank.tip", resource)
when temporal {
  (count for (r: String). where (
    formerly within 1h Action::"bank.tip"::request{ requestId: r }
    && !(formerly within 1h Action::"bank.tip"::error{ requestId: r, error.code: "denied" })
    && !(formerly within 1h Action::"bank.tip"::error{ requestId: r, error.code: "not_started" })
  )) > 3
};
"""

USER = """
@id("five-rings") @reason("a user rings five times in an hour, in all missions")
forbid (principal, action == Action::"bell.ring", resource)
when temporal {
  (count for (t: Timepoint).
    where formerly within 1h (Action::"bell.ring"::request{ } && tp(t))) > 5
};
"""

AGENT = """
@id("not-twice") @reason("an agent does not index twice in a row")
forbid (principal, action == Action::"note.index", resource)
when temporal { formerly within 10m Action::"note.index"::response{ } };
"""

HISTORY = '[history]\nmax_window = "24h"\n'

FILES = changed(
    ("policies/limits.dw", "", MISSION),
    ("bridle.toml", "", HISTORY),
    # Bells are for the rule of the user alone.
    ("missions.toml", "budgets.bells]\nlimit = 3", "budgets.bells]\nlimit = 3000"),
    ("missions.toml", "budgets.tips]\nlimit = 10", "budgets.tips]\nlimit = 10000"),
) | {"policies/user/rings.dw": USER, "policies/agent/twice.dw": AGENT}


def edited(*edits: tuple[str, str, str]) -> dict[str, str]:
    """Those files with texts replaced, as `changed` does it."""
    files = dict(FILES)
    for name, old, new in edits:
        assert old in files.get(name, ""), f"{old!r} is not in {name}"
        text = files.get(name, "")
        files[name] = text.replace(old, new) if old else text + new
    return files


class LongDesk(Desk):
    """A desk whose policies look back."""

    def __init__(
        self,
        files: dict[str, str] = FILES,
        *,
        leases: bool = True,
        store: Store | None = None,
        start: int = START,
    ) -> None:
        super().__init__(files, leases=leases, store=store, start=start)

    def partition(self, scope: str, mission: str = "", user: str = "ana") -> PartitionRow | None:
        of = Whose(mission or self.mission, user, ("clerk",))
        key = whose.partitions(self.core, scope, of)[0]
        return self.core.write(lambda turn: turn.tx.get(PartitionRow, key))

    def events(
        self, scope: str = "mission", mission: str = "", user: str = "ana"
    ) -> list[EventRow]:
        """What a partition keeps, oldest first."""
        row = self.partition(scope, mission, user)
        if row is None:
            return []
        rows = self.core.write(lambda turn: turn.tx.find(EventRow, limit=1_000_000))
        return [each for each in rows if each.id.startswith(f"{row.id}#")]

    def happened(self, scope: str = "mission", mission: str = "", user: str = "ana") -> list[str]:
        """The same at a glance: `tool kind [code]`."""
        return [" ".join(self._words(row)) for row in self.events(scope, mission, user)]

    def ids(self, scope: str = "mission") -> list[Any]:
        """The requestIds of all events."""
        return [row.fields["requestId"] for row in self.events(scope)]

    def forget(self) -> None:
        """As if another process went on: nothing is in memory."""
        self.core.shelf.clear()

    def _words(self, row: EventRow) -> Iterator[str]:
        yield row.tool
        yield row.kind
        code = row.fields.get("error.code")
        if code is not None:
            yield self._codes().get(code, "?")

    def _codes(self) -> dict[Any, str]:
        known = ("denied", "not_started", "unknown", "contradicted", "error", "refused", "jammed")
        return {self.core.atoms.text(each): each for each in known}
