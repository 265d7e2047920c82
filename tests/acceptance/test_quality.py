"""What a long song needs: no seams where it is cut into segments, and no more memory than a short one."""

import json
import os
from pathlib import Path

import numpy as np

from stemsplitter.separation.layouts import SIX_STEMS

from .conftest import Command
from .songs import dbfs, encode, read, sung

RATE = 44_100
AWAY = 12 * RATE  # a little more than the network looks at at a time


def test_no_seam_where_a_song_is_cut(command: Command, tmp_path: Path) -> None:
    """A song and its first half, which ends in the middle of a segment, have the same stems.

    Everywhere but near the cut, where the network hears something else: at most a segment before it.
    """
    song = sung(47 * RATE)
    half = song[:, : song.shape[1] // 2]
    encode(tmp_path / "whole.wav", song, RATE, "pcm_f32le")
    encode(tmp_path / "half.wav", half, RATE, "pcm_f32le")
    done = command("split", "whole.wav", "half.wav", "--format", "wav32f", "--json")
    assert (done.code, done.err) == (0, "")
    away = half.shape[1] - AWAY
    assert away > RATE * 10
    heard = []
    for name in SIX_STEMS:
        whole, part = (read(tmp_path / "stems" / song / f"{name}.wav")[0] for song in ("whole", "half"))
        heard.append(dbfs(whole[:, :away]))
        assert dbfs(whole[:, :away] - part[:, :away]) <= -60
    assert max(heard) > -20


def test_memory_does_not_grow_with_the_length(command: Command, tmp_path: Path) -> None:
    """A minute fills all that is worked on at a time, ten need no more."""
    peaks = {}
    for seconds in (60, 600):
        noise = np.random.default_rng(0).standard_normal((1, seconds * 8_000)).astype(np.float32) / 8
        encode(tmp_path / f"{seconds}.wav", noise, 8_000, "pcm_s16le")
        peaks[seconds] = peak_memory(command, "split", f"{seconds}.wav", "--json")
    assert peaks[600] <= 1.1 * peaks[60]


def peak_memory(command: Command, *arguments: str) -> int:
    """The most memory that a run held at a time, in the system's unit."""
    with command.started(*arguments) as process:
        assert process.stdout is not None
        last = process.stdout.readlines()[-1]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert json.loads(last) == {"event": "finished", "separated": 1, "failed": 0}
    return usage.ru_maxrss
