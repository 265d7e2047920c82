"""Previews: every piece is a file of its own, exact to the sample."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.previews import CODECS, PIECE, RATE, Previews, PreviewWriter, write_previews
from stemsplitter.errors import OutputError, RequestError

Samples = npt.NDArray[np.float32]
Write = Callable[..., Path]


def pieces(previews: Previews, name: str, folder: Path) -> list[Samples]:
    """Decode each piece of a preview alone."""
    data = previews.files[name].read_bytes()
    decoded, at = [], 0
    for size in json.loads(previews.index.read_text())["stems"][name]["sizes"]:
        path = folder / f"piece{previews.files[name].suffix}"
        path.write_bytes(data[at : at + size])
        at += size
        with open_source(path) as source:
            decoded.append(np.concatenate(list(source.blocks()), axis=1))
        assert source.warnings == []
    assert at == len(data)
    return decoded


def snr(signal: Samples, decoded: Samples) -> float:
    error = np.sum((decoded - signal) ** 2, dtype=np.float64)
    return float(10 * np.log10(np.sum(signal**2, dtype=np.float64) / error))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("samples", [1000, PIECE - 1, PIECE, PIECE + 1500, 2 * PIECE + 12_345])
def test_pieces_have_the_exact_length_and_follow_each_other(
    tmp_path: Path, write: Write, noise: Callable[..., Samples], codec: str, samples: int, channels: int
) -> None:
    signal = noise(samples, channels)
    stem = write(tmp_path / "vocals.wav", signal, "wav32f", RATE)
    previews = write_previews({"vocals": stem}, tmp_path, codec)
    decoded = pieces(previews, "vocals", tmp_path)
    assert [piece.shape for piece in decoded] == [
        (channels, min(PIECE, samples - start)) for start in range(0, samples, PIECE)
    ]
    assert snr(signal, np.concatenate(decoded, axis=1)) > 15
    index = json.loads(previews.index.read_text())
    assert (index["samples"], index["sampleRate"], index["pieceSamples"]) == (samples, RATE, PIECE)
    assert index["stems"]["vocals"]["file"] == previews.files["vocals"].name


@pytest.mark.parametrize("codec", CODECS)
def test_pieces_are_as_good_at_their_ends_as_in_the_middle(
    tmp_path: Path, write: Write, noise: Callable[..., Samples], codec: str
) -> None:
    signal = noise(3 * PIECE)
    previews = write_previews(
        {"drums": write(tmp_path / "drums.wav", signal, "wav32f", RATE)}, tmp_path, codec
    )
    middle = pieces(previews, "drums", tmp_path)[1]
    wanted = signal[:, PIECE : 2 * PIECE]
    whole = snr(wanted, middle)
    for part in (slice(0, 2400), slice(-2400, None)):
        assert snr(wanted[:, part], middle[:, part]) > whole - 6


def test_whole_opus_preview_is_a_file_that_players_read(
    tmp_path: Path, write: Write, noise: Callable[..., Samples], decode: Callable[..., Samples]
) -> None:
    signal = noise(2 * PIECE + 777)
    stem = write(tmp_path / "bass.wav", signal, "wav32f", RATE)
    decoded = decode(write_previews({"bass": stem}, tmp_path).files["bass"])
    assert decoded.shape == signal.shape and snr(signal, decoded) > 15


def test_stems_of_another_rate_are_converted(
    tmp_path: Path, write: Write, noise: Callable[..., Samples], offset: Callable[..., int]
) -> None:
    stems = {
        "vocals": write(tmp_path / "vocals.flac", noise(88_200), "flac"),
        "piano": write(tmp_path / "piano.flac", np.zeros((2, 88_200), np.float32), "flac"),
    }
    previews = write_previews(stems, tmp_path)
    (vocals,), (piano,) = (pieces(previews, name, tmp_path) for name in stems)
    assert vocals.shape == piano.shape == (2, 96_000)
    assert not piano.any()


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    block = np.zeros((2, 65_536), np.float32)

    def peak(blocks: int) -> int:
        tracemalloc.start()
        try:
            with PreviewWriter(tmp_path / "long.opus", CODECS["opus"], 44_100, 2) as writer:
                for _ in range(blocks):
                    writer.write(block)
                writer.commit()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(60) < peak(15) * 2  # the audio is four times as long


def test_unknown_codec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be 'mp3': choose opus or aac"):
        write_previews({}, tmp_path, "mp3")


def test_full_disk_raises_and_leaves_no_preview(
    tmp_path: Path, write: Write, noise: Callable[..., Any], file_size_limit: Callable[[int], Any]
) -> None:
    stem = write(tmp_path / "vocals.flac", noise(300_000), "flac")
    out = tmp_path / "out"
    out.mkdir()
    with file_size_limit(20_000), pytest.raises(OutputError, match="cannot be written because"):
        write_previews({"vocals": stem}, out)
    assert list(out.iterdir()) == []
