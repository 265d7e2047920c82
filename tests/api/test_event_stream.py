from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import Response

from stemsplitter.api import event_stream as module
from stemsplitter.api.event_stream import WAIT, Event, OpenStreams, event_stream


@pytest.fixture
def polls() -> list[int]:
    return []


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, polls: list[int]) -> TestClient:
    app = FastAPI()
    app.state.open_streams = OpenStreams(limit=1)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)

    def events(count: int) -> Iterator[Event | None]:
        for number in range(count):
            polls.append(number)
            if number % 2 == 0:
                yield "change", {"number": number, "text": "ü\n"}
            yield WAIT

    @app.get("/{count}")
    def stream(request: Request, count: int) -> Response:
        return event_stream(request, "acc_1", events(count))

    return TestClient(app)


def test_events_are_encoded_until_the_iterator_ends(client: TestClient) -> None:
    response = client.get("/3")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.text == (
        'event: change\ndata: {"number":0,"text":"ü\\n"}\n\nevent: change\ndata: {"number":2,"text":"ü\\n"}\n\n'
    )


def test_silent_stream_sends_comments(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_SECONDS", 0.0)
    assert client.get("/2").text.endswith("\n\n: ping\n\n: ping\n\n")


def test_stream_ends_when_the_server_stops(client: TestClient, polls: list[int]) -> None:
    client.app.state.is_stopping = lambda: len(polls) == 3  # type: ignore[attr-defined]
    assert client.get("/100").text.count("event: change") == 2
    assert polls == [0, 1, 2]


def test_stream_ends_after_its_longest_duration(
    client: TestClient, polls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", -1.0)
    client.get("/100")
    assert polls == [0]
