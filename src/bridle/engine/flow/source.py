"""What a mission has read, and what that says of where a value came from. Plain data.

A value is trusted only where one trusted source says all of it by itself. What no trusted source
says carries the labels of everything that the mission has read.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct


class SourceKind(StrEnum):
    """What a mission reads: its user's words, its template's, results, and what humans approved."""

    PROMPT = "prompt"
    CONSTANT = "constant"
    RESULT = "result"
    ENDORSEMENT = "endorsement"


class Source(Struct, frozen=True, kw_only=True):
    """One thing that a mission has read.

    `id` names it to humans (of a result: its action) and `record` is the number of the ledger's
    record that tells of it. `labels` and `trusted` are what was declared of it when it was read. An
    endorsement counts only for arguments that mean `sink`, on systems in the domain `toward`.
    """

    id: str
    kind: SourceKind
    record: int = 0
    tool: str = ""
    system: str = ""
    domain: str = ""
    labels: tuple[str, ...] = ()
    trusted: bool = False
    sink: str = ""
    toward: str = ""


class Imprint(Struct, frozen=True, kw_only=True):
    """What a source says, as keyed fingerprints of 8 octets each, without any of its text.

    `chunks` stand in the order in which they were said, a zero between two texts. `whole` are the
    normal forms of typed identifiers (addresses, URLs, dates, numbers, …) that stand in it as they
    are, and `parts` all that is looked for besides, also what encodings hide. `labelled` are the
    fingerprints of values that detectors found, by label. `cut` says that the end is missing.
    """

    chunks: bytes = b""
    whole: bytes = b""
    parts: bytes = b""
    labelled: Mapping[str, bytes] = {}
    cut: bool = False


class Origin(Struct, frozen=True, kw_only=True):
    """Where a value came from, as policies see it, and which sources say so (`events`: their ids).

    `sources` are systems. `prompted`: humans said all of it, in trusted prompts or by approving it
    for this meaning in this domain. `unknown`: nothing that was read says some part of it.
    """

    sources: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    trusted: bool = False
    prompted: bool = False
    unknown: bool = True
    events: tuple[str, ...] = ()


class Origins(Struct, frozen=True, kw_only=True):
    """Where the arguments of an action came from: each, those of one meaning, and all together."""

    arguments: Mapping[str, Origin]
    sinks: Mapping[str, Origin]
    any: Origin


class Flow(Protocol):
    """What one mission has read so far, as far as a judgement asks."""

    @property
    def labels(self) -> frozenset[str]:
        """Return the labels of everything that was read. They never grow fewer."""
        ...

    def origins(self, tool: str, value: Mapping[str, Any]) -> Origins:
        """Return where the canonical arguments of a declared tool came from."""
        ...
