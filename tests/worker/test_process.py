"""Separation in a child process: results, errors, stopping and death."""

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
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.errors import AudioError, ModelError, Stopped
from stemsplitter.worker.process import OutOfMemory, SeparationFailed, SeparationProcess

from .conftest import Make

LIMIT_S = 60.0  # includes the start of a process

# reports progress of one song forever, of others never, and ignores stop requests
UNRESPONSIVE = """
import json, sys, threading, time
def report(number):
    while True:
        print(json.dumps({"id": number, "progress": 0.5}))
        time.sleep(0.05)
print(json.dumps({"id": 0, "device": "cpu", "problem": ""}))
for line in sys.stdin:
    request = json.loads(line)
    if request.get("source") == "active":
        threading.Thread(target=report, args=(request["id"],), daemon=True).start()
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


def test_consecutive_songs_are_separated_by_one_process(
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
    request = replace(request_for(short_song), instruments=["drums"])
    with open_source(process.separate(request, lambda _: False).stems["vocals"]) as stem:
        assert not any(block.any() for block in stem.blocks())
    again = process.separate(request_for(short_song, ("drums",)), lambda _: False)
    assert (list(again.stems), process.pid) == (["drums"], first)


def test_stop_keeps_the_process_and_leaves_no_files(
    process: SeparationProcess, request_for: Make, long_song: Path, short_song: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        process.separate(request_for(long_song), lambda fraction: fraction > 0)
    first = process.pid
    assert not (tmp_path / "stems").exists()
    assert process.separate(request_for(short_song), lambda _: False).stems
    assert process.pid == first


def test_process_that_does_not_stop_is_killed(
    process: SeparationProcess, request_for: Make, long_song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemsplitter.worker.process.STOP_SECONDS", 0.3)

    def hang_and_stop(fraction: float) -> bool:
        if fraction > 0:
            kill(process, signal.SIGSTOP)
        return fraction > 0

    with pytest.raises(Stopped):
        process.separate(request_for(long_song), hang_and_stop)
    assert not process.is_alive


def test_stalled_process_is_killed(
    process: SeparationProcess, request_for: Make, long_song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(fraction: float) -> bool:
        if fraction > 0:
            monkeypatch.setattr("stemsplitter.worker.process.STALL_SECONDS", 0.0)
            kill(process, signal.SIGSTOP)
        return False

    with pytest.raises(SeparationFailed, match="stalled"):
        process.separate(request_for(long_song), hang)
    assert not process.is_alive


def test_errors_are_raised_in_the_parent(
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
def test_death_fails_all_songs_of_the_process(
    process: SeparationProcess, request_for: Make, long_song: Path, number: int, error: type[SeparationFailed]
) -> None:
    both = threading.Barrier(2)

    def separate(name: str) -> type[SeparationFailed]:
        def kill_once(fraction: float) -> bool:
            if fraction > 0:
                with contextlib.suppress(threading.BrokenBarrierError):
                    if both.wait(LIMIT_S) == 0:
                        kill(process, number)
                        both.abort()
            return False

        with pytest.raises(SeparationFailed) as caught:
            process.separate(request_for(long_song, folder=name), kill_once)
        return type(caught.value)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(separate, ("one", "two"))) == [error, error]
    assert not process.is_alive
    with pytest.raises(SeparationFailed):
        process.separate(request_for(long_song), lambda _: False)


def test_one_of_two_concurrent_songs_is_stopped(
    process: SeparationProcess, request_for: Make, long_song: Path, short_song: Path, tmp_path: Path
) -> None:
    started, over = threading.Event(), threading.Event()

    def until_the_other_has_ended(fraction: float) -> bool:
        if fraction > 0:
            started.set()
        return over.is_set()

    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(
            process.separate, request_for(long_song, folder="long"), until_the_other_has_ended
        )
        assert started.wait(LIMIT_S)
        try:
            done = process.separate(request_for(short_song, ("drums",), folder="short"), lambda _: False)
        finally:
            over.set()
        assert isinstance(stopped.exception(), Stopped)
    assert done.stems == {"drums": str(tmp_path / "short/drums.wav")}
    assert not (tmp_path / "long").exists() and process.is_alive


def test_error_of_a_song_does_not_affect_another(
    process: SeparationProcess, request_for: Make, long_song: Path, tmp_path: Path
) -> None:
    (noise := tmp_path / "noise.wav").write_bytes(b"no audio")
    failed_at: list[float] = []

    def fail_beside(fraction: float) -> bool:
        if fraction > 0 and not failed_at:
            with pytest.raises(AudioError, match=r"noise\.wav"):
                process.separate(request_for(noise, folder="noise"), lambda _: False)
            failed_at.append(fraction)
        return bool(failed_at) and fraction > failed_at[0]  # it made progress

    with pytest.raises(Stopped):
        process.separate(request_for(long_song), fail_beside)
    assert failed_at and process.is_alive


def test_error_of_on_progress_stops_its_song(
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


def test_unresponsive_song_does_not_stop_the_process_of_others(
    request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def popen(_: list[str], **pipes: Any) -> "subprocess.Popen[str]":
        return real([sys.executable, "-u", "-c", UNRESPONSIVE], **pipes)

    def send(number: int, request: dict[str, Any], responses: Any) -> None:
        original_send(number, request, responses)
        if "stop" in request and not over.is_set():  # the deadline is set by now
            stop_within(LIMIT_S)  # the host may delay the process

    def stop_within(seconds: float) -> None:
        monkeypatch.setattr("stemsplitter.worker.process.STOP_SECONDS", seconds)

    real = subprocess.Popen
    stop_within(0.5)
    monkeypatch.setattr(subprocess, "Popen", popen)
    process = SeparationProcess()
    original_send = process._send
    monkeypatch.setattr(process, "_send", send)
    started, over = threading.Event(), threading.Event()

    def until_over(fraction: float) -> bool:
        if fraction > 0:
            started.set()
        return over.is_set()

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(process.separate, request_for(Path("active")), until_over)
        assert started.wait(LIMIT_S)
        with pytest.raises(Stopped):
            process.separate(request_for(Path("silent")), lambda fraction: True)
        assert process.is_alive and not other.done()
        stop_within(0.5)
        over.set()
        assert isinstance(other.exception(), Stopped)
    assert not process.is_alive  # no other song needs it


def test_process_exits_with_its_parent(
    process: SeparationProcess, request_for: Make, long_song: Path
) -> None:
    def close_pipe(fraction: float) -> bool:
        if fraction > 0:
            process._child._input.close()  # as the system does when the parent dies
        return False

    with pytest.raises(SeparationFailed):
        process.separate(request_for(long_song), close_pipe)


def test_close_kills_the_process(process: SeparationProcess, request_for: Make, short_song: Path) -> None:
    process.separate(request_for(short_song), lambda _: False)
    pid = process.pid
    process.close()
    assert gone(pid)
