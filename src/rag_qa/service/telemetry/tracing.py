"""OpenTelemetry traces, where the settings ask for them: of requests by Litestar's plugin, of stages as attributes.

They go to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names. The query of an address, which may hold a question, is
left out of them.
"""

from typing import TYPE_CHECKING, Any

from rag_qa.errors import SettingsError
from rag_qa.types import Answer

if TYPE_CHECKING:
    from litestar.plugins.opentelemetry import OpenTelemetryConfig
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

__all__ = ["trace_answer", "traces"]

WITH_QUERY = {"http.target", "http.url", "url.full", "url.query"}
"""Attributes of a request's span that repeat its query."""
_tracing = False


def traces(processor: "SpanProcessor | None" = None) -> "OpenTelemetryConfig":
    """Middleware that traces requests.

    Args:
        processor: what takes the spans; by default they are sent in batches.

    Raises:
        SettingsError: the packages for it are not installed.
    """
    try:
        from litestar.plugins.opentelemetry import OpenTelemetryConfig
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SettingsError("traces is set, and OpenTelemetry is not installed: pip install 'rag_qa[otel]'.") from None
    global _tracing  # noqa: PLW0603
    _tracing = True
    provider = TracerProvider(resource=Resource.create({"service.name": "rag_qa"}))
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetryConfig(
        tracer_provider=provider, server_request_hook_handler=_without_query, exclude_spans=["receive", "send"]
    )


def trace_answer(answer: Answer) -> None:
    """Adds the milliseconds of each stage to the span of the request."""
    if not _tracing:
        return
    from opentelemetry import trace

    timings = answer.timings_ms
    told = {f"rag_qa.{stage}_ms": float(getattr(timings, stage)) for stage in timings.__struct_fields__}
    trace.get_current_span().set_attributes({**told, "rag_qa.answered": answer.answered})


def _without_query(span: "Span", scope: dict[str, Any]) -> None:
    for name in WITH_QUERY.intersection(getattr(span, "attributes", {})):
        span.set_attribute(name, scope["path"])
