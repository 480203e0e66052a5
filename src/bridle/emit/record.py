"""What an emitter is given, and what it has to offer."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol, runtime_checkable

from msgspec import Struct

from bridle.model.record import SYSTEM_CHAIN, Leaf

_TRACE_BYTES, _SPAN_BYTES = 16, 8


class Record(Struct, frozen=True):
    """One record of a log: its index and leaf hash (hex) there, the leaf, and the log's name."""

    index: int
    hash: str
    leaf: Leaf
    origin: str

    @property
    def mission(self) -> str:
        """The mission it belongs to; empty for what is the governor's own."""
        return "" if self.leaf.chain == SYSTEM_CHAIN else self.leaf.chain


class Emitter(Protocol):
    """Tells one receiver. What it raises is a failure: the same records are given to it again."""

    def emit(self, record: Record) -> None:
        """Take the next record; they come in the order of the log."""
        ...

    def flush(self) -> None:
        """Hand over what was taken. Once this has returned, none of it is given again."""
        ...

    def close(self) -> None:
        """Let go of what is open; nothing is flushed."""
        ...


@runtime_checkable
class Recalling(Protocol):
    """An emitter that tells of some records only with later ones, and so has to see them again."""

    memory: int
    """How many of the records before the first one are worth showing."""

    def recall(self, record: Record) -> None:
        """See a record that was told already."""
        ...


def trace_of(record: Record) -> bytes:
    """Return the trace (16 bytes) a record belongs to: its mission's, or one of its own."""
    named = record.mission or f"record {record.index}"
    return sha256(f"bridle trace\n{record.origin}\n{named}".encode()).digest()[:_TRACE_BYTES]


def span_of(record: Record, *names: str) -> bytes:
    """Return the span (8 bytes) of what `names` says in the record's log and mission."""
    text = "\n".join(("bridle span", record.origin, record.mission, *names))
    return sha256(text.encode("utf-8", "backslashreplace")).digest()[:_SPAN_BYTES]


def rfc3339(milliseconds: int) -> str:
    """Return a time as RFC 3339 has it, in UTC."""
    seconds, rest = divmod(milliseconds, 1000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a leaf's clock may say anything
        moment = datetime.max.replace(tzinfo=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
