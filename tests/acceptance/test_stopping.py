"""Stopped or killed in the middle, nothing half-done is left; two runs keep out of each other's way."""

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from stemsplitter.separation.layouts import SIX_STEMS

from .conftest import Command, Done, files_in
from .songs import dbfs, encode, read, sung

WITHIN_S = 120


@pytest.fixture(scope="module")
def endless_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour, mono, 8 kHz, of which a run does little before it is stopped, however late that is."""
    song = np.tile(sung(60 * 8_000, 1, 8_000), 60)
    return encode(tmp_path_factory.mktemp("endless") / "Song.wav", song, 8_000, "pcm_s16le")


@pytest.fixture(scope="module")
def whole_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute, which is done to its end."""
    folder = tmp_path_factory.mktemp("whole")
    return encode(folder / "Song.wav", sung(60 * 8_000, 1, 8_000), 8_000, "pcm_s16le")


def wait_for_the_middle(process: subprocess.Popen[str]) -> None:
    """Until part of the song is done, but not all."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["fraction"] > 0:
            assert event["fraction"] < 0.9
            return
    raise AssertionError("the run ended too early")


@contextmanager
def held(command: Command, *arguments: str | Path) -> Iterator[Callable[[], Done]]:
    """A run that stands in the middle of its song, as nobody reads what it prints. Call it to have it go on."""
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the system makes that a few lines
    with ours, ExitStack() as stack:
        with theirs:
            process = stack.enter_context(command.started(*arguments, "--json", stdout=theirs))
        deadline = time.monotonic() + WITHIN_S
        while b'"progress"' not in ours.recv(1 << 16, socket.MSG_PEEK):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)

        def go_on() -> Done:
            with ours.makefile(encoding="utf-8") as lines:
                out = lines.read()
            _, err = process.communicate(timeout=WITHIN_S)
            return Done(process.returncode, out, err)

        yield go_on


def wait_until_it_is_up(process: subprocess.Popen[str]) -> None:
    """Until the command itself, and no longer Python alone, takes signals: SIGHUP is the last that it asks for."""
    deadline = time.monotonic() + WITHIN_S
    while not is_caught(process.pid, signal.SIGHUP):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)


def is_caught(pid: int, number: signal.Signals) -> bool:
    (mask,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGINT, []),
        (signal.SIGINT, ["--zip", "--format", "mp3"]),
        (signal.SIGTERM, []),
        (signal.SIGHUP, ["--format", "ogg"]),
    ],
)
def test_a_stopped_run_leaves_nothing(
    number: signal.Signals, options: list[str], command: Command, endless_song: Path
) -> None:
    with command.started("split", endless_song, "-o", "new/out", "--json", *options) as process:
        wait_for_the_middle(process)
        process.send_signal(number)
        process.send_signal(number)  # one who is impatient
        out, err = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, err) == (130, "stopped\n")
    assert '"separated"' not in out and '"finished"' not in out
    assert files_in(command.folder) == []


def test_stopped_while_loading(command: Command, endless_song: Path) -> None:
    with command.started("split", endless_song) as process:
        wait_until_it_is_up(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "stopped"
    assert files_in(command.folder) == []


def test_a_killed_run_leaves_no_file_and_the_next_one_works(
    command: Command, endless_song: Path, whole_song: Path
) -> None:
    with command.started("split", endless_song, "--json") as process:
        wait_for_the_middle(process)
        process.kill()
        process.wait(WITHIN_S)
    assert not [path for path in command.folder.rglob("*") if not path.is_dir()]
    done = command("split", whole_song, "--json")
    assert (done.code, done.err) == (0, "")
    assert files_in(command.folder / "stems") == ["Song", *sorted(f"Song/{stem}.wav" for stem in SIX_STEMS)]


@pytest.mark.parametrize("options", [[], ["--zip"]])
def test_two_runs_into_one_folder(options: list[str], command: Command, whole_song: Path) -> None:
    with held(command, "split", whole_song, *options) as go_on:
        second = command("split", whole_song, *options)
        first = go_on()
    assert second.code == 1
    assert second.err.splitlines()[-1].startswith("error: ")
    assert "Another run is writing into Song: wait for it or choose another folder." in second.err
    assert (first.code, first.err) == (0, "")
    (told,) = first.named("separated").values()
    assert [Path(path).name for path in told["files"]] == (
        ["Song.zip"] if options else [f"{stem}.wav" for stem in SIX_STEMS]
    )
    if not options:
        stems = [read(command.folder / path)[0] for path in told["files"]]
        assert dbfs(sum(stems) - read(whole_song)[0]) <= -90
