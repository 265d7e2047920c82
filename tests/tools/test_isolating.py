"""Isolation of files: the voice and the noise add up to the source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from stemsplitter.cli.main import app
from stemsplitter.errors import ModelError, RequestError
from stemsplitter.tools import isolating

RATE = 44_100


class Halving:
    """Networks that halve the signal."""

    def initial(self) -> dict[str, Any]:
        return {}

    def run(self, bands: Any, bins: Any, states: dict[str, Any]) -> tuple[Any, Any]:
        channels, frames = len(bands), bands.shape[2] - 2
        filters = np.zeros((channels, frames, 96, 5, 2), np.float32)
        filters[..., 2, 0] = 0.5
        gains = np.full((channels, 1, frames, 32), 0.5, np.float32)
        return gains, filters.reshape(channels, frames, 96, 10)


def write(path: Path, samples: int, channels: int = 2, rate: int = RATE) -> Path:
    song = np.random.default_rng(0).standard_normal((samples, channels)) * 0.1
    soundfile.write(path, song, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize(("samples", "channels", "rate"), [(200_000, 2, RATE), (1, 1, 8000), (9000, 1, 8000)])
def test_voice_and_noise_add_up_to_the_source(tmp_path: Path, samples: int, channels: int, rate: int) -> None:
    source = write(tmp_path / "talk.wav", samples, channels, rate)
    voice, noise = tmp_path / "voice.wav", tmp_path / "noise.wav"
    done = isolating.isolate_voice(source, voice, noise, Halving(), format="wav32f")  # type: ignore[arg-type]
    parts = [soundfile.read(path, dtype="float32")[0] for path in (voice, noise)]
    song = soundfile.read(source, dtype="float32")[0]
    assert (done.samples, done.sample_rate, done.gain) == (samples, rate, 1)
    assert np.abs(sum(parts) - song).max() < 1e-6
    if samples > 9000:
        error = (parts[0] - song / 2)[5000:-5000]
        # but for what is close to half of the sample rate, which resampling to 48 kHz and back removes
        assert np.square(error).mean() < 0.02 * np.square(song).mean()


def test_silence_stays_silent(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(9000), 8000)
    voice, noise = tmp_path / "voice.wav", tmp_path / "noise.wav"
    isolating.isolate_voice(tmp_path / "silence.wav", voice, noise, Halving())  # type: ignore[arg-type]
    for path in (voice, noise):
        samples, rate = soundfile.read(path)
        assert (len(samples), rate) == (9000, 8000) and not samples.any()


def test_recording_that_is_cut_short_is_isolated_with_a_warning(tmp_path: Path) -> None:
    source = write(tmp_path / "talk.wav", 20_000)
    source.write_bytes(source.read_bytes()[:80_000])
    voice, noise = tmp_path / "voice.wav", tmp_path / "noise.wav"
    done = isolating.isolate_voice(source, voice, noise, Halving())  # type: ignore[arg-type]
    assert 9000 < done.samples < 10_000
    assert len(done.warnings) == 1 and "cut short" in done.warnings[0]


def test_same_file_for_both_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "talk.wav", 100)
    with pytest.raises(RequestError, match="choose two names"):
        isolating.isolate_voice(source, tmp_path / "a.wav", tmp_path / "a.wav", Halving())  # type: ignore[arg-type]


def test_command_without_weights_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "1")
    source = write(tmp_path / "talk.wav", 100)
    done = CliRunner().invoke(app, ["isolate-voice", str(source), "-o", str(tmp_path / "out")])
    assert isinstance(done.exception, ModelError)
    assert "deepfilternet3 is not installed" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_command_writes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolating, "load_networks", lambda *_: Halving())
    monkeypatch.setattr("stemsplitter.catalogue.selection.ModelDownloader.first_available", lambda *_: None)
    source = write(tmp_path / "talk.wav", 5000)
    arguments = ["isolate-voice", str(source), "-o", str(tmp_path / "out"), "--format", "flac"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    names = ["talk (noise).flac", "talk (voice).flac"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert "exists: add --overwrite" in str(CliRunner().invoke(app, arguments).exception)
    assert CliRunner().invoke(app, [*arguments, "--overwrite", "--json"]).exit_code == 0
