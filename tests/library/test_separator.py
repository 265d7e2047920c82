"""The Separator with the toy model."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.peaks import Peaks
from stemsplitter.audio.tags import Tags
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import AudioError, ModelError, OutputError, RequestError, Stopped
from stemsplitter.library import Progress, Separator
from stemsplitter.library.verification import verify_files
from tests.separation.toy_model import ToyModel

Waveform = NDArray[np.float32]
Noise = Callable[..., Waveform]
Make = Callable[..., Separator]


@pytest.fixture
def song(tmp_path: Path, noise: Noise) -> Path:
    return _write(tmp_path / "Ein Lied.wav", noise(50_000))


def _write(path: Path, samples: Waveform, rate: int = 44_100, format: str = "wav32f") -> Path:
    tags = Tags(title="Ein Lied", artist="Wir")
    with StemWriter(path, OutputFormat.parse(format), rate, len(samples), tags) as writer:
        writer.write(samples)
        writer.commit()
    return path


def _read(path: Path) -> tuple[Waveform, Any]:
    with open_source(path) as source:
        return np.concatenate(list(source.blocks()), axis=1), source.info


def test_stems_of_an_array_sum_to_it(make: Make, noise: Noise) -> None:
    mixture = noise(30_000)
    result = make(stems="4s").separate(mixture)
    assert list(result.stems) == ["vocals", "drums", "bass", "other"]
    np.testing.assert_allclose(sum(result.stems.values()), mixture, atol=1e-5)
    assert result.residual_dbfs < -100
    assert (result.samples, result.sample_rate, result.complete) == (30_000, 44_100, True)


def test_a_file_and_its_samples_have_the_same_stems(make: Make, song: Path) -> None:
    by_file = make().separate(song)
    by_array = make().separate(_read(song)[0])
    for name, stem in by_file.stems.items():
        np.testing.assert_array_equal(stem, by_array.stems[name])


def test_instrumental_is_the_mixture_minus_vocals(make: Make, noise: Noise) -> None:
    mixture = noise(30_000)
    stems = make(stems="2s").separate(mixture).stems
    np.testing.assert_allclose(stems["instrumental"], mixture - stems["vocals"], atol=1e-5)


@pytest.mark.parametrize("instruments", ["drums, vocals", ["vocals", "drums"]])
def test_stems_of_absent_instruments_are_silent(
    make: Make, song: Path, tmp_path: Path, instruments: str | list[str]
) -> None:
    result = make(stems="4s").separate(song, instruments=instruments)
    assert {name for name, stem in result.stems.items() if stem.any()} == {"vocals", "drums"}
    np.testing.assert_allclose(sum(result.stems.values()), _read(song)[0], atol=1e-5)
    files = make(stems="4s").separate_to(song, tmp_path / "out", instruments=instruments).files
    assert {file.name for file in files if _read(file.path)[0].any()} == {"vocals", "drums"}


def test_an_unknown_instrument_is_rejected(make: Make, song: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="There is no instrument 'choir'"):
        make().separate(song, instruments="vocals,choir")
    with pytest.raises(RequestError, match="There is no instrument 'choir'"):
        make().separate_to(song, tmp_path / "out", instruments=["choir"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["wav16", "flac", "aiff", "alac"])
def test_integer_stems_and_complements_sum_to_the_song_exactly(
    make: Make, song: Path, tmp_path: Path, format: str
) -> None:
    result = make(stems="no_drums,drums,vocals,no_vocals").separate_to(song, tmp_path / "out", format=format)
    stems = {file.name: _read(file.path)[0].astype(np.float64) for file in result.files}
    full = 2 ** (OutputFormat.parse(format).bits - 1)
    mixture = np.rint(_read(song)[0].astype(np.float64) * full)
    for name in ("drums", "vocals"):
        np.testing.assert_array_equal((stems[name] + stems[f"no_{name}"]) * full, mixture)
    alone = make(stems="4s").separate_to(song, tmp_path / "all", format=format)
    total = sum(_read(file.path)[0].astype(np.float64) for file in alone.files)
    np.testing.assert_array_equal(total * full, mixture)


def test_one_dimension_is_mono(make: Make, noise: Noise) -> None:
    result = make(stems="vocals").separate(noise(5_000, 1)[0])
    assert result.stems["vocals"].shape == (1, 5_000)
    assert not result.complete


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 0)), np.zeros((3, 100)), np.zeros((1, 2, 3)), np.zeros((2, 100), np.int64)],
    ids=["no samples", "three channels", "three axes", "integers"],
)
def test_arrays_that_are_not_audio_are_rejected(make: Make, array: Any) -> None:
    with pytest.raises(AudioError, match="is not audio"):
        make().separate(array)


def test_samples_that_are_not_numbers_are_taken_as_zero(make: Make, noise: Noise) -> None:
    mixture = noise(10_000)
    mixture[:, 100:103] = np.nan
    result = make().separate(mixture)
    assert result.warnings == (
        "6 samples were not numbers (NaN or infinite) or out of range; they are set to zero.",
    )
    assert all(np.isfinite(stem).all() for stem in result.stems.values())
    assert np.isnan(mixture).any()  # the caller's array is untouched


@pytest.mark.parametrize("format", ["wav16", "wav", "wav32f", "flac", "mp3", "ogg", "m4a"])
def test_files_have_the_length_rate_and_tags_of_the_song(
    make: Make, song: Path, tmp_path: Path, format: str
) -> None:
    result = make().separate_to(song, tmp_path / "out", format=format)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        f"{name}.{OutputFormat.parse(format).extension}" for name in ToyModel.stems
    )
    for file in result.files:
        samples, info = _read(file.path)
        assert samples.shape == (2, 50_000)
        assert info.sample_rate == 44_100
        assert info.tags.title == f"Ein Lied ({file.name})"
    assert verify_files(song, result).residual_dbfs < (
        -80 if OutputFormat.parse(format).entry.is_lossless else -30
    )


def test_lossless_float_files_are_the_arrays(make: Make, song: Path, tmp_path: Path) -> None:
    arrays = make().separate(song).stems
    for file in make().separate_to(song, tmp_path / "out", format="wav32f").files:
        np.testing.assert_array_equal(_read(file.path)[0], arrays[file.name])


def test_peaks_are_those_of_the_files(make: Make, tmp_path: Path, noise: Noise) -> None:
    hot = _write(
        tmp_path / "hot.wav", noise(60_000) * 6
    )  # stems exceed full scale: the files have another gain
    result = make().separate_to(hot, tmp_path / "out", format="wav16", peaks=True)
    assert result.gain < 1 and result.peaks is not None
    again = Peaks(ToyModel.stems, 44_100)
    again.add({file.name: _read(file.path)[0] for file in result.files})
    measured, expected = (json.loads(peaks) for peaks in (result.peaks.encode(result.gain), again.encode()))
    assert measured["samples"] == expected["samples"] == 60_000
    for name in ToyModel.stems:
        both = (
            np.frombuffer(base64.b64decode(told["stems"][name]), np.int8) for told in (measured, expected)
        )
        np.testing.assert_allclose(*both, atol=1)  # 16 bits are rounded


def test_a_stem_file_contains_the_mixture_and_four_stems(make: Make, song: Path, tmp_path: Path) -> None:
    result = make(stems="4s").separate_to(song, tmp_path / "out", format="stem.mp4")
    (path,) = {file.path for file in result.files}
    assert path.name == "Ein Lied.stem.mp4"
    assert -80 < verify_files(song, result).residual_dbfs < -30
    with pytest.raises(RequestError, match="choose 4s"):
        make(stems="2s").separate_to(song, tmp_path / "other", format="stem.mp4")
    assert not (tmp_path / "other").exists()


def test_a_stem_file_of_a_mono_song_is_verified(make: Make, tmp_path: Path, noise: Noise) -> None:
    song = _write(tmp_path / "Mono.wav", noise(50_000, 1))
    result = make(stems="4s").separate_to(song, tmp_path / "out", format="stem.mp4")
    assert -80 < verify_files(song, result).residual_dbfs < -30
    other = _write(tmp_path / "Other.wav", -noise(50_000, 1))
    assert verify_files(other, result).residual_dbfs > -20


def test_the_longest_name_is_shortened_for_its_extension(make: Make, tmp_path: Path, noise: Noise) -> None:
    song = _write(tmp_path / ("n" * 251 + ".wav"), noise(5_000))
    result = make(stems="4s").separate_to(song, tmp_path / "out", format="stem.mp4")
    assert result.files[0].path.name == "n" * 246 + ".stem.mp4"


@pytest.mark.parametrize("rate", [0, -44_100, 7_999, 192_001])
def test_rates_out_of_range_are_rejected(
    rate: int, make: Make, song: Path, tmp_path: Path, noise: Noise
) -> None:
    with pytest.raises(RequestError, match="8000 to 192000"):
        make().separate_to(song, tmp_path / "out", sample_rate=rate)
    with pytest.raises(AudioError, match="8000 to 192000"):
        make().separate(noise(5_000), sample_rate=rate)
    assert not (tmp_path / "out").exists()


def test_tracks_of_a_stem_file_over_full_scale_get_one_gain(make: Make, tmp_path: Path, noise: Noise) -> None:
    hot, soft = (_write(tmp_path / f"{scale}.wav", noise(60_000) * scale) for scale in (6, 1))
    scaled = make(stems="4s").separate_to(hot, tmp_path / "hot", format="stem.mp4")
    plain = make(stems="4s").separate_to(soft, tmp_path / "soft", format="stem.mp4")
    assert plain.gain == 1
    assert scaled.gain == pytest.approx(1 / np.abs(_read(hot)[0]).max(), rel=1e-4)
    # the higher level accounts for 6 dB of it
    difference = verify_files(hot, scaled).residual_dbfs - verify_files(soft, plain).residual_dbfs
    assert difference < 12


def test_stems_have_the_requested_rate(make: Make, tmp_path: Path, noise: Noise) -> None:
    source = _write(tmp_path / "high.wav", noise(96_000), rate=96_000)
    result = make().separate_to(source, tmp_path / "out", sample_rate=44_100)
    assert (result.sample_rate, result.samples) == (44_100, 44_100)
    assert verify_files(source, result).residual_dbfs < -90


def test_h2_stems_of_a_song_at_a_high_rate_can_be_limited(make: Make, tmp_path: Path, noise: Noise) -> None:
    source = _write(tmp_path / "high.wav", noise(9_600), rate=96_000)
    limited = make().separate_to(source, tmp_path / "limited", max_sample_rate=48_000)
    whole = make().separate_to(source, tmp_path / "whole")
    assert (limited.sample_rate, whole.sample_rate) == (48_000, 96_000)


def test_stems_have_the_nearest_rate_of_the_format(make: Make, tmp_path: Path, noise: Noise) -> None:
    source = _write(tmp_path / "high.wav", noise(9_600), rate=96_000)
    result = make().separate_to(source, tmp_path / "out", format="mp3")
    assert (result.sample_rate, result.samples) == (48_000, 4_800)


def test_stems_that_would_clip_get_one_gain(make: Make, tmp_path: Path, noise: Noise) -> None:
    source = _write(tmp_path / "hot.wav", noise(20_000) * 40)
    result = make().separate_to(source, tmp_path / "out", format="wav24")
    assert result.gain < 1
    assert max(file.peak for file in result.files) == pytest.approx(1, abs=1e-6)
    assert verify_files(source, result).residual_dbfs < -120


def test_progress_rises_to_one(make: Make, song: Path, tmp_path: Path) -> None:
    reports: list[Progress] = []
    make().separate_to(song, tmp_path / "out", progress=reports.append)
    fractions = [progress.fraction for progress in reports]
    assert len(fractions) > 10
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert reports[-1].seconds == pytest.approx(50_000 / 44_100)
    assert reports[-1].speed > 0


def test_a_stop_leaves_no_files(make: Make, song: Path, tmp_path: Path, toy_model: ToyModel) -> None:
    seen: list[Progress] = []
    with pytest.raises(Stopped):
        make().separate_to(song, tmp_path / "new" / "out", progress=seen.append, stop=lambda: len(seen) >= 3)
    assert len(seen) == 3
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("format", ["wav", "mp3", "stem.mp4"])
def test_a_failure_leaves_no_files(
    make: Make, song: Path, tmp_path: Path, toy_model: ToyModel, format: str
) -> None:
    toy_model.fail_at = 5
    with pytest.raises(RuntimeError, match="the network broke"):
        make(stems="4s").separate_to(song, tmp_path / "out", format=format)
    assert not (tmp_path / "out").exists()


def test_a_song_over_the_limit_is_rejected(make: Make, song: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="limit"):
        make().separate_to(song, tmp_path / "out", max_seconds=1)
    assert not (tmp_path / "out").exists()


def test_verification_finds_a_file_of_another_length(
    make: Make, song: Path, tmp_path: Path, noise: Noise
) -> None:
    result = make().separate_to(song, tmp_path / "out")
    _write(result.files[0].path, noise(49_999))
    with pytest.raises(OutputError, match="49999 samples where the song has 50000"):
        verify_files(song, result)


def test_a_subset_of_stems_has_no_residual(make: Make, song: Path, tmp_path: Path) -> None:
    result = make(stems="vocals,bass").separate_to(song, tmp_path / "out")
    assert verify_files(song, result).residual_dbfs is None


def test_impossible_requests_are_rejected(make: Make, song: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="guitar"):
        make(stems="6s")
    with pytest.raises(RequestError, match="output format"):
        make().separate_to(song, tmp_path / "out", format="xm")
    with pytest.raises(RequestError, match="device"):
        make(device="abacus")
    with pytest.raises(RequestError, match="precision"):
        make(precision="fp7")


@pytest.mark.parametrize(("stems", "count"), [(None, 6), ("4s", 4), ("2s", 2)])
def test_the_default_is_the_first_installed_model(
    stems: str | None, count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_model: ToyModel
) -> None:
    monkeypatch.setattr("stemsplitter.catalogue.opening.load_model", lambda *_: toy_model)
    made = Separator(stems=stems, store=ModelStore(tmp_path))
    assert made.entry.name == "builtin_6s" and len(made.stems) == count


def test_notes_of_a_model_are_warnings_of_each_result(make: Make, toy_model: ToyModel, noise: Noise) -> None:
    toy_model.notes = ("It is a toy.",)
    made = make()
    assert made.notes == ("It is a toy.",)
    samples = noise(1_000)
    samples[0, 3] = np.nan
    note, other = made.separate(samples).warnings
    assert note == "It is a toy." and "not numbers" in other


def test_missing_weights_say_how_to_install_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="stemsplitter models pull htdemucs_6s"):
        Separator("htdemucs_6s", store=ModelStore(tmp_path))


@pytest.mark.parametrize(
    ("options", "name", "overlap"),
    [
        ({"quality": "fast"}, "builtin_6s", None),
        ({"quality": "balanced"}, "scnet_large", None),
        ({"quality": "best"}, "scnet_large", 0.5),
        ({"quality": "best", "overlap": 0.3}, "scnet_large", 0.3),
        ({}, "builtin_6s", None),
    ],
)
def test_a_quality_chooses_model_and_overlap(
    options: dict[str, Any],
    name: str,
    overlap: float | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    toy_model: ToyModel,
) -> None:
    monkeypatch.setattr("stemsplitter.catalogue.opening.load_model", lambda *_: toy_model)
    store = ModelStore(tmp_path / "models")
    monkeypatch.setattr(store, "is_ready", lambda name: name in ("scnet_large", "builtin_6s"))
    separator = Separator(stems="4s", store=store, **options)
    assert (separator.entry.name, separator._overlap, separator.notes) == (name, overlap, ())


def test_a_quality_without_its_model_is_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_model: ToyModel, noise: Noise
) -> None:
    monkeypatch.setattr("stemsplitter.catalogue.opening.load_model", lambda *_: toy_model)
    separator = Separator(quality="best", stems="4s", store=ModelStore(tmp_path / "models"))
    assert separator.entry.name == "builtin_6s" and "models pull scnet_large" in separator.notes[0]


@pytest.mark.parametrize("options", [{"quality": "great"}, {"quality": "best", "model": "htdemucs"}])
def test_a_wrong_quality_is_rejected(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="choose"):
        Separator(store=ModelStore(tmp_path), **options)


def test_with_stems_shares_the_loaded_model(make: Make, noise: Noise, toy_model: ToyModel) -> None:
    first = make(stems="4s")
    second = first.with_stems(("vocals", "instrumental"))
    assert (first.stems[-1], second.stems) == ("other", ("vocals", "instrumental"))
    mixture = noise(9_000)
    np.testing.assert_allclose(sum(second.separate(mixture).stems.values()), mixture, atol=1e-5)
    assert (second._overlap, first.with_stems("4s", overlap=0.5)._overlap) == (None, 0.5)
    with pytest.raises(RequestError):
        first.with_stems(("guitar",))
    with pytest.raises(RequestError, match="cannot overlap by 1"):
        first.with_stems("4s", overlap=1)
