import io
import json
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from stemsplitter.api import event_stream
from stemsplitter.api.event_stream import OpenStreams
from stemsplitter.clock import now
from stemsplitter.jobs import repository
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.splits.models import Split
from tests.splits.conftest import Create, account, create, services, settings, song, tiny_store, upload

__all__ = ["account", "create", "services", "settings", "song", "tiny_store", "upload"]

FIELDS = [
    "id", "status", "stemModel", "filename", "durationSeconds", "creditsUsed", "createdAt", "updatedAt",
    "progress", "outputFormat", "expiresAt", "stems", "error", "model", "processing", "metadata",
]  # fmt: skip
PATH = "/v1/audio/splits"


@pytest.fixture
def client(services: Services, account: str) -> Iterator[TestClient]:
    with services.database.write() as session:
        _, key = services.accounts.create_key(session, account, "test")
    with TestClient(create_app(services), headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


@pytest.fixture
def finish(services: Services) -> Callable[[str], None]:
    """Return a function that lets a split succeed with two stems."""

    def end(split_id: str) -> None:
        stems = {}
        for name in ("vocals", "instrumental"):
            key = f"splits/{split_id}/stems/{name}.mp3"
            size = services.storage.put_stream(key, [name.encode()], "audio/mpeg")
            stems[name] = {"key": key, "size": size, "mime": "audio/mpeg"}
        took = {"device": "cpu", "seconds": 1.5, "realtimeFactor": 0.5}
        with services.database.write() as session:
            assert repository.start(session, split_id, None, "run_1", "wrk_1")
            assert services.splits.endings.succeed(
                session,
                split_id,
                "run_1",
                {"stems": stems, "masters": {}, "processing": took},
                sum(stem["size"] for stem in stems.values()),
            )

    return end


def data(response: Any) -> Any:
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["success"] is True
    return body["data"]


def test_idempotency_key_creates_once(client: TestClient, upload: Callable[[], dict[str, str]]) -> None:
    body, headers = {"input": upload(), "stemModel": "4s"}, {"Idempotency-Key": '"once"'}
    first, second = (client.post(PATH, json=body, headers=headers) for _ in range(2))
    assert list(data(first)) == ["id", "status", "creditsUsed", "createdAt"]
    assert data(first) == data(second)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(data(client.get(PATH))["items"]) == 1


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        ({"stemmodel": "4s"}, "stemmodel", "Unknown field stemmodel: did you mean stemModel?"),
        ({"webhook": "https://a.example"}, "webhook", "Unknown field webhook: did you mean webhookUrl?"),
        ({"output_formt": "wav"}, "output_formt", "Unknown field output_formt: did you mean outputFormat?"),
        (
            {"input": {"type": "direct_url", "URL": "https://a.example"}},
            "input.URL",
            "Unknown field URL: did you mean url?",
        ),
        (
            {"input": {"type": "direct_url", "url": "https://a.example", "zz": 1}},
            "input.zz",
            "Unknown field zz: send only type, url.",
        ),
        ({"a\ud800\0": 1}, "a??", None),
        ({"x" * 1000: 1}, "x" * 64, None),
    ],
)
def test_n13_unknown_field_is_refused_with_the_nearest_name(
    client: TestClient, upload: Callable[[], dict[str, str]], change: dict[str, Any], param: str, message: str
) -> None:
    body = json.dumps({"input": upload()} | change)
    response = client.post(PATH, content=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (422, "VALIDATION_ERROR", param)
    assert message is None or error["message"] == message
    assert data(client.get(PATH))["items"] == []


def test_fields_have_the_order_of_the_contract(
    client: TestClient, create: Create, finish: Callable[[str], None]
) -> None:
    split_id = create(metadata={"status": "failed", "id": "mine", "ä": "ü"})
    response = client.get(f"{PATH}/{split_id}")
    split = data(response)
    assert list(split) == [field for field in FIELDS if field != "stems"]
    assert (split["error"], split["durationSeconds"], split["creditsUsed"]) == (None, 3, 3)
    assert response.text.index(f'"id":"{split_id}"') < response.text.index('"id":"mine"')
    assert '"ä":"ü"' in response.text
    assert split["createdAt"].endswith("Z") and len(split["createdAt"]) == len("2026-05-03T10:20:30.000Z")
    finish(split_id)
    split = data(client.get(f"{PATH}/{split_id}"))
    assert list(split) == FIELDS
    assert list(split["stems"]) == ["vocals", "instrumental"]
    assert split["processing"] == {"device": "cpu", "seconds": 1.5, "realtimeFactor": 0.5}


def test_links_download_the_stems(client: TestClient, create: Create, finish: Callable[[str], None]) -> None:
    split_id = create()
    finish(split_id)
    for name, url in data(client.get(f"{PATH}/{split_id}"))["stems"].items():
        stem = client.get(url.partition("8000")[2], headers={"Authorization": ""})
        assert (stem.content, stem.headers["content-type"]) == (name.encode(), "audio/mpeg")
        assert url.endswith(f"/{name}.mp3")


def test_archive_contains_all_stems(
    client: TestClient, create: Create, finish: Callable[[str], None]
) -> None:
    split_id = create()
    assert client.get(f"{PATH}/{split_id}/archive").status_code == 409
    finish(split_id)
    response = client.get(f"{PATH}/{split_id}/archive")
    assert response.headers["content-type"] == "application/zip"
    song = Path(data(client.get(f"{PATH}/{split_id}"))["filename"]).stem
    assert f'filename="{song}.zip"' in response.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "vocals.mp3": b"vocals",
            "instrumental.mp3": b"instrumental",
        }


