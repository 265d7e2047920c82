"""Runs of splits on a cluster of dask in this process, with a simulated separation."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from distributed import LocalCluster

from stemsplitter import cluster
from stemsplitter.errors import AudioError, ModelError, RequestError, Stopped
from stemsplitter.jobs import processing, watch
from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import SPLIT
from stemsplitter.services import Services
from stemsplitter.splits import remote
from stemsplitter.splits.processing import ClusterSplitProcessor
from stemsplitter.splits.remote import ClusterRuns
from stemsplitter.worker.pool import SeparationPool, SeparationRequest

from .conftest import MODEL, Create
from .test_processing import RELEASED, SETTLED, FakePool, Ledger, fails, row, run, stored


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "protocol": "tcp"}
    with LocalCluster(**options, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def runs(address: str) -> Iterator[ClusterRuns]:
    runs = ClusterRuns(address)
    yield runs
    runs.close()


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    """Pool of the worker of dask."""
    pool = FakePool()
    monkeypatch.setattr(remote, "_pool", lambda *_: pool)
    monkeypatch.setattr(remote, "_provide", lambda _: None)
    return pool


@pytest.fixture
def jobs(services: Services, runs: ClusterRuns, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    monkeypatch.setattr(processing, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(watch, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(watch, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(remote, "PROGRESS_SECONDS", 0.05)
    unused = SeparationPool(1, "cpu")
    processor = ClusterSplitProcessor(
        services.database, services.settings, services.storage, services.splits.endings, unused, runs
    )
    return Jobs(services.database, {SPLIT: processor}, lambda: [MODEL], 100, 5)


def test_split_is_separated_by_the_cluster(
    services: Services, account: str, create: Create, jobs: Jobs, pool: FakePool, ledger: Ledger
) -> None:
    split_id = create(stems=["vocals", "instrumental"])
    run(jobs)
    view = services.splits.get(account, split_id)
    assert (view.status, view.progress) == ("succeeded", 100)
    assert list(view.stems or {}) == ["vocals", "instrumental"]
    assert ledger(split_id) == SETTLED
    assert stored(services, split_id) == [
        "instrumental.flac",
        "instrumental.mp3",
        "overview.json",
        "peaks.json",
        "vocals.flac",
        "vocals.mp3",
    ]
    assert row(services, split_id).attempts == 1


def test_progress_is_written_and_a_canceled_split_stops(
    services: Services, account: str, create: Create, jobs: Jobs, pool: FakePool, ledger: Ledger
) -> None:
    split_id = create()
    stopped = threading.Event()

    def until_stopped(request: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        while not on_progress(0.5):
            time.sleep(0.01)
        stopped.set()
        raise Stopped("stopped")

    pool.steps = [until_stopped]
    thread = threading.Thread(target=run, args=(jobs,))
    thread.start()
    deadline = time.monotonic() + 60
    while row(services, split_id).progress != 50:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    services.splits.cancel(account, split_id)
    assert stopped.wait(60)
    thread.join(60)
    assert not thread.is_alive()
    assert ledger(split_id) == RELEASED
    assert stored(services, split_id) == []


def test_split_that_the_scheduler_has_forgotten_runs_again_in_one_attempt(
    services: Services, create: Create, jobs: Jobs, runs: ClusterRuns, pool: FakePool, ledger: Ledger
) -> None:
    split_id = create()

    def lose(request: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        for future in list(runs._client.futures.values()):
            future.cancel(reason="scheduler-connection-lost", msg="The scheduler has ended.")
        while not on_progress(0.5):
            time.sleep(0.01)
        raise Stopped("stopped")

    pool.steps = [lose]
    run(jobs)
    found = row(services, split_id)
    assert (found.status, found.attempts, len(pool.requests)) == ("succeeded", 1, 2)
    assert ledger(split_id) == SETTLED


def test_split_waits_for_a_cluster_that_does_not_answer(
    services: Services, create: Create, jobs: Jobs, runs: ClusterRuns, pool: FakePool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    split_id = create()
    answers = iter([RequestError("No scheduler answers."), RequestError("No scheduler answers.")])
    connect = runs._connect

    def connected() -> object:
        if error := next(answers, None):
            raise error
        return connect()

    monkeypatch.setattr(runs, "_connect", connected)
    runs._client.close()  # it has given up
    run(jobs)
    assert row(services, split_id).status == "succeeded"
    assert row(services, split_id).attempts == 1


def test_errors_of_songs_and_of_workers_reach_the_split(
    services: Services, account: str, create: Create, jobs: Jobs, pool: FakePool, ledger: Ledger
) -> None:
    bad, broken = create(), create()
    pool.steps = [fails(AudioError("It cannot be decoded.")), *([fails(ValueError("a bug"))] * 3)]
    run(jobs)
    run(jobs)
    first, second = (services.splits.get(account, split_id) for split_id in (bad, broken))
    assert first.error and (first.error.code, first.error.message) == (
        "VALIDATION_ERROR",
        "It cannot be decoded.",
    )
    assert second.error and second.error.code == "SERVER_ERROR"
    assert row(services, broken).attempts == 3
    assert ledger(bad) == ledger(broken) == RELEASED


def test_model_with_a_restricted_license_is_not_downloaded_by_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote.ModelStore, "is_ready", lambda *_: False)
    monkeypatch.setattr(remote.ModelStore, "pull", lambda *_: pytest.fail("downloaded"))
    with pytest.raises(ModelError, match="models pull htdemucs"):
        remote._provide("htdemucs")


def test_worker_without_a_scheduler_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    with pytest.raises(RequestError, match="No scheduler answers at"):
        ClusterRuns("tcp://127.0.0.1:9")
