"""What the log says was erased: read from its `redaction` leaves, and asked about afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from bridle.model.record import SYSTEM_CHAIN, Leaf

_Index = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_DIGITS = r"^([0-9a-f]{32})?$"


class _Whole(Struct, frozen=True, tag_field="what", tag="mission"):
    below: _Index


class _Record(Struct, frozen=True, tag_field="what", tag="record"):
    record: _Index
    fields: list[str]
    sealed: Annotated[str, Meta(pattern=_DIGITS)]


class Erased(Struct, frozen=True):
    """What of one record is gone: all of it, or some `fields`.

    `sealed` is the digest of the payload that remains, empty where none does.
    """

    chain: str
    whole: bool
    fields: frozenset[str] = frozenset()
    sealed: str = ""


class Redactions:
    """Grows with the redactions, not with what they erased."""

    def __init__(self) -> None:
        self._below: dict[str, int] = {}
        self._records: dict[int, Erased] = {}

    def take(self, index: int, leaf: Leaf) -> bool:
        """Read a leaf of kind `redaction`. False when it is none: it may speak of earlier only."""
        try:
            body: _Whole | _Record = msgspec.convert(leaf.body, _Whole | _Record)
        except msgspec.MsgspecError:
            return False
        if isinstance(body, _Whole):
            if body.below > index or leaf.chain == SYSTEM_CHAIN:  # that is no mission
                return False
            self._below[leaf.chain] = max(body.below, self._below.get(leaf.chain, 0))
            return True
        before = self._records.get(body.record)
        if body.record >= index or (before is not None and before.chain != leaf.chain):
            return False
        fields: frozenset[str] = frozenset(body.fields)
        if body.sealed and (not fields or self._all_gone(leaf.chain, body.record)):
            return False  # it erases nothing, or says that something remains of what is gone
        if before is not None:
            fields |= before.fields
        self._records[body.record] = Erased(leaf.chain, False, fields, body.sealed)
        return True

    def of(self, chain: str, index: int) -> Erased | None:
        """What is on record as gone of the leaf at `index`, which belongs to `chain`."""
        if index < self._below.get(chain, 0):
            return Erased(chain, whole=True)
        found = self._records.get(index)
        return found if found is not None and found.chain == chain else None

    def _all_gone(self, chain: str, record: int) -> bool:
        found = self.of(chain, record)
        return found is not None and not found.sealed

    def below(self, chain: str) -> int:
        """Below which index every payload of a chain is gone; 0 where none is on record."""
        return self._below.get(chain, 0)

    def records(self) -> Iterator[int]:
        """Indices of records of which something was erased one by one."""
        yield from self._records