def test_events_report_changes_until_the_split_ends(
    client: TestClient,
    services: Services,
    create: Create,
    finish: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_stream, "POLL_SECONDS", 0.01)
    split_id = create()
    # the split ends after the third poll of the stream, on a slow machine too
    happenings = iter([None, None, finish])
    get_all = services.splits.get_all

    def look_and_go_on(session: Session, wanted: Collection[tuple[str, str]]) -> Any:
        views = get_all(session, wanted)
        if wanted and (happening := next(happenings, None)):
            happening(split_id)
        return views

    monkeypatch.setattr(services.splits, "get_all", look_and_go_on)
    response = client.get(f"{PATH}/{split_id}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in response.text.strip().split("\n\n")]
    assert all(event[0] == "event: split" for event in events)
    splits = [json.loads(event[1].removeprefix("data: ")) for event in events]
    assert [split["status"] for split in splits] == ["queued", "succeeded"]
    unfinished = [field for field in FIELDS if field != "stems"]
    assert all(list(split) == unfinished for split in splits[:-1])
    assert list(splits[-1]) == FIELDS


def test_m4_an_account_has_a_bounded_number_of_event_streams(
    client: TestClient, services: Services, create: Create, finish: Callable[[str], None]
) -> None:
    split_id = create()
    finish(split_id)
    open_streams: OpenStreams = client.app.state.open_streams  # type: ignore[attr-defined]
    with services.database.read() as session:
        account_id = session.get_one(Split, split_id).account_id
    for _ in range(services.settings.max_event_streams):
        open_streams.add(account_id)
    refused = client.get(f"{PATH}/{split_id}/events")
    assert refused.status_code == 429
    assert refused.json()["error"]["message"] == (
        "10 event streams of this account are open: close one first."
    )
    open_streams.remove(account_id)
    for _ in range(3):  # a stream that has ended no longer counts
        assert client.get(f"{PATH}/{split_id}/events").status_code == 200


def test_events_end_when_the_server_stops(
    client: TestClient, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "POLL_SECONDS", 0.05)
    looks = iter([False, False, True])
    client.app.state.is_stopping = lambda: next(looks)  # type: ignore[attr-defined]
    response = client.get(f"{PATH}/{create()}/events")
    assert response.text.count("event: split") == 1


def test_n14_canceled_split_shows_the_credits_that_came_back(client: TestClient, create: Create) -> None:
    split_id = create()
    assert "creditsRefunded" not in data(client.get(f"{PATH}/{split_id}"))
    balance = data(client.get("/v1/credits"))["balance"]
    canceled = data(client.post(f"{PATH}/{split_id}/cancel"))
    assert canceled["creditsRefunded"] == canceled["creditsUsed"] == 3
    assert data(client.get("/v1/credits"))["balance"] == balance + 3
    # scalars first
    expected = [field for field in FIELDS if field != "stems"]
    expected.insert(expected.index("error"), "creditsRefunded")
    assert list(canceled) == expected
    for found in (data(client.get(f"{PATH}/{split_id}")), data(client.get(PATH))["items"][0]):
        assert list(found) == expected and found["creditsRefunded"] == 3


def test_split_is_canceled_then_deleted(client: TestClient, create: Create) -> None:
    split_id = create()
    assert client.delete(f"{PATH}/{split_id}").status_code == 409
    assert data(client.post(f"{PATH}/{split_id}/cancel"))["error"]["code"] == "CANCELED"
    assert data(client.delete(f"{PATH}/{split_id}")) == {"id": split_id, "deleted": True}
    gone = client.get(f"{PATH}/{split_id}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": {"type": "direct_url"}}, "input.direct_url.url"),
        ({"input": {"type": "telepathy"}}, "input"),
        ({"input": {"type": "direct_url", "url": "https://example.com"}, "stemModel": "5s"}, "stemModel"),
        ({"input": {"type": "direct_url", "url": "https://example.com"}, "metadata": {"a": 1}}, "metadata.a"),
        (
            {
                "input": {"type": "direct_url", "url": "https://example.com"},
                "metadata": {str(number): "x" for number in range(17)},
            },
            "metadata",
        ),
    ],
)
def test_invalid_request_is_refused_with_its_param(
    client: TestClient, body: dict[str, Any], param: str
) -> None:
    response = client.post(PATH, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "VALIDATION_ERROR")
    assert error["param"].startswith(param.split(".")[0])


