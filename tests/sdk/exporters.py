"""Sends spans, events and a metric through OpenTelemetry's own exporters, one way after another.

Arguments: the daemon's URL and its token. Each way tells of a model of its own, so that what
arrived is seen by name: 3 good and 2 shed attempts of the Vercel AI SDK in spans, 2 good and
1 failed one of Codex CLI in events. Every exporter must say that it succeeded, and one without
the token that it did not.
"""

import sys
import time

import grpc
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

BASE, TOKEN = sys.argv[1:]
ALLOWED = {"authorization": f"Bearer {TOKEN}"}


def over_grpc(compression):
    options = {"endpoint": BASE, "insecure": True, "compression": compression}

    def make(headers):
        return [kind(headers=headers, **options) for kind in (GrpcSpans, GrpcLogs, GrpcMetrics)]

    return make


def over_http(compression, prefix="", own_paths=True):
    def make(headers):
        return [
            kind(
                endpoint=f"{BASE}{prefix}/v1/{signal}" if own_paths else f"{BASE}{prefix}",
                headers=headers,
                compression=compression,
            )
            for kind, signal in ((HttpSpans, "traces"), (HttpLogs, "logs"), (HttpMetrics, "metrics"))
        ]

    return make


WAYS = {
    "grpc-plain": over_grpc(grpc.Compression.NoCompression),
    "grpc-gzip": over_grpc(grpc.Compression.Gzip),
    "http-plain": over_http(Compression.NoCompression),
    "http-gzip": over_http(Compression.Gzip),
    "http-deflate": over_http(Compression.Deflate),
    "http-prefix": over_http(Compression.Gzip, "/tools/otlp"),
    "http-shape": over_http(Compression.Gzip, "/ingest/otlp", own_paths=False),
    "http-root": over_http(Compression.NoCompression, own_paths=False),
}


def spans(model):
    done = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(done))
    for overloaded in (False, True, False, True, False):
        span = provider.get_tracer("ai").start_span(
            "ai.generateText.doGenerate",
            attributes={
                "ai.operationId": "ai.generateText.doGenerate",
                "gen_ai.system": "anthropic.messages",
                "gen_ai.request.model": model,
                "ai.prompt": "ping",
            },
        )
        if overloaded:
            span.set_status(Status(StatusCode.ERROR, "Overloaded"))
        span.end()
    return done.get_finished_spans()


def events(model):
    done = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(done))
    completed = {"event.name": "codex.sse_event", "event.kind": "response.completed"}
    refused = {
        "event.name": "codex.api_request",
        "endpoint": "/responses",
        "attempt": 0,
        "http.response.status_code": 503,
    }
    for number, event in enumerate((completed, refused, completed)):
        provider.get_logger("codex").emit(
            timestamp=time.time_ns() - number * 1_000_000,
            attributes={"model": model, **event},
        )
    return done.get_finished_logs()


def metrics():
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader]).get_meter("gen_ai")
    meter.create_histogram("gen_ai.client.operation.duration", "s").record(1.5, {"x": "y"})
    meter.create_counter("calls").add(1)
    return reader.get_metrics_data()


def send(way, headers):
    """The names of the results, one for each signal."""
    batches = (spans(f"spans-{way}"), events(f"events-{way}"), metrics())
    results = []
    for exporter, batch in zip(WAYS[way](headers), batches, strict=True):
        results.append(exporter.export(batch).name)
        exporter.shutdown()
    return results


for name in WAYS:
    assert send(name, ALLOWED) == ["SUCCESS"] * 3, name
    assert send(name, {"authorization": "Bearer wrong"}) == ["FAILURE"] * 3, name
print("\n".join(WAYS))
