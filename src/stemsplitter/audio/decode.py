"""Decoding of any common audio or video file to float32 blocks, in bounded memory."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container import InputContainer

from stemsplitter.audio import opening
from stemsplitter.audio.cover import cover_size
from stemsplitter.audio.demuxed_track import DemuxedTrack
from stemsplitter.audio.downmix import to_channels
from stemsplitter.audio.excerpt import Excerpt
from stemsplitter.audio.frame_track import FrameTrack
from stemsplitter.audio.ogg import Link, find_links
from stemsplitter.audio.pieces import Damage, Piece
from stemsplitter.audio.resample import Resampler
from stemsplitter.audio.riff import find_sound
from stemsplitter.audio.tags import Tags, read_tags
from stemsplitter.audio.views import FileView, Range, read_at
from stemsplitter.errors import AudioError
from stemsplitter.files.names import shown

Samples = npt.NDArray[np.float32]

BLOCK_SAMPLES = 1 << 16
MIN_RATE, MAX_RATE = 8_000, 192_000

# Larger than any full scale in use (floats of 24-bit steps), small enough that squares and sums stay finite.
_LARGEST = np.float32(2.0**24)
_LARGEST_BITS = np.uint32(_LARGEST.view(np.uint32) << np.uint32(1))
_SMALLEST_NORMAL_BITS = np.uint32(0x00800000 << 1)
# A shorter missing end, in seconds, is not reported: writers round lengths.
_MISSING_S = 0.1
# An aborted read returns after the current packet.
_CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class AudioInfo:
    """Properties of a source. ``seconds`` is its length as stated by the file, an estimate, or None.

    ``channels`` (1 or 2) is the number that blocks have, ``source_channels`` that of the file; the rate is in Hz.
    """

    sample_rate: int
    channels: int
    source_channels: int
    codec: str
    container: str
    seconds: float | None
    tags: Tags


def _duration(seconds: float) -> str:
    """A length for a message: ``24 h 0 min``, ``3 min 20 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{seconds:.3g} s"


