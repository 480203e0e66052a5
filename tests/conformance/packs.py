"""The conformance cases of the language of record, as they lie in tests/data/dogwood."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec import Struct

PACK = Path(__file__).resolve().parent.parent / "data" / "dogwood"

DIFFERENT = {
    "semantics/literal_above_long_range": "an integer beyond a Long is refused, not read as 0",
    "semantics/literal_below_long_range": "an integer beyond a Long is refused, not read as 0",
    "semantics/escape_in_temporal_literal_stays_raw": "escapes are decoded, as later versions do",
    "semantics/newline_escape_stays_raw": "escapes are decoded, as later versions do",
}
"""Where Bridle follows the specification and not this version of its interpreter, and why."""


class Trace(Struct, frozen=True):
    """A history and the verdicts expected of it."""

    name: str
    log: str
    expected: str


class Vector(Struct, frozen=True):
    """One case. `texts` are its policy files in order, macros first."""

    name: str
    schema: str
    events: str | None
    texts: dict[str, str]
    traces: tuple[Trace, ...]

    @property
    def folder(self) -> str:
        return self.name.partition("/")[0]


def vectors(*folders: str) -> list[Vector]:
    """Read the cases of some folders, or of all."""
    names = sorted(json.loads((PACK / "manifest.json").read_text("utf-8"))["cases"])
    found = (vector(name) for name in names)
    return [each for each in found if not folders or each.folder in folders]


def vector(name: str) -> Vector:
    folder = PACK / name
    policies = [*sorted(folder.glob("macros.dw")), *sorted(folder.glob("policy*.dw"))]
    events = folder / "event.dwschema"
    return Vector(
        name=name,
        schema=(folder / "schema.cedarschema").read_text("utf-8"),
        events=events.read_text("utf-8") if events.exists() else None,
        texts={each.name: each.read_text("utf-8") for each in policies},
        traces=tuple(_trace(each) for each in sorted(folder.glob("trace*.log"))),
    )


def _trace(path: Path) -> Trace:
    number = path.stem.partition("_")[2] or "1"
    expected = path.with_name(f"expected_{number}.out")
    return Trace(path.name, path.read_text("utf-8"), expected.read_text("utf-8").strip())
