"""Previews: small files of the stems that a player in a browser loads piece by piece.

A preview is a chain of independent pieces of two seconds. Browsers decode each with ``decodeAudioData``, which is exact
to the sample (measured with Chromium 156). Media Source Extensions are not, because the media elements of several stems
cannot be started together. A piece in Opus is an Ogg file of its own that states how many samples to drop at its start
and where it ends; the whole preview is a chained Ogg file. AAC is for browsers that do not decode Ogg Opus (Safari
before 18.4): each piece is an MP4 file with an edit list.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemsplitter.audio import opus_pieces
from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import encoding_error
from stemsplitter.audio.encoders import AvEncoder, AvSettings, mp4_options
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.resample import Resampler
from stemsplitter.audio.tags import Tags
from stemsplitter.errors import RequestError
from stemsplitter.files.atomic import AtomicFile

Samples = npt.NDArray[np.float32]

RATE = opus_pieces.RATE
PIECE = 2 * RATE  # samples
DEFAULT_CODEC = "opus"
INDEX = "previews.json"
INDEX_MIME = "application/json"

_AAC_BEFORE = 2048  # without them, the first 50 ms of a piece have 15 dB less SNR
_AAC_DELAY = 1024
_AAC = OutputFormat.choose("m4a", bitrate=128)
_AAC_SETTINGS = AvSettings(
    "mp4",
    "aac",
    "fltp",
    mp4_options(RATE),
    {"aac_coder": "fast"},  # a quarter of the time of the default, and 2 dB more SNR in pieces
    start=-_AAC_BEFORE,
)


@dataclass(frozen=True)
class Codec:
    """A codec of previews.

    ``encode`` encodes a piece from ``[C, before + n + at most after]`` samples, with n and the number of the piece.
    ``delay`` is the number of samples that a decoder which ignores the header returns before the piece.
    """

    name: str
    extension: str
    mime: str
    encode: Callable[[Samples, int, int], bytes]
    before: int
    after: int
    delay: int


def _encode_aac(samples: Samples, length: int, number: int) -> bytes:
    file = BytesIO()
    encoder = AvEncoder(file, _AAC, RATE, len(samples), Tags(), _AAC_SETTINGS)
    try:
        encoder.write(np.clip(samples, -1, 1))  # AAC loses quality above full scale
        encoder.finish()
    finally:
        encoder.close()
    return file.getvalue()


CODECS = {
    codec.name: codec
    for codec in (
        Codec(
            "opus",
            "opus",
            "audio/ogg",
            opus_pieces.encode_piece,
            opus_pieces.BEFORE,
            opus_pieces.AFTER,
            opus_pieces.PRE_SKIP,
        ),
        Codec("aac", "m4a", "audio/mp4", _encode_aac, _AAC_BEFORE, 0, _AAC_BEFORE + _AAC_DELAY),
    )
}


@dataclass(frozen=True)
class Previews:
    """Written previews: the file of each stem, and the index of all."""

    files: dict[str, Path]
    index: Path
    mime: str


class PreviewWriter:
    """Writes the preview of one stem atomically: it appears under its name on :meth:`commit`.

    Memory use does not depend on the length. As a context manager it discards an uncommitted file. Raises
    :class:`OutputError` when writing fails.
    """

    def __init__(self, path: Path, codec: Codec, sample_rate: int, channels: int) -> None:
        self.sizes: list[int] = []
        self.samples = 0
        self.path, self._codec = path, codec
        self._resampler = Resampler(sample_rate, RATE, channels)
        self._held = np.zeros((channels, codec.before), np.float32)
        self._file = AtomicFile(path)

    def write(self, block: Samples) -> None:
        """Append float32 ``[channels, n]`` at the sample rate of the stem."""
        self._append(self._resampler.push(block))

    def commit(self) -> None:
        """Encode the rest and give the file its name."""
        self._append(self._resampler.flush())
        while (rest := self._held.shape[1] - self._codec.before) > 0:
            self._encode(min(rest, PIECE))
        self._file.commit()

    def _append(self, block: Samples) -> None:
        self._held = np.concatenate((self._held, block), axis=1)
        self.samples += block.shape[1]
        while self._held.shape[1] >= self._codec.before + PIECE + self._codec.after:
            self._encode(PIECE)

    def _encode(self, length: int) -> None:
        codec = self._codec
        try:
            piece = codec.encode(
                self._held[:, : codec.before + length + codec.after], length, len(self.sizes) + 1
            )
            self._file.file.write(piece)
        except BaseException as error:
            self._file.discard()
            raise encoding_error(self.path, error) from error
        self.sizes.append(len(piece))
        self._held = self._held[:, length:].copy()

    def __enter__(self) -> "PreviewWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.discard()


def write_previews(
    stems: Mapping[str, Path], folder: Path, codec: str | Codec = DEFAULT_CODEC, *, threads: int = 2
) -> Previews:
    """Write the previews of ``stems``, by name, and their index to ``folder``; ``codec`` is one of :data:`CODECS`.

    The index is JSON: ``{"codec", "mime", "sampleRate", "samples", "pieceSamples", "delay", "stems": {NAME: {"file",
    "sizes"}}}``. ``sizes`` are the bytes of the pieces, which follow each other in the file. ``delay`` is the number of
    samples that a decoder which ignores the header returns before a piece.

    Raises:
        AudioError: a stem cannot be decoded.
        OutputError: a file cannot be written.
        RequestError: the codec is unknown.
    """
    if isinstance(codec, str) and codec not in CODECS:
        raise RequestError(f"A preview cannot be {codec[:20]!r}: choose {' or '.join(CODECS)}.")
    chosen = CODECS[codec] if isinstance(codec, str) else codec
    files = {name: folder / f"{name}.{chosen.extension}" for name in stems}

    def write(name: str) -> PreviewWriter:
        with (
            open_source(stems[name]) as source,
            PreviewWriter(files[name], chosen, source.info.sample_rate, source.info.channels) as writer,
        ):
            for block in source.blocks():
                writer.write(block)
            writer.commit()
        return writer

    with ThreadPoolExecutor(threads, thread_name_prefix="preview") as pool:
        written = dict(zip(stems, pool.map(write, stems), strict=True))
    index = folder / INDEX
    index.write_text(_described(chosen, written))
    return Previews(files, index, chosen.mime)


def _described(codec: Codec, written: Mapping[str, PreviewWriter]) -> str:
    described = {
        "codec": codec.name,
        "mime": codec.mime,
        "sampleRate": RATE,
        "samples": max(writer.samples for writer in written.values()),
        "pieceSamples": PIECE,
        "delay": codec.delay,
        "stems": {
            name: {
                "file": writer.path.name,
                "sizes": writer.sizes,
            }
            for name, writer in written.items()
        },
    }
    return json.dumps(described, separators=(",", ":"))
