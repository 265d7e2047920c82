"""Traces with OpenTelemetry, enabled by its ``OTEL_…`` variables; otherwise OpenTelemetry is not imported.

The variables are those of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. A trace
passes from process to process as a W3C ``traceparent``. Spans contain operations and durations, but no accounts,
addresses or error messages.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from stemsplitter.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

Attributes = Mapping[str, str | int | float]
Kind = Literal["INTERNAL", "SERVER", "CLIENT", "CONSUMER"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_provider: "TracerProvider | None" = None
_log = logging.getLogger(__name__)


def start(role: str) -> None:
    """Start tracing, if the variables enable it; ``role`` is part of the service name.

    A problem is logged and not raised, as the server works without traces.
    """
    default = "otlp" if any(map(os.environ.get, _ENDPOINTS)) else "none"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or default
    if exporter == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "http/protobuf")
    if exporter != "otlp" or protocol != "http/protobuf":
        _log.warning(
            "tracing is off: OTEL_TRACES_EXPORTER must be otlp or none, and "
            "OTEL_EXPORTER_OTLP_PROTOCOL http/protobuf"
        )
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        _log.warning("tracing is off: install stemsplitter[tracing], or unset the OTEL_… variables")
        return
    export(OTLPSpanExporter(), role)


def export(exporter: "SpanExporter", role: str) -> None:
    """Start tracing and send the spans to ``exporter``, in batches."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global _provider
    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):  # no name is set
        resource = resource.merge(Resource({"service.name": f"stemsplitter-{role}"}))
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(exporter))


def stop() -> None:
    """Send the remaining spans and stop tracing."""
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        provider.shutdown()


@contextmanager
def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    parent: str | None = None,
    kind: Kind = "INTERNAL",
) -> Iterator["Span | None"]:
    """Open a span for a block, with ``parent`` or else the current span as its parent. None if tracing is off."""
    if _provider is None:
        yield None
        return
    from opentelemetry.trace import SpanKind

    with _provider.get_tracer("stemsplitter", __version__).start_as_current_span(
        name,
        context=_context(parent),
        kind=SpanKind[kind],
        attributes=attributes,
        record_exception=False,  # its message may contain anything
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except BaseException as error:
            fail(opened, type(error).__name__)
            raise


@contextmanager
def request(method: str, parent: str | None) -> Iterator[Callable[[str | None, int], None]]:
    """Open a span for a request.

    Yields:
        A function to call with the template of the path, None if there is no such path, and the response status.
    """
    method = method if method in _METHODS else "_OTHER"
    with span(method, {"http.request.method": method}, parent=parent, kind="SERVER") as opened:

        def set_result(route: str | None, status: int) -> None:
            if opened is None:
                return
            opened.set_attribute("http.response.status_code", status)
            if route is not None:
                opened.set_attribute("http.route", route)
                opened.update_name(f"{method} {route}")
            if status >= 500:
                fail(opened, str(status))

        yield set_result


def fail(opened: "Span | None", kind: str) -> None:
    """Mark a span as failed, with the kind of the error."""
    if opened is not None:
        from opentelemetry.trace import StatusCode

        opened.set_status(StatusCode.ERROR)
        opened.set_attribute("error.type", kind)


def record(name: str, start: datetime, end: datetime, parent: str | None) -> None:
    """Record a span that has ended."""
    if _provider is not None:
        tracer = _provider.get_tracer("stemsplitter", __version__)
        recorded = tracer.start_span(name, context=_context(parent), start_time=_nanoseconds(start))
        recorded.end(_nanoseconds(end))


def current() -> str | None:
    """Return the ``traceparent`` of the current span, at most 64 characters, for work done later and elsewhere."""
    if _provider is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def _context(parent: str | None) -> "Context | None":
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent})


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000) * 1_000_000
