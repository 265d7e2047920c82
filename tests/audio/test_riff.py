"""Unusual and wrong WAV and AIFF headers (faults B, C, I, L, N, O)."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat

RATE = 44_100
SUBTYPE = bytes.fromhex("000000001000800000aa00389b71")


def read(path: Path, data: bytes | None = None):
    """Decode samples and warnings."""
    if data is not None:
        path.write_bytes(data)
    with open_source(path) as source:
        return np.concatenate(list(source.blocks()), axis=1), source.warnings


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return (
        name + struct.pack("<I", len(content) if size is None else size) + content + bytes(len(content) % 2)
    )


def wav(fmt: bytes, data: bytes, *before: bytes, size: int | None = None, name: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + chunk(b"fmt ", fmt) + b"".join(before) + chunk(b"data", data, size)
    return name + struct.pack("<I", min(len(body), 2**32 - 1)) + body


def plain(channels: int = 2, bits: int = 16, kind: int = 1) -> bytes:
    align = channels * bits // 8
    return struct.pack("<HHIIHH", kind, channels, RATE, RATE * align, align, bits)


def extensible(channels: int, container: int, valid: int, mask: int, kind: int = 1) -> bytes:
    align = channels * container // 8
    head = struct.pack("<HHIIHH", 0xFFFE, channels, RATE, RATE * align, align, container)
    return head + struct.pack("<HHIH", 22, valid, mask, kind) + SUBTYPE


def pcm(samples, bytes_per_sample: int = 2) -> bytes:
    steps = np.rint(samples.T.astype(np.float64) * 2 ** (8 * bytes_per_sample - 1)).astype("<i8")
    return steps.reshape(-1, 1).view(np.uint8).reshape(-1, 8)[:, :bytes_per_sample].tobytes()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "valid"), [(16, 12), (24, 20), (24, 24), (32, 20), (32, 24), (32, 32)])
def test_b_valid_bits_do_not_change_samples(tmp_path, noise, channels, container, valid):
    signal = np.rint(noise(3000, channels) * 2 ** (valid - 1)) / 2 ** (valid - 1)
    data = pcm(signal, container // 8)
    for fmt in (
        extensible(channels, container, valid, 0),
        extensible(channels, container, valid, 3 >> 2 - channels),
    ):
        samples, warnings = read(tmp_path / "song.wav", wav(fmt, data))
        assert warnings == []
        np.testing.assert_array_equal(samples, signal.astype(np.float32))


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 8])
def test_b_24_valid_bits_of_32_are_decoded_in_multichannel_files(tmp_path, noise, channels):
    signal = np.rint(noise(3000, channels) * 2**23) / 2**23
    samples, _ = read(tmp_path / "song.wav", wav(extensible(channels, 32, 24, 0), pcm(signal, 4)))
    assert samples.shape == (2, 3000) and np.abs(samples).max() < 4


def test_b_24_bits_in_four_bytes_are_decoded_without_extension(tmp_path, noise):
    signal = np.rint(noise(3000) * 2**23) / 2**23
    fmt = struct.pack("<HHIIHH", 1, 2, RATE, RATE * 8, 8, 24)
    samples, _ = read(tmp_path / "song.wav", wav(fmt, pcm(signal, 4)))
    np.testing.assert_array_equal(samples, signal.astype(np.float32))


def test_b_24_0_float_is_decoded_as_float(tmp_path, noise):
    """Files of old editors in "24.0 float" have the same header."""
    signal = noise(3000)
    fmt = struct.pack("<HHIIHH", 1, 2, RATE, RATE * 8, 8, 24)
    samples, _ = read(tmp_path / "song.wav", wav(fmt, (signal.T * np.float32(2**23)).tobytes()))
    np.testing.assert_allclose(samples, signal, atol=1e-6)


def test_c_zeros_after_the_audio_are_not_searched(tmp_path, noise, monkeypatch):
    signal = noise(3000)
    path = tmp_path / "song.wav"
    path.write_bytes(wav(plain(), pcm(signal)))
    os.truncate(path, 8 << 30)  # sparse: uses no disk space
    samples, warnings = read(path)
    assert samples.shape == (2, 3000) and warnings == []


@pytest.mark.parametrize("channels", [4, 5, 6, 7, 8])
def test_i_channels_without_a_position_are_mixed(tmp_path, noise, channels):
    for number in range(channels):
        signal = np.zeros((channels, 1000), np.float32)
        signal[number] = noise(1000, 1)[0]
        for fmt in (plain(channels), extensible(channels, 16, 16, 0)):
            samples, _ = read(tmp_path / "song.wav", wav(fmt, pcm(signal)))
            assert np.abs(samples).max() > 0.2, number


@pytest.mark.parametrize(("riff", "data"), [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFFFFF, 0x7FFFFFDB), (0, 0)])
def test_l1_header_with_a_placeholder_length_does_not_warn(tmp_path, noise, riff, data):
    signal = noise(3000)
    file = bytearray(wav(plain(), pcm(signal), size=data))
    file[4:8] = struct.pack("<I", riff)
    samples, warnings = read(tmp_path / "song.wav", bytes(file))
    assert samples.shape == (2, 3000) and warnings == []


def test_n_subnormal_samples_become_zero(tmp_path):
    signal = np.full((2, 3000), 1e-40, np.float32)
    signal[:, ::2] = np.finfo(np.float32).tiny
    samples, warnings = read(tmp_path / "song.wav", wav(plain(2, 32, 3), signal.T.tobytes()))
    assert warnings == []
    assert not samples[:, 1::2].any() and (samples[:, ::2] == np.finfo(np.float32).tiny).all()


@pytest.mark.parametrize("value", [1e25, -3e38, 1e8, np.nan, np.inf])
def test_h_sample_out_of_range_becomes_zero_and_warns(tmp_path, noise, value):
    signal = noise(3000)
    signal[0, 1000] = value
    samples, warnings = read(tmp_path / "song.wav", wav(plain(2, 32, 3), signal.T.tobytes()))
    signal[0, 1000] = 0
    np.testing.assert_array_equal(samples, signal)
    assert len(warnings) == 1 and warnings[0].startswith("1 samples were not numbers")


def test_o1_tag_before_the_header_is_skipped(tmp_path, noise):
    tag = b"ID3\3\0\0\0\0\0\x0a" + bytes(10)
    samples, warnings = read(tmp_path / "song.wav", tag + wav(plain(), pcm(noise(3000))))
    assert samples.shape == (2, 3000) and warnings == []


def test_o_odd_chunk_without_padding_is_skipped(tmp_path, noise):
    listed = b"LIST" + struct.pack("<I", 9) + b"INFOIKEY!"
    samples, warnings = read(tmp_path / "song.wav", wav(plain(), pcm(noise(3000)), listed))
    assert samples.shape == (2, 3000) and warnings == []


def test_o_unfinished_rf64_is_decoded_to_its_end(tmp_path, noise):
    sizes = chunk(b"ds64", bytes(28))
    data = wav(plain(), pcm(noise(3000)), size=2**32 - 1, name=b"RF64")
    samples, warnings = read(tmp_path / "song.wav", data[:12] + sizes + data[12:])
    assert samples.shape == (2, 3000) and warnings == []


def test_o_rf64_has_its_stated_length(tmp_path, noise):
    sound = pcm(noise(3000))
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(sound), 3000, 0))
    data = wav(plain(), sound, size=2**32 - 1, name=b"RF64")
    samples, warnings = read(
        tmp_path / "song.wav", data[:12] + sizes + data[12:] + chunk(b"junk", bytes(900))
    )
    assert samples.shape == (2, 3000) and warnings == []


def test_o_bytes_after_a_short_length_warn(tmp_path, noise):
    sound = pcm(noise(3000))
    samples, warnings = read(tmp_path / "song.wav", wav(plain(), sound, size=4000))
    assert samples.shape == (2, 1000)
    assert len(warnings) == 1 and "follow the audio" in warnings[0]


def test_o_two_data_chunks_are_joined(tmp_path, noise):
    signal = noise(3000)
    data = wav(plain(), pcm(signal[:, :1000])) + chunk(b"data", pcm(signal[:, 1000:]))
    samples, warnings = read(tmp_path / "song.wav", data)
    assert samples.shape == (2, 3000) and warnings == []


def test_o_unfinished_aiff_is_decoded_to_its_end(tmp_path, noise):
    steps = np.rint(noise(3000).T * 2**15).astype(">i2").tobytes()
    rate = struct.pack(">HQ", 16383 + 15, RATE << 48)
    common = b"COMM" + struct.pack(">IhIh", 18, 2, 0, 16) + rate
    data = b"FORM" + bytes(4) + b"AIFF" + common + b"SSND" + bytes(4) + bytes(8) + steps
    samples, warnings = read(tmp_path / "song.aiff", data)
    assert samples.shape == (2, 3000) and warnings == []


@pytest.mark.parametrize("fmt", ["wav16", "wav24", "wav32f"])
def test_wav_tags_round_trip(tmp_path, noise, fmt):
    from stemsplitter.audio.tags import Tags

    with StemWriter(tmp_path / "song.wav", OutputFormat.parse(fmt), RATE, 2, Tags(title="Lied")) as writer:
        writer.write(noise(1000))
        writer.commit()
    with open_source(tmp_path / "song.wav") as source:
        assert source.info.tags.title == "Lied"
