"""The bytes of a partition's state. One job: to write them, and to refuse any that are not whole.

State is the kept events and how many there have been; everything else is made from those. The bytes
are a magic number with the version of the form, the SHA-256 of what follows, and MessagePack: by
columns, in the order of positions, so that the same events make the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import msgspec

from bridle.engine.temporal.atoms import LONG_MAX, LONG_MIN
from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.index.record import Layout, Record
from bridle.model.errors import BridleError

MAX_TIME = 2**62
"""Milliseconds before and after the epoch, as far as a partition reckons."""

MAGIC = b"BRHP\x01"
_HEAD = len(MAGIC) + 32

# Positions are kept in 64 bits, and there must be room for more of them.
_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Time = Annotated[int, msgspec.Meta(ge=-MAX_TIME, le=MAX_TIME)]
_Long = Annotated[int, msgspec.Meta(ge=LONG_MIN, le=LONG_MAX)]


class StateError(BridleError):
    """Bytes that are not the state of this program under this key. Rebuild from the events."""

    code = "history_state"


class State(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is written.

    `program` and `key` say what it belongs to; the rest are columns, of which `missions` are
    numbers in `names`.
    """

    program: str
    key: str
    count: _Natural
    last_time: _Time
    names: list[str]
    positions: list[_Natural]
    times: list[_Time]
    types: list[int]
    missions: list[_Natural]
    fields: list[list[_Long | str | None]]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(State)


def encode(
    records: Sequence[Record], count: int, last_time: int, *, program: str, key: str
) -> bytes:
    """Write the kept `records`, in order."""
    names = sorted({record.mission for record in records})
    numbers = {name: number for number, name in enumerate(names)}
    state = State(
        program,
        key,
        count,
        last_time,
        names,
        [record.position for record in records],
        [record.time for record in records],
        [record.type for record in records],
        [numbers[record.mission] for record in records],
        [list(record.fields) for record in records],
    )
    return seal(_ENCODER.encode(state))


def seal(body: bytes) -> bytes:
    """Put the head before a body."""
    return MAGIC + hashlib.sha256(body).digest() + body


def unseal(data: bytes) -> State:
    """Read the state, whatever it belongs to. Raises `StateError` if it is not whole."""
    body = data[_HEAD:]
    if data[: len(MAGIC)] != MAGIC:
        raise StateError("this is no state of a partition, or of another version")
    if hashlib.sha256(body).digest() != data[len(MAGIC) : _HEAD]:
        raise StateError("the state of a partition is damaged")
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise StateError("the state of a partition cannot be read") from error


def decode(data: bytes, layout: Layout, *, program: str, key: str) -> tuple[State, list[Record]]:
    """Read what `encode` wrote. Raises `StateError`: never a state that was not written."""
    state = unseal(data)
    if state.program != program or state.key != key:
        raise StateError("the state of a partition belongs to other conditions or another key")
    return state, _records(state, layout)


def _records(state: State, layout: Layout) -> list[Record]:
    columns = (state.positions, state.times, state.types, state.missions, state.fields)
    if len({len(column) for column in columns}) > 1:
        raise StateError("the columns of a partition's state differ in length")
    records = [_record(state, layout, row) for row in zip(*columns, strict=True)]
    _demand(all(a.position < b.position and a.time <= b.time for a, b in pairwise(records)))
    _demand(not records or records[-1].position < state.count)
    _demand(all(_reached(record, state.last_time, layout) for record in records))
    return records


def _record(
    state: State,
    layout: Layout,
    row: tuple[int, int, int, int, list[Atom | None]],
) -> Record:
    position, time, number, mission, fields = row
    _demand(-1 <= number < len(layout.types) and mission < len(state.names))
    wanted = 0 if number < 0 else len(layout.types[number].paths)
    _demand(len(fields) == wanted)
    return Record(position, time, number, tuple(fields), state.names[mission])


def _reached(record: Record, last_time: int, layout: Layout) -> bool:
    return last_time - layout.horizons[record.type] <= record.time <= last_time


def _demand(condition: bool) -> None:  # noqa: FBT001 - what must hold
    if not condition:
        raise StateError("the state of a partition contradicts itself")
