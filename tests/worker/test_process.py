"""Separation in a child process: what it gives, and what becomes of it when it is stopped or dies."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.errors import AudioError, ModelError, Stopped
from stemsplitter.worker.process import OutOfMemory, SeparationFailed, SeparationProcess

from .conftest import Make

LIMIT_S = 60.0  # for what takes a moment, or the start of a process

# tells of one song without end, of others nothing, and stops at nothing
DEAF = """
import json, sys, threading, time
def talk(number):
    while True:
        print(json.dumps({"id": number, "progress": 0.5}))
        time.sleep(0.05)
print(json.dumps({"id": 0, "device": "cpu", "problem": ""}))
for line in sys.stdin:
    request = json.loads(line)
    if request.get("source") == "lively":
        threading.Thread(target=talk, args=(request["id"],), daemon=True).start()
"""


@pytest.fixture
def process(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeparationProcess]:
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tiny_models))
    process = SeparationProcess(threads=1)
    yield process
    process.close()


def kill(process: SeparationProcess, number: int) -> None:
    os.kill(process.pid, number)


def gone(pid: int, within: float = LIMIT_S) -> bool:
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
    assert not (tmp_path / "stems").exists()
    assert process.separate(request_for(short_song), lambda _: False).stems
    assert process.pid == first


def test_a_process_that_does_not_listen_is_killed(
    process: SeparationProcess, request_for: Make, long_song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemsplitter.worker.process.STOP_SECONDS", 0.3)

    def hang_and_stop(fraction: float) -> bool:
        if fraction > 0:
            kill(process, signal.SIGSTOP)
        return fraction > 0

    with pytest.raises(Stopped):
        process.separate(request_for(long_song), hang_and_stop)
    assert not process.alive


def test_a_process_that_stands_still_is_killed(
    process: SeparationProcess, request_for: Make, long_song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(fraction: float) -> bool:
        if fraction > 0:
            monkeypatch.setattr("stemsplitter.worker.process.STALL_SECONDS", 0.0)
            kill(process, signal.SIGSTOP)
        return False

    with pytest.raises(SeparationFailed, match="standstill"):
        process.separate(request_for(long_song), hang)
    assert not process.alive


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
def test_death_is_told_to_all_its_songs(
    process: SeparationProcess, request_for: Make, long_song: Path, number: int, error: type[SeparationFailed]
) -> None:
    both = threading.Barrier(2)

    def separate(name: str) -> type[SeparationFailed]:
        def murder(fraction: float) -> bool:
            if fraction > 0:
                with contextlib.suppress(threading.BrokenBarrierError):
                    if both.wait(LIMIT_S) == 0:
                        kill(process, number)
                        both.abort()
            return False

        with pytest.raises(SeparationFailed) as told:
            process.separate(request_for(long_song, folder=name), murder)
        return type(told.value)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(separate, ("one", "two"))) == [error, error]
    assert not process.alive
    with pytest.raises(SeparationFailed):
        process.separate(request_for(long_song), lambda _: False)


def test_of_two_songs_at_once_one_is_stopped_and_the_other_finished(
    process: SeparationProcess, request_for: Make, long_song: Path, short_song: Path, tmp_path: Path
) -> None:
    begun, over = threading.Event(), threading.Event()

    def until_the_other_is_over(fraction: float) -> bool:
        if fraction > 0:
            begun.set()
        return over.is_set()

    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(
            process.separate, request_for(long_song, folder="long"), until_the_other_is_over
        )
        assert begun.wait(LIMIT_S)
        try:
            done = process.separate(request_for(short_song, ("drums",), folder="short"), lambda _: False)
        finally:
            over.set()
        assert isinstance(stopped.exception(), Stopped)
    assert done.stems == {"drums": str(tmp_path / "short/drums.wav")}
    assert not (tmp_path / "long").exists() and process.alive


def test_errors_go_to_the_song_that_they_belong_to(
    process: SeparationProcess, request_for: Make, long_song: Path, tmp_path: Path
) -> None:
    (noise := tmp_path / "noise.wav").write_bytes(b"no audio")
    failed_at: list[float] = []

    def fail_beside(fraction: float) -> bool:
        if fraction > 0 and not failed_at:
            with pytest.raises(AudioError, match=r"noise\.wav"):
                process.separate(request_for(noise, folder="noise"), lambda _: False)
            failed_at.append(fraction)
        return bool(failed_at) and fraction > failed_at[0]  # it has gone on

    with pytest.raises(Stopped):
        process.separate(request_for(long_song), fail_beside)
    assert failed_at and process.alive


def test_what_a_watch_raises_ends_its_song(
    process: SeparationProcess, request_for: Make, long_song: Path, short_song: Path, tmp_path: Path
) -> None:
    def fail(fraction: float) -> bool:
        if fraction > 0:
            raise LookupError("the database is away")
        return False

    with pytest.raises(LookupError):
        process.separate(request_for(long_song, folder="long"), fail)
    assert not (tmp_path / "long").exists()
    assert process.separate(request_for(short_song), lambda _: False).stems


def test_a_song_that_does_not_listen_is_left_alone_while_others_go_on(
    request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def popen(_: list[str], **pipes: Any) -> "subprocess.Popen[str]":
        return real([sys.executable, "-u", "-c", DEAF], **pipes)

    def send(number: int, request: dict[str, Any], answers: Any) -> None:
        tell(number, request, answers)
        if "stop" in request and not over.is_set():  # what it is given for that is known by now
            patience(LIMIT_S)  # with the process, which this machine may hold up

    def patience(seconds: float) -> None:
        monkeypatch.setattr("stemsplitter.worker.process.STOP_SECONDS", seconds)

    real = subprocess.Popen
    patience(0.5)
    monkeypatch.setattr(subprocess, "Popen", popen)
    process = SeparationProcess()
    tell = process._send
    monkeypatch.setattr(process, "_send", send)
    begun, over = threading.Event(), threading.Event()

    def until_over(fraction: float) -> bool:
        if fraction > 0:
            begun.set()
        return over.is_set()

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(process.separate, request_for(Path("lively")), until_over)
        assert begun.wait(LIMIT_S)
        with pytest.raises(Stopped):
            process.separate(request_for(Path("silent")), lambda fraction: True)
        assert process.alive and not other.done()
        patience(0.5)
        over.set()
        assert isinstance(other.exception(), Stopped)
    assert not process.alive  # now there was nobody to keep it for


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
    process.close()
    assert gone(pid)