class AudioSource:
    """A song being read. Create one with :func:`open_source`; use it as a context manager.

    ``info`` describes it, ``samples`` is the number of samples per channel that :meth:`blocks` has yielded, and
    ``warnings`` (complete after the last block) are sentences about damage.
    """

    info: AudioInfo

    def __init__(
        self, file: IO[bytes], path: Path, max_seconds: float | None, track: int | None = None
    ) -> None:
        self.samples = 0
        self.warnings: list[str] = []
        self._name = shown(path)
        self._suffix = opening.suffix_for(path)
        self._max_seconds = max_seconds
        self._number = track
        self._not_usable = 0
        self._file = file
        self._container: InputContainer | None = None
        # FFmpeg's objects must not be freed while another thread uses them.
        self._reading = threading.Lock()
        self._closed = False
        self._damages: list[Damage] = []
        self._links: list[Link] = []
        self._views: list[FileView] = []
        self._start = opening.find_start(file)
        self._sound = find_sound(file, self._start)
        try:
            self._views = self._find_views()
            self._check_length()
            self._pieces = self._read()
            self._first = next(self._pieces, None)
            self.info = self._describe()
        except BaseException:
            self.close()
            raise

    def _find_views(self) -> list[FileView]:
        if self._sound is not None:
            return [FileView(self._file, self._sound.parts)]
        if read_at(self._file, self._start, 4) == b"OggS":
            self._links = find_links(self._file, self._start)
            return [FileView(self._file, [link.range]) for link in self._links]
        whole = Range(self._start, opening.find_end(self._file, self._start) - self._start)
        return [FileView(self._file, [whole], self._suffix)]

    def _check_length(self) -> None:
        """Reject a song that is certainly too long. Only counted samples are certain: headers may be wrong."""
        seconds = self._sound.seconds if self._sound is not None else None
        if seconds is not None and self._max_seconds is not None and seconds > self._max_seconds:
            self._refuse_length(f"lasts {_duration(seconds)},")

    def _refuse_length(self, what: str) -> NoReturn:
        assert self._max_seconds is not None
        raise AudioError(
            f"{self._name} {what} over the limit of {_duration(self._max_seconds)}: cut it or raise the limit."
        )

    def _read(self) -> Iterator[Piece]:
        """Yield the decoded pieces of all songs in the file, in order."""
        for number, view in enumerate(self._views):
            self._open(view, self._links[number] if self._links else None)
            self._damages.append(self._track.damage)
            yield from self._track.pieces()
            self._note_missing()

    def _open(self, view: FileView, link: Link | None) -> None:
        if self._container is not None:
            self._container.close()
        self._container = opening.open_container(view, self._name)
        self._stream = opening.find_stream(self._container, self._name, self._number)
        self._track = self._open_track(self._container, self._stream, link)
        self._delivered = 0.0

    def _open_track(
        self, container: InputContainer, stream: AudioStream, link: Link | None
    ) -> DemuxedTrack | FrameTrack:
        if container.format.name in ("mp3", "aac"):
            return FrameTrack(self._file, self._start, container, stream)
        track = DemuxedTrack(self._file, self._start, container, stream, link)
        if track.is_encrypted:
            raise AudioError(f"{self._name} is encrypted (DRM): export it without copy protection.")
        return track

    def _note_missing(self) -> None:
        damage = self._track.damage
        stated = self._track.stated_s
        if self._sound is not None:
            damage.missing_s = self._sound.missing
            damage.unused_bytes = self._sound.unused
        elif self._track.states_length and stated is not None and stated > self._delivered + _MISSING_S:
            damage.missing_s = stated - self._delivered
        elif self._track.states_length and stated is not None:
            damage.is_cut = False  # what follows the last packet is not audio

    def _describe(self) -> AudioInfo:
        piece = self._first
        if piece is None:
            is_damaged = any(damage.packets for damage in self._damages)
            what = "is damaged and none of it can be decoded" if is_damaged else "holds no audio samples"
            raise AudioError(f"{self._name} {what}: export or download it again.")
        rate, channels = piece.rate, len(piece.names)
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(
                f"{self._name} has a sample rate of {rate} Hz, outside the 8000 to 192000 that can be read: "
                "resample it first."
            )
        assert self._container is not None
        return AudioInfo(
            sample_rate=rate,
            channels=min(max(channels, self._most_channels(channels)), 2),
            source_channels=channels,
            codec=self._stream.codec_context.name.removesuffix("float"),
            container=self._container.format.name.partition(",")[0],
            seconds=self._sound.seconds if self._sound is not None else self._track.stated_s,
            tags=self._tags(self._container),
        )

    def _most_channels(self, first: int) -> int:
        """The largest number of channels in any part of the file: a mono jingle does not make a stereo song mono."""
        if first > 1:
            return first
        if isinstance(self._track, FrameTrack):
            return self._track.most_channels()
        for view in self._views[1:]:
            with contextlib.suppress(AudioError), opening.open_container(view, self._name) as container:
                first = max(first, opening.find_stream(container, self._name, None).codec_context.channels)
            view.seek(0)
        return first

    def _tags(self, container: InputContainer) -> Tags:
        cover = self._track.cover
        tags = read_tags(container, self._stream, cover)
        if isinstance(self._track, DemuxedTrack) and self._track.bpm:
            tags = replace(tags, bpm=self._track.bpm)
        if cover and not tags.cover and cover_size(cover) != (0, 0):
            self.warnings.append("The cover picture is left out: its header states an impossible size.")
        return tags

    def _converted(self) -> Iterator[Samples]:
        """Yield the pieces converted to the sample rate and channels of ``info``."""
        info = self.info
        resampler: Resampler | None = None
        piece = self._first
        self._first = None
        while piece is not None:
            self._delivered += piece.samples.shape[1] / piece.rate
            samples = to_channels(piece.samples, piece.names, info.channels)
            if resampler is not None and resampler.from_rate != piece.rate:
                yield resampler.flush()
                resampler = None
            if resampler is None and piece.rate != info.sample_rate:
                resampler = Resampler(piece.rate, info.sample_rate, info.channels)
                self.warnings.append(
                    f"The sample rate changes from {info.sample_rate} to {piece.rate} Hz; that part is resampled."
                )
            yield samples if resampler is None else resampler.push(cleaned(samples)[0])
            with self._reading:
                if self._closed:
                    raise AudioError(f"{self._name} was closed while it was read.")
                piece = next(self._pieces, None)
        if resampler is not None:
            yield resampler.flush()

    def blocks(self, block_samples: int = BLOCK_SAMPLES, excerpt: Excerpt | None = None) -> Iterator[Samples]:
        """Yield the song or an excerpt once, as C-contiguous float32 blocks ``[channels, n]`` at its own sample rate.

        Every block has ``block_samples`` samples except the last, which may have fewer. Nothing is scaled or clipped
        (full scale is ±1 and may be exceeded). NaN, infinite samples and those above 2^24 become zero.

        Raises :class:`AudioError` when the song exceeds ``max_seconds`` or ends before the excerpt.
        """
        limit = None if self._max_seconds is None else self._max_seconds * self.info.sample_rate
        block = np.empty((self.info.channels, block_samples), np.float32)
        filled = 0
        whole = self._converted()
        for samples in excerpt.cut(whole, self.info.sample_rate, self._name) if excerpt else whole:
            done = 0
            while done < samples.shape[1]:
                count = min(block_samples - filled, samples.shape[1] - done)
                block[:, filled : filled + count] = samples[:, done : done + count]
                filled += count
                done += count
                if limit is not None and self.samples + filled > limit:
                    self._refuse_length("is")
                if filled == block_samples:
                    yield self._deliver(block)
                    block = np.empty_like(block)
                    filled = 0
        if filled:
            yield self._deliver(np.ascontiguousarray(block[:, :filled]))
        self._finish()

    def _deliver(self, block: Samples) -> Samples:
        self.samples += block.shape[1]
        block, unusable = cleaned(block)
        self._not_usable += unusable
        return block

    def _finish(self) -> None:
        if not self.samples:
            raise AudioError(f"{self._name} holds no audio samples: export or download it again.")
        if self._not_usable:
            self.warnings.append(
                f"{self._not_usable} samples were not numbers (NaN or infinite) or out of range; they are set to zero."
            )
        for damage in self._damages:
            self.warnings += damage.sentences(self.samples / self.info.sample_rate)

    def close(self) -> None:
        """Close the file and abort a read in progress in another thread. Idempotent."""
        for view in self._views:
            view.abort()
        if not self._reading.acquire(timeout=_CLOSE_TIMEOUT_S):
            return  # the reading thread still uses it
        self._closed = True
        try:
            if self._container is not None:
                with contextlib.suppress(av.error.FFmpegError, OSError):
                    self._container.close()
            self._file.close()
        finally:
            self._reading.release()

    def __enter__(self) -> AudioSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def cleaned(samples: Samples) -> tuple[Samples, int]:
    """Set unusable and subnormal samples to zero, in place. Returns the samples and the number of unusable ones.

    The bits of a float without its sign are ordered by magnitude; comparing them avoids slow subnormal arithmetic.
    """
    bits = samples.view(np.uint32) << np.uint32(1)
    unusable = bits > _LARGEST_BITS
    count = int(np.count_nonzero(unusable))
    if count:
        samples[unusable] = 0
    subnormal = bits - np.uint32(1) < _SMALLEST_NORMAL_BITS - np.uint32(1)
    if subnormal.any():
        samples[subnormal] = 0
    return samples, count


def open_source(
    path: str | os.PathLike[str], *, max_seconds: float | None = None, track: int | None = None
) -> AudioSource:
    """Open a song on disk. ``path`` is always a file path, never a URL.

    ``track`` is the number of the audio track to read, from 0; by default the one that FFmpeg selects.

    Gapless information is applied: the encoder delay and padding of LAME and iTunes, Opus pre-skip, the positions in
    Ogg, the edit lists of MP4. Up to 8 channels are mixed down to stereo
    (:func:`~stemsplitter.audio.downmix.stereo_matrix`); mono stays mono.

    Raises :class:`AudioError` when the file cannot be read, holds no audio, has more than 8 channels, has a sample rate
    outside 8 to 192 kHz, or is certain to be longer than ``max_seconds``.
    """
    path = Path(path)
    file = opening.open_regular(path)
    try:
        return AudioSource(file, path, max_seconds, track)
    except BaseException:
        file.close()
        raise
