"""Long songs: no artifacts at the borders of segments, and no more memory than a short song."""

import json
import os
from pathlib import Path

import numpy as np

from stemsplitter.separation.layouts import SIX_STEMS

from .command import Command
from .songs import dbfs, encode, read, sung

RATE = 44_100
SEGMENT = 12 * RATE  # slightly longer than the network's segment


def test_segment_borders_are_inaudible(command: Command, tmp_path: Path) -> None:
    """A song and its first half have the same stems, except in the last segment of the half.

    The half ends in the middle of a segment of the song, so the network's input differs there.
    """
    song = sung(47 * RATE)
    half = song[:, : song.shape[1] // 2]
    encode(tmp_path / "whole.wav", song, RATE, "pcm_f32le")
    encode(tmp_path / "half.wav", half, RATE, "pcm_f32le")
    done = command("split", "whole.wav", "half.wav", "--format", "wav32f", "--json")
    assert (done.code, done.err) == (0, "")
    common = half.shape[1] - SEGMENT
    assert common > RATE * 10
    levels = []
    for name in SIX_STEMS:
        whole, part = (read(tmp_path / "stems" / song / f"{name}.wav")[0] for song in ("whole", "half"))
        levels.append(dbfs(whole[:, :common]))
        assert dbfs(whole[:, :common] - part[:, :common]) <= -60
    assert max(levels) > -20


def test_memory_does_not_grow_with_duration(command: Command, tmp_path: Path) -> None:
    """One minute fills all buffers; four minutes, whose stems have 500 MB, need no more memory."""
    peaks = {}
    for seconds in (60, 240):
        noise = np.random.default_rng(0).standard_normal((1, seconds * 8_000)).astype(np.float32) / 8
        encode(tmp_path / f"{seconds}.wav", noise, 8_000, "pcm_s16le")
        peaks[seconds] = peak_memory(command, "split", f"{seconds}.wav", "--json")
    assert peaks[240] <= 1.1 * peaks[60]


def peak_memory(command: Command, *arguments: str) -> int:
    """Run a command. Returns its maximum resident memory, in the unit of the system."""
    with command.started(*arguments) as process:
        assert process.stdout is not None
        last = process.stdout.readlines()[-1]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert json.loads(last) == {"event": "finished", "separated": 1, "skipped": 0, "failed": 0}
    return usage.ru_maxrss
