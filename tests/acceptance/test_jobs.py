"""Splits on a live server whose processes are killed: each ends once and its credits are settled or released once."""

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import numpy as np
import pytest

from stemsplitter.stopping import EXIT_STOPPED

from ..waiting import wait_until
from .account import Account
from .api_client import SPLIT_S
from .fleet import Fleet
from .processes import children, is_running
from .server import Server
from .songs import encode, sung

LEASE_S = (
    12  # long enough for a slow worker on a busy machine; tests expire the leases of workers that they kill
)
BALANCE = 10_000
# a test can act while the long song is separated on any machine; the endless song never finishes
SHORT_S, LONG_S, ENDLESS_S = 2, 60, 3000


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
def account(make_server: Callable[..., Server]) -> Iterator[Account]:
    # the stop timeout is too short for any song, so that a stopped worker always requeues its split
    server = make_server(lease_seconds=LEASE_S, free_credits=BALANCE, stop_seconds=0.1)
    server.start()
    try:
        with Account(server) as account:
            yield account
    finally:
        assert server.stop() == 0


@pytest.fixture(autouse=True)
def revived(request: pytest.FixtureRequest) -> None:
    """Restart the processes of a fleet that the previous test has killed."""
    if "account" in request.fixturenames:
        server = request.getfixturevalue("account").server
        if isinstance(server, Fleet):
            server.revive()


@pytest.fixture
def spent(account: Account) -> Callable[[], int]:
    """Function that returns the credits spent since the test started."""
    before = account.balance()
    return lambda: before - account.balance()


def test_queued_split_starts_soon(
    account: Account, songs: dict[str, Path], spent: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [account.start_split(songs["short"])]
    for _ in range(7):
        account.wait_for_end(ids[-1])
        ids.append(account.start_split(songs["short"]))
    account.wait_for_end(ids[-1])
    times = [
        (started - created) / 1000
        for split_id in ids
        for started, created in [account.row(split_id, "started_at, created_at")]
    ]
    with capsys.disabled():
        print(f"\nseconds in the queue: median {statistics.median(times):.3f}, maximum {max(times):.3f}")
    assert min(times) < 5  # the machine is shared; benchmarks/ measures the latency
    assert spent() == SHORT_S * len(ids)


def started_split(server: Server, song: Path) -> tuple[Account, str, set[int]]:
    """Start a server and a split of a song. Returns the account, the split, and the worker's processes."""
    server.start()
    account = Account(server)
    split_id = account.start_split(song)
    account.wait_for_progress(split_id)
    workers = account.workers()
    return account, split_id, workers | {child for worker in workers for child in children(worker)}


def assert_split_runs_again(account: Account, split_id: str, processes: set[int]) -> None:
    """Wait until no process of a stopped server is left, and start it again for the split."""
    server = account.server
    wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "a process is left", SPLIT_S
    )
    server.expire_leases(*processes)
    server.start()
    try:
        assert account.wait_for_end(split_id)["status"] == "succeeded"
        assert account.balance() == BALANCE - LONG_S
        account.close()
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("victim", ["worker", "separation"])
def test_split_survives_kill(
    account: Account, songs: dict[str, Path], spent: Callable[[], int], victim: str
) -> None:
    split_id = account.start_split(songs["long"])
    account.wait_for_progress(split_id)
    process = account.worker_of(split_id)
    if victim == "separation":
        (process,) = children(process)
    os.kill(process, signal.SIGKILL)
    if victim == "worker":
        account.server.expire_leases(process)
    split = account.wait_for_end(split_id)
    assert (split["status"], list(split["stems"])) == ("succeeded", ["vocals", "drums"])
    assert all(httpx2.get(url, timeout=60).status_code == 200 for url in split["stems"].values())
    assert account.ledger_entries(split_id) == [("hold", -LONG_S), ("settle", 0)]
    assert spent() == LONG_S


def test_split_fails_with_refund_if_its_process_is_always_killed(
    account: Account, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = account.start_split(songs["endless"])
    account.wait_for_progress(split_id)
    deadline = time.monotonic() + SPLIT_S
    while account.row(split_id, "status")[0] != "failed" and time.monotonic() < deadline:
        for child in {child for worker in account.workers() for child in children(worker)}:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.1)
    split = account.wait_for_end(split_id)
    assert (split["status"], split["error"]["code"]) == ("failed", "OUT_OF_MEMORY")
    assert "stems" not in split
    assert account.ledger_entries(split_id) == [("hold", -ENDLESS_S), ("release", ENDLESS_S)]
    assert spent() == 0
    assert account.wait_for_end(account.start_split(songs["short"]))["status"] == "succeeded"


def test_cancel_stops_separation_and_refunds_credits(
    account: Account, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = account.start_split(songs["endless"])
    account.wait_for_progress(split_id)
    (child,) = children(account.worker_of(split_id))
    canceled = account.data("POST", f"/audio/splits/{split_id}/cancel")
    assert (canceled["status"], canceled["error"]["code"]) == ("failed", "CANCELED")
    assert spent() == 0
    # the same process separates the next song long before the canceled one could have ended
    started = time.monotonic()
    assert account.wait_for_end(account.start_split(songs["short"]))["status"] == "succeeded"
    assert time.monotonic() - started < 60
    assert is_running(child)
    assert account.ledger_entries(split_id) == [("hold", -ENDLESS_S), ("release", ENDLESS_S)]
    assert account.row(split_id, "status") == ("failed",)


def test_stopped_worker_requeues_its_split(
    account: Account, songs: dict[str, Path], spent: Callable[[], int]
) -> None:
    split_id = account.start_split(songs["long"])
    account.wait_for_progress(split_id)
    worker = account.worker_of(split_id)
    os.kill(worker, signal.SIGTERM)
    assert account.wait_for_end(split_id)["status"] == "succeeded"
    assert spent() == LONG_S
    wait_until(lambda: worker not in account.workers(), "the worker did not stop", SPLIT_S)


def test_c_second_signal_ends_the_server_and_its_split_runs_again(
    tmp_path: Path, songs: dict[str, Path]
) -> None:
    server = Server(tmp_path, lease_seconds=LEASE_S, free_credits=BALANCE, stop_seconds=50)
    account, split_id, processes = started_split(server, songs["long"])
    os.kill(server.pid, signal.SIGTERM)
    wait_until(lambda: not server.is_listening(), "the server does not stop", SPLIT_S)
    assert server.stop() == EXIT_STOPPED
    assert_split_runs_again(account, split_id, processes)


def test_no_process_outlives_the_supervisor(tmp_path: Path, songs: dict[str, Path]) -> None:
    server = Server(tmp_path, lease_seconds=LEASE_S, free_credits=BALANCE)
    account, split_id, processes = started_split(server, songs["long"])
    server.kill()
    assert_split_runs_again(account, split_id, processes)
