"""Two API processes on one database share their state."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi.testclient import TestClient

from stemsplitter.api import event_stream
from stemsplitter.console.cookies import COOKIE
from stemsplitter.database import Database
from stemsplitter.jobs import repository
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.settings import Settings

from .conftest import Create

PATH = "/v1/audio/splits"
LIMIT_S = 60.0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"read_limit": 20, "create_limit": 20})


@pytest.fixture
def other(services: Services) -> Iterator[Services]:
    """Services of another process of the same server."""
    made = Services(services.settings)
    made.__dict__["database"] = Database(services.database.url)
    made.__dict__["models"] = services.models
    yield made
    made.close()


@pytest.fixture
def clients(services: Services, other: Services, account: str) -> Iterator[list[TestClient]]:
    """One client per process, with the same key."""
    with services.database.write() as session:
        _, key = services.accounts.create_key(session, account, "test")
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                TestClient(
                    create_app(each), headers={"Authorization": f"Bearer {key}"}, follow_redirects=False
                )
            )
            for each in (services, other)
        ]


def test_rate_limits_are_shared(clients: list[TestClient]) -> None:
    left = [client.get("/v1/credits").headers["x-ratelimit-remaining"] for client in clients * 10]
    assert left == [str(20 - number) for number in range(1, 21)]
    refused = [client.get("/v1/credits") for client in clients]
    assert [answer.status_code for answer in refused] == [429, 429]
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)


def test_idempotency_keys_are_shared(
    services: Services, clients: list[TestClient], upload: Callable[[], dict[str, str]]
) -> None:
    began, go_on = threading.Event(), threading.Event()
    create = services.splits.create

    def slowly(*arguments: Any) -> Any:
        began.set()
        assert go_on.wait(LIMIT_S)
        return create(*arguments)

    services.splits.create = slowly  # type: ignore[method-assign]
    body = {"input": upload(), "stemModel": "4s"}

    def post(client: TestClient) -> Any:
        return client.post(PATH, json=body, headers={"Idempotency-Key": "once"})

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, clients[0])
        assert began.wait(LIMIT_S)
        refused = post(clients[1])
        go_on.set()
        created = first.result(LIMIT_S)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    replayed = post(clients[1])
    assert (created.status_code, replayed.status_code) == (200, 200)
    assert replayed.headers["idempotency-replayed"] == "true"
    assert replayed.json()["data"] == created.json()["data"]
    assert len(clients[1].get(PATH).json()["data"]["items"]) == 1


def test_sessions_are_shared(services: Services, clients: list[TestClient], account: str) -> None:
    with services.database.write() as session:
        token = services.sessions.make_link(session, account)
    html = {"Accept": "text/html", "Origin": "http://testserver"}
    page = clients[0].get(f"/sign-in/link/{token}", headers=html)
    assert page.status_code == 200
    signed_in = clients[1].post(
        f"/sign-in/link/{token}", headers=html
    )  # where another process has the form's answer
    assert signed_in.status_code == 303
    again = clients[0].post(f"/sign-in/link/{token}", headers=html)
    assert again.status_code == 401
    cookie = {COOKIE: signed_in.cookies[COOKIE]}
    for client in clients:
        client.cookies.clear()
        client.cookies.update(cookie)
        assert client.get("/account", headers=html).status_code == 200
    csrf = (
        clients[0].get("/account", headers=html).text.partition('name="csrf" content="')[2].partition('"')[0]
    )
    assert clients[1].post("/sign-out", data={"csrf": csrf}, headers=html).status_code == 303
    for client in clients:
        client.cookies.clear()
        client.cookies.update(cookie)
        assert client.get("/account", headers=html).status_code == 303


def test_events_show_progress_written_by_another_process(
    other: Services, clients: list[TestClient], create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_id = create()
    with other.database.write() as session:
        assert repository.start(session, split_id, None, "run_1", "wrk_1")
    told: list[dict[str, Any]] = []

    def watch() -> None:
        with clients[0].stream("GET", f"{PATH}/{split_id}/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line.removeprefix("data: ")))

    def wait_until_told(times: int) -> None:
        end = time.monotonic() + LIMIT_S
        while len(told) < times:
            assert time.monotonic() < end, told
            time.sleep(0.02)

    monkeypatch.setattr(event_stream, "POLL_SECONDS", 0.05)
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    for times, progress in enumerate((30, 60), start=1):
        wait_until_told(times)
        with other.database.write() as session:
            assert repository.advance(session, split_id, "run_1", progress)
    wait_until_told(3)
    with other.database.write() as session:
        other.splits.endings.fail(session, split_id, "run_1", "SERVER_ERROR", "It broke.")
    watching.join(LIMIT_S)
    seen = [(each["status"], each["progress"]) for each in told]
    assert seen == [("processing", 0), ("processing", 30), ("processing", 60), ("failed", 60)]
