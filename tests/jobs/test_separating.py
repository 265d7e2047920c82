"""Separation in a child process: what it gives, and what becomes of it when it is stopped or dies."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.errors import AudioError, ModelError, Stopped
from stemsplitter.jobs.separating import (
    OutOfMemory,
    SeparationFailed,
    SeparationPool,
    SeparationProcess,
    SeparationRequest,
)

Make = Callable[..., SeparationRequest]


@pytest.fixture
def process(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeparationProcess]:
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tiny_models))
    process = SeparationProcess()
    yield process
    process.close()


@pytest.fixture
def pool(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeparationPool]:
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tiny_models))
    pool = SeparationPool(2, "cpu")
    yield pool
    pool.close()


@pytest.fixture
def request_for(tmp_path: Path) -> Make:
    def make(source: Path, stems: tuple[str, ...] = ("vocals", "instrumental"), model: str = "tiny_6s"):
        return SeparationRequest(
            model=model,
            stems=stems,
            source=str(source),
            folder=str(tmp_path / "stems"),
            format="wav16",
            max_seconds=600,
            device="cpu",
            threads=1,
        )

    return make


def kill(process: SeparationProcess, number: int) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)


def gone(pid: int, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_songs_are_separated_one_after_the_other_by_one_process(
    process: SeparationProcess, request_for: Make, short_song: Path, tmp_path: Path
) -> None:
    fractions: list[float] = []
    done = process.separate(request_for(short_song), lambda fraction: fractions.append(fraction) or False)
    first = process.pid
    assert done.stems == {name: str(tmp_path / f"stems/{name}.wav") for name in ("vocals", "instrumental")}
    for path in done.stems.values():
        with open_source(path) as stem:
            assert sum(block.shape[1] for block in stem.blocks()) == 88_200
    peaks = json.loads(Path(done.peaks).read_bytes())
    assert (peaks["samples"], list(peaks["stems"])) == (88_200, ["vocals", "instrumental"])
    assert done.audio_seconds == 2.0
    assert fractions == sorted(fractions) and fractions[-1] > 0
    again = process.separate(request_for(short_song, ("drums",)), lambda _: False)
    assert (list(again.stems), process.pid) == (["drums"], first)


def test_stopping_keeps_the_process_and_leaves_no_files(
    process: SeparationProcess, request_for: Make, long_song: Path, short_song: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        process.separate(request_for(long_song), lambda fraction: fraction > 0)
    first = process.pid
    assert first is not None
    assert not (tmp_path / "stems").exists()
    assert process.separate(request_for(short_song), lambda _: False).stems
    assert process.pid == first


def test_a_process_that_does_not_listen_is_killed(
    process: SeparationProcess, request_for: Make, long_song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemsplitter.jobs.separating.STOP_SECONDS", 0.3)

    def hang_and_stop(fraction: float) -> bool:
        if fraction > 0:
            kill(process, signal.SIGSTOP)
        return fraction > 0

    with pytest.raises(Stopped):
        process.separate(request_for(long_song), hang_and_stop)
    assert process.pid is None


def test_a_process_that_stands_still_is_killed(
    process: SeparationProcess, request_for: Make, long_song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(fraction: float) -> bool:
        if fraction > 0:
            monkeypatch.setattr("stemsplitter.jobs.separating.STALL_SECONDS", 0.0)
            kill(process, signal.SIGSTOP)
        return False

    with pytest.raises(SeparationFailed, match="standstill"):
        process.separate(request_for(long_song), hang)
    assert process.pid is None


def test_errors_come_through(
    process: SeparationProcess, request_for: Make, tmp_path: Path, short_song: Path
) -> None:
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"no audio")
    with pytest.raises(AudioError, match=r"noise\.wav"):
        process.separate(request_for(noise), lambda _: False)
    with pytest.raises(ModelError, match="no model 'none'"):
        process.separate(request_for(short_song, model="none"), lambda _: False)
    assert process.separate(request_for(short_song), lambda _: False).stems


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGKILL, OutOfMemory), (signal.SIGSEGV, SeparationFailed)]
)
def test_death_is_told_and_the_next_song_gets_a_new_process(
    process: SeparationProcess,
    request_for: Make,
    long_song: Path,
    short_song: Path,
    number: int,
    error: type[SeparationFailed],
) -> None:
    killed: list[int] = []

    def murder(fraction: float) -> bool:
        if fraction > 0 and not killed:
            killed.append(process.pid or 0)
            kill(process, number)
        return False

    with pytest.raises(SeparationFailed) as told:
        process.separate(request_for(long_song), murder)
    assert type(told.value) is error
    assert process.separate(request_for(short_song), lambda _: False).stems
    assert process.pid not in killed


def test_the_process_ends_when_its_parent_is_gone(
    process: SeparationProcess, request_for: Make, long_song: Path
) -> None:
    def vanish(fraction: float) -> bool:
        if fraction > 0:
            assert process._process is not None and process._process.stdin is not None
            process._process.stdin.close()  # as the system does when a process dies
        return False

    with pytest.raises(SeparationFailed):
        process.separate(request_for(long_song), vanish)


def test_closing_ends_the_process(process: SeparationProcess, request_for: Make, short_song: Path) -> None:
    process.separate(request_for(short_song), lambda _: False)
    pid = process.pid
    assert pid is not None
    process.close()
    assert gone(pid)


def test_a_pool_separates_several_songs_at_once(
    pool: SeparationPool, request_for: Make, long_song: Path, short_song: Path, tmp_path: Path
) -> None:
    pool.open()
    assert (pool.device, pool.concurrency) == ("cpu", 2)
    ended = threading.Event()

    def until_the_other_ended(fraction: float) -> bool:
        return ended.is_set()

    def short() -> list[str]:
        try:
            request = replace(request_for(short_song), folder=str(tmp_path / "short"))
            return list(pool.separate(request, lambda _: False).stems)
        finally:
            ended.set()

    with ThreadPoolExecutor(2) as threads:
        stopped = threads.submit(pool.separate, request_for(long_song), until_the_other_ended)
        assert threads.submit(short).result() == ["vocals", "instrumental"]
        assert isinstance(stopped.exception(), Stopped)
