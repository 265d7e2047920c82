"""Traces of a live server, exported over OTLP: one trace per split, across API, worker and webhook."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from stemsplitter.cli.main import EXIT_STOPPED

from ..waiting import wait_until
from .account import Account
from .server import Server

LIMIT_S = 60


class Collector(ThreadingHTTPServer):
    """Accepts spans at ``/v1/traces`` and webhooks at any other path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spans: list[tuple[str, Span]] = []
        self.webhook_received = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.server.spans += [(names["service.name"], span) for span in scope.spans]
        else:
            self.server.webhook_received.set()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield listening
        listening.shutdown()


def test_split_is_one_trace(tmp_path: Path, song: Path, collector: Collector) -> None:
    server = Server(tmp_path)
    server.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(LIMIT_S),  # a slow response must not cause a second export
    }
    server.start()
    with Account(server) as account:
        split_id = account.start_split(song, webhookUrl=f"{collector.url}/hook")
        assert account.wait_for_end(split_id)["status"] == "succeeded"
    assert collector.webhook_received.wait(LIMIT_S)
    wait_until(lambda: server.query("SELECT status FROM webhook_deliveries") == [("delivered",)])
    assert server.stop() in (0, EXIT_STOPPED), server.log.read_text()  # stopping exports the remaining spans
    [(_, made)] = [each for each in collector.spans if each[1].name == "POST /v1/audio/splits"]
    of_split = [(service, span) for service, span in collector.spans if span.trace_id == made.trace_id]
    assert sorted((service, span.name) for service, span in of_split) == [
        ("stemsplitter-api", "POST /v1/audio/splits"),
        ("stemsplitter-api", "obtain source"),
        ("stemsplitter-worker", "fetch source"),
        ("stemsplitter-worker", "separate"),
        ("stemsplitter-worker", "settle"),
        ("stemsplitter-worker", "split"),
        ("stemsplitter-worker", "store"),
        ("stemsplitter-worker", "wait"),
        ("stemsplitter-worker", "webhook attempt"),
    ]
    ids = {span.span_id for _, span in of_split}
    assert all(span.parent_span_id in ids for _, span in of_split if span.span_id != made.span_id)
    assert "Traceback" not in server.log.read_text()
