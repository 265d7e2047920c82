"""A server in this process for an account with a live key and a test key, and a worker of test jobs."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from fastapi.testclient import TestClient

from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import ANALYSIS, EFFECT, SPEECH, SPLIT
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.test_mode import files
from stemsplitter.test_mode.processing import BuiltInSplitProcessor, BuiltInToolProcessor
from stemsplitter.test_mode.song import Samples, render
from tests.services import run_all
from tests.splits.conftest import account, services, settings, song, tiny_store

__all__ = ["account", "services", "settings", "song", "tiny_store"]


@pytest.fixture(autouse=True)
def _rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "render", lambda: _rendered().copy())


@cache
def _rendered() -> Samples:
    return render()


class Client:
    """A client with a live key or a test key of an account."""

    def __init__(self, app: TestClient, services: Services, account: str, *, is_test: bool) -> None:
        self._app = app
        with services.database.write() as session:
            _, self.key = services.accounts.create_key(session, account, "", is_test=is_test)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request and return the response."""
        return self._app.request(
            method, f"/v1{path}", json=body, headers={"Authorization": f"Bearer {self.key}", **headers}
        )

    def data(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request that succeeds and return its data."""
        response = self.ask(method, path, body, **headers)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def upload(self, song: bytes, filename: str = "Lied.flac") -> dict[str, str]:
        """Upload a song and return the ``input`` of a request."""
        wanted = {"filename": filename, "contentType": "audio/flac", "contentLength": len(song)}
        made = self.data("POST", "/audio/uploads", wanted)
        path = made["uploadUrl"].removeprefix("http://127.0.0.1:8000")
        sent = self._app.post(path, content=song, headers=made["uploadHeaders"])
        assert sent.status_code == 200, sent.text
        stored = sent.json()["data"]
        return {
            "type": "uploaded_file",
            "uploadId": made["uploadId"],
            "fileUrl": stored["url"],
            "storageKey": stored["key"],
        }


@pytest.fixture
def app(services: Services) -> Iterator[TestClient]:
    with TestClient(create_app(services)) as opened:
        yield opened


@pytest.fixture
def live(app: TestClient, services: Services, account: str) -> Client:
    return Client(app, services, account, is_test=False)


@pytest.fixture
def test(app: TestClient, services: Services, account: str) -> Client:
    return Client(app, services, account, is_test=True)


@pytest.fixture
def work(services: Services) -> Callable[[], int]:
    """Return a function that runs all queued test jobs and returns their number."""
    return worker(services)


def worker(services: Services) -> Callable[[], int]:
    parts = services.database, services.settings, services.storage
    pool: Any = None  # nothing is separated
    splits = BuiltInSplitProcessor(*parts, services.splits.endings, pool)
    tools = BuiltInToolProcessor(*parts, services.analyses.endings, pool)
    processors: Mapping[str, Any] = {SPLIT: splits, **dict.fromkeys((ANALYSIS, EFFECT, SPEECH), tools)}
    jobs = Jobs(services.database, {}, list, 100, 5, tests=processors)

    return lambda: run_all(jobs, jobs.claim_test)
