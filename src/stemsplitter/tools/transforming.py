"""Transformation of a file to a file, in memory that does not grow with its length."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.decode import AudioInfo, AudioSource, open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.mixing import resampled
from stemsplitter.audio.tags import Tags
from stemsplitter.effects import Effect, Limiter, apply
from stemsplitter.errors import AudioError
from stemsplitter.files.names import shown
from stemsplitter.library import Progress, Separator
from stemsplitter.library.results import OnProgress
from stemsplitter.tools.transformations import Transformation

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Transformed:
    """A written result.

    Attributes:
        path: the file.
        samples: per channel.
        sample_rate: in hertz.
        elapsed: seconds of work.
        drums_apart: True if the drums and the rest were transformed apart.
        warnings: sentences about the source.
    """

    path: Path
    samples: int
    sample_rate: int
    elapsed: float
    drums_apart: bool
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length of the result."""
        return self.samples / self.sample_rate


def transform(
    source: str | os.PathLike[str],
    path: Path,
    transformation: Transformation,
    *,
    format: str = "wav",
    drums: Path | None = None,
    progress: OnProgress | None = None,
) -> Transformed:
    """Write ``source`` to ``path`` after a transformation; the file appears complete or not at all.

    Peaks over full scale are limited, except in ``wav32f``.

    Args:
        source: path of a song.
        path: of the result; a file of that name is replaced.
        transformation: see `stemsplitter.tools.transformations`.
        format: an output format, see ``docs/formats.md``.
        drums: the drums of the song, a file of the same length and sample rate. Where the transformation gains from
            it, the drums and the rest of the song are transformed apart.
        progress: called after each block.

    Raises:
        RequestError: the format is unknown.
        AudioError: a file cannot be read, or the drums are not those of the song.
        OutputError: the result cannot be written.
    """
    fmt = OutputFormat.parse(format)
    apart = drums is not None and transformation.drums_apart
    started = time.perf_counter()
    with ExitStack() as stack:
        song = stack.enter_context(open_source(source))
        info = song.info
        effect = transformation.make(info.sample_rate, info.channels, False)
        if apart:
            assert drums is not None
            beat = stack.enter_context(open_source(drums))
            other = transformation.make(info.sample_rate, info.channels, True)
            blocks = _apart(song, beat, effect, other, drums)
        else:
            blocks = apply(effect, song.blocks())
        rate = fmt.supported_rate(info.sample_rate)
        converted = resampled(blocks, info.sample_rate, rate, info.channels)
        if not fmt.is_float:
            converted = apply(Limiter(info.channels, fmt.headroom), converted)
        tags = _tags(info, transformation)
        writer = stack.enter_context(StemWriter(path, fmt, rate, info.channels, tags))
        for block in converted:
            writer.write(np.ascontiguousarray(block))
            if progress is not None:
                progress(Progress.so_far(song.samples / info.sample_rate, info.seconds, started))
        writer.commit()
    elapsed = time.perf_counter() - started
    return Transformed(path, writer.samples, rate, elapsed, apart, tuple(song.warnings))


def separate_drums(
    source: str | os.PathLike[str], folder: Path, separator: Separator, progress: OnProgress | None = None
) -> Path:
    """Write the drums of a song to ``folder``, for :func:`transform`. The stems of ``separator`` are ``drums``.

    Raises:
        AudioError: the source cannot be read.
        OutputError: the drums cannot be written.
    """
    stems = separator.separate_to(os.fspath(source), folder, format="wav32f", progress=progress)
    return stems.files[0].path


def _apart(
    song: AudioSource, drums: AudioSource, effect: Effect, drums_effect: Effect, path: Path
) -> Iterator[Samples]:
    """Yield the sum of the drums and the rest of the song, each after its effect."""
    if (drums.info.sample_rate, drums.info.channels) != (song.info.sample_rate, song.info.channels):
        raise _not_the_drums(path)
    waiting = [np.zeros((song.info.channels, 0), np.float32) for _ in range(2)]
    beats = drums.blocks()
    for block in song.blocks():
        beat = next(beats, block[:, :0])
        if beat.shape != block.shape:
            raise _not_the_drums(path)
        yield _summed(waiting, effect.process(block - beat), drums_effect.process(beat))
    if next(beats, None) is not None:
        raise _not_the_drums(path)
    yield _summed(waiting, effect.flush(), drums_effect.flush())


def _summed(waiting: list[Samples], rest: Samples, drums: Samples) -> Samples:
    """Return the sum of what both streams have; the effects delay them differently."""
    streams = [
        np.concatenate([early, late], axis=1) for early, late in zip(waiting, (rest, drums), strict=True)
    ]
    ready = min(stream.shape[1] for stream in streams)
    waiting[:] = [stream[:, ready:] for stream in streams]
    summed: Samples = streams[0][:, :ready] + streams[1][:, :ready]
    return summed


def _not_the_drums(path: Path) -> AudioError:
    return AudioError(
        f"{shown(path)} is not the drums of this song, because its length, sample rate or channels differ: name the "
        "stem that was separated from it."
    )


def _tags(info: AudioInfo, transformation: Transformation) -> Tags:
    title = f"{info.tags.title} ({transformation.label})" if info.tags.title else ""
    return replace(transformation.retagged(info.tags), title=title)
