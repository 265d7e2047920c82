"""Jobs of the tools through the API, run by a worker in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from stemsplitter.links import FetchedLink
from stemsplitter.links.sites import Link
from stemsplitter.services import Services
from stemsplitter.tool_jobs import service as tool_service
from stemsplitter.tool_jobs.models import SpeechJob, ToolJob
from stemsplitter.webhooks.models import WebhookEvent
from tests.acceptance.songs import encode
from tests.services import upload_file

from .conftest import RATE, Create, HerePool, Send, data, fetched, loudest_hertz, refusal, sine

BALANCE = 100
ANALYSES, EFFECTS, SPEECH = "/v1/audio/analyses", "/v1/audio/effects", "/v1/audio/speech"


def clicks(bpm: float, seconds: float) -> np.ndarray:
    """Return short bursts of noise at a tempo."""
    noise = np.random.default_rng(0).normal(0, 0.3, 2000) * np.linspace(1, 0, 2000)
    samples = np.zeros((2, round(seconds * RATE)), np.float32)
    for start in range(0, samples.shape[1] - 2000, round(RATE * 60 / bpm)):
        samples[:, start : start + 2000] += noise
    return samples


def row(services: Services, job_id: str) -> ToolJob:
    with services.database.read() as session:
        return session.get_one(ToolJob, job_id)


def test_analysis_finds_tempo_and_costs_a_credit_per_ten_seconds(
    client: TestClient, send: Send, work: Callable[[], int], balance: Callable[[], int], ledger: Any
) -> None:
    source = clicks(120, 11) + np.pad(sine(440, 11), ((0, 0), (0, 0)))
    created = data(client.post(ANALYSES, json={"input": send(source, RATE)}))
    assert list(created) == ["id", "status", "creditsUsed", "createdAt"]
    assert (created["status"], created["creditsUsed"], balance()) == ("queued", 2, BALANCE - 2)
    queued = data(client.get(f"{ANALYSES}/{created['id']}"))
    assert (queued["tempo"], queued["key"], queued["tuningCents"]) == (None, None, None)
    assert work() == 1
    job = data(client.get(f"{ANALYSES}/{created['id']}"))
    assert (job["status"], job["progress"], job["durationSeconds"], job["error"]) == (
        "succeeded",
        100,
        11,
        None,
    )
    assert job["tempo"]["bpm"] == pytest.approx(120, rel=0.02)
    assert len(job["tempo"]["beats"]) >= 18
    assert job["tuningCents"] == pytest.approx(0, abs=5)
    assert "outputs" not in job
    assert ledger(created["id"]) == [("hold", -2), ("settle", 0)]


def test_pitch_changes_the_pitch_and_keeps_the_length(
    client: TestClient, services: Services, send: Send, work: Callable[[], int], balance: Callable[[], int]
) -> None:
    body = {
        "input": send(sine(440, 2.5), RATE),
        "effect": "pitch",
        "parameters": {"semitones": 12},
        "outputFormat": "wav",
    }
    job_id = data(client.post(EFFECTS, json=body))["id"]
    assert balance() == BALANCE - 3
    work()
    job = data(client.get(f"{EFFECTS}/{job_id}"))
    assert job["parameters"] == {"semitones": 12.0, "formants": False}
    assert list(job["outputs"]) == ["audio"]
    samples, rate = fetched(services, (row(services, job_id).outputs or {})["audio"]["key"])
    assert samples.shape == (2, round(2.5 * RATE))
    assert loudest_hertz(samples, rate) == pytest.approx(880, abs=1)
    path = job["outputs"]["audio"].partition("/files/")[2]
    downloaded = client.get(f"/files/{path}")
    assert downloaded.status_code == 200 and downloaded.content[:4] == b"RIFF"


@pytest.mark.parametrize(
    ("effect", "parameters", "length", "hertz"),
    [
        ("speed", {"rate": 2, "keepPitch": True}, 0.5, 440),
        ("speed", {"rate": 2}, 0.5, 880),
        ("nightcore", {}, 1 / 1.25, 550),
        ("daycore", {}, 1 / 0.82, 360.8),
    ],
)
def test_speed_changes_the_length(
    client: TestClient,
    services: Services,
    send: Send,
    work: Callable[[], int],
    effect: str,
    parameters: dict[str, Any],
    length: float,
    hertz: float,
) -> None:
    body = {
        "input": send(sine(440, 2), RATE),
        "effect": effect,
        "parameters": parameters,
        "outputFormat": "flac",
    }
    job_id = data(client.post(EFFECTS, json=body))["id"]
    work()
    samples, rate = fetched(services, (row(services, job_id).outputs or {})["audio"]["key"])
    assert samples.shape[1] == round(2 * RATE * length)
    assert loudest_hertz(samples, rate) == pytest.approx(hertz, rel=0.003)


def test_slowed_reverb_adds_its_tail(
    client: TestClient, services: Services, send: Send, work: Callable[[], int]
) -> None:
    body = {
        "input": send(sine(440, 2), RATE),
        "effect": "slowed_reverb",
        "parameters": {"rate": 0.8, "decay": 1},
    }
    job_id = data(client.post(EFFECTS, json=body))["id"]
    work()
    assert data(client.get(f"{EFFECTS}/{job_id}"))["parameters"] == {"rate": 0.8, "decay": 1.0, "wet": 25}
    samples, _ = fetched(services, (row(services, job_id).outputs or {})["audio"]["key"])
    assert samples.shape[1] > round(2 * RATE / 0.8) + RATE / 2


@pytest.mark.parametrize("samples", [np.zeros((1, 8000), np.float32), np.full((1, 1), 0.5, np.float32)])
def test_silence_and_a_sample_are_audio(
    client: TestClient, send: Send, work: Callable[[], int], samples: np.ndarray
) -> None:
    job_id = data(client.post(ANALYSES, json={"input": send(samples, 8000)}))["id"]
    body = {"input": send(samples, 8000), "effect": "nightcore", "outputFormat": "wav"}
    effect = data(client.post(EFFECTS, json=body))["id"]
    assert work() == 2
    job = data(client.get(f"{ANALYSES}/{job_id}"))
    assert (job["status"], job["key"], job["tempo"], job["creditsUsed"]) == ("succeeded", None, None, 1)
    assert data(client.get(f"{EFFECTS}/{effect}"))["status"] == "succeeded"


def test_file_that_is_cut_short_is_used_with_a_warning(
    client: TestClient, services: Services, account: str, tmp_path: Path, work: Callable[[], int]
) -> None:
    whole = encode(tmp_path / "whole.flac", sine(440, 4), RATE, "flac").read_bytes()
    jobs = []
    for path, body in ((ANALYSES, {}), (EFFECTS, {"effect": "nightcore"})):
        source = upload_file(services, account, "Lied.flac", whole[: len(whole) // 2])
        jobs.append(f"{path}/{data(client.post(path, json=body | {'input': source}))['id']}")
    assert data(client.get(jobs[0]))["warnings"] == []
    assert work() == 2
    for job in map(data, map(client.get, jobs)):
        assert job["status"] == "succeeded" and job["durationSeconds"] < 4
        assert "although its header states" in job["warnings"][-1]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://soundcloud.com/band/sets/album", "This link leads to a playlist or a channel"),
        ("https://soundcloud.com/band/private", "shows this track only to some of its users"),
        ("https://soundcloud.com/band/live", "This is a live stream"),
    ],
)
@pytest.mark.parametrize("body", [{}, {"effect": "nightcore"}])
def test_link_that_cannot_be_fetched_costs_nothing(
    client: TestClient,
    services: Services,
    balance: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    message: str,
    body: dict[str, str],
) -> None:
    links = services.links
    settings = services.settings.model_copy(update={"links": ("soundcloud",)})
    monkeypatch.setattr(links, "_settings", settings)

    def fetch(link: Link, *_: object) -> FetchedLink:
        raise links._refused(link, {"refused": link.url.rpartition("/")[2]}, [])

    monkeypatch.setattr(links, "_fetch", fetch)
    path = EFFECTS if body else ANALYSES
    status, _, said = refusal(client.post(path, json=body | {"input": {"type": "link", "url": url}}))
    assert status == 422 and message in said and said.endswith(".")
    assert balance() == BALANCE


@pytest.mark.parametrize(
    ("changes", "param", "message"),
    [
        (
            {"effect": "robot"},
            "effect",
            "Unknown effect robot: choose from pitch, speed, nightcore, daycore, slowed",
        ),
        ({"effect": "Night core"}, "effect", "Unknown effect Night core: did you mean nightcore?"),
        ({"effect": "x\udc00\0" * 999}, "effect", "Unknown effect x"),
        ({"effect": 5}, "effect", "Unknown effect 5: choose from pitch"),
        ({"input": {"type": "direct"}}, "input.type", "Unknown type direct: did you mean direct_url?"),
        ({"input": {}}, "input.type", "input.type: Field required."),
        ({"parameters": {"semitones": 13}}, "parameters.semitones", "12"),
        ({"parameters": {}}, "parameters.semitones", "required"),
        ({"parameters": {"semitones": 1, "formant": True}}, "parameters.formant", "did you mean formants?"),
        ({"effect": "speed", "parameters": {"rate": 0}}, "parameters.rate", "0.25"),
        ({"outputFormat": "wma"}, "outputFormat", "mp3"),
        (
            {"effect": "voice_isolator", "parameters": {"wet": 1}},
            "parameters.wet",
            "Unknown field wet: send only an empty object.",
        ),
        ({"effect": "voice_isolator", "parameters": {}}, "effect", "models pull deepfilternet3"),
        ({"input": {"type": "split", "id": "split_none"}}, None, "There is no split split_none"),
        (
            {"input": {"type": "link", "url": "https://example.com/x"}},
            "input.url",
            "Links are off on this server",
        ),
    ],
)
def test_refused_effect_costs_nothing(
    client: TestClient,
    balance: Callable[[], int],
    changes: dict[str, Any],
    param: str | None,
    message: str,
) -> None:
    body = {
        "input": {"type": "direct_url", "url": "http://127.0.0.1:9/a.mp3"},
        "effect": "pitch",
        "parameters": {"semitones": 1},
    }
    # with escapes, as a lone surrogate has no other form
    content = json.dumps(body | changes)
    response = client.post(EFFECTS, content=content, headers={"Content-Type": "application/json"})
    error = response.json()["error"]
    assert response.status_code in (404, 422), response.text
    assert error.get("param") == param
    assert message in error["message"]
    assert balance() == BALANCE


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"text": ""}, 422, "at least 1 character"),
        ({"text": "😀 🎉 …"}, 422, "The text has nothing to be spoken: give words in English."),
        ({"text": "a" * 20_001}, 422, "at most 20000 characters"),
        ({"text": "a" * 1_000_000}, 413, "The body is over the limit of 65,536 bytes: shorten it."),
        (
            {"text": "Hello", "voice": "robot"},
            422,
            "Unknown voice robot: choose from american, american-woman-1, ",
        ),
        ({"text": "Hello", "voice": "amercan"}, 422, "Unknown voice amercan: did you mean american?"),
        (
            {"text": "Hello", "voice": "british-man-1"},
            422,
            "ask its operator to run `stemsplitter models pull kokoro`",
        ),
        ({"text": "你好，世界"}, 422, "The text is in another script"),
        ({"text": "a" * 5000}, 422, "A word of the text has 5,000 letters"),
        ({"text": "Hello", "speed": 3}, 422, "less than or equal to 2"),
    ],
)
def test_refused_speech_costs_nothing(
    client: TestClient,
    balance: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    body: dict[str, Any],
    status: int,
    message: str,
) -> None:
    monkeypatch.setattr(tool_service, "has_speech", lambda: True)
    response = client.post(SPEECH, json=body)
    assert response.status_code == status and message in response.json()["error"]["message"], response.text
    assert balance() == BALANCE


def test_server_without_speech_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_service, "has_speech", lambda: False)
    message = "This server has no speech: ask its operator to install `stemsplitter[speech]`."
    assert refusal(client.post(SPEECH, json={"text": "Hello"})) == (422, "VALIDATION_ERROR", message)
    assert data(client.get("/v1/voices")) == {"items": []}


def test_speech_is_spoken(
    client: TestClient, services: Services, work: Callable[[], int], balance: Callable[[], int]
) -> None:
    text = "Good morning. Here is the news."
    created = data(client.post(SPEECH, json={"text": text, "outputFormat": "wav"}))
    assert (created["creditsUsed"], balance()) == (4, BALANCE - 4)
    work()
    job = data(client.get(f"{SPEECH}/{created['id']}"))
    assert (job["status"], job["voice"], job["characters"]) == ("succeeded", "american", len(text))
    samples, rate = fetched(services, (row(services, created["id"]).outputs or {})["audio"]["key"])
    assert 1 < samples.shape[1] / rate < 5 and job["durationSeconds"] == -(-samples.shape[1] // rate)
    assert np.abs(samples).max() > 0.05
    assert data(client.get("/v1/voices"))["items"][0]["name"] == "american"


def test_analysis_of_a_split_is_free(
    client: TestClient,
    services: Services,
    create: Create,
    work: Callable[[], int],
    pool: HerePool,
    balance: Callable[[], int],
) -> None:
    split_id = create(stemModel="4s", stems=["vocals", "drums"], outputFormat="flac")
    body = {"input": {"type": "split", "id": split_id}}
    assert client.post(ANALYSES, json=body).status_code == 409  # it has not succeeded
    finish(services, split_id)
    before = balance()
    job_id = data(client.post(ANALYSES, json=body))["id"]
    pitch = {"input": body["input"], "effect": "pitch", "parameters": {"semitones": 1}}
    effect = data(client.post(EFFECTS, json=pitch))["id"]
    assert before - balance() == 3  # of the effect
    work()
    job = data(client.get(f"{ANALYSES}/{job_id}"))
    assert (job["status"], job["creditsUsed"]) == ("succeeded", 0)
    assert all(request.drums for request in pool.requests)
    assert data(client.get(f"{EFFECTS}/{effect}"))["drumsApart"] is True
    stem = {"type": "split", "id": split_id, "stem": "vocals"}
    made = data(client.post(EFFECTS, json=pitch | {"input": stem}))["id"]
    work()
    job = data(client.get(f"{EFFECTS}/{made}"))
    assert (job["status"], job["drumsApart"], job["filename"]) == ("succeeded", False, "Lied (vocals).flac")
    none = {"type": "split", "id": split_id, "stem": "bass"}
    assert refusal(client.post(ANALYSES, json={"input": none}))[0] == 404
    assert data(client.get("/v1/audio/splits"))["items"][0]["id"] == split_id  # and no job of a tool
    assert len(data(client.get("/v1/audio/splits"))["items"]) == 1


def finish(services: Services, split_id: str) -> None:
    """Let a split succeed, whose stems are its source."""
    from stemsplitter.jobs import repository

    with services.database.read() as session:
        split = repository.find(session, split_id)
    assert split is not None
    files = {}
    for name in ("vocals", "drums"):
        key = f"splits/{split_id}/masters/{name}.flac"
        size = services.storage.copy(split.source_key, key)
        files[name] = {"key": key, "size": size, "mime": "audio/flac", "peak": 0.5}
    with services.database.write() as session:
        assert repository.start(session, split_id, None, "run_1", "wrk_1")
        values = {
            "stems": files,
            "masters": files,
            "processing": {"device": "cpu", "seconds": 1, "realtimeFactor": 1},
        }
        assert services.splits.endings.succeed(session, split_id, "run_1", values, 1)


def test_life_of_a_job(
    client: TestClient,
    services: Services,
    account: str,
    send: Send,
    work: Callable[[], int],
    balance: Callable[[], int],
    ledger: Any,
) -> None:
    """It is listed, canceled, deleted, and posted to its webhook, and other accounts and kinds do not see it."""
    body = {"input": send(sine(440, 1), RATE), "webhookUrl": "http://127.0.0.1:9/", "metadata": {"a": "b"}}
    headers = {"Idempotency-Key": "once"}
    first, again = (client.post(ANALYSES, json=body, headers=headers) for _ in range(2))
    job_id = data(first)["id"]
    assert data(again)["id"] == job_id and again.headers["Idempotency-Replayed"] == "true"
    page = data(client.get(ANALYSES, params={"limit": 1}))
    assert [item["id"] for item in page["items"]] == [job_id] and page["nextCursor"] is None
    assert data(client.get(EFFECTS))["items"] == data(client.get(SPEECH))["items"] == []
    for path in (f"/v1/audio/splits/{job_id}", f"{EFFECTS}/{job_id}", f"{SPEECH}/{job_id}"):
        assert client.get(path).status_code == 404
        assert client.delete(path).status_code == 404
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.com").id
        _, key = services.accounts.create_key(session, other, "test")
    theirs = {"Authorization": f"Bearer {key}"}
    for call in (client.get, client.delete):
        assert call(f"{ANALYSES}/{job_id}", headers=theirs).status_code == 404
    assert client.post(f"{ANALYSES}/{job_id}/cancel", headers=theirs).status_code == 404
    assert client.get(f"{ANALYSES}/{job_id}/events", headers=theirs).status_code == 404
    assert data(client.get(ANALYSES, headers=theirs))["items"] == []
    assert client.delete(f"{ANALYSES}/{job_id}").status_code == 409
    canceled = data(client.post(f"{ANALYSES}/{job_id}/cancel"))
    assert (canceled["status"], canceled["creditsRefunded"], canceled["error"]["code"]) == (
        "failed",
        1,
        "CANCELED",
    )
    assert work() == 0 and balance() == BALANCE and ledger(job_id) == [("hold", -1), ("release", 1)]
    events = client.get(f"{ANALYSES}/{job_id}/events").text
    assert events.startswith("event: analysis\n") and '"CANCELED"' in events
    with services.database.read() as session:
        (event,) = session.scalars(select(WebhookEvent))
    payload = json.loads(event.payload)
    assert (payload["event"], payload["data"]["id"]) == ("audio.analysis.failed", job_id)
    assert data(client.delete(f"{ANALYSES}/{job_id}")) == {"id": job_id, "deleted": True}
    assert client.get(f"{ANALYSES}/{job_id}").status_code == 404
    with services.database.read() as session:
        assert services.quotas.used(session, account) == 0
    assert not list(services.storage.list_prefix(f"splits/{job_id}"))


def test_h2_texts_of_a_job_count_in_the_quota_and_are_deleted_with_it(
    client: TestClient, services: Services, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that are canceled at once cost nothing, so that their texts could fill the disk."""
    monkeypatch.setattr(tool_service, "has_speech", lambda: True)
    body = {"text": "word " * 100, "metadata": {"note": "é" * 500}, "webhookUrl": "http://127.0.0.1:9/"}
    job_id = data(client.post(SPEECH, json=body))["id"]
    data(client.post(f"{SPEECH}/{job_id}/cancel"))
    with services.database.read() as session:
        assert services.quotas.used(session, account) == 500 + 4 + 1000 + len("http://127.0.0.1:9/")
    data(client.delete(f"{SPEECH}/{job_id}"))
    with services.database.read() as session:
        assert services.quotas.used(session, account) == 0
        kept = session.execute(select(SpeechJob.__table__).where(SpeechJob.id == job_id)).mappings().one()
    assert (kept["metadata"], kept["webhook_url"], kept["parameters"]) == ({}, None, None)


