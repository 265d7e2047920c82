"""Traces: parents across processes, attributes, and no tracing unless configured."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from stemsplitter import __version__, tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Spans = Callable[[], dict[str, ReadableSpan]]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    yield
    tracing.stop()


@pytest.fixture
def spans() -> Spans:
    """Function that stops tracing and returns the ended spans by name."""
    exporter = InMemorySpanExporter()
    tracing.export(exporter, "test")

    def read() -> dict[str, ReadableSpan]:
        tracing.stop()
        return {span.name: span for span in exporter.get_finished_spans()}

    return read


def context_of(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def test_span_nests_under_current_span_and_given_parent(spans: Spans) -> None:
    with tracing.span("outer", {"n": 1}, parent=PARENT, kind="CONSUMER"), tracing.span("inner"):
        pass
    found = spans()
    outer, inner = found["outer"], found["inner"]
    assert outer.parent is not None and f"{outer.parent.span_id:016x}" == "b7ad6b7169203331"
    assert context_of(outer)[0] == "0af7651916cd43dd8448eb211c80319c" == context_of(inner)[0]
    assert inner.parent is not None and inner.parent.span_id == outer.context.span_id
    assert (outer.kind, dict(outer.attributes or {})) == (SpanKind.CONSUMER, {"n": 1})


def test_stored_context_links_to_its_trace(spans: Spans) -> None:
    with tracing.span("create"):
        kept = tracing.current()
    assert kept is not None and len(kept) <= 64
    with tracing.span("run", parent=kept):
        pass
    found = spans()
    assert found["run"].parent is not None
    assert found["run"].parent.span_id == found["create"].context.span_id


@pytest.mark.parametrize("broken", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_invalid_parent_starts_new_trace(spans: Spans, broken: str) -> None:
    with tracing.span("run", parent=broken):
        pass
    assert spans()["run"].parent is None


def test_error_records_only_its_type(spans: Spans) -> None:
    with pytest.raises(ValueError), tracing.span("run"):
        raise ValueError("https://files.example/secret?signature=1")
    run = spans()["run"]
    assert run.status.status_code is StatusCode.ERROR and run.status.description is None
    assert dict(run.attributes or {}) == {"error.type": "ValueError"} and not run.events


def test_past_span_is_recorded_with_its_times(spans: Spans) -> None:
    began, ended = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 1, 0, 0, 2, tzinfo=UTC)
    tracing.record("wait", began, ended, PARENT)
    wait = spans()["wait"]
    assert (wait.start_time, wait.end_time) == (began.timestamp() * 1e9, ended.timestamp() * 1e9)
    assert wait.parent is not None


def test_request_span_is_named_by_route(spans: Spans) -> None:
    with tracing.request("GET", None) as answered:
        answered("/v1/audio/splits/{split_id}", 500)
    span = spans()["GET /v1/audio/splits/{split_id}"]
    assert span.kind is SpanKind.SERVER and span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 500,
        "http.route": "/v1/audio/splits/{split_id}",
        "error.type": "500",
    }


def test_unknown_route_and_method_do_not_enter_span(spans: Spans) -> None:
    with tracing.request("SECRET", None) as answered:
        answered(None, 404)
    span = spans()["_OTHER"]
    assert dict(span.attributes or {}) == {"http.request.method": "_OTHER", "http.response.status_code": 404}


def test_service_name_defaults_to_process_and_can_be_set(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracing.span("run"):
        pass
    resource = spans()["run"].resource.attributes
    assert (resource["service.name"], resource["service.version"]) == ("stemsplitter-test", __version__)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ours")
    exporter = InMemorySpanExporter()
    tracing.export(exporter, "test")
    with tracing.span("run"):
        pass
    tracing.stop()
    assert exporter.get_finished_spans()[0].resource.attributes["service.name"] == "ours"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
    ],
)
def test_tracing_off_loads_nothing(variables: dict[str, str]) -> None:
    program = """
import sys
from datetime import datetime
from stemsplitter import tracing
tracing.start("api")
with tracing.span("a", parent="b") as opened, tracing.request("GET", None) as answered:
    answered("/", 200)
tracing.record("a", datetime.now(), datetime.now(), None)
assert opened is None and tracing.current() is None
tracing.stop()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("variables", "hidden", "told"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True, "install stemsplitter[tracing]"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, False, "must be otlp or none"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            False,
            "OTEL_EXPORTER_OTLP_PROTOCOL http/protobuf",
        ),
    ],
)
def test_unusable_tracing_setting_logs_one_warning(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    hidden: bool,
    told: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if hidden:
        monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with caplog.at_level(logging.WARNING):
        tracing.start("api")
    assert len(caplog.messages) == 1 and told in caplog.messages[0]
    assert tracing.current() is None
