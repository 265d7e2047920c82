import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("fluidsynth")
pytest.importorskip("pyworld")

import soundfile

from training import render
from training.render import RATE, Job
from training.score import SAMPLE_RATE, STEMS, Audio, Note, Part, Song

SONG = Song(
    "rock",
    120,
    2.0,
    (
        Part("guitar", "riff", (Note(0.2, 0.5, 45, 0.8), Note(1.0, 0.5, 52, 0.8))),
        Part("guitar", "strum", (Note(0.1, 0.8, 57, 0.8),)),
        Part("bass", "line", (Note(0.2, 0.5, 33, 0.9),)),
        Part("piano", "chords", ()),
    ),
)


class Tone:
    def play(self, notes: tuple[Note, ...], seconds: float, random: np.random.Generator) -> Audio:
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        sounding = sum((time > note.start) & (time < note.start + note.duration) for note in notes)
        return (0.5 * sounding * np.sin(2 * np.pi * random.uniform(200, 2000) * time))[np.newaxis].astype(
            np.float32
        )


@pytest.fixture(autouse=True)
def two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "compose", lambda random: SONG)
    monkeypatch.setattr(render, "player", lambda *arguments: Tone())


def test_writes_what_sounds_and_the_sum_is_within_full_scale(tmp_path: Path) -> None:
    for number in range(6):
        folder = render.render(Job(3, number, tmp_path, None))
        stems = {path.stem: soundfile.read(path, dtype="int16")[0] for path in folder.glob("*.flac")}
        assert set(stems) == {"guitar", "bass"}
        assert {(stem.shape, stem.dtype) for stem in stems.values()} == {((2 * RATE, 2), np.dtype(np.int16))}
        assert np.abs(sum(stem.astype(int) for stem in stems.values())).max() <= 32_767
        about = json.loads((folder / "song.json").read_text())
        assert about["style"] == "rock"
        assert [player["role"] for player in about["players"]] == ["riff", "strum", "line", "chords"]
    assert not list(tmp_path.glob("*.partial"))


def test_a_song_depends_on_its_seed_and_number_alone(tmp_path: Path) -> None:
    first, again, other = (
        soundfile.read(render.render(Job(3, number, tmp_path / name, None)) / "guitar.flac", dtype="int16")[0]
        for name, number in (("first", 1), ("again", 1), ("other", 2))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_nothing_half_written_counts_as_a_song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(3, 1, tmp_path, None)
    with monkeypatch.context() as broken:
        broken.setattr(render, "process", lambda audio, *arguments: np.full_like(audio, np.nan))
        assert "Song 1 of seed 3" in str(render.attempt(job))
    assert not job.folder.exists()
    assert (render.render(job) / "song.json").exists()


def test_several_runs_share_the_songs(tmp_path: Path) -> None:
    job = Job(3, 1, tmp_path, None)
    claim = tmp_path / "song_00001.partial"
    claim.mkdir()
    assert render.attempt(job) is None and not job.folder.exists()
    long_ago = claim.stat().st_mtime - 2 * render.STALE
    os.utime(claim, (long_ago, long_ago))
    assert render.attempt(job) == job.folder and (job.folder / "song.json").exists()
    assert render.attempt(job) is None and not claim.exists()


def test_songs_held_out_are_others_than_those_of_training(tmp_path: Path) -> None:
    training, held_out = (
        Job(3, 1, tmp_path, None, split).random.random() for split in ("training", "held-out")
    )
    assert training != held_out


def test_levels_are_typical_of_a_mix() -> None:
    random = np.random.default_rng(5)
    noise = {stem: random.normal(0, 0.01, (2, SAMPLE_RATE)).astype(np.float32) for stem in STEMS}
    levels = []
    for _ in range(10):
        stems, _ = render.mix(dict(noise), random)
        levels.extend(20 * np.log10(np.sqrt(np.mean(np.square(stem)))) for stem in stems.values())
    assert -24 < np.median(levels) < -17
    assert 1 < np.std(levels) < 6