def test_job_that_is_canceled_while_it_runs_stops(
    client: TestClient, send: Send, services: Services, work: Callable[[], int], pool: HerePool, ledger: Any
) -> None:
    job_id = data(client.post(ANALYSES, json={"input": send(sine(440, 1), RATE)}))["id"]
    run_tool = pool.run_tool

    def cancel_first(request: Any, on_progress: Any) -> Any:
        client.post(f"{ANALYSES}/{job_id}/cancel")
        return run_tool(request, on_progress)

    pool.run_tool = cancel_first  # type: ignore[method-assign]
    assert work() == 1
    assert row(services, job_id).error_code == "CANCELED"
    assert ledger(job_id) == [("hold", -1), ("release", 1)]


def test_failed_job_is_refunded(
    client: TestClient, services: Services, send: Send, work: Callable[[], int], ledger: Any
) -> None:
    body = {"input": send(sine(440, 1), RATE), "effect": "nightcore"}
    job_id = data(client.post(EFFECTS, json=body))["id"]
    services.storage.put_stream(row(services, job_id).source_key, [b"no audio"], "audio/wav")
    work()
    job = data(client.get(f"{EFFECTS}/{job_id}"))
    assert (job["status"], job["error"]["code"]) == ("failed", "VALIDATION_ERROR")
    assert "Lied.flac" in job["error"]["message"] and "/" not in job["error"]["message"]
    assert ledger(job_id) == [("hold", -1), ("release", 1)]


def test_balance_must_cover_the_price(
    client: TestClient, send: Send, services: Services, account: str
) -> None:
    with services.database.write() as session:
        services.credits.grant(session, account, -BALANCE + 1)
    body = {"input": send(sine(440, 1.5), RATE), "effect": "nightcore"}
    status, code, message = refusal(client.post(EFFECTS, json=body))
    assert (status, code) == (402, "INSUFFICIENT_CREDITS")
    assert message == "This needs 2 credits and the balance is 1: add credits first."


def test_jobs_of_all_kinds_count_for_the_limit(client: TestClient, send: Send, create: Create) -> None:
    for _ in range(3):
        create()
    for _ in range(2):
        data(client.post(ANALYSES, json={"input": send(sine(440, 1), RATE)}))
    assert refusal(client.post(ANALYSES, json={"input": send(sine(440, 1), RATE)}))[:2] == (
        429,
        "RATE_LIMITED",
    )
