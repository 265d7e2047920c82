"""Splits on a live server whose processes are killed: each ends, once, and its credits with it."""

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from .fleet import Fleet
from .server import Server, children
from .songs import encode, sung

LIMIT_S = 240
LEASE_S = 12  # of a worker that is late on a busy machine, and lives; of those that tests kill it is made to be over
BALANCE = 10_000
# on any machine, a test does something in the middle of the long one; of the endless one none sees the end
SHORT_S, LONG_S, ENDLESS_S = 2, 60, 3000


class Site:
    """A server, a client of it, and a look behind its back."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._key = server.new_key("someone@example.com")
        self.client = httpx2.Client(
            base_url=f"{server.url}/v1",
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=60,
            # one that is kept ends with the process that is behind it, which tests kill
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    def data(self, method: str, path: str, **options: Any) -> Any:
        answer = self.client.request(method, path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def upload(self, song: Path) -> dict[str, str]:
        """Upload a song; the `input` of a split of it."""
        content = song.read_bytes()
        body = {"filename": song.name, "contentType": "audio/wav", "contentLength": len(content)}
        reserved = self.data("POST", "/audio/uploads", json=body)
        headers = {**reserved["uploadHeaders"], "Content-Type": "audio/wav"}
        sent = httpx2.post(reserved["uploadUrl"], content=content, headers=headers, timeout=60).json()["data"]
        return {
            "type": "uploaded_file",
            "uploadId": reserved["uploadId"],
            "fileUrl": sent["url"],
            "storageKey": sent["key"],
        }

    def split(self, song: Path, **wanted: Any) -> str:
        """Create a split of a song; its id."""
        wanted = {"input": self.upload(song), "stems": ["vocals", "drums"], **wanted}
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

    def row(self, split_id: str, columns: str) -> tuple[Any, ...]:
        """What the database has in some columns of a split."""
        (row,) = self.server.query(f"SELECT {columns} FROM splits WHERE id = :id", id=split_id)
        return row

    def entries(self, split_id: str) -> list[tuple[str, int]]:
        entries = "SELECT kind, amount FROM ledger_entries WHERE split_id = :id ORDER BY kind"
        return self.server.query(entries, id=split_id)

    def workers(self) -> set[int]:
        """Process ids of the workers that run."""
        newest = "SELECT pid FROM workers WHERE role = 'worker' AND state = 'working' ORDER BY started_at DESC LIMIT 8"
        return {pid for (pid,) in self.server.query(newest) if runs(pid)}

    def worker_of(self, split_id: str) -> int:
        """Process id of the worker that has the split."""
        its = "SELECT pid FROM workers JOIN splits ON worker_id = workers.id WHERE splits.id = :id"
        ((pid,),) = self.server.query(its, id=split_id)
        return int(pid)

    def close(self) -> None:
        self.client.close()


def runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("songs")
    return {
        name: encode(
            folder / f"{name}.wav", np.tile(sung(seconds * 8_000, 1, 8_000), times), 8_000, "pcm_s16le"
        )
        for name, seconds, times in (
            ("short", SHORT_S, 1),
            ("long", LONG_S, 1),
            ("endless", 60, ENDLESS_S // 60),
        )
    }


@pytest.fixture(scope="module")
def site(make_server: Callable[..., Server]) -> Iterator[Site]:
    # too short a stop for any song, so that what runs is always handed back
    server = make_server(lease_seconds=LEASE_S, free_credits=BALANCE, stop_seconds=0.1)
    server.start()
    try:
        site = Site(server)
        yield site
        site.close()
    finally:
        assert server.stop() == 0


@pytest.fixture(autouse=True)
def revived(request: pytest.FixtureRequest) -> None:
    """In a fleet, as its operator sees to it, what a test has killed is there again for the next."""
    if "site" in request.fixturenames and isinstance(server := request.getfixturevalue("site").server, Fleet):
        server.revive()


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
        for started, created in [site.row(split_id, "started_at, created_at")]
    ]
    with capsys.disabled():
        print(f"\nfrom enqueue to start: median {statistics.median(times):.3f} s, longest {max(times):.3f} s")
    assert min(times) < 5  # on a machine that tests share; benchmarks tell how fast it is
    assert spent() == SHORT_S * len(ids)


@pytest.mark.parametrize("victim", ["worker", "separation"])
def test_what_is_killed_is_replaced_and_the_split_succeeds_once(
    site: Site, songs: dict[str, Path], spent: Callable[[], int], victim: str
) -> None:
    split_id = site.split(songs["long"])
    site.begun(split_id)
    process = site.worker_of(split_id)
    if victim == "separation":
        (process,) = children(process)
    os.kill(process, signal.SIGKILL)
    if victim == "worker":
        site.server.silence(process)
    split = site.end(split_id)
    assert (split["status"], list(split["stems"])) == ("succeeded", ["vocals", "drums"])
    assert all(httpx2.get(url, timeout=60).status_code == 200 for url in split["stems"].values())
    assert site.entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert spent() == LONG_S


def test_a_separation_that_is_always_killed_fails_with_a_refund(
    site: Site, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = site.split(songs["endless"])
    site.begun(split_id)
    deadline = time.monotonic() + LIMIT_S
    while site.row(split_id, "status")[0] != "failed" and time.monotonic() < deadline:
        for child in {child for worker in site.workers() for child in children(worker)}:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.1)
    split = site.end(split_id)
    assert (split["status"], split["error"]["code"]) == ("failed", "OUT_OF_MEMORY")
    assert "stems" not in split
    assert site.entries(split_id) == [("hold", -ENDLESS_S), ("release", ENDLESS_S)]
    assert spent() == 0
    assert site.end(site.split(songs["short"]))["status"] == "succeeded"


def test_canceling_stops_the_separation_and_gives_the_credits_back(
    site: Site, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = site.split(songs["endless"])
    site.begun(split_id)
    (child,) = children(site.worker_of(split_id))
    canceled = site.data("POST", f"/audio/splits/{split_id}/cancel")
    assert (canceled["status"], canceled["error"]["code"]) == ("failed", "CANCELED")
    assert spent() == 0
    # the next ends long before the canceled one would have been done, in the same process
    begun = time.monotonic()
    assert site.end(site.split(songs["short"]))["status"] == "succeeded"
    assert time.monotonic() - begun < 60
    assert runs(child)
    assert site.entries(split_id) == [("hold", -ENDLESS_S), ("release", ENDLESS_S)]
    assert site.row(split_id, "status") == ("failed",)


def test_a_worker_that_is_told_to_stop_hands_its_split_to_the_next(
    site: Site, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = site.split(songs["long"])
    site.begun(split_id)
    worker = site.worker_of(split_id)
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
    workers = site.workers()
    processes = workers | {child for worker in workers for child in children(worker)}
    server.kill()
    server.silence(*workers)
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
