"""A stopped or killed run leaves no partial files; two runs do not write to the same folder."""

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

from .command import Command, Done, files_in
from .songs import dbfs, encode, read, sung

LIMIT_S = 120


@pytest.fixture(scope="module")
def endless_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song of an hour, mono, 8 kHz: a run is stopped long before its end on any machine."""
    song = np.tile(sung(60 * 8_000, 1, 8_000), 60)
    return encode(tmp_path_factory.mktemp("endless") / "Song.wav", song, 8_000, "pcm_s16le")


@pytest.fixture(scope="module")
def whole_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song of a minute, which is separated completely."""
    folder = tmp_path_factory.mktemp("whole")
    return encode(folder / "Song.wav", sung(60 * 8_000, 1, 8_000), 8_000, "pcm_s16le")


def wait_for_progress(process: subprocess.Popen[str]) -> None:
    """Wait until a part of the song is separated, but not all of it."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["fraction"] > 0:
            assert event["fraction"] < 0.9
            return
    raise AssertionError("the run ended before it reported progress")


@contextmanager
def blocked(command: Command, *arguments: str | Path) -> Iterator[Callable[[], Done]]:
    """Run that blocks in the middle of its song because its output is not read.

    Yields a function that lets it continue and returns its result.
    """
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the system raises it to a few lines
    with ours, ExitStack() as stack:
        with theirs:
            process = stack.enter_context(command.started(*arguments, "--json", stdout=theirs))
        deadline = time.monotonic() + LIMIT_S
        while b'"progress"' not in ours.recv(1 << 16, socket.MSG_PEEK):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)

        def resume() -> Done:
            with ours.makefile(encoding="utf-8") as lines:
                out = lines.read()
            _, err = process.communicate(timeout=LIMIT_S)
            return Done(process.returncode, out, err)

        yield resume


def wait_for_signal_handlers(process: subprocess.Popen[str]) -> None:
    """Wait until the command has installed its signal handlers; that of SIGHUP is the last."""
    deadline = time.monotonic() + LIMIT_S
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
def test_stopped_run_leaves_no_files(
    number: signal.Signals, options: list[str], command: Command, endless_song: Path
) -> None:
    with command.started("split", endless_song, "-o", "new/out", "--json", *options) as process:
        wait_for_progress(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (130, "stopped\n")
    assert '"separated"' not in out and '"finished"' not in out
    assert files_in(command.folder) == []


def test_run_stopped_while_loading_leaves_no_files(command: Command, endless_song: Path) -> None:
    with command.started("split", endless_song) as process:
        wait_for_signal_handlers(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "stopped"
    assert files_in(command.folder) == []


def test_killed_run_leaves_no_files_and_next_run_succeeds(
    command: Command, endless_song: Path, whole_song: Path
) -> None:
    with command.started("split", endless_song, "--json") as process:
        wait_for_progress(process)
        process.kill()
        process.wait(LIMIT_S)
    assert not [path for path in command.folder.rglob("*") if not path.is_dir()]
    done = command("split", whole_song, "--json")
    assert (done.code, done.err) == (0, "")
    assert files_in(command.folder / "stems") == ["Song", *sorted(f"Song/{stem}.wav" for stem in SIX_STEMS)]


@pytest.mark.parametrize("options", [[], ["--zip"]])
def test_second_run_into_same_folder_is_refused(
    options: list[str], command: Command, whole_song: Path
) -> None:
    with blocked(command, "split", whole_song, *options) as resume:
        second = command("split", whole_song, *options)
        first = resume()
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
