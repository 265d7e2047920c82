"""Faults of a fleet: processes are killed or frozen and the database stops; each split ends once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from ..loopback import Handler, listening
from ..postgres import Postgres
from ..waiting import wait_until
from .account import Account
from .fleet import Fleet
from .processes import children, is_running
from .songs import encode, sung

pytestmark = pytest.mark.fleet

LIMIT_S = 240
LEASE_S = 12
LONG_S = 60
BALANCE = 10_000
# what the end of a split writes; levels and analysis follow later
RESULT = "status, progress, stems, masters, processing, attempts, lease, worker_id, finished_at, updated_at, expires_at"


@pytest.fixture(scope="module")
def long_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song of a minute: a test can act while it is separated."""
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
    """Fleet with all its processes running."""
    started.revive()
    return started


@pytest.fixture(scope="module")
def account(started: Fleet) -> Iterator[Account]:
    with Account(started) as account:
        yield account


def test_apis_share_uploads_idempotency_keys_and_splits(fleet: Fleet, account: Account, song: Path) -> None:
    headers = {"Authorization": account.headers["Authorization"], "Idempotency-Key": "requested of both"}
    body = {"input": account.upload(song), "stems": ["vocals"]}

    def create(url: str) -> httpx2.Response:
        return httpx2.post(f"{url}/v1/audio/splits", json=body, headers=headers, timeout=LIMIT_S)

    before = account.balance()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(create, fleet.api_urls))
    wait_until(
        lambda: all(create(url).status_code == 200 for url in fleet.api_urls),
        "the first request is still in progress",
        LIMIT_S,
    )
    ids = {create(url).json()["data"]["id"] for url in fleet.api_urls}
    assert len(ids) == 1 and {200} <= {answer.status_code for answer in answers} <= {200, 409}
    (split_id,) = ids
    assert before - account.balance() == 2
    for url in fleet.api_urls:
        told = httpx2.get(f"{url}/v1/audio/splits/{split_id}/events", headers=headers, timeout=LIMIT_S).text
        assert told.count('"status":"succeeded"') == 1


def test_files_bypass_the_apis(fleet: Fleet, account: Account, song: Path) -> None:
    """Clients upload to and download from the store directly; it refuses invalid signatures."""
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
    ended = account.wait_for_end(account.data("POST", "/audio/splits", json={"input": source})["id"])
    assert ended["status"] == "succeeded"
    for url in [direct["url"], *ended["stems"].values()]:
        assert not url.startswith((fleet.url, *fleet.api_urls))
    for stem, url in ended["stems"].items():
        answer = httpx2.get(url, timeout=LIMIT_S)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
        assert f"{stem}.mp3" in answer.headers["content-disposition"]
        assert httpx2.get(url.rpartition("=")[0] + "=" + "0" * 64, timeout=LIMIT_S).status_code == 403


def test_apis_share_the_rate_limit(fleet: Fleet) -> None:
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
    # of five requests; a new window may have started between them
    assert left == {2, 3, 4, 5} or min(left) == 1


def test_killed_api_leaves_no_partial_split(
    fleet: Fleet, account: Account, song: Path, long_song: Path
) -> None:
    """A worker runs one split, and the API that is killed is about to create another."""
    before, running = account.balance(), account.start_split(long_song)
    account.wait_for_progress(running)
    headers = {"Authorization": account.headers["Authorization"]}
    with slow_site(song) as (url, requested), ThreadPoolExecutor(1) as pool:
        body = {"input": {"type": "direct_url", "url": url}}
        created = pool.submit(
            httpx2.post,
            f"{fleet.api_urls[0]}/v1/audio/splits",
            json=body, headers=headers, timeout=LIMIT_S,
        )  # fmt: skip
        assert requested.wait(LIMIT_S)
        fleet.apis[0].kill()
        with pytest.raises(httpx2.TransportError):
            created.result(LIMIT_S)
    assert account.balance() == before - LONG_S
    for _ in range(4):  # the balancer skips the killed API
        assert httpx2.get(f"{fleet.url}/readyz", timeout=LIMIT_S).status_code == 200
    assert account.wait_for_end(account.start_split(song))["status"] == "succeeded"
    assert account.wait_for_end(running)["status"] == "succeeded"
    fleet.revive()
    assert httpx2.get(f"{fleet.api_urls[0]}/readyz", timeout=LIMIT_S).status_code == 200


