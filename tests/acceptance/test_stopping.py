"""Stopped or killed in the middle, nothing half-done is left; two runs keep out of each other's way."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from stemsplitter.separation.layouts import SIX_STEMS

from .conftest import Command, files_in
from .songs import dbfs, read

WITHIN_S = 60


def wait_for_the_middle(process: subprocess.Popen[str]) -> None:
    """Until part of the song is done, but not all."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["fraction"] > 0.2:
            assert event["fraction"] < 0.9
            return
    raise AssertionError("the run ended too early")


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
    number: signal.Signals, options: list[str], command: Command, long_song: Path
) -> None:
    with command.started("split", long_song, "-o", "new/out", "--json", *options) as process:
        wait_for_the_middle(process)
        process.send_signal(number)
        process.send_signal(number)  # one who is impatient
        out, err = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, err) == (130, "stopped\n")
    assert '"separated"' not in out and '"finished"' not in out
    assert files_in(command.folder) == []


def test_stopped_while_loading(command: Command, long_song: Path) -> None:
    with command.started("split", long_song) as process:
        time.sleep(0.4)  # Python is up by then
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "stopped"
    assert files_in(command.folder) == []


def test_a_killed_run_leaves_no_file_and_the_next_one_works(command: Command, long_song: Path) -> None:
    with command.started("split", long_song, "--json") as process:
        wait_for_the_middle(process)
        process.kill()
        process.wait(WITHIN_S)
    assert not [path for path in command.folder.rglob("*") if not path.is_dir()]
    done = command("split", long_song, "--json")
    assert (done.code, done.err) == (0, "")
    assert files_in(command.folder / "stems") == ["Long", *sorted(f"Long/{stem}.wav" for stem in SIX_STEMS)]


@pytest.mark.parametrize("options", [[], ["--zip"]])
def test_two_runs_into_one_folder(options: list[str], command: Command, long_song: Path) -> None:
    with command.started("split", long_song, "--json", *options) as first:
        wait_for_the_middle(first)
        second = command("split", long_song, *options)
        out, err = first.communicate(timeout=WITHIN_S)
    assert second.code == 1
    assert second.err.splitlines()[-1].startswith("error: ")
    assert "Another run is writing into Long: wait for it or choose another folder." in second.err
    assert (first.returncode, err) == (0, "")
    (told,) = [event for event in map(json.loads, out.splitlines()) if event["event"] == "separated"]
    assert [Path(path).name for path in told["files"]] == (
        ["Long.zip"] if options else [f"{stem}.wav" for stem in SIX_STEMS]
    )
    if not options:
        stems = [read(command.folder / path)[0] for path in told["files"]]
        assert dbfs(sum(stems) - read(long_song)[0]) <= -90
