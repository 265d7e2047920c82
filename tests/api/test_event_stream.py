import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import Response

from stemsplitter.api import event_stream as module
from stemsplitter.api.event_stream import WAIT, Event, JobKey, JobPoller, OpenStreams, event_stream


@pytest.fixture
def polls() -> list[int]:
    return []


@pytest.fixture
def client(polls: list[int]) -> TestClient:
    app = FastAPI()
    app.state.open_streams = OpenStreams(limit=1)

    async def events(count: int) -> AsyncIterator[Event | None]:
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


class View:
    """The part of a split that matters to a stream."""

    def __init__(self, status: str) -> None:
        self.status = status


class Splits:
    """Splits in memory; each of ``ending`` ends before the poll of its number."""

    def __init__(self, ending: dict[JobKey, int]) -> None:
        self.ending = ending
        self.reads: list[set[JobKey]] = []

    def read(self, keys: Collection[JobKey]) -> Any:
        self.reads.append(set(keys))
        number = len(self.reads)
        return {
            key: View("processing" if number < self.ending[key] else "succeeded")
            for key in keys
            if key in self.ending
        }


@pytest.mark.parametrize("streams", [1, 50])
def test_m4_one_query_serves_all_streams(streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    one, two = ("acc_1", "split_1"), ("acc_2", "split_2")
    splits = Splits({one: 3, two: 5})
    poller = JobPoller(splits.read)

    async def follow(*keys: JobKey) -> list[dict[JobKey, str]]:
        seen = []
        async for views in poller.follow(keys):
            seen.append({key: view.status for key, view in views.items()})
            if all(status == "succeeded" for status in seen[-1].values()):
                break
        return seen

    async def main() -> list[list[dict[JobKey, str]]]:
        return await asyncio.gather(*(follow(one, two) for _ in range(streams)))

    histories = asyncio.run(main())
    # one read for each poll, however many streams; a split that has ended is not read again
    assert splits.reads == [{one, two}] * 3 + [{two}] * 2
    for history in histories:
        assert history == [{one: "processing", two: "processing"}] * 2 + [
            {one: "succeeded", two: "processing"}
        ] * 2 + [{one: "succeeded", two: "succeeded"}]


def test_m4_streams_that_have_ended_are_not_polled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    one, two = ("acc_1", "split_1"), ("acc_1", "split_2")
    splits = Splits({one: 99, two: 4})
    poller = JobPoller(splits.read)

    async def leave() -> None:
        await anext(poller.follow([one]))

    async def main() -> None:
        leaving = asyncio.create_task(leave())
        canceled = asyncio.create_task(leave())
        await asyncio.sleep(0)
        canceled.cancel()  # while it waits for the poll that others share
        async for views in poller.follow([two]):
            if views[two].status == "succeeded":
                break
        await leaving

    asyncio.run(main())
    assert splits.reads[0] == {one, two} and splits.reads[-1] == {two}
