"""The names of output formats and the sample rates they have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.audio.formats import OutputFormat
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
    ],
)
def test_names(text, canonical, extension, mime):
    fmt = OutputFormat.parse(text)
    assert (str(fmt), fmt.extension, fmt.mime) == (canonical, extension, mime)
    assert OutputFormat.parse(str(fmt)) == fmt


@pytest.mark.parametrize("text", ["", "wav8", "aiff", "mp3:", "mp3:abc", "wav:24", "ogg:5", "flac32"])
def test_unknown_names_are_answered_with_the_list(text):
    with pytest.raises(RequestError, match=r"wav \(wav16, wav24, wav32f\), flac .*, mp3 .*, ogg, m4a"):
        OutputFormat.parse(text)


@pytest.mark.parametrize("text", ["mp3:100", "mp3:0", "mp3:500", "m4a:8", "m4a:9999"])
def test_bit_rates_that_do_not_exist(text):
    with pytest.raises(RequestError, match="has no bit rate of"):
        OutputFormat.parse(text)


@pytest.mark.parametrize(
    ("text", "integer", "lossy"),
    [("wav", True, False), ("flac16", True, False), ("wav32f", False, False), ("mp3", False, True)],
)
def test_kinds(text, integer, lossy):
    fmt = OutputFormat.parse(text)
    assert (fmt.is_integer, fmt.is_lossy) == (integer, lossy)


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
        ("wav", 12345, 12345),
        ("flac", 96000, 96000),
    ],
)
def test_supported_rates(text, rate, supported):
    assert OutputFormat.parse(text).supported_rate(rate) == supported


@given(st.integers(8000, 192000), st.sampled_from(["mp3", "m4a", "ogg", "wav"]))
def test_a_supported_rate_stays(rate, text):
    fmt = OutputFormat.parse(text)
    supported = fmt.supported_rate(rate)
    assert fmt.supported_rate(supported) == supported
    assert supported >= min(rate, 32000)
