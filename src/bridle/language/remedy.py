"""Remedies: how the objection of a `forbid` may be met. Their typed form and their grammar.

    @modify("set PATH JSON")           @modify("drop PATH")         @modify("clamp PATH MIN..MAX")
    @modify("truncate PATH N")         @modify("mask PATH keep N")
    @modify("redact PATH: DETECTOR,…") @modify("replace PATH /re2/ -> TEXT")
    @hold("group, group:2")

Several operators are separated by `;`. A plain Cedar engine ignores annotations, so a remedy can
only ever make Bridle more helpful, never more permissive than the bare policy.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Path(Struct, frozen=True):
    """A place in `input` or `output`. A step is a property, or `[]`: every element of an array."""

    root: str
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = self.root
        for step in self.steps:
            text += "[]" if step == "[]" else f".{step}"
        return text


class Modify(Struct, frozen=True, tag_field="do"):
    """Base of the `@modify` operators. `path` is what they change."""

    path: Path


class SetTo(Modify, frozen=True, tag="set"):
    """Put a constant (plain JSON value; fractions as `decimal.Decimal`) in place of the value."""

    value: Any


class Drop(Modify, frozen=True, tag="drop"):
    """Remove an optional property, or elements of an array."""


class Clamp(Modify, frozen=True, tag="clamp"):
    """Bring a number into `[low, high]`; a missing side is open. Exact: ints or `Decimal`."""

    low: Any
    high: Any


class Truncate(Modify, frozen=True, tag="truncate"):
    """Keep the first `length` code points of a string, or elements of an array."""

    length: int


class Mask(Modify, frozen=True, tag="mask"):
    """Replace every code point but the last `keep` by `*`."""

    keep: int


class Redact(Modify, frozen=True, tag="redact"):
    """Replace what detectors find, in every string at or below the path, by `[redacted:NAME]`."""

    detectors: tuple[str, ...]


class Replace(Modify, frozen=True, tag="replace"):
    """Replace every match of a re2 pattern by a text (taken literally)."""

    pattern: str
    text: str
