"""Native Instruments Stem files: one MP4 with the mixture and four stems, for DJ software.

Format per Native Instruments' Stem file specification: five stereo tracks and a JSON description in the box
``moov/udta/stem``. The mixture is first and the only enabled track, so ordinary players play it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from stemsplitter.audio.encode import encoding_error
from stemsplitter.audio.encoders import AvTrack, Sink, add_cover, mp4_options, open_muxer, set_tags
from stemsplitter.audio.formats import STEM_FILE, OutputFormat
from stemsplitter.audio.mp4_boxes import change_last_movie, with_items, with_user_data
from stemsplitter.audio.tags import KEY, Tags
from stemsplitter.errors import RequestError
from stemsplitter.files.atomic import AtomicFile

Samples = npt.NDArray[np.float32]

MIXTURE = "mixture"
STEMS = ("drums", "bass", "other", "vocals")
EXTENSION = STEM_FILE

_BITRATE = 256
# Okabe-Ito palette, which is distinguishable with color blindness
_COLORS = ("#009E73", "#D55E00", "#CC79A7", "#56B4E9")


class NiStemWriter:
    """Writes one ``.stem.mp4`` atomically: it appears under its name on :meth:`commit`.

    ``stems`` names its four stems in order; the caller adds further stems of a model to one of them. Each track is
    AAC at 256 kbit/s with exactly the samples written.

    As a context manager it discards an uncommitted file. Raises :class:`OutputError` when writing fails,
    :class:`RequestError` for other than four stems or a sample rate that AAC does not support.
    """

    def __init__(
        self, path: Path, sample_rate: int, tags: Tags | None = None, stems: Sequence[str] = STEMS
    ) -> None:
        if len(stems) != len(STEMS):
            raise RequestError(f"A .stem.mp4 file holds four stems, not {len(stems)}: choose 4s.")
        legal = OutputFormat("m4a", bitrate=_BITRATE).supported_rate(sample_rate)
        if legal != sample_rate:
            raise RequestError(f"A .stem.mp4 file cannot have {sample_rate} Hz: resample to {legal} Hz.")
        self.path = path
        self.samples = 0
        self._stems = tuple(stems)
        self._tags = tags or Tags()
        self._finished = False
        self._pending = AtomicFile(path)
        try:
            self._open(sample_rate)
        except BaseException as error:
            self._pending.discard()
            raise encoding_error(path, error) from error

    def _open(self, rate: int) -> None:
        self._sink = Sink(self._pending.file)
        self._container = open_muxer(self._sink, "mp4", mp4_options(rate))
        set_tags(self._container, self._tags)
        self._tracks: dict[str, AvTrack] = {}
        for name in (MIXTURE, *self._stems):
            track = AvTrack(self._container, "aac", rate, 2, "fltp")
            track.stream.codec_context.bit_rate = _BITRATE * 1000
            # FFmpeg enables only tracks with the default disposition.
            track.stream.metadata["handler_name"] = name
            track.stream.disposition = Disposition.default if name == MIXTURE else Disposition(0)
            self._tracks[name] = track
        cover = add_cover(self._container, self._tags)
        self._container.start_encoding()
        if cover is not None:
            self._container.mux(cover)

    def write(self, blocks: Mapping[str, Samples]) -> None:
        """Append float32 ``[1 or 2, n]`` of ``mixture`` and of every stem; one channel becomes two."""
        if blocks.keys() != self._tracks.keys() or len({block.shape for block in blocks.values()}) != 1:
            raise ValueError("the mixture and every stem need a block, all of one shape")
        try:
            for name, block in blocks.items():
                self._tracks[name].write(block if len(block) == 2 else np.repeat(block, 2, axis=0))
            self._sink.check()
        except BaseException as error:
            self.discard()
            raise encoding_error(self.path, error) from error
        self.samples += next(iter(blocks.values())).shape[1]

    def finish(self) -> None:
        """Encode the remaining samples and add the description."""
        if self._finished:
            return
        try:
            for track in self._tracks.values():
                track.finish()
            self._container.close()
            self._sink.check()
            change_last_movie(self._pending.file, self._described)
        except BaseException as error:
            self.discard()
            raise encoding_error(self.path, error) from error
        self._finished = True

    def _described(self, movie: bytes) -> bytes:
        keyed = with_items(movie, {KEY: self._tags.key}) if self._tags.key else movie
        return with_user_data(keyed, b"stem", description(self._stems))

    def commit(self) -> None:
        """Finish the file and give it its name, replacing any file of that name."""
        self.finish()
        self._pending.commit()

    def discard(self) -> None:
        """Delete the file. Idempotent; does nothing after :meth:`commit`."""
        if not self._finished:
            with contextlib.suppress(Exception):
                self._container.close()
        self._pending.discard()

    def __enter__(self) -> NiStemWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def description(stems: Sequence[str]) -> bytes:
    """Encode the JSON of the ``stem`` box: names, colors, and the player's compressor and limiter, both off."""
    compressor = {
        "enabled": False,
        "input_gain": 0.5,
        "output_gain": 0.5,
        "threshold": 0,
        "ratio": 3,
        "attack": 0.003,
        "release": 0.3,
        "hp_cutoff": 300,
        "dry_wet": 50,
    }
    limiter = {"enabled": False, "release": 0.05, "threshold": 0, "ceiling": -0.35}
    parts = [{"name": name, "color": color} for name, color in zip(stems, _COLORS, strict=True)]
    about = {
        "version": 1,
        "mastering_dsp": {"compressor": compressor, "limiter": limiter},
        "stems": parts,
    }
    return json.dumps(about).encode()
