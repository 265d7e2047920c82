"""Encoding of stems: exact in every format, tagged, and atomic."""

import io
import shutil
import subprocess

import av
import numpy as np
import pytest
import soundfile

from stemsplitter.audio import encoders, lame
from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.encoders import open_wav, quantize
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.errors import OutputError, RequestError

# Each format with the minimum signal-to-noise ratio in dB for low-pass noise.
FORMATS = {
    "wav16": 80,
    "wav24": 125,
    "wav32f": 200,
    "flac16": 80,
    "flac24": 125,
    "mp3": 45,
    "mp3:192": 25,
    "ogg": 15,
    "m4a": 20,
    "opus": 15,
    "aiff16": 80,
    "aiff24": 125,
    "alac16": 80,
    "alac24": 125,
}
RATES = {fmt: OutputFormat.parse(fmt).supported_rate(44100) for fmt in FORMATS}
LENGTHS = (441, 20480, 50001)
EVERY_RATE = [
    (fmt, rate)
    for fmt in FORMATS
    for rate in (8000, 22050, 44100, 48000, 96000, 192000)
    if OutputFormat.parse(fmt).supported_rate(rate) == rate
]


def snr(signal, decoded):
    noise = np.sum((decoded - signal) ** 2, dtype=np.float64)
    return 10 * np.log10(np.sum(signal**2, dtype=np.float64) / max(noise, 1e-30))


def write_in_blocks(path, fmt, rate, signal, tags=None, block=7777):
    with StemWriter(path, OutputFormat.parse(fmt), rate, len(signal), tags) as writer:
        for start in range(0, signal.shape[1], block):
            writer.write(signal[:, start : start + block])
        assert not path.exists()
        writer.commit()
        assert writer.samples == signal.shape[1]
    return path


@pytest.fixture(params=[True, False], ids=["lame", "ffmpeg"])
def either_lame(request, monkeypatch):
    """Run with LAME from lameenc, and with the fallback for a lameenc that does not export it."""
    if request.param and not lame.available():
        pytest.skip("lameenc does not export LAME's functions here")
    monkeypatch.setattr(lame, "available", lambda: request.param)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("fmt", "rate"), EVERY_RATE)
def test_length_and_alignment_are_exact_at_every_rate(tmp_path, noise, decode, offset, fmt, rate, channels):
    signal = noise(30001, channels)
    path = write_in_blocks(tmp_path / f"stem.{OutputFormat.parse(fmt).extension}", fmt, rate, signal)
    decoded = decode(path)
    assert decoded.shape == signal.shape
    assert offset(signal, decoded) == 0
    with open_source(path) as source:
        assert (source.info.sample_rate, source.info.channels) == (rate, channels)


@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_length_is_exact_and_error_is_bounded(tmp_path, noise, decode, fmt, samples):
    signal = noise(samples)
    path = write_in_blocks(tmp_path / f"stem.{OutputFormat.parse(fmt).extension}", fmt, RATES[fmt], signal)
    decoded = decode(path)
    assert decoded.shape == signal.shape
    if samples > 1000:
        assert snr(signal, decoded) > FORMATS[fmt]


@pytest.mark.parametrize("samples", [20480, 50001])
@pytest.mark.parametrize("fmt", ["mp3", "mp3:128"])
def test_both_mp3_encoders_are_exact(tmp_path, noise, decode, offset, either_lame, picture, fmt, samples):
    signal = noise(samples)
    tags = Tags("Song", "Singer", "Album", picture("png"), "image/png", bpm="120", key="Am")
    path = write_in_blocks(tmp_path / "stem.mp3", fmt, 44100, signal, tags)
    decoded = decode(path)
    assert decoded.shape == signal.shape
    assert offset(signal, decoded) == 0
    with open_source(path) as source:
        assert source.info.tags == tags


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg command is not installed")
@pytest.mark.parametrize("samples", [20480, 50001])
@pytest.mark.parametrize("fmt", FORMATS)
def test_ffmpeg_command_decodes_the_same_length_and_samples(tmp_path, noise, fmt, samples):
    """Old versions of ffmpeg also decode the padding at the end of an MP4."""
    signal = noise(samples)
    path = write_in_blocks(tmp_path / f"stem.{OutputFormat.parse(fmt).extension}", fmt, RATES[fmt], signal)
    other = tmp_path / "decoded.wav"
    command = ["ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-c:a", "pcm_f32le", other]
    subprocess.run(command, check=True, timeout=60)
    decoded = soundfile.read(other, dtype="float32")[0].T
    if fmt == "m4a":
        assert samples <= decoded.shape[1] < samples + 1024
        decoded = decoded[:, :samples]
        probe = ["ffprobe", "-v", "error", "-show_entries", "stream=duration_ts", "-of", "csv=p=0", path]
        assert int(subprocess.run(probe, check=True, timeout=60, capture_output=True).stdout) == samples
    assert decoded.shape == signal.shape
    assert snr(signal, decoded) > FORMATS[fmt]


