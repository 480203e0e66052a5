"""Spans as OpenTelemetry's own packages read them."""

import subprocess
import sys

import pytest
from hypothesis import given
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace.status import StatusCode

from bridle.emit import spans
from bridle.emit.errors import EmitError
from bridle.emit.otel import OpenTelemetry, full, over_http
from bridle.emit.record import Record
from bridle.model.record import LeafKind
from emit.collector import attributes, collecting
from emit.odd import odd_records, record


def exported(records: list[Record], most_open: int = spans.MOST_OPEN) -> list[ReadableSpan]:
    memory = InMemorySpanExporter()
    emitter = OpenTelemetry(memory, most_open)
    for each in records:
        emitter.emit(each)
    emitter.flush()
    return list(memory.get_finished_spans())


def calls(found: list[ReadableSpan]) -> list[ReadableSpan]:
    return [each for each in found if each.name.startswith("execute_tool")]


def test_every_decision_is_a_span(records: list[Record]) -> None:
    found = calls(exported(records))
    told = {each.attributes["bridle.log.index"] for each in found}
    decided = {each.index for each in records if each.leaf.kind is LeafKind.DECISION}
    outcomes = {each.index for each in records if each.leaf.kind is LeafKind.OUTCOME}
    # What is approved with an edit or an exception, and not redeemed, is still open.
    missing = decided - told
    assert told <= decided | outcomes
    assert all(_is_open(records, index) for index in missing)


def _is_open(records: list[Record], index: int) -> bool:
    decision = records[index]
    later = [
        each
        for each in records[index + 1 :]
        if each.leaf.ids.get("action") == decision.leaf.ids["action"]
        and each.leaf.kind in (LeafKind.OUTCOME, LeafKind.DECISION)
    ]
    return decision.leaf.body["effect"] in ("allow", "modify") and (
        not later or later[0].leaf.kind is LeafKind.DECISION
    )


