"""The tracing set-up of a service that uses an instrumentation package and nothing else."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import set_tracer_provider

from tests.attribution.otlp.capture.recording import Recording


def tracing(recording: Recording) -> TracerProvider:
    """Global from now on: batches, gzip, protobuf, and baggage copied to each span."""
    provider = TracerProvider()
    provider.add_span_processor(BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS))
    exporter = OTLPSpanExporter(compression=Compression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    set_tracer_provider(provider)
    recording.flush = provider.force_flush
    return provider
