"""Songs of several threads: one process each on a CPU, a shared one on a simulated GPU."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from stemsplitter.errors import Stopped
from stemsplitter.worker import pool as pool_module
from stemsplitter.worker import process
from stemsplitter.worker.pool import OutOfMemory, Separated, SeparationPool

from .conftest import Make

Together = Callable[[SeparationPool], tuple["Future[Separated]", Separated]]


@pytest.fixture
def open_pool(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SeparationPool]]:
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tiny_models))
    pools: list[SeparationPool] = []

    def make(concurrency: int, device: str = "cpu", threads: int | None = 1) -> SeparationPool:
        pools.append(SeparationPool(concurrency, device, threads))
        pools[-1].open()
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


Open = Callable[..., SeparationPool]


@pytest.fixture
def together(request_for: Make, long_song: Path, short_song: Path) -> Together:
    """Return a function that starts a long song, separates a short one meanwhile, and stops the long one."""

    def run(pool: SeparationPool) -> tuple["Future[Separated]", Separated]:
        started, over = threading.Event(), threading.Event()

        def until_over(fraction: float) -> bool:
            if fraction > 0:
                started.set()
            return over.is_set()

        with ThreadPoolExecutor(1) as threads:
            long = threads.submit(pool.separate, request_for(long_song, folder="long"), until_over)
            assert started.wait(120)
            try:
                short = pool.separate(request_for(short_song, folder="short"), lambda _: False)
            finally:
                over.set()
        return long, short

    return run


def test_songs_have_separate_processes_on_a_cpu(open_pool: Open, together: Together) -> None:
    pool = open_pool(2)
    assert (pool.device, pool.concurrency, len(pool._songs)) == ("cpu", 2, 0)
    long, short = together(pool)
    assert isinstance(long.exception(), Stopped) and list(short.stems) == ["vocals", "instrumental"]
    assert "1 thread" in short.device
    assert list(pool._songs.values()) == [0, 0]


def test_songs_share_a_process_on_a_gpu(
    open_pool: Open, together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_is_shared", lambda device: True)
    pool = open_pool(2)
    long, short = together(pool)
    assert isinstance(long.exception(), Stopped) and list(short.stems) == ["vocals", "instrumental"]
    assert list(pool._songs.values()) == [0]


def test_cores_are_divided_among_processes(open_pool: Open, request_for: Make, short_song: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    pool = open_pool(cores, threads=None)
    assert "1 thread" in pool.separate(request_for(short_song), lambda _: False).device


def test_processes_are_reused(open_pool: Open, request_for: Make, short_song: Path) -> None:
    pool = open_pool(2)
    for folder in ("one", "two"):
        assert pool.separate(request_for(short_song, folder=folder), lambda _: False).stems
    assert len(pool._songs) == 1


def test_dead_process_is_replaced(
    open_pool: Open, request_for: Make, long_song: Path, short_song: Path
) -> None:
    pool = open_pool(1)

    def kill(fraction: float) -> bool:
        if fraction > 0:
            os.kill(next(iter(pool._songs)).pid, signal.SIGKILL)
        return False

    with pytest.raises(OutOfMemory):
        pool.separate(request_for(long_song), kill)
    assert pool.separate(request_for(short_song, folder="again"), lambda _: False).stems
    assert list(pool._songs.values()) == [0]


def test_waiting_song_can_be_stopped(
    open_pool: Open, request_for: Make, long_song: Path, short_song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "PROGRESS_SECONDS", 0.05)
    pool = open_pool(1)
    waited: list[float] = []

    def stop_the_other(fraction: float) -> bool:
        if fraction > 0 and not waited:
            with pytest.raises(Stopped):
                pool.separate(
                    request_for(short_song, folder="other"), lambda f: waited.append(f) or len(waited) > 3
                )
        return bool(waited)

    with pytest.raises(Stopped):
        pool.separate(request_for(long_song), stop_the_other)
    assert waited == [0.0] * 4


def test_missing_gpu_falls_back_to_the_cpu(
    open_pool: Open, request_for: Make, short_song: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool = open_pool(4, "cuda:63")
    assert (pool.device, pool.concurrency) == ("cpu", 1)
    (message,) = caplog.messages
    assert message.startswith("falling back to the CPU, one song at a time and much slower: ")
    assert "cuda:63" in message
    assert pool.separate(request_for(short_song), lambda _: False).device.startswith("cpu")


def test_gpu_whose_driver_kills_the_process_falls_back_to_the_cpu(
    open_pool: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Process(process.SeparationProcess):
        def __init__(self, device: str, threads: int, processes: int = 1) -> None:
            if device != "cpu":
                raise pool_module.SeparationFailed("The separation process died (SIGSEGV).")
            super().__init__(device, threads, processes)

    monkeypatch.setattr(pool_module, "SeparationProcess", Process)
    pool = open_pool(4, "cuda")
    assert (pool.device, pool.concurrency) == ("cpu", 1)
    assert "SIGSEGV" in caplog.text


def test_device_detection_without_torch_starts_no_process(
    open_pool: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module.importlib.util, "find_spec", lambda name: None)
    pool = open_pool(3, "auto")
    assert (pool.device, pool.concurrency, len(pool._songs)) == ("cpu", 3, 0)
    assert not caplog.messages
