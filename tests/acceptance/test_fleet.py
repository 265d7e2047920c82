"""What only a fleet can show: its processes die, freeze, and lose their database, and each split ends once."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from ..loopback import Handler, listening
from ..postgres import Postgres
from .fleet import Fleet
from .server import children
from .songs import encode, sung
from .test_jobs import LEASE_S, LIMIT_S, Site, runs

pytestmark = pytest.mark.fleet

LONG_S = 60
BALANCE = 10_000


@pytest.fixture(scope="module")
def long_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to do something in the midst of it."""
    folder = tmp_path_factory.mktemp("long")
    return encode(folder / "long.wav", sung(LONG_S * 8_000, 1, 8_000), 8_000, "pcm_s16le")


@pytest.fixture(scope="module")
def started(make_server: Callable[..., Fleet]) -> Iterator[Fleet]:
    fleet = make_server(lease_seconds=LEASE_S, free_credits=BALANCE)
    fleet.start()
    yield fleet
    assert fleet.stop() == 0


@pytest.fixture
def fleet(started: Fleet) -> Fleet:
    """With all its processes, whatever the test before has killed."""
    started.revive()
    return started


@pytest.fixture(scope="module")
def account(started: Fleet) -> Iterator[Site]:
    site = Site(started)
    yield site
    site.close()


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_each_process_can_be_asked_about_what_another_did(fleet: Fleet, account: Site, song: Path) -> None:
    """Uploads, keys of requests, and splits are the server's and not a process's."""
    headers = {"Authorization": account.client.headers["Authorization"], "Idempotency-Key": "asked of both"}
    body = {"input": account.upload(song), "stems": ["vocals"]}

    def create(url: str) -> httpx2.Response:
        return httpx2.post(f"{url}/v1/audio/splits", json=body, headers=headers, timeout=LIMIT_S)

    before = account.balance()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(create, fleet.api_urls))
    wait_until(lambda: all(create(url).status_code == 200 for url in fleet.api_urls), "still under way")
    ids = {create(url).json()["data"]["id"] for url in fleet.api_urls}
    assert len(ids) == 1 and {200} <= {answer.status_code for answer in answers} <= {200, 409}
    (split_id,) = ids
    assert before - account.balance() == 2
    for url in fleet.api_urls:
        told = httpx2.get(f"{url}/v1/audio/splits/{split_id}/events", headers=headers, timeout=LIMIT_S).text
        assert told.count('"status":"succeeded"') == 1


def test_files_go_past_the_apis(fleet: Fleet, account: Site, song: Path) -> None:
    """Straight into the store and out of it; what the store was not asked for in the right way, it refuses."""
    content = song.read_bytes()
    wanted = {"filename": "song.flac", "contentType": "audio/flac", "contentLength": len(content)}
    reserved = account.data("POST", "/audio/uploads", json=wanted)
    direct = reserved["directUpload"]
    forged = httpx2.put(direct["url"] + "0", content=content, headers=direct["headers"], timeout=LIMIT_S)
    assert forged.status_code == 403
    sent = httpx2.put(direct["url"], content=content, headers=direct["headers"], timeout=LIMIT_S)
    assert sent.status_code == 200
    source = {"type": "uploaded_file", "uploadId": reserved["uploadId"]}
    source |= {"fileUrl": direct["fileUrl"], "storageKey": direct["storageKey"]}
    ended = account.end(account.data("POST", "/audio/splits", json={"input": source})["id"])
    assert ended["status"] == "succeeded"
    for url in [direct["url"], *ended["stems"].values()]:
        assert not url.startswith((fleet.url, *fleet.api_urls))
    for stem, url in ended["stems"].items():
        answer = httpx2.get(url, timeout=LIMIT_S)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
        assert f"{stem}.mp3" in answer.headers["content-disposition"]
        assert httpx2.get(url.rpartition("=")[0] + "=" + "0" * 64, timeout=LIMIT_S).status_code == 403


def test_requests_are_counted_together(fleet: Fleet) -> None:
    headers = {"Authorization": f"Bearer {fleet.new_key('counted@example.com')}"}
    limit = int(
        httpx2.get(f"{fleet.api_urls[0]}/v1/credits", headers=headers, timeout=LIMIT_S).headers[
            "x-ratelimit-limit"
        ]
    )
    left = {
        limit
        - int(
            httpx2.get(f"{url}/v1/credits", headers=headers, timeout=LIMIT_S).headers["x-ratelimit-remaining"]
        )
        for url in fleet.api_urls * 2
    }
    # of five requests; a minute may have begun between them
    assert left == {2, 3, 4, 5} or min(left) == 1