@pytest.mark.parametrize("fmt", ["wav32f", "mp3", "mp3:128", "ogg", "opus"])
def test_samples_over_full_scale_are_not_clipped(tmp_path, noise, decode, fmt):
    signal = noise(30000) * 8
    path = tmp_path / f"s.{OutputFormat.parse(fmt).extension}"
    decoded = decode(write_in_blocks(path, fmt, 48000, signal))
    assert np.abs(decoded).max() > 3.5
    assert snr(signal, decoded) > 15


@pytest.mark.parametrize(
    "fmt", ["wav16", "wav24", "flac16", "flac24", "aiff16", "aiff24", "alac16", "alac24"]
)
def test_integer_formats_saturate_at_full_scale(tmp_path, decode, fmt):
    signal = np.array([[2, -2, 1, -1, 0.5]], np.float32)
    path = tmp_path / f"s.{OutputFormat.parse(fmt).extension}"
    decoded = decode(write_in_blocks(path, fmt, 44100, signal))
    step = 2.0 ** (1 - int(fmt[-2:]))
    np.testing.assert_array_equal(decoded, np.array([[1 - step, -1, 1 - step, -1, 0.5]], np.float32))


def test_quantize_rounds_to_nearest():
    values = np.array([[0.4, 0.6, -0.4, -0.6, 1.5, 2.5]], np.float32)
    np.testing.assert_array_equal(quantize(values / 2**15, 16), [[0, 1, 0, -1, 2, 2]])
    np.testing.assert_array_equal(quantize(values / 2**23, 24), np.array([[0, 1, 0, -1, 2, 2]]) << 8)


@pytest.mark.parametrize("codec", ["png", "mjpeg"])
@pytest.mark.parametrize("fmt", ["wav", "flac", "mp3", "ogg", "m4a", "opus", "aiff", "alac"])
def test_tags_and_cover_are_written(tmp_path, noise, picture, fmt, codec):
    mime = {"png": "image/png", "mjpeg": "image/jpeg"}[codec]
    song = Tags("Süßes 🎵", "Bjørk & 音楽", "L'Été", picture(codec), mime, bpm="98", key="F#m")
    rate = OutputFormat.parse(fmt).supported_rate(44100)
    path = write_in_blocks(tmp_path / f"stem.{fmt}", fmt, rate, noise(5000), song.for_stem("vocals"))
    with open_source(path) as source:
        tags = source.info.tags
    assert (tags.title, tags.artist, tags.album) == ("Süßes 🎵 (vocals)", "Bjørk & 音楽", "L'Été")
    assert (tags.cover, tags.cover_mime, tags.bpm, tags.key) == (song.cover, mime, "98", "F#m")
    with av.open(str(path)) as container:
        found = {**container.metadata, **container.streams.audio[0].metadata}
    assert "stem: vocals" in [
        value for key, value in found.items() if key.lower() in ("comment", "description")
    ]


def test_stem_is_the_title_of_an_untitled_song():
    assert Tags().for_stem("bass").title == "bass"


def test_wav_over_4_gib_is_rf64():
    """The file object stores only the first 4096 bytes."""

    class Head(io.RawIOBase):
        def __init__(self):
            self.at, self.length, self.data = 0, 0, bytearray(4096)

        def writable(self):
            return True

        def seekable(self):
            return True

        def tell(self):
            return self.at

        def seek(self, offset, whence=0):
            self.at = (0, self.at, self.length)[whence] + offset
            return self.at

        def write(self, data):
            part = bytes(data)[: max(0, 4096 - self.at)]
            self.data[self.at : self.at + len(part)] = part
            self.at += len(data)
            self.length = max(self.length, self.at)
            return len(data)

    head = Head()
    encoder = open_wav(head, OutputFormat.parse("wav16"), 192000, 2, Tags())
    encoder.write(np.zeros((2, 1000), np.float32))
    written, block = 1000, np.zeros((2, 1 << 24), np.int16)
    while written * 4 < 2**32:
        encoder._encoder._track.write(block)
        written += block.shape[1]
    encoder.finish()
    encoder.close()
    assert head.data[:4] == b"RF64"
    at = head.data.index(b"ds64") + 8
    assert int.from_bytes(head.data[at : at + 8], "little") == head.length - 8
    assert int.from_bytes(head.data[at + 8 : at + 16], "little") == written * 4


