"""Rows of what missions have read. Part of `bridle.store.rows`."""

from __future__ import annotations

from typing import ClassVar

from bridle.store.row import Row


class ReadRow(Row, frozen=True, kw_only=True):
    """What one mission has read, in two halves: what somebody vouches for, and all the rest.

    `count` numbers its sources. Of each half: the number of its last source (`trusted`, `others`),
    the end of the hash chain over them, and what they weigh, in octets. Once `full`, nothing more
    is vouched for. Of the rest those before `first` were let go of; `base` is the value of its
    chain before that one.
    """

    TABLE: ClassVar[str] = "reads"
    KEY: ClassVar[str] = "mission"
    mission: str
    count: int = 0
    trusted: int = 0
    trusted_head: str = ""
    trusted_size: int = 0
    others: int = 0
    others_head: str = ""
    others_size: int = 0
    first: int = 1
    base: str = ""
    full: bool = False


class SourceRow(Row, frozen=True, kw_only=True):
    """One thing that a mission has read. `id` is `<mission>#<half><number in it>`.

    `number` counts all that the mission has read and `about` names it to humans (a result by its
    action); `record` is the leaf that tells of it. `imprint` holds fingerprints, and no text; with
    it the source weighs so many octets.
    `salt` as that of an event: once the row is gone, nothing confirms a guess of what was in it.
    """

    TABLE: ClassVar[str] = "sources"
    KEY: ClassVar[str] = "id"
    id: str
    number: int
    about: str
    kind: str
    record: int
    tool: str = ""
    system: str = ""
    domain: str = ""
    labels: list[str] = []
    trusted: bool = False
    sink: str = ""
    toward: str = ""
    imprint: bytes = b""
    weight: int = 0
    salt: str = ""