def test_split_survives_worker_kill(fleet: Fleet, account: Account, long_song: Path) -> None:
    before, split_id = account.balance(), account.start_split(long_song)
    account.wait_for_progress(split_id)
    worker = account.worker_of(split_id)
    separations = children(worker)
    os.kill(worker, signal.SIGKILL)
    fleet.expire_leases(worker)
    assert account.wait_for_end(split_id)["status"] == "succeeded"
    assert account.row(split_id, "attempts") == (2,)
    assert account.ledger_entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert before - account.balance() == LONG_S
    wait_until(lambda: not any(map(is_running, separations)), "a child outlives its worker", LIMIT_S)


def test_late_result_is_refused(fleet: Fleet, account: Account, song: Path, long_song: Path) -> None:
    """The worker is frozen past its lease; its child completes the result, which the worker finds when it resumes."""
    before, split_id = account.balance(), account.start_split(long_song)
    account.wait_for_progress(split_id)
    frozen = account.worker_of(split_id)
    (other,) = account.workers() - {frozen}
    os.kill(frozen, signal.SIGSTOP)
    fleet.expire_leases(frozen)
    try:
        ended = account.wait_for_end(split_id)
        assert ended["status"] == "succeeded"
        row = account.row(split_id, RESULT)
    finally:
        os.kill(frozen, signal.SIGCONT)
    # the resumed worker is now the only one: when it has ended another split, it has processed the late result
    os.kill(other, signal.SIGKILL)
    assert account.wait_for_end(account.start_split(song))["status"] == "succeeded"
    assert account.row(split_id, RESULT) == row
    assert account.row(split_id, "attempts") == (2,)
    assert account.ledger_entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert before - account.balance() == LONG_S + 2
    for url in ended["stems"].values():
        assert httpx2.get(url, timeout=LIMIT_S).status_code == 200


def test_split_survives_database_restart(
    fleet: Fleet, account: Account, long_song: Path, own_postgres: Postgres | None
) -> None:
    if own_postgres is None:
        pytest.skip("The PostgreSQL server is external and cannot be stopped.")
    before, split_id = account.balance(), account.start_split(long_song)
    account.wait_for_progress(split_id)
    own_postgres.stop()
    try:
        # the APIs are alive and not ready; clients can retry
        for url in fleet.api_urls:
            assert httpx2.get(f"{url}/readyz", timeout=LIMIT_S).status_code == 503
            assert httpx2.get(f"{url}/healthz", timeout=LIMIT_S).status_code == 200
            answer = httpx2.get(f"{url}/v1/credits", headers=account.headers, timeout=LIMIT_S)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
    finally:
        own_postgres.start()
    for url in fleet.api_urls:
        assert httpx2.get(f"{url}/readyz", timeout=LIMIT_S).status_code == 200
    assert account.wait_for_end(split_id)["status"] == "succeeded"
    assert account.ledger_entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert before - account.balance() == LONG_S


@contextmanager
def slow_site(song: Path) -> Iterator[tuple[str, threading.Event]]:
    """Serve a song that does not arrive until the block ends. Yields its URL and an event, set on the first request."""
    requested, done = threading.Event(), threading.Event()

    class Slow(Handler):
        def do_GET(self) -> None:
            requested.set()
            done.wait(LIMIT_S)

    with listening(Slow) as url:
        try:
            yield f"{url}/{song.name}", requested
        finally:
            done.set()
