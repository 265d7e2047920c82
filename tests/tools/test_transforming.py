"""Transformation of files: exact length, parts that sum, limited peaks, whole files or none."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemsplitter.analysis import transposed
from stemsplitter.audio.tags import Tags
from stemsplitter.effects import PitchShift, Reverb, apply
from stemsplitter.errors import AudioError, RequestError
from stemsplitter.library import Progress
from stemsplitter.tools import transformations
from stemsplitter.tools.transforming import transform

RATE = 22_050


def noise(samples: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, samples)).astype(np.float32) * 0.1


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples.T, rate, subtype="FLOAT")
    return path


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


@pytest.mark.parametrize("channels", [1, 2])
def test_length_and_channels_are_exact(tmp_path: Path, channels: int) -> None:
    song = write(tmp_path / "song.wav", noise(30_001, channels))
    made = {
        "pitch": (transformations.pitch(2.5), 30_001),
        "speed": (transformations.speed(1.25), round(30_001 / 1.25)),
        "tempo": (transformations.speed(0.9, keep_pitch=True), round(30_001 / 0.9)),
        "slowed": (
            transformations.slowed_reverb(0.85, decay=0.5),
            round(30_001 / 0.85) + Reverb(RATE, channels, 0.5).tail,
        ),
    }
    for name, (change, samples) in made.items():
        result = transform(song, tmp_path / f"{name}.wav", change, format="wav32f")
        assert read(result.path).shape == (channels, result.samples) == (channels, samples)
        assert result.sample_rate == RATE
        assert not result.drums_apart


def test_drums_and_rest_are_transformed_apart_and_added(tmp_path: Path) -> None:
    drums, rest = noise(70_000, seed=1), noise(70_000, seed=2)
    song, beat = write(tmp_path / "song.wav", drums + rest), write(tmp_path / "drums.wav", drums)
    change = transformations.pitch(-3, formants=True)
    result = transform(song, tmp_path / "out.wav", change, format="wav32f", drums=beat)
    assert result.drums_apart
    parts = [
        np.concatenate(list(apply(effect, [part])), axis=1)
        for effect, part in (
            (PitchShift(RATE, 2, -3, formants=True), rest),
            (PitchShift(RATE, 2, -3, drums=True), drums),
        )
    ]
    assert np.abs(read(result.path) - sum(parts)).max() < 1e-4


def test_drums_do_not_matter_where_the_pitch_follows_the_speed(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", noise(5000))
    result = transform(song, tmp_path / "out.wav", transformations.speed(1.25), drums=song)
    assert not result.drums_apart


@pytest.mark.parametrize(("samples", "channels", "rate"), [(4999, 2, RATE), (5001, 2, RATE), (5000, 1, RATE)])
def test_drums_of_another_song_are_refused(tmp_path: Path, samples: int, channels: int, rate: int) -> None:
    song = write(tmp_path / "song.wav", noise(5000))
    drums = write(tmp_path / "drums.wav", noise(samples, channels), rate)
    with pytest.raises(AudioError, match=r"drums\.wav is not the drums of this song"):
        transform(song, tmp_path / "out.wav", transformations.pitch(1), drums=drums)
    assert not (tmp_path / "out.wav").exists()


def test_peaks_are_limited_but_not_in_a_float_file(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", noise(20_000) * 20)
    change = transformations.speed(0.9)
    limited = transform(song, tmp_path / "limited.flac", change, format="flac")
    kept = transform(song, tmp_path / "kept.wav", change, format="wav32f")
    assert np.abs(read(kept.path)).max() > 2
    over = np.abs(read(limited.path)) >= 0.999
    assert 0 < over.sum() < 200  # only the peaks touch full scale


@pytest.mark.parametrize("samples", [np.zeros((1, 9000), np.float32), np.full((1, 1), 0.5, np.float32)])
def test_silence_and_one_sample_give_a_result(tmp_path: Path, samples: np.ndarray) -> None:
    song = write(tmp_path / "song.wav", samples, 8000)
    for change in (transformations.pitch(-12), transformations.slowed_reverb(0.8)):
        result = transform(song, tmp_path / "out.wav", change)
        assert result.samples >= samples.shape[1]


def test_tags_name_the_transformation_and_progress_reaches_the_end(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", noise(200_000))
    seen: list[Progress] = []
    result = transform(
        song, tmp_path / "a.mp3", transformations.speed(1.5), format="mp3", progress=seen.append
    )
    assert result.samples == round(200_000 / 1.5)
    assert [step.fraction for step in seen] == sorted(step.fraction for step in seen)
    with soundfile.SoundFile(tmp_path / "titled.flac", "w", RATE, 2) as titled:
        titled.title = "Song"
        titled.write(noise(3000).T)
    transform(tmp_path / "titled.flac", tmp_path / "b.flac", transformations.pitch(2.5), format="flac")
    assert soundfile.SoundFile(tmp_path / "b.flac").title == "Song (+2.5 semitones)"


def test_invalid_parameters_are_refused_before_a_file_is_opened() -> None:
    for make in (
        lambda: transformations.pitch(13),
        lambda: transformations.speed(0),
        lambda: transformations.slowed_reverb(0.85, wet=2),
    ):
        with pytest.raises(RequestError, match="choose"):
            make()


@pytest.mark.parametrize(
    ("change", "bpm", "key"),
    [
        (transformations.pitch(2), "120", "G#m"),
        (transformations.pitch(2.5), "120", ""),
        (transformations.speed(1.25), "150", "Bbm"),
        (transformations.speed(0.9, keep_pitch=True), "108", "F#m"),
        (transformations.slowed_reverb(0.85), "102", "Ebm"),
    ],
)
def test_tags_of_tempo_and_key_follow(change: transformations.Transformation, bpm: str, key: str) -> None:
    changed = change.retagged(Tags(title="Lied", bpm="120", key="F#m"))
    assert (changed.title, changed.bpm, changed.key) == ("Lied", bpm, key)


@pytest.mark.parametrize(
    ("name", "semitones", "found"),
    [("C", -1, "B"), ("Bbm", 2.1, "Cm"), ("Db", 0, "Db"), ("8A", 0, "8A"), ("8A", 1, ""), ("", 3, "")],
)
def test_names_of_keys_are_transposed(name: str, semitones: float, found: str) -> None:
    assert transposed(name, semitones) == found
