"""Gapless decoding: start and end of the audio are exact to the sample in every container."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

LENGTHS = (441, 20480, 34560, 44100, 50001)

# FFmpeg's formats that state their exact length: codec, file extension.
EXACT = [
    ("libmp3lame", "mp3"),
    ("aac", "m4a"),
    ("aac", "mp4"),
    ("alac", "m4a"),
    ("flac", "flac"),
    ("flac", "mkv"),
    ("libopus", "opus"),
    ("libopus", "mp4"),
    ("pcm_s16le", "wav"),
    ("pcm_s24be", "aiff"),
    ("pcm_f32le", "mkv"),
    ("pcm_f64le", "wav"),
]


@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize(("codec", "ending"), EXACT)
def test_length_and_start_are_exact(tmp_path, noise, mux, decode, offset, codec, ending, samples):
    signal = noise(samples)
    decoded = decode(mux(tmp_path / f"song.{ending}", signal, 48000, codec))
    assert decoded.shape == signal.shape
    if samples > 1000:  # Ten milliseconds are too short to align.
        assert offset(signal, decoded) == 0


@pytest.mark.parametrize("samples", [20480, 50001])
def test_opus_in_webm_is_exact(tmp_path, noise, mux, decode, offset, samples):
    signal = noise(samples)
    decoded = decode(mux(tmp_path / "song.webm", signal, 48000, "libopus"))
    assert decoded.shape == signal.shape
    assert offset(signal, decoded) == 0


@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize("channels", [1, 2])
def test_vorbis_encoded_by_libvorbis_is_exact(tmp_path, noise, decode, offset, samples, channels):
    signal = noise(samples, channels)
    path = tmp_path / "song.ogg"
    with soundfile.SoundFile(path, "w", 44100, channels, format="OGG", subtype="VORBIS") as file:
        for start in range(0, samples, 4096):
            file.write(np.ascontiguousarray(signal[:, start : start + 4096].T))
    decoded = decode(path)
    assert decoded.shape == signal.shape
    reference = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    assert np.abs(decoded - reference).max() < 1e-4
    if samples > 1000:
        assert offset(signal, decoded) == 0


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg command is not installed")
@pytest.mark.parametrize("samples", LENGTHS)
def test_vorbis_encoded_by_ffmpeg_is_exact(tmp_path, noise, write, decode, offset, samples):
    """Granule positions begin at 0, which FFmpeg's demuxer misreads."""
    signal = noise(samples)
    wav = write(tmp_path / "song.wav", signal)
    command = ["ffmpeg", "-v", "error", "-i", wav, "-c:a", "libvorbis", tmp_path / "song.ogg"]
    subprocess.run(command, check=True, timeout=60)
    decoded = decode(tmp_path / "song.ogg")
    assert decoded.shape == signal.shape
    if samples > 1000:
        assert offset(signal, decoded) == 0


def test_two_concatenated_vorbis_songs_are_not_cut(tmp_path, noise):
    from stemsplitter.audio.decode import open_source

    parts = []
    for number in range(2):
        path = tmp_path / f"{number}.ogg"
        soundfile.write(path, noise(30000, seed=number).T, 44100, format="OGG", subtype="VORBIS")
        parts.append(path.read_bytes())
    both = tmp_path / "both.ogg"
    both.write_bytes(b"".join(parts))
    with open_source(both) as source:
        total = sum(block.shape[1] for block in source.blocks())
    assert 60000 <= total < 60000 + 2048
