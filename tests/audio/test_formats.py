"""Names, labels and sample rates of output formats."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.audio.formats import FORMATS, Format, OutputFormat, variants
from stemsplitter.audio.stemset import StemSet
from stemsplitter.errors import RequestError


@pytest.mark.parametrize(
    ("text", "canonical", "extension", "mime"),
    [
        ("wav", "wav24", "wav", "audio/wav"),
        ("WAV16 ", "wav16", "wav", "audio/wav"),
        ("wav32f", "wav32f", "wav", "audio/wav"),
        ("flac", "flac24", "flac", "audio/flac"),
        ("flac16", "flac16", "flac", "audio/flac"),
        ("mp3", "mp3:320", "mp3", "audio/mpeg"),
        ("mp3:192", "mp3:192", "mp3", "audio/mpeg"),
        ("mp3:128k", "mp3:128", "mp3", "audio/mpeg"),
        ("ogg", "ogg", "ogg", "audio/ogg"),
        ("m4a", "m4a:256", "m4a", "audio/mp4"),
        ("m4a:96", "m4a:96", "m4a", "audio/mp4"),
        ("opus", "opus:160", "opus", "audio/ogg"),
        ("aiff", "aiff24", "aiff", "audio/aiff"),
        ("alac16", "alac16", "m4a", "audio/mp4"),
    ],
)
def test_name_parses_to_its_canonical_format(text, canonical, extension, mime):
    fmt = OutputFormat.parse(text)
    assert (str(fmt), fmt.extension, fmt.mime) == (canonical, extension, mime)
    assert OutputFormat.parse(str(fmt)) == fmt


@pytest.mark.parametrize("text", ["", "wav8", "aif", "mp3:", "mp3:abc", "wav:24", "ogg:5", "flac32"])
def test_unknown_name_is_refused_with_the_list_of_names(text):
    with pytest.raises(RequestError, match=r"mp3 .*, wav \(wav16, wav24, wav32f\), flac .*, ogg, m4a"):
        OutputFormat.parse(text)


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (("wav", "32f", None), "wav32f"),
        (("wav", 16, None), "wav16"),
        (("mp3", None, 192), "mp3:192"),
        (("opus", None, None), "opus:160"),
        (("alac", None, None), "alac24"),
    ],
)
def test_format_is_chosen_by_depth_or_bit_rate(choice, name):
    assert str(OutputFormat.choose(*choice)) == name


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (("wma", None, None), "Unknown output format 'wma': choose one of mp3"),
        (("wav:24", None, None), "Unknown output format 'wav:24'"),
        (("flac", "32f", None), "flac has no bit depth of 32f: choose 16 or 24."),
        (("mp3", 16, None), "mp3 has no bit depth of 16: leave it out."),
        (("wav", None, 192), "wav has no bit rate to choose: leave it out."),
        (("mp3", None, 100), "mp3 has no bit rate of 100 kbit/s: choose one of 32, 40"),
        (("opus", None, 1000), "opus has no bit rate of 1000 kbit/s: choose one from 32 to 256."),
        (("opus", None, 99999), "opus has no bit rate of 99999 kbit/s"),
        (("opus", None, -1), "opus has no bit rate of -1 kbit/s"),
    ],
)
def test_format_without_the_depth_or_bit_rate_is_refused(choice, message):
    with pytest.raises(RequestError) as caught:
        OutputFormat.choose(*choice)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["mp3:100", "mp3:0", "mp3:500", "m4a:8", "m4a:9999"])
def test_unsupported_bit_rate_is_refused(text):
    with pytest.raises(RequestError, match="has no bit rate of"):
        OutputFormat.parse(text)


@pytest.mark.parametrize(
    ("text", "integer", "lossless"),
    [("wav", True, True), ("flac16", True, True), ("wav32f", False, True), ("mp3", False, False)],
)
def test_format_has_sample_type_and_lossless_flag(text, integer, lossless):
    fmt = OutputFormat.parse(text)
    assert (fmt.is_integer, fmt.entry.is_lossless) == (integer, lossless)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("mp3", "MP3, 320 kbit/s"),
        ("wav16", "WAV, 16-bit"),
        ("wav32f", "WAV, 32-bit float"),
        ("flac", "FLAC, 24-bit"),
        ("ogg", "Ogg Vorbis"),
        ("m4a:96", "M4A (AAC), 96 kbit/s"),
    ],
)
def test_label_names_depth_or_bit_rate(text, label):
    assert OutputFormat.parse(text).label == label


def test_variants_are_every_format_at_every_depth():
    assert [fmt.choice for fmt in variants()] == [
        *("mp3", "wav24", "wav16", "wav32f", "flac24", "flac16", "ogg", "m4a"),
        *("opus", "aiff24", "aiff16", "alac24", "alac16"),
    ]
    assert all(OutputFormat.parse(fmt.choice) == OutputFormat.parse(str(fmt)) == fmt for fmt in variants())


class ToyEncoder:
    """Stores samples as raw float32."""

    def __init__(self, file):
        self._file = file

    def write(self, block):
        self._file.write(block.T.tobytes())

    def finish(self):
        self._file.flush()

    def close(self):
        pass


def open_toy(file, fmt, rate, channels, tags):
    return ToyEncoder(file)


def test_one_registration_adds_a_format(tmp_path, noise, monkeypatch):
    toy = Format("toy", "Toy", "audio/x-toy", f"{__name__}:open_toy", is_lossless=True, rates=(8000, 44100))
    monkeypatch.setitem(FORMATS, "toy", toy)
    fmt = OutputFormat.parse("toy")
    assert (str(fmt), fmt.extension, fmt.mime, fmt.label) == ("toy", "toy", "audio/x-toy", "Toy")
    assert fmt in list(variants()) and fmt.supported_rate(16000) == 44100
    signal = noise(3000)
    with StemSet({"vocals": tmp_path / "vocals.toy"}, fmt, 44100, 2) as stems:
        stems.write({"vocals": signal})
        (written,) = stems.commit()
    assert written.path == tmp_path / "vocals.toy"
    stored = np.frombuffer(written.path.read_bytes(), np.float32).reshape(-1, 2).T
    np.testing.assert_array_equal(stored, signal)


def test_manual_lists_the_registered_formats():
    """docs/formats.md has a row for each format, with its names, label, media type and sample rates."""
    manual = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    for entry in FORMATS.values():
        names = [entry.name, *(entry.name + depth for depth in sorted(entry.depths))]
        names += [f"{entry.name}:192"] if entry.bitrates else []
        bounds = dict.fromkeys(f"{rate / 1000:g}" for rate in (*entry.rates[:1], *entry.rates[-1:]))
        rates = f"{' to '.join(bounds)} kHz" if entry.rates else "any"
        cells = [", ".join(f"`{name}`" for name in names), entry.label, f"`{entry.media_type}`", rates]
        assert f"| {' | '.join(cells)} | " in manual


@pytest.mark.parametrize(
    ("text", "rate", "supported"),
    [
        ("mp3", 44100, 44100),
        ("mp3", 96000, 48000),
        ("mp3", 88200, 44100),
        ("mp3", 192000, 48000),
        ("mp3", 64000, 32000),
        ("mp3", 37800, 44100),
        ("mp3", 9000, 11025),
        ("m4a", 96000, 96000),
        ("m4a", 176400, 88200),
        ("m4a", 192000, 96000),
        ("ogg", 192000, 192000),
        ("opus", 44100, 48000),
        ("opus", 192000, 48000),
        ("alac", 88200, 88200),
        ("wav", 12345, 12345),
        ("flac", 96000, 96000),
    ],
)
def test_supported_rate_is_the_expected_rate(text, rate, supported):
    assert OutputFormat.parse(text).supported_rate(rate) == supported


@given(st.integers(8000, 192000), st.sampled_from(["mp3", "m4a", "ogg", "wav"]))
def test_supported_rate_is_idempotent(rate, text):
    fmt = OutputFormat.parse(text)
    supported = fmt.supported_rate(rate)
    assert fmt.supported_rate(supported) == supported
    assert supported >= min(rate, 32000)
