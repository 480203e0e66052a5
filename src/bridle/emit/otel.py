"""Sends spans to an OpenTelemetry collector over OTLP (HTTP, protobuf). Needs the extra `otel`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridle.emit.errors import EmitError
from bridle.emit.record import Record
from bridle.emit.spans import MOST_OPEN, Span, Spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import SpanContext

_log = logging.getLogger("bridle.emit")

_PATH = "/v1/traces"
_TIMEOUT_S = 5.0
_SCOPE = "bridle"


class OpenTelemetry:
    """Exports the spans of records. What an exporter does not take is kept, and tried again."""

    memory = 2 * MOST_OPEN
    """Decisions further back than this get no span of their own once their outcome comes."""

    def __init__(self, exporter: SpanExporter, most_open: int = MOST_OPEN) -> None:
        """Raises `EmitError` (`emit_extra`) where the packages are not there."""
        self._exporter = exporter
        self._convert = _converter()
        self._spans = Spans(most_open)
        self._taken: list[Span] = []
        self._next = 0
        self._forgotten = 0

    def recall(self, record: Record) -> None:
        """See a record that was told already: its outcome may be yet to come."""
        self._spans.of(record)
        self._next = record.index + 1

    def emit(self, record: Record) -> None:
        """Take a record, unless it was taken before a flush that failed."""
        if record.index >= self._next:
            self._taken += self._spans.of(record)
            self._next = record.index + 1

    def flush(self) -> None:
        """Export what is complete. Raises `EmitError` when the exporter did not."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        if self._spans.forgotten > self._forgotten:
            self._forgotten = self._spans.forgotten
            _log.warning("otel: %d decisions forgotten before their outcome", self._forgotten)
        if not self._taken:
            return
        result = self._exporter.export([self._convert(span) for span in self._taken])
        if result is not SpanExportResult.SUCCESS:
            hint = "The log of the exporter above says why; it is tried again."
            raise EmitError("the collector did not take the spans", hint=hint)
        self._taken.clear()

    def close(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()


def over_http(endpoint: str = "") -> OpenTelemetry:
    """Return an emitter to a collector: where `endpoint` says, or the environment.

    An endpoint without a path gets `/v1/traces`. Headers, certificates and the like come from the
    variables `OTEL_EXPORTER_OTLP_*`. Raises `EmitError` (`emit_extra`, `emit_target`).
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as problem:
        raise _absent() from problem
    return OpenTelemetry(OTLPSpanExporter(endpoint=full(endpoint) or None, timeout=_TIMEOUT_S))


def full(endpoint: str) -> str:
    """Return the URL that spans are posted to. Raises `EmitError` (`emit_target`)."""
    if not endpoint:
        return ""
    hint = "For instance otel:http://127.0.0.1:4318"
    wrong = EmitError("the endpoint is no http(s) URL", code="emit_target", hint=hint)
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise wrong from None
    if not usable:
        raise wrong
    return endpoint if parts.path not in ("", "/") else parts._replace(path=_PATH).geturl()


def _absent() -> EmitError:
    return EmitError(
        "the packages of OpenTelemetry are not installed",
        code="emit_extra",
        hint="pip install 'bridle[otel]'",
    )


class _Converter:
    """Makes the SDK's spans. They are never started there: ids and times are the ledger's."""

    def __init__(self) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        from bridle import __version__

        self._resource = Resource.create({"service.name": "bridle", "service.version": __version__})
        self._scope = InstrumentationScope(_SCOPE, __version__)

    def __call__(self, span: Span) -> ReadableSpan:
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.status import Status, StatusCode

        return ReadableSpan(
            name=span.name,
            context=_context(span.trace, span.id),
            parent=_context(span.trace, span.parent) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(each.name, each.attributes, each.time) for each in span.events],
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if span.error else StatusCode.UNSET),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


def _converter() -> _Converter:
    try:
        return _Converter()
    except ImportError as problem:
        raise _absent() from problem


def _context(trace: bytes, span: bytes) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(
        trace_id=int.from_bytes(trace),
        span_id=int.from_bytes(span),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
