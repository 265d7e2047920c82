"""The trace of a split, from its request through the worker to its webhook."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from stemsplitter import tracing
from stemsplitter.jobs import processing
from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import SPLIT
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.splits.processing import SplitProcessor
from stemsplitter.worker.pool import SeparationFailed

from .conftest import MODEL
from .test_processing import FakePool, fails

PATH = "/v1/audio/splits"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Tree = dict[str, tuple[ReadableSpan, str]]


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.export(exporter, "test")
    yield exporter
    tracing.stop()


@pytest.fixture
def client(services: Services, account: str) -> Iterator[TestClient]:
    with services.database.write() as session:
        _, key = services.accounts.create_key(session, account, "test")
        services.webhook_secrets.rotate_secret(session, account)
    headers = {"Authorization": f"Bearer {key}", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    with TestClient(create_app(services), headers=headers) as client:
        yield client


def run_all(services: Services, pool: FakePool) -> None:
    """Run all queued splits."""
    processor = SplitProcessor(
        services.database,
        services.settings,
        services.storage,
        services.splits.endings,
        pool,  # type: ignore[arg-type]
    )
    jobs = Jobs(services.database, {SPLIT: processor}, lambda: [MODEL], 100, 5)
    while (split := jobs.claim("wrk_1")) is not None:
        jobs.run(split, threading.Event())
    with services.database.write() as session:
        due = services.webhooks.claim(session, list(services.webhooks.due(session)))
    for delivery_id in due:
        services.webhooks.attempt(delivery_id)


def tree(exporter: InMemorySpanExporter) -> Tree:
    """Return the names of spans with the names of their parents."""
    tracing.stop()
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    return {span.name: (span, names.get(span.parent.span_id, "?") if span.parent else "") for span in spans}


def test_split_is_one_trace(
    services: Services,
    client: TestClient,
    upload: Callable[[], dict[str, str]],
    exporter: InMemorySpanExporter,
) -> None:
    body = {"input": upload(), "stems": ["vocals"], "webhookUrl": "http://127.0.0.1:9/?token=secret"}
    assert client.post(PATH, json=body).status_code == 200
    run_all(services, FakePool())
    found = tree(exporter)
    assert {name: parent for name, (_, parent) in found.items()} == {
        f"POST {PATH}": "?",  # the caller's own
        "obtain source": f"POST {PATH}",
        "wait": f"POST {PATH}",
        "split": f"POST {PATH}",
        "fetch source": "split",
        "separate": "split",
        "store": "split",
        "settle": "split",
        "webhook attempt": "settle",
    }
    assert {f"{span.context.trace_id:032x}" for span, _ in found.values()} == {TRACE}
    attempt, _ = found["webhook attempt"]
    assert attempt.status.status_code is StatusCode.ERROR
    assert (attempt.attributes or {})["error.type"] == "unreachable"


def test_spans_contain_no_personal_data(
    services: Services,
    client: TestClient,
    account: str,
    upload: Callable[[], dict[str, str]],
    exporter: InMemorySpanExporter,
) -> None:
    body = {"input": upload(), "stems": ["vocals"], "webhookUrl": "http://127.0.0.1:9/?token=secret"}
    split_id = client.post(PATH, json=body, headers={"Idempotency-Key": "of-mine"}).json()["data"]["id"]
    run_all(services, FakePool())
    link = client.get(f"{PATH}/{split_id}").json()["data"]["stems"]["vocals"]
    assert client.get(link.removeprefix(services.settings.base_url)).status_code == 200
    client.get("/sign-in/link/one-that-signs-in?next=somewhere")
    tracing.stop()
    told: dict[str, Any] = {}
    for span in exporter.get_finished_spans():
        told |= {f"{span.name} {name}": value for name, value in (span.attributes or {}).items()}
        assert not span.events and span.status.description is None
    text = str(told)
    assert split_id in text and "GET /files/" in text and "GET /sign-in/link/{token}" in text
    for secret in (account, "ast_live_", "secret", "of-mine", "one-that", "Lied", "127.0.0.1", link[-20:]):
        assert secret not in text, secret


def test_failed_attempt_records_its_error_type(
    services: Services,
    client: TestClient,
    upload: Callable[[], dict[str, str]],
    exporter: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processing, "PAUSES", (0.0, 0.0))
    assert client.post(PATH, json={"input": upload(), "stems": ["vocals"]}).status_code == 200
    pool = FakePool()
    pool.steps = [fails(SeparationFailed("the secret of a song"))]
    run_all(services, pool)
    tracing.stop()
    attempts = [span for span in exporter.get_finished_spans() if span.name == "split"]
    assert [(span.attributes or {}).get("error.type") for span in attempts] == ["SeparationFailed", None]
    assert [(span.attributes or {})["stemsplitter.split.attempt"] for span in attempts] == [1, 2]
    assert sum(span.name == "wait" for span in exporter.get_finished_spans()) == 1


def test_health_checks_are_not_traced(client: TestClient, exporter: InMemorySpanExporter) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert client.get("/nothing").status_code == 404
    tracing.stop()
    assert [span.name for span in exporter.get_finished_spans()] == ["GET"]