def test_aiff_over_4_gib_is_refused(tmp_path, noise, monkeypatch):
    monkeypatch.setattr(encoders, "_AIFF_BYTES", 20_000)
    writer = StemWriter(tmp_path / "stem.aiff", OutputFormat.parse("aiff"), 44100, 2)
    with writer, pytest.raises(OutputError, match=r"cannot exceed 4 GiB\): choose another format"):
        writer.write(noise(5000))
        writer.write(noise(5000))


def test_vorbis_block_of_three_minutes_is_encoded(tmp_path):
    """A single call of libsndfile with as many samples crashes."""
    signal = np.zeros((2, 44100 * 180), np.float32)
    with StemWriter(tmp_path / "stem.ogg", OutputFormat.parse("ogg"), 44100, 2) as writer:
        writer.write(signal)
        writer.commit()
    assert soundfile.info(tmp_path / "stem.ogg").frames == signal.shape[1]


@pytest.mark.parametrize("fmt", FORMATS)
def test_uncommitted_file_is_deleted(tmp_path, noise, fmt):
    path = tmp_path / f"stem.{OutputFormat.parse(fmt).extension}"
    with StemWriter(path, OutputFormat.parse(fmt), RATES[fmt], 2) as writer:
        writer.write(noise(5000))
        writer.finish()
    with StemWriter(path, OutputFormat.parse(fmt), RATES[fmt], 2) as writer:
        pass
    with pytest.raises(KeyError), StemWriter(path, OutputFormat.parse(fmt), RATES[fmt], 2) as writer:
        writer.write(noise(5000))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fmt", FORMATS)
def test_reread_yields_the_samples_before_commit(tmp_path, noise, fmt):
    signal = noise(20000)
    path = tmp_path / f"stem.{OutputFormat.parse(fmt).extension}"
    with StemWriter(path, OutputFormat.parse(fmt), RATES[fmt], 2) as writer:
        writer.write(signal)
        again = np.concatenate(list(writer.reread()), axis=1)
    assert again.shape == signal.shape and snr(signal, again) > FORMATS[fmt]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fmt", FORMATS)
def test_full_disk_raises_and_keeps_the_old_file(tmp_path, noise, fmt, file_size_limit, capfd):
    """A file size limit makes the same write fail as a full disk."""
    path = tmp_path / f"stem.{OutputFormat.parse(fmt).extension}"
    path.write_text("old content")
    signal = noise(60000)
    with file_size_limit(10_000), pytest.raises(OutputError) as caught:  # noqa: SIM117
        with StemWriter(path, OutputFormat.parse(fmt), RATES[fmt], 2) as writer:
            for _ in range(40):
                writer.write(signal)
            writer.commit()
    assert "cannot be written because" in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old content"
    del writer, caught
    assert capfd.readouterr() == ("", "")  # includes exceptions printed by PyAV


def test_unsupported_sample_rate_is_refused(tmp_path):
    with pytest.raises(RequestError, match="resample to 48000 Hz"):
        StemWriter(tmp_path / "stem.mp3", OutputFormat.parse("mp3"), 96000, 2)


def test_more_than_two_channels_are_refused(tmp_path):
    with pytest.raises(RequestError, match="1 or 2 channels, not 6"):
        StemWriter(tmp_path / "stem.wav", OutputFormat.parse("wav"), 44100, 6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("fmt", ["wav", "wav32f", "mp3"])
def test_nan_and_infinite_samples_are_refused(tmp_path, noise, fmt, value):
    """LAME would abort the process."""
    signal = noise(2000)
    signal[1, 1000] = value
    path = tmp_path / f"stem.{OutputFormat.parse(fmt).extension}"
    with StemWriter(path, OutputFormat.parse(fmt), 44100, 2) as writer, pytest.raises(OutputError) as caught:
        writer.write(signal)
    assert "samples are not numbers" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("block", [np.zeros((1, 10), np.float32), np.zeros((2, 10))])
def test_block_of_wrong_shape_or_type_is_refused(tmp_path, block):
    writer = StemWriter(tmp_path / "stem.wav", OutputFormat.parse("wav"), 44100, 2)
    with writer, pytest.raises(ValueError, match="a block is float32"):
        writer.write(block)


def test_encoder_error_becomes_an_output_error(tmp_path, noise, monkeypatch):
    def fail(*_args):
        raise RuntimeError("no more bits")

    monkeypatch.setattr(encoders.AvTrack, "write", fail)
    writer = StemWriter(tmp_path / "stem.wav", OutputFormat.parse("wav"), 44100, 2)
    with writer, pytest.raises(OutputError, match=r"stem\.wav cannot be encoded \(no more bits\)"):
        writer.write(noise(10))
