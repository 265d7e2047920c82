"""The programs in examples/ run as documented, on real audio and a real server."""

import csv
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import numpy as np
import pytest
import soundfile

from stemsplitter.separation.layouts import SIX_STEMS

from ..acceptance.server import Server

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT_S = 120


def run(name: str, *arguments: str | Path, environment: dict[str, str], folder: Path) -> str:
    """Run an example in a folder, with warnings as errors. Returns its standard output."""
    command = [sys.executable, "-W", "error", EXAMPLES / name, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_listed_and_tested() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    listed = set(
        re.findall(r"^\| \[`(\w+\.py)`\]", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    )
    assert programs == listed
    assert all(f'"{name}"' in Path(__file__).read_text("utf-8") for name in programs)


def test_separate_song_writes_every_stem(song: Path, environment: dict[str, str], tmp_path: Path) -> None:
    printed = run("separate_song.py", song, environment=environment, folder=tmp_path)
    assert "2.0 s of audio at" in printed
    for stem in SIX_STEMS:
        assert soundfile.info(tmp_path / "stems" / song.stem / f"{stem}.flac").frames == 88_200


def test_mix_instrumental_has_the_songs_length(
    song: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    run("mix_instrumental.py", song, "mix.wav", environment=environment, folder=tmp_path)
    mix, rate = soundfile.read(tmp_path / "mix.wav")
    whole, _ = soundfile.read(song)
    assert (mix.shape, rate) == (whole.shape, 44_100)
    assert 0 < np.abs(mix).max() <= 1


def test_show_progress_ends_at_100_percent(song: Path, environment: dict[str, str], tmp_path: Path) -> None:
    lines = run("show_progress.py", song, "out", environment=environment, folder=tmp_path).splitlines()
    assert lines[-2].startswith("100%") and lines[-1] == "6 stems in out"


def test_split_over_http_downloads_every_stem(
    server: Server, key: str, song: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    variables = environment | {"STEMSPLITTER_URL": server.url, "STEMSPLITTER_KEY": key}
    printed = run("split_over_http.py", song, environment=variables, folder=tmp_path)
    assert "succeeded" in printed
    for stem in SIX_STEMS:
        assert soundfile.info(tmp_path / "stems" / song.stem / f"{stem}.flac").frames == 88_200


def test_receive_webhook_accepts_signed_events_only(
    server: Server, key: str, site: str, tmp_path: Path
) -> None:
    with httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as api:
        secret = api.post("/v1/webhooks/secrets/rotate").json()["data"]["secret"]
        output = tmp_path / "output"
        with (
            output.open("wb") as log,
            subprocess.Popen(
                [sys.executable, "-W", "error", EXAMPLES / "receive_webhook.py"],
                env=os.environ | {"STEMSPLITTER_WEBHOOK_SECRET": secret, "PORT": "0"},
                stdout=log,
                stderr=log,
            ) as receiver,
        ):
            try:
                url = f"http://127.0.0.1:{_line(output, 1).rpartition(' ')[2]}/"
                assert httpx2.post(url, content=b'{"event": "forged"}').status_code == 401
                wanted = {"input": {"type": "direct_url", "url": f"{site}/song.flac"}, "webhookUrl": url}
                split = api.post("/v1/audio/splits", json=wanted).json()["data"]["id"]
                received = _line(output, 2)
            finally:
                receiver.kill()
    assert received == f"audio.split.completed {split} {', '.join(SIX_STEMS)}"


def test_batch_folder_reports_every_song(song: Path, environment: dict[str, str], tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    for name in ("one.flac", "two.flac"):
        (songs / name).write_bytes(song.read_bytes())
    (songs / "broken.mp3").write_bytes(b"no audio" * 100)
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / "batch_folder.py", "songs", "stems", "--stems", "2s"],
        cwd=tmp_path,
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    with (tmp_path / "stems" / "report.csv").open(newline="", encoding="utf-8") as file:
        rows = {Path(row["song"]).name: row for row in csv.DictReader(file)}
    assert {name: row["result"] for name, row in rows.items()} == {
        "one.flac": "ok",
        "two.flac": "ok",
        "broken.mp3": "failed",
    }
    assert rows["broken.mp3"]["message"] and rows["one.flac"]["seconds"] == "2.0"
    assert (tmp_path / "stems" / "two" / "vocals.flac").exists()


def _line(output: Path, number: int) -> str:
    """Wait until a process has printed this many lines. Returns the last of them."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        lines = output.read_text("utf-8").splitlines()
        if len(lines) >= number:
            return lines[number - 1]
        time.sleep(0.05)
    pytest.fail(output.read_text("utf-8"))
