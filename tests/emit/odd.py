"""Records as nobody writes them, and of kinds that a busy life does not hold yet."""

from typing import Any

from hypothesis import strategies as st

from bridle.emit.record import Record
from bridle.ledger import leaf
from bridle.model.record import LeafKind
from ledger import written

ORIGIN = "localhost/odd/0123456789abcdef"
ZERO = bytes(32)


def record(
    kind: LeafKind,
    body: dict[str, Any],
    ids: dict[str, str] | None = None,
    *,
    chain: str = "mis_1",
    index: int = 7,
    time: int = 1_767_225_600_000,
    origin: str = ORIGIN,
) -> Record:
    data, digest, _ = written.build(kind, chain, 0, ZERO, time, ids or {}, body, {}, b"")
    return Record(index, digest.hex(), leaf.parse(data), origin)


RARE = [
    record(LeafKind.DELEGATION, {"what": "grant"}, {"by": "ana"}),
    record(LeafKind.REVOCATION, {"what": "revoke"}, {"by": "ana"}),
    record(LeafKind.REDACTION, {"what": "mission", "below": 9, "records": 3, "basis": "x"}),
    record(LeafKind.REDACTION, {"what": "record", "record": 4, "fields": ["args"], "sealed": ""}),
    record(LeafKind.LOG, {"what": "opened", "version": "0.3.0", "keys": ["k"]}, chain="system"),
    record(LeafKind.LOG, {"what": "closed"}, chain="system"),
    record(LeafKind.LOG, {"what": "key", "key": "k", "state": "added"}, chain="system"),
    record(
        LeafKind.DEGRADED,
        {"denied_unrecorded": 4, "since": 1, "until": 2, "codes": {"store_full": 4}},
        chain="system",
    ),
    record(
        LeafKind.DEGRADED,
        {"what": "interrupted", "since": 1, "until": 2, "relaxed_ms": 50},
        chain="system",
    ),
]

_NAMES = (
    *("effect", "tool", "codes", "policies", "shadow", "kind", "error", "what", "status", "why"),
    *("approve", "scope", "id", "name", "digest", "version", "denied_unrecorded", "durability"),
)
_IDS = ("user", "agent", "executor", "by", "session", "action", "attempt", "approval", "bundle")
_WORDS = st.one_of(
    st.sampled_from(["allow", "modify", "hold", "deny", "ok", "start", "kill", "activate", ""]),
    st.text(max_size=40),
)
_VALUES = st.recursive(
    st.one_of(_WORDS, st.booleans(), st.none(), st.integers(-(2**63), 2**63 - 1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=6,
)
_LINES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=9
)


@st.composite
def odd_records(draw: st.DrawFn) -> Record:
    """Any leaf that can be parsed, whatever stands in it."""
    return record(
        draw(st.sampled_from(LeafKind)),
        draw(st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=6)),
        draw(st.dictionaries(st.sampled_from(_IDS), st.text(max_size=20), max_size=6)),
        chain=draw(st.just("system") | _LINES),
        index=draw(st.integers(0, 2**53)),
        time=draw(st.integers(0, 2**53 - 1)),
        origin=draw(st.sampled_from([ORIGIN, "log.example/a b", "büro/ü", "x:y?z#"])),
    )
