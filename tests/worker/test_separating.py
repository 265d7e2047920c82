"""Songs of several threads: in a process each on a CPU, in one together on what stands for a GPU."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from stemsplitter.errors import Stopped
from stemsplitter.worker import pool as separating
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
    """Call it to have a long song begun, a short one separated meanwhile, and the long one stopped."""

    def run(pool: SeparationPool) -> tuple["Future[Separated]", Separated]:
        begun, over = threading.Event(), threading.Event()

        def until_over(fraction: float) -> bool:
            if fraction > 0:
                begun.set()
            return over.is_set()

        with ThreadPoolExecutor(1) as threads:
            long = threads.submit(pool.separate, request_for(long_song, folder="long"), until_over)
            assert begun.wait(120)
            try:
                short = pool.separate(request_for(short_song, folder="short"), lambda _: False)
            finally:
                over.set()
        return long, short

    return run


def test_on_a_cpu_songs_have_a_process_each(open_pool: Open, together: Together) -> None:
    pool = open_pool(2)
    assert (pool.device, pool.concurrency, len(pool._songs)) == ("cpu", 2, 0)
    long, short = together(pool)
    assert isinstance(long.exception(), Stopped) and list(short.stems) == ["vocals", "instrumental"]
    assert "1 thread" in short.device
    assert list(pool._songs.values()) == [0, 0]


def test_on_a_gpu_songs_share_a_process(
    open_pool: Open, together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(separating, "_shares", lambda device: True)
    pool = open_pool(2)
    long, short = together(pool)
    assert isinstance(long.exception(), Stopped) and list(short.stems) == ["vocals", "instrumental"]
    assert list(pool._songs.values()) == [0]


def test_cores_are_divided_among_processes(open_pool: Open, request_for: Make, short_song: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    pool = open_pool(cores, threads=None)
    assert "1 thread" in pool.separate(request_for(short_song), lambda _: False).device


def test_processes_are_used_again(open_pool: Open, request_for: Make, short_song: Path) -> None:
    pool = open_pool(2)
    for folder in ("one", "two"):
        assert pool.separate(request_for(short_song, folder=folder), lambda _: False).stems
    assert len(pool._songs) == 1


def test_a_process_that_died_is_replaced(
    open_pool: Open, request_for: Make, long_song: Path, short_song: Path
) -> None:
    pool = open_pool(1)

    def murder(fraction: float) -> bool:
        if fraction > 0:
            os.kill(next(iter(pool._songs)).pid, signal.SIGKILL)
        return False

    with pytest.raises(OutOfMemory):
        pool.separate(request_for(long_song), murder)
    assert pool.separate(request_for(short_song, folder="again"), lambda _: False).stems
    assert list(pool._songs.values()) == [0]


def test_one_song_too_many_waits_and_may_be_stopped(
    open_pool: Open, request_for: Make, long_song: Path, short_song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(separating, "WATCH_SECONDS", 0.05)
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


def test_the_cpu_does_the_work_of_a_gpu_that_is_not_there(
    open_pool: Open, request_for: Make, short_song: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool = open_pool(4, "cuda:63")
    assert (pool.device, pool.concurrency) == ("cpu", 1)
    (message,) = caplog.messages
    assert message.startswith("songs are separated on the CPU, far more slowly, one at a time: ")
    assert "cuda:63" in message
    assert pool.separate(request_for(short_song), lambda _: False).device.startswith("cpu")


def test_the_cpu_does_the_work_of_a_gpu_whose_driver_kills_the_process(
    open_pool: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Process(process.SeparationProcess):
        def __init__(self, device: str, threads: int, processes: int = 1) -> None:
            if device != "cpu":
                raise separating.SeparationFailed("The separation process died (SIGSEGV).")
            super().__init__(device, threads, processes)

    monkeypatch.setattr(separating, "SeparationProcess", Process)
    pool = open_pool(4, "cuda")
    assert (pool.device, pool.concurrency) == ("cpu", 1)
    assert "SIGSEGV" in caplog.text


def test_nothing_is_started_to_find_that_there_is_no_gpu(
    open_pool: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(separating.importlib.util, "find_spec", lambda name: None)
    pool = open_pool(3, "auto")
    assert (pool.device, pool.concurrency, len(pool._songs)) == ("cpu", 3, 0)
    assert not caplog.messages
