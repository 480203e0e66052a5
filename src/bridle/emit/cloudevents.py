"""Records as CloudEvents 1.0, in the structured JSON format.

Specification: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>. Type is
`io.bridle.<kind>.v1`, source the log's name, id the record's index there: source and id together
name one record for good.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bridle.emit import told
from bridle.emit.record import Record, rfc3339, span_of, trace_of

TYPE = "io.bridle.{kind}.v1"
# What RFC 3986 lets stand in a path as it is.
_PLAIN = "/:@!$&'()*,;=~-._"


def event(record: Record) -> dict[str, Any]:
    """Return the event of a record."""
    leaf, said = record.leaf, told.body(record)
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(record.index),
        "source": quote(record.origin, safe=_PLAIN),
        "type": TYPE.format(kind=leaf.kind.value),
        "subject": leaf.chain,
        "time": rfc3339(leaf.time),
        "datacontenttype": "application/json",
        # An integer of CloudEvents ends at 2^31 - 1; a log may grow beyond.
        "logindex": str(record.index),
        "loghash": record.hash,
    }
    if effect := told.text(said, "effect"):
        found["decision"] = effect
    if record.mission:
        found["traceparent"] = traceparent(record)
    found["data"] = {"kind": leaf.kind.value, "seq": leaf.seq, **told.ids(record), "record": said}
    return found


def traceparent(record: Record) -> str:
    """Return where the record belongs in the spans that `bridle.emit.spans` makes."""
    return f"00-{trace_of(record).hex()}-{span_of(record, 'mission').hex()}-01"
