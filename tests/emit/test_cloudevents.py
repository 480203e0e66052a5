"""Each event is one that the SDK of CloudEvents reads."""

import json
from datetime import UTC, datetime

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given

from bridle.emit import cloudevents
from bridle.emit.lines import line
from bridle.emit.record import Record
from bridle.emit.spans import Spans
from bridle.model.record import LeafKind
from emit.odd import RARE, odd_records, record


def read(found: Record) -> CloudEvent:
    return JSONFormat().read(CloudEvent, line(cloudevents.event(found)))


def test_the_sdk_reads_every_record(records: list[Record]) -> None:
    for each in (*records, *RARE):
        event = read(each)
        assert event.get_id() == str(each.index)
        assert event.get_source() == each.origin
        assert event.get_type() == f"io.bridle.{each.leaf.kind}.v1"
        assert event.get_subject() == each.leaf.chain
        seconds = event.get_time().replace(tzinfo=UTC).timestamp()
        assert round(seconds * 1000) == each.leaf.time
        assert event.get_extension("loghash") == each.hash


@given(odd_records())
def test_the_sdk_reads_odd_records(odd: Record) -> None:
    event = read(odd)
    assert event.get_source().isascii()
    assert " " not in event.get_source()
    assert json.loads(line(cloudevents.event(odd)))["data"]["kind"] == odd.leaf.kind


def test_the_verdict_is_an_attribute_to_filter_by(records: list[Record]) -> None:
    decided = [each for each in records if each.leaf.kind is LeafKind.DECISION]
    found = {read(each).get_extension("decision") for each in decided}
    assert found == {"allow", "deny", "modify", "hold"}


def test_events_point_into_the_trace_that_the_spans_make(records: list[Record]) -> None:
    spans = Spans()
    traces = {each.index: span.trace.hex() for each in records for span in spans.of(each)}
    roots = {span.id.hex() for each in records for span in Spans().of(each) if not span.parent}
    for each in records:
        parent = cloudevents.event(each).get("traceparent")
        if not each.mission:
            assert parent is None
            continue
        _, trace, span, _ = parent.split("-")
        assert span in roots
        assert traces.get(each.index, trace) == trace


def test_a_clock_that_runs_wild_is_still_a_time() -> None:
    event = cloudevents.event(record(LeafKind.KILL, {}, time=2**53 - 1))
    assert datetime.fromisoformat(event["time"]).year == 9999
