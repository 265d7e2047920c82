import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from stemsplitter import refusals
from stemsplitter.clock import now
from stemsplitter.database import new_id
from stemsplitter.health import repository as health
from stemsplitter.service_errors import QuotaExceeded
from stemsplitter.services import Services
from stemsplitter.splits.models import Split
from stemsplitter.tool_jobs.models import AnalysisJob, SpeechJob
from stemsplitter.webhooks.models import WebhookDelivery, WebhookEvent
from stemsplitter.worker.models import Worker
from tests.api.conftest import Account

OF_SPLITS = ("stem_model", "requested_stems", "model")


def samples(client: TestClient) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_report_the_load_of_the_service(
    client: TestClient, services: Services, account: Account
) -> None:
    common = {
        "account_id": account.id,
        "stem_model": "6s",
        "requested_stems": [],
        "output_format": "mp3",
        "filename": "song.mp3",
        "credits_used": 0,
        "source_key": "k",
        "source_bytes": 1,
        "model": {},
        "user_metadata": {},
        "created_at": now(),
        "updated_at": now(),
        "expires_at": now(),
    }
    event = new_id("evt")
    with services.database.write() as session:
        for status, seconds in (("queued", 5), ("succeeded", 100), ("succeeded", 14)):
            ended = None if status == "queued" else now()
            session.add(
                Split(
                    id=new_id("split"),
                    status=status,
                    duration_seconds=seconds,
                    model_name="tiny_6s",
                    finished_at=ended,
                    **common,
                )
            )
        for job_id, kind, lease in (
            ("a1", AnalysisJob, None),
            ("s1", SpeechJob, None),
            ("s2", SpeechJob, "run_1"),
        ):
            session.add(
                kind(
                    id=job_id,
                    status="processing" if lease else "queued",
                    duration_seconds=7,
                    model_name="tools",
                    parameters={},
                    **{name: value for name, value in common.items() if name not in OF_SPLITS}
                    | {"created_at": now() - timedelta(seconds=90)},
                )
            )
        session.add(
            Worker(
                id="w",
                host="h",
                pid=1,
                started_at=now(),
                heartbeat_at=now(),
                models=["tiny_6s", "other"],
                device="cpu",
                state="working",
            )
        )
        session.add(
            WebhookEvent(id=event, account_id=account.id, kind="webhook.test", payload="{}", created_at=now())
        )
        session.flush()
        session.add(
            WebhookDelivery(
                id=new_id("dlv"),
                event_id=event,
                account_id=account.id,
                url="u",
                status="gone",
                attempts=1,
                created_at=now(),
                updated_at=now(),
            )
        )
    found = samples(client)
    assert found["stemsplitter_splits", ("succeeded",)] == 2
    assert found["stemsplitter_splits", ("failed",)] == 0
    assert found["stemsplitter_queue_depth", ()] == 1
    assert found["stemsplitter_queue_oldest_seconds", ()] >= 0
    assert found["stemsplitter_queue_depth_seconds", ("tiny_6s",)] == 5
    assert found["stemsplitter_queue_depth_seconds", ("other",)] == 0
    assert found["stemsplitter_running_splits", ("tiny_6s",)] == 0
    assert found["stemsplitter_model_workers", ("tiny_6s",)] == 1
    assert found["stemsplitter_separated_seconds_total", ()] == 114
    kinds = ("analysis", "effect", "speech")
    assert [found["stemsplitter_tool_queue_depth", (kind,)] for kind in kinds] == [1, 0, 1]
    assert [found["stemsplitter_running_tools", (kind,)] for kind in kinds] == [0, 0, 1]
    oldest = [found["stemsplitter_tool_queue_oldest_seconds", (kind,)] for kind in kinds]
    assert oldest[0] >= 90 and oldest[1] == 0
    services.health.check()
    with services.database.read() as session:
        (check,) = health.checks(session, now() - timedelta(hours=1))
    assert check.queued == 3 and check.waited_s >= 90  # of all kinds
    assert found["stemsplitter_webhook_deliveries", ("gone",)] == 1
    assert found["stemsplitter_workers", ()] == 1


def test_requests_are_timed_by_path_template(client: TestClient, account: Account) -> None:
    name = "stemsplitter_request_seconds_count"
    known, unknown = (name, ("GET", "/v1/credits", "200")), (name, ("other", "other", "404"))
    before = samples(client)
    client.get("/v1/credits", headers=account.headers)
    for path in ("/v1/secret-path-1", "/v1/secret-path-2"):
        client.get(path, headers=account.headers)
    after = samples(client)
    assert after[known] == before.get(known, 0) + 1
    assert after[unknown] == before.get(unknown, 0) + 2
    assert "secret-path" not in client.get("/metrics").text


def test_method_that_a_path_does_not_have_adds_no_series(client: TestClient) -> None:
    """Any client could otherwise make as many as there are methods, times paths."""
    client.request("PROPFIND", "/healthz")
    before = len(client.get("/metrics").text.splitlines())
    for method in ("DELETE", "PATCH", "LOCK", "MKCOL"):
        for path in ("/healthz", "/v1/credits", "/docs"):
            assert client.request(method, path).status_code == 405
    assert len(client.get("/metrics").text.splitlines()) == before


def test_documentation_lists_every_metric(client: TestClient) -> None:
    names = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
    page = (Path(__file__).parents[3] / "docs" / "operating.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(stemsplitter_\w+?)(?:_total)?(?:\{[\w,]+\})?`", page))
    assert told == names


def test_limits_report_refusals_and_use(client: TestClient, services: Services, account: Account) -> None:
    app: Any = client.app
    app.state.count_connections = lambda: 7
    app.state.open_streams.add(account.id)
    before = samples(client)
    assert {labels[0] for name, labels in before if name == "stemsplitter_refusals_total"} == set(
        refusals.LIMITS
    )
    with services.database.write() as session, pytest.raises(QuotaExceeded):
        services.quotas.reserve(session, account.id, "upl_1", 123)
        services.quotas.reserve(session, account.id, "upl_2", services.settings.quota_bytes)
    with services.database.write() as session:
        services.quotas.reserve(session, account.id, "upl_1", 123)
    after = samples(client)
    refused = ("stemsplitter_refusals_total", ("bytes",))
    assert after[refused] == before[refused] + 1
    assert after["stemsplitter_stored_bytes", ()] == 123
    assert after["stemsplitter_free_bytes", ()] > 0
    in_use = {labels[0]: value for (name, labels), value in after.items() if name == "stemsplitter_in_use"}
    assert in_use == {"create": 0, "measuring": 0, "event streams": 1, "uploads": 0, "connections": 7}