@pytest.mark.parametrize("quality", ["great", "FAST", "", 1])
def test_an_unknown_quality_is_refused_with_the_choices(
    client: TestClient, upload: Callable[[], dict[str, str]], quality: Any
) -> None:
    response = client.post(PATH, json={"input": upload(), "quality": quality})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (422, "VALIDATION_ERROR", "quality")
    assert all(choice in error["message"] for choice in ("fast", "balanced", "best"))


@pytest.mark.parametrize("quality", ["fast", "balanced", "best", None])
def test_a_split_tells_its_quality(
    client: TestClient, upload: Callable[[], dict[str, str]], quality: str | None
) -> None:
    created = data(client.post(PATH, json={"input": upload(), "quality": quality}))
    model = data(client.get(f"{PATH}/{created['id']}"))["model"]
    assert model.get("quality") == quality and ("quality" in model) == (quality is not None)


@pytest.mark.parametrize("priority", ["low", "normal"])
def test_a_split_tells_a_low_priority(
    client: TestClient, upload: Callable[[], dict[str, str]], priority: str
) -> None:
    created = data(client.post(PATH, json={"input": upload(), "priority": priority}))
    polled = data(client.get(f"{PATH}/{created['id']}"))
    (listed,) = data(client.get(PATH))["items"]
    for split in (polled, listed):
        assert split.get("priority") == ("low" if priority == "low" else None)


def test_invalid_id_is_refused_in_the_envelope(client: TestClient) -> None:
    assert client.get(f"{PATH}/%00").json()["success"] is False
    assert client.get(f"{PATH}/split_none").status_code == 404
    assert client.get(PATH, params={"limit": 0}).status_code == 422


def test_empty_archive_is_a_valid_zip(services: Services, tmp_path: Path) -> None:
    from stemsplitter.splits.archive import stream_zip

    archive = b"".join(stream_zip(services.storage, {}, now()))
    assert zipfile.ZipFile(io.BytesIO(archive)).namelist() == []
