"""Splits on a live server whose processes are killed: each ends, once, and its credits with it."""

import os
import signal
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .server import Server
from .songs import encode, sung

LIMIT_S = 120
LEASE_S = 3
BALANCE = 1000
SHORT_S, LONG_S = 2, 60


class Site:
    """A server, a client of it, and a look behind its back."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._key = server.new_key("someone@example.com")
        self.client = httpx2.Client(
            base_url=f"{server.url}/v1", headers={"Authorization": f"Bearer {self._key}"}, timeout=60
        )

    def data(self, method: str, path: str, **options: Any) -> Any:
        answer = self.client.request(method, path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def split(self, song: Path, **wanted: Any) -> str:
        """Upload a song and create a split of it; its id."""
        content = song.read_bytes()
        body = {"filename": song.name, "contentType": "audio/wav", "contentLength": len(content)}
        reserved = self.data("POST", "/audio/uploads", json=body)
        headers = {**reserved["uploadHeaders"], "Content-Type": "audio/wav"}
        sent = httpx2.post(reserved["uploadUrl"], content=content, headers=headers, timeout=60).json()["data"]
        source = {
            "type": "uploaded_file",
            "uploadId": reserved["uploadId"],
            "fileUrl": sent["url"],
            "storageKey": sent["key"],
        }
        wanted = {"input": source, "stems": ["vocals", "drums"], **wanted}
        return str(self.data("POST", "/audio/splits", json=wanted)["id"])

    def wait(self, split_id: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline, progress = time.monotonic() + LIMIT_S, 0
        while time.monotonic() < deadline:
            split: dict[str, Any] = self.data("GET", f"/audio/splits/{split_id}")
            assert split["progress"] >= progress
            progress = split["progress"]
            if until(split):
                return split
            time.sleep(0.1)
        raise AssertionError(f"waited too long: {split}\n{self.server.log.read_text()[-5000:]}")

    def begun(self, split_id: str) -> None:
        """Wait until some of the song is separated."""
        self.wait(split_id, lambda split: split["progress"] > 0)

    def end(self, split_id: str) -> dict[str, Any]:
        return self.wait(split_id, lambda split: split["status"] in ("succeeded", "failed"))

    def balance(self) -> int:
        return int(self.data("GET", "/credits")["balance"])

    def query(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(f"file:{self.server.database}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    def entries(self, split_id: str) -> list[tuple[str, int]]:
        return self.query(
            "SELECT kind, amount FROM ledger_entries WHERE split_id = ? ORDER BY kind", split_id
        )

    def workers(self) -> set[int]:
        """Process ids of the workers that run."""
        newest = "SELECT pid FROM workers WHERE state = 'working' ORDER BY started_at DESC LIMIT 8"
        return {pid for (pid,) in self.query(newest) if Path(f"/proc/{pid}").exists()}

    def children(self) -> set[int]:
        """Process ids of the children that separate."""
        tasks = (path for pid in self.workers() for path in Path(f"/proc/{pid}/task").glob("*/children"))
        return {int(child) for path in tasks for child in path.read_text().split()}

    def close(self) -> None:
        self.client.close()


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("songs")
    return {
        name: encode(folder / f"{name}.wav", sung(seconds * 8_000, 1, 8_000), 8_000, "pcm_s16le")
        for name, seconds in (("short", SHORT_S), ("long", LONG_S))
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # too short a stop for any song, so that what runs is always handed back
    settings = {"lease_seconds": LEASE_S, "free_credits": BALANCE, "stop_seconds": 0.1}
    server = Server(tmp_path_factory.mktemp("server"), **settings)
    server.start()
    try:
        site = Site(server)
        yield site
        site.close()
    finally:
        assert server.stop() == 0


@pytest.fixture
def spent(site: Site) -> Callable[[], int]:
    """What the test has spent so far."""
    before = site.balance()
    return lambda: before - site.balance()


def test_a_split_begins_soon_after_it_was_created(
    site: Site, songs: dict[str, Path], spent: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [site.split(songs["short"]) for _ in range(1)]
    for _ in range(7):
        site.end(ids[-1])
        ids.append(site.split(songs["short"]))
    site.end(ids[-1])
    times = [
        (started - created) / 1000
        for split_id in ids
        for started, created in site.query("SELECT started_at, created_at FROM splits WHERE id = ?", split_id)
    ]
    with capsys.disabled():
        print(f"\nfrom enqueue to start: median {statistics.median(times):.3f} s, longest {max(times):.3f} s")
    assert statistics.median(times) < 1  # on a machine that tests share; benchmarks tell how fast it is
    assert spent() == SHORT_S * len(ids)


@pytest.mark.parametrize("victim", ["worker", "separation"])
def test_what_is_killed_is_replaced_and_the_split_succeeds_once(
    site: Site, songs: dict[str, Path], spent: Callable[[], int], victim: str
) -> None:
    split_id = site.split(songs["long"])
    site.begun(split_id)
    (process,) = site.workers() if victim == "worker" else site.children()
    os.kill(process, signal.SIGKILL)
    split = site.end(split_id)
    assert (split["status"], list(split["stems"])) == ("succeeded", ["vocals", "drums"])
    assert all(httpx2.get(url).status_code == 200 for url in split["stems"].values())
    assert site.entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert spent() == LONG_S


def test_a_separation_that_is_always_killed_fails_with_a_refund(
    site: Site, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = site.split(songs["long"])
    killed: set[int] = set()
    site.begun(split_id)
    deadline = time.monotonic() + LIMIT_S
    while len(killed) < 3 and time.monotonic() < deadline:
        for child in site.children() - killed:
            os.kill(child, signal.SIGKILL)
            killed.add(child)
        time.sleep(0.1)
    split = site.end(split_id)
    assert (split["status"], split["error"]["code"]) == ("failed", "OUT_OF_MEMORY")
    assert "stems" not in split
    assert site.entries(split_id) == [("hold", -LONG_S), ("release", LONG_S)]
    assert spent() == 0
    assert site.end(site.split(songs["short"]))["status"] == "succeeded"


def test_canceling_stops_the_separation_and_gives_the_credits_back(
    site: Site, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = site.split(songs["long"])
    site.begun(split_id)
    (child,) = site.children()
    canceled = site.data("POST", f"/audio/splits/{split_id}/cancel")
    assert (canceled["status"], canceled["error"]["code"]) == ("failed", "CANCELED")
    assert spent() == 0
    # the next begins long before the canceled one would have been done, in the same process
    begun = time.monotonic()
    assert site.end(site.split(songs["short"]))["status"] == "succeeded"
    assert time.monotonic() - begun < 10
    assert Path(f"/proc/{child}").exists()
    assert site.entries(split_id) == [("hold", -LONG_S), ("release", LONG_S)]
    assert site.query("SELECT status FROM splits WHERE id = ?", split_id) == [("failed",)]


def test_a_worker_that_is_told_to_stop_hands_its_split_to_the_next(
    site: Site, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = site.split(songs["long"])
    site.begun(split_id)
    (worker,) = site.workers()
    os.kill(worker, signal.SIGTERM)
    assert site.end(split_id)["status"] == "succeeded"
    assert spent() == LONG_S
    deadline = time.monotonic() + LIMIT_S
    while worker in site.workers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert worker not in site.workers()


def test_nothing_outlives_the_parent(tmp_path: Path, songs: dict[str, Path]) -> None:
    server = Server(tmp_path, lease_seconds=LEASE_S, free_credits=BALANCE)
    server.start()
    site = Site(server)
    split_id = site.split(songs["long"])
    site.begun(split_id)
    processes = site.children() | site.workers()
    server.kill()
    deadline = time.monotonic() + LIMIT_S
    while any(Path(f"/proc/{pid}").exists() for pid in processes):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    server.start()
    try:
        assert site.end(split_id)["status"] == "succeeded"
        assert site.balance() == BALANCE - LONG_S
        site.close()
    finally:
        assert server.stop() == 0