def test_an_api_that_is_killed_leaves_nothing_half_done(
    fleet: Fleet, account: Site, song: Path, long_song: Path
) -> None:
    """One split is under way in a worker, and another is about to be created by the API that dies."""
    before, running = account.balance(), account.split(long_song)
    account.begun(running)
    headers = {"Authorization": account.client.headers["Authorization"]}
    with slow_site(song) as (url, asked), ThreadPoolExecutor(1) as pool:
        body = {"input": {"type": "direct_url", "url": url}}
        created = pool.submit(
            httpx2.post,
            f"{fleet.api_urls[0]}/v1/audio/splits",
            json=body, headers=headers, timeout=LIMIT_S,
        )  # fmt: skip
        assert asked.wait(LIMIT_S)
        fleet.apis[0].kill()
        with pytest.raises(httpx2.TransportError):
            created.result(LIMIT_S)
    assert account.balance() == before - LONG_S
    for _ in range(4):  # whoever comes to the balancer is answered
        assert httpx2.get(f"{fleet.url}/readyz", timeout=LIMIT_S).status_code == 200
    assert account.end(account.split(song))["status"] == "succeeded"
    assert account.end(running)["status"] == "succeeded"
    fleet.revive()
    assert httpx2.get(f"{fleet.api_urls[0]}/readyz", timeout=LIMIT_S).status_code == 200


def test_a_killed_workers_split_is_ended_by_the_other(fleet: Fleet, account: Site, long_song: Path) -> None:
    before, split_id = account.balance(), account.split(long_song)
    account.begun(split_id)
    worker = account.worker_of(split_id)
    its = children(worker)
    os.kill(worker, signal.SIGKILL)
    fleet.silence(worker)
    assert account.end(split_id)["status"] == "succeeded"
    assert account.row(split_id, "attempts") == (2,)
    assert account.entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert before - account.balance() == LONG_S
    wait_until(lambda: not any(map(runs, its)), "a child outlives its worker")


def test_a_late_result_is_refused(fleet: Fleet, account: Site, song: Path, long_song: Path) -> None:
    """The worker is frozen past its lease; its child is not, so that a whole result waits for it when it wakes."""
    before, split_id = account.balance(), account.split(long_song)
    account.begun(split_id)
    frozen = account.worker_of(split_id)
    (other,) = account.workers() - {frozen}
    os.kill(frozen, signal.SIGSTOP)
    fleet.silence(frozen)
    try:
        ended = account.end(split_id)
        assert ended["status"] == "succeeded"
        row = account.row(split_id, "*")
    finally:
        os.kill(frozen, signal.SIGCONT)
    # it has looked at the result, and done with it what it will, when it, now alone, has ended another split
    os.kill(other, signal.SIGKILL)
    assert account.end(account.split(song))["status"] == "succeeded"
    assert account.row(split_id, "*") == row
    assert account.row(split_id, "attempts") == (2,)
    assert account.entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert before - account.balance() == LONG_S + 2
    for url in ended["stems"].values():
        assert httpx2.get(url, timeout=LIMIT_S).status_code == 200


def test_a_database_that_was_away_loses_no_split(
    fleet: Fleet, account: Site, long_song: Path, own_postgres: Postgres | None
) -> None:
    if own_postgres is None:
        pytest.skip("PostgreSQL is another's, and is not to be stopped")
    before, split_id = account.balance(), account.split(long_song)
    account.begun(split_id)
    own_postgres.stop()
    try:
        # not ready, and nothing else than that: whoever asks later gets what there is
        for url in fleet.api_urls:
            assert httpx2.get(f"{url}/readyz", timeout=LIMIT_S).status_code == 503
            assert httpx2.get(f"{url}/healthz", timeout=LIMIT_S).status_code == 200
            answer = httpx2.get(f"{url}/v1/credits", headers=account.client.headers, timeout=LIMIT_S)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
    finally:
        own_postgres.start()
    for url in fleet.api_urls:
        assert httpx2.get(f"{url}/readyz", timeout=LIMIT_S).status_code == 200
    assert account.end(split_id)["status"] == "succeeded"
    assert account.entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert before - account.balance() == LONG_S


@contextmanager
def slow_site(song: Path) -> Iterator[tuple[str, threading.Event]]:
    """The URL of a song that comes only when the block ends, and what tells that it was asked for."""
    asked, done = threading.Event(), threading.Event()

    class Slow(Handler):
        def do_GET(self) -> None:
            asked.set()
            done.wait(LIMIT_S)

    with listening(Slow) as url:
        try:
            yield f"{url}/{song.name}", asked
        finally:
            done.set()
