"""Jobs of test keys through the API."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from stemsplitter import account_ids
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.health import statistics
from stemsplitter.jobs import outcomes
from stemsplitter.jobs.models import Job
from stemsplitter.services import Services
from stemsplitter.splits import repository
from stemsplitter.test_mode.song import SECONDS
from stemsplitter.tool_jobs import service as tool_service
from stemsplitter.webhooks.models import WebhookEvent
from stemsplitter.webhooks.signatures import verify
from tests.loopback import Site
from tests.services import file_maker
from tests.splits.conftest import BALANCE

from .conftest import Client

COST = 3  # of the song of the tests
TOOLS: dict[str, dict[str, Any]] = {
    "analyses": {},
    "effects": {"effect": "nightcore", "outputFormat": "flac"},
    "speech": {"text": "Good morning."},
}


@pytest.fixture(autouse=True)
def _speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_service, "has_speech", lambda: True)


def test_split_has_the_stems_of_the_built_in_song(
    app: TestClient, test: Client, live: Client, services: Services, song: Path, work: Callable[[], int]
) -> None:
    body = {"input": test.upload(song.read_bytes()), "stemModel": "6s", "stems": ["drums", "no_drums"]}
    created = test.data("POST", "/audio/splits", body)
    assert (created["status"], created["creditsUsed"]) == ("queued", COST)
    path = f"/audio/splits/{created['id']}"
    assert test.data("GET", path)["test"] is True
    assert work() == 1
    split = test.data("GET", path)
    assert (split["status"], split["durationSeconds"], split["creditsUsed"]) == ("succeeded", COST, COST)
    assert (split["filename"], list(split["stems"])) == ("Lied.flac", ["drums", "no_drums"])
    assert (split["test"], split["model"]["name"], split["error"]) == (True, "tiny_6s", None)
    stem = app.get(split["stems"]["drums"].removeprefix("http://127.0.0.1:8000"))
    assert stem.status_code == 200 and len(stem.content) > SECONDS * 10_000
    while file_maker(services).make_next("wrk_1", background=True):
        pass
    assert set(test.data("GET", path)["levels"]) == {"drums", "no_drums"}
    assert live.data("GET", "/credits")["balance"] == BALANCE
    assert test.data("GET", "/credits") == {"balance": 100_000, "unit": "seconds"}
    assert "test" not in live.data(
        "POST", "/audio/splits", {"input": live.upload(song.read_bytes()), "stemModel": "6s"}
    )
    assert all("test" not in each for each in live.data("GET", "/audio/splits")["items"])


@pytest.mark.parametrize(
    ("tool", "body", "outputs"),
    [
        ("analyses", {}, None),
        ("effects", {"effect": "pitch", "parameters": {"semitones": 2}}, ["audio"]),
        ("effects", {"effect": "voice_isolator"}, ["voice", "noise"]),
        ("speech", {"text": "Good morning.", "outputFormat": "wav"}, ["audio"]),
    ],
)
def test_tools_have_results_of_the_built_in_song(
    test: Client,
    services: Services,
    song: Path,
    work: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    body: dict[str, Any],
    outputs: list[str] | None,
) -> None:
    monkeypatch.setattr(services.models, "is_ready", lambda name: True)
    source = {} if tool == "speech" else {"input": test.upload(song.read_bytes())}
    created = test.data("POST", f"/audio/{tool}", {**source, **body})
    assert created["creditsUsed"] > 0 and work() == 1
    job = test.data("GET", f"/audio/{tool}/{created['id']}")
    assert (job["status"], job["test"], job["creditsUsed"]) == ("succeeded", True, created["creditsUsed"])
    assert job["durationSeconds"] == (SECONDS if tool == "speech" else COST)
    assert outputs is None or list(job["outputs"]) == outputs
    if tool == "analyses":
        assert job["tempo"]["bpm"] == pytest.approx(120, abs=1)
        assert test.data("POST", f"/audio/{tool}", {**source, "input": test.upload(song.read_bytes())})


def test_input_is_checked_as_with_a_live_key(test: Client, live: Client, song: Path) -> None:
    for body in (
        {"input": {"type": "direct_url", "url": "ftp://example.com/song.mp3"}},
        {"input": {"type": "uploaded_file", "uploadId": "a", "fileUrl": "b", "storageKey": "c"}},
        {"input": {}, "stemModel": "5s"},
        {"inputs": {}},
    ):
        both = [client.ask("POST", "/audio/splits", body) for client in (test, live)]
        errors = [response.json()["error"] for response in both]
        for error in errors:
            error.pop("requestId", None)
        assert both[0].status_code == both[1].status_code == 422 and errors[0] == errors[1]
    noise = {"input": test.upload(b"fLaC" + bytes(1000))}
    assert test.ask("POST", "/audio/splits", noise).status_code == 422


@pytest.mark.parametrize("kind", ["splits", *TOOLS])
def test_names_provoke_outcomes(
    test: Client,
    live: Client,
    song: Path,
    work: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setattr(outcomes, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(outcomes, "_STEP_SECONDS", 0.1)

    def create(client: Client, name: str) -> Any:
        if kind == "speech":
            return client.ask("POST", "/audio/speech", {"text": f"{name} is the beginning."})
        source = {"input": client.upload(song.read_bytes(), f"{name}.flac")}
        return client.ask("POST", f"/audio/{kind}", {**TOOLS.get(kind, {}), **source})

    refused = create(test, "TEST-insufficient-credits")
    assert refused.status_code == 402
    assert refused.json()["error"]["requiredSeconds"] > refused.json()["error"]["balance"] == 0
    ids = [create(test, name).json()["data"]["id"] for name in (outcomes.FAILED, outcomes.SLOW)]
    began = time.monotonic()
    assert work() == 2 and time.monotonic() - began >= 0.2
    failed, slow = (test.data("GET", f"/audio/{kind}/{each}") for each in ids)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "VALIDATION_ERROR")
    assert failed["creditsRefunded"] == failed["creditsUsed"] and slow["status"] == "succeeded"
    assert create(live, "test-insufficient-credits").status_code == 200


def test_slow_job_stops_when_it_is_canceled(
    test: Client, song: Path, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"input": test.upload(song.read_bytes(), "test-slow.flac")}
    split_id = test.data("POST", "/audio/splits", source)["id"]

    def cancel(_: float) -> None:
        assert test.data("GET", f"/audio/splits/{split_id}")["status"] in ("processing", "failed")
        test.data("POST", f"/audio/splits/{split_id}/cancel")

    monkeypatch.setattr(outcomes.time, "sleep", cancel)
    monkeypatch.setattr("stemsplitter.jobs.watch.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("stemsplitter.jobs.watch.WRITE_SECONDS", 0.0)
    assert work() == 1
    split = test.data("GET", f"/audio/splits/{split_id}")
    assert (split["status"], split["error"]["code"]) == ("failed", "CANCELED")


def test_limits_count_both_kinds_of_keys(
    test: Client, live: Client, services: Services, account: str, song: Path
) -> None:
    for client in (test, live, test, live, test):  # the settings allow five
        client.data("POST", "/audio/speech", TOOLS["speech"])
    for client in (test, live):
        assert client.ask("POST", "/audio/speech", TOOLS["speech"]).status_code == 429
    left = [int(client.ask("GET", "/credits").headers["X-RateLimit-Remaining"]) for client in (test, live)]
    assert left[1] == left[0] - 1
    with services.database.read() as session:
        before = services.quotas.used(session, account)
    test.upload(song.read_bytes())
    with services.database.read() as session:
        assert services.quotas.used(session, account) == before + song.stat().st_size
        assert services.quotas.used(session, account_ids.of_tests(account)) == before + song.stat().st_size


def test_webhooks_are_signed_with_a_secret_of_the_test_keys(
    test: Client, live: Client, services: Services, song: Path, work: Callable[[], int]
) -> None:
    own = live.data("POST", "/webhooks/secrets/rotate")["secret"]
    secret = test.data("POST", "/webhooks/secrets/rotate")["secret"]
    with Site("/hook") as receiver:
        body = {"input": test.upload(song.read_bytes()), "webhookUrl": receiver.url}
        split_id = test.data("POST", "/audio/splits", body)["id"]
        work()
        (delivery,) = test.data("GET", "/webhooks/deliveries")["items"]
        services.webhooks.attempt(delivery["id"])
        (sent,) = receiver.requests
    verify(sent.body, sent.headers, secret, now())
    with pytest.raises(Exception, match="signature"):
        verify(sent.body, sent.headers, own, now())
    event = json.loads(sent.body)
    assert (event["event"], event["data"]["id"]) == ("audio.split.completed", split_id)
    assert event["data"]["test"] is True and set(event["data"]["stems"]) > {"vocals"}
    assert live.data("GET", "/webhooks/deliveries")["items"] == []
    assert live.data("GET", "/webhooks/secrets")["items"][0]["prefix"] == own[:12]


def test_saved_endpoints_get_the_events_of_their_keys(
    test: Client, live: Client, services: Services, song: Path, work: Callable[[], int]
) -> None:
    ids = {
        client: client.data("POST", "/webhook_endpoints", {"url": "http://127.0.0.1:9/", "events": ["*"]})[
            "id"
        ]
        for client in (test, live)
    }
    test.data("POST", "/audio/splits", {"input": test.upload(song.read_bytes())})
    work()
    (delivery,) = test.data("GET", "/webhooks/deliveries")["items"]
    assert delivery["endpointId"] == ids[test]
    assert live.data("GET", "/webhooks/deliveries")["items"] == []
    assert live.ask("GET", f"/webhook_endpoints/{ids[test]}").status_code == 404
    with services.database.read() as session:
        (event,) = session.scalars(select(WebhookEvent))
    assert account_ids.is_test(event.account_id)


def test_test_jobs_are_in_no_figure(
    test: Client, services: Services, database: Database, song: Path, work: Callable[[], int]
) -> None:
    def figures() -> tuple[Any, ...]:
        with database.read() as session:
            read = statistics.read(session, now(), 60)
            shown = repository.unfinished(session, 9), repository.failed(session, limit=9)
            return read.splits, read.loads, read.queued, statistics.recent(session, now()).splits, shown

    before = figures()
    for name in ("a.flac", "test-failed.flac"):
        test.data("POST", "/audio/splits", {"input": test.upload(song.read_bytes(), name)})
    test.data("POST", "/audio/speech", TOOLS["speech"])
    assert figures() == before
    work()
    assert figures() == before
    with database.read() as session:
        assert {job.model_name for job in session.scalars(select(Job))} == {"test"}


def test_requests_are_logged_for_the_account(
    test: Client, live: Client, services: Services, account: str
) -> None:
    test.data("GET", "/models")
    live.data("GET", "/models")
    services.api_requests.write()
    with services.database.read() as session:
        keys = {key.id: key.is_test for key in services.accounts.list_keys(session, account)}
        found, _ = services.api_requests.page(session, account, limit=10, cursor=None)
    assert sorted(keys[each.key_id] for each in found) == [False, True]