def test_names_of_attributes_are_those_of_the_conventions(records: list[Record]) -> None:
    known = {
        value
        for module in (gen_ai_attributes, error_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    found = exported(records)
    used = {name for each in found for name in each.attributes}
    assert {name for name in used if not name.startswith("bridle.")} <= known
    assert gen_ai_attributes.GEN_AI_TOOL_CALL_ARGUMENTS not in used
    assert gen_ai_attributes.GEN_AI_TOOL_CALL_RESULT not in used
    operation = gen_ai_attributes.GenAiOperationNameValues.EXECUTE_TOOL.value
    for each in calls(found):
        assert each.attributes[gen_ai_attributes.GEN_AI_OPERATION_NAME] == operation
        assert each.attributes[gen_ai_attributes.GEN_AI_TOOL_NAME]
        assert each.attributes[gen_ai_attributes.GEN_AI_AGENT_NAME] == "clerk"


def test_a_span_lasts_from_the_decision_to_the_outcome() -> None:
    one = {"action": "act_1", "attempt": "att_1"}
    allowed = {"effect": "allow", "tool": "mail.send", "codes": [], "policies": ["p"]}
    chain = [
        record(LeafKind.DECISION, allowed, {"action": "act_1"}, index=1, time=1_000),
        record(LeafKind.STARTED, {"tool": "mail.send"}, one, index=2, time=1_200),
        record(LeafKind.OUTCOME, {"tool": "mail.send", "kind": "ok"}, one, index=3, time=1_900),
    ]
    (span,) = exported(chain)
    assert span.name == "execute_tool mail.send"
    assert (span.start_time, span.end_time) == (1_000_000_000, 1_900_000_000)
    assert [(each.name, each.timestamp) for each in span.events] == [("started", 1_200_000_000)]
    assert span.attributes["bridle.decision"] == "allow"
    assert span.attributes["bridle.outcome"] == "ok"
    assert span.attributes["bridle.policy_ids"] == ["p"]
    assert span.attributes["bridle.log.index"] == 1
    assert span.attributes["bridle.outcome.log.index"] == 3
    assert span.status.status_code is StatusCode.UNSET


def test_a_denial_is_a_failed_span_and_a_hold_is_not() -> None:
    def decided(effect: str, *codes: str) -> ReadableSpan:
        body = {"effect": effect, "tool": "mail.send", "codes": list(codes)}
        (span,) = exported([record(LeafKind.DECISION, body, {"action": "act_1"})])
        return span

    denied = decided("deny", "forbidden", "killed")
    assert denied.status.status_code is StatusCode.ERROR
    assert denied.attributes["error.type"] == "forbidden"
    assert denied.attributes["bridle.reason_codes"] == ["forbidden", "killed"]
    held = decided("hold", "held")
    assert held.status.status_code is StatusCode.UNSET
    assert decided("perhaps").status.status_code is StatusCode.ERROR


def test_a_mission_is_one_trace_under_one_root(records: list[Record]) -> None:
    found = [each for each in exported(records) if "bridle.mission" in each.attributes]
    (root,) = [each for each in found if each.parent is None]
    assert root.name == "bridle.mission start"
    assert {each.context.trace_id for each in found} == {root.context.trace_id}
    assert {each.parent.span_id for each in found if each.parent} == {root.context.span_id}
    assert len({each.context.span_id for each in found}) == len(found)


@pytest.mark.parametrize("cut", [0, 1, 13, 27, 40, 58])
def test_whoever_starts_anew_anywhere_makes_the_same_spans(records: list[Record], cut: int) -> None:
    memory = InMemorySpanExporter()
    first, second = OpenTelemetry(memory), OpenTelemetry(memory)
    for each in records[:cut]:
        first.emit(each)
    first.flush()
    for each in records[:cut]:
        second.recall(each)
    for each in records[cut:]:
        second.emit(each)
    second.flush()
    assert seen(memory.get_finished_spans()) == seen(exported(records))


def seen(found) -> list[str]:
    return [each.to_json() for each in found]


class Failing(SpanExporter):
    """Takes nothing until it is told to."""

    def __init__(self) -> None:
        self.works = False
        self.taken: list[ReadableSpan] = []

    def export(self, spans):
        if self.works:
            self.taken += spans
        return SpanExportResult.SUCCESS if self.works else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        pass


def test_what_an_exporter_does_not_take_is_told_again_and_once(records: list[Record]) -> None:
    exporter = Failing()
    emitter = OpenTelemetry(exporter)
    for each in records[:30]:
        emitter.emit(each)
    with pytest.raises(EmitError):
        emitter.flush()
    exporter.works = True
    # As a follower does: the same records again, and those since.
    for each in records:
        emitter.emit(each)
    emitter.flush()
    emitter.flush()
    assert seen(exporter.taken) == seen(exported(records))


def test_open_decisions_are_bounded_and_the_forgotten_are_counted() -> None:
    decisions = [
        record(LeafKind.DECISION, {"effect": "allow", "tool": "t"}, {"action": f"act_{n}"}, index=n)
        for n in range(20)
    ]
    made = spans.Spans(most=5)
    assert [span for each in decisions for span in made.of(each)] == []
    assert made.forgotten == 15
    late = record(LeafKind.OUTCOME, {"kind": "ok", "tool": "t"}, {"action": "act_1"}, index=20)
    (span,) = made.of(late)
    assert span.start == span.end
    assert span.attributes["bridle.outcome"] == "ok"


@given(odd_records())
def test_odd_records_make_spans_that_can_be_sent(odd: Record) -> None:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    found = exported([odd])
    assert encode_spans(found).SerializeToString() or not found


def test_a_collector_gets_them_over_http(records: list[Record]) -> None:
    with collecting() as collector:
        emitter = over_http(collector.url)
        for each in records:
            emitter.emit(each)
        emitter.flush()
        emitter.close()
    assert collector.paths == ["/v1/traces"]
    wanted = exported(records)
    assert [span.name for span in collector.spans] == [span.name for span in wanted]
    assert [span.span_id.hex() for span in collector.spans] == [
        f"{span.context.span_id:016x}" for span in wanted
    ]
    for span, other in zip(collector.spans, wanted, strict=True):
        assert attributes(span)["bridle.log.index"] == other.attributes["bridle.log.index"]
    (resource,) = {
        each.value.string_value
        for request in collector.requests
        for found in request.resource_spans
        for each in found.resource.attributes
        if each.key == "service.name"
    }
    assert resource == "bridle"


def test_an_endpoint_is_a_url_and_gets_the_usual_path() -> None:
    assert full("") == ""
    assert full("http://127.0.0.1:4318") == "http://127.0.0.1:4318/v1/traces"
    assert full("https://collector.example/otlp") == "https://collector.example/otlp"
    for odd in ("collector:4318", "file:///etc/passwd", "http://", "http://[", "http://a:x"):
        with pytest.raises(EmitError) as caught:
            full(odd)
        assert caught.value.code == "emit_target"


def test_without_the_extra_the_way_out_is_told() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from bridle.emit import otel\n"
        "from bridle.emit.errors import EmitError\n"
        "try: otel.over_http()\n"
        "except EmitError as problem: print(problem.code, problem.hint)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    assert ran.stdout.strip() == "emit_extra pip install 'bridle[otel]'"


def test_nothing_of_opentelemetry_is_imported_until_it_is_asked_for() -> None:
    program = (
        "import sys, bridle.server.serving, bridle.emit.targets\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    assert ran.stdout.strip() == "[]"
