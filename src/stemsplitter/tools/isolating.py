"""Isolation of the voice in a file: two files that add up to it."""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.mixing import resampled
from stemsplitter.audio.stemset import StemSet
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import RequestError
from stemsplitter.isolation import Networks, VoiceIsolator
from stemsplitter.library import Progress
from stemsplitter.library.results import OnProgress

Samples = npt.NDArray[np.float32]

MODEL = "deepfilternet3"


@dataclass(frozen=True)
class Isolated:
    """The written voice and noise.

    Attributes:
        voice: file of the voice.
        noise: file of the rest; both add up to the source.
        samples: per channel.
        sample_rate: in hertz.
        gain: applied to both, below 1 to prevent clipping.
        elapsed: seconds of work.
        warnings: sentences about the source.
    """

    voice: Path
    noise: Path
    samples: int
    sample_rate: int
    gain: float
    elapsed: float
    warnings: tuple[str, ...]


def load_networks(store: ModelStore, threads: int | None = None) -> Networks:
    """Load the networks of the voice isolator, for any number of files.

    Raises:
        ModelError: the weights are missing or damaged.
    """
    return Networks(store.weights(MODEL)[0], threads)


def isolate_voice(
    source: str | os.PathLike[str],
    voice: Path,
    noise: Path,
    networks: Networks,
    *,
    format: str = "wav",
    progress: OnProgress | None = None,
) -> Isolated:
    """Write the voice of a recording, and what else is in it; both files appear complete, or none.

    Raises:
        RequestError: the format is unknown, or both files are the same.
        AudioError: the source cannot be read.
        OutputError: a file cannot be written.
    """
    fmt = OutputFormat.parse(format)
    if voice == noise:
        raise RequestError("Voice and noise would be the same file: choose two names.")
    started = time.perf_counter()
    with ExitStack() as stack:
        song = stack.enter_context(open_source(source))
        info = song.info
        rate = fmt.supported_rate(info.sample_rate)
        isolator = VoiceIsolator(rate, info.channels, networks)
        paths = {"voice": voice, "noise": noise}
        output = stack.enter_context(StemSet(paths, fmt, rate, info.channels, info.tags))
        waiting = np.zeros((info.channels, 0), np.float32)
        for samples in resampled(song.blocks(), info.sample_rate, rate, info.channels):
            waiting = _write(output, np.concatenate([waiting, samples], axis=1), isolator.process(samples))
            if progress is not None:
                progress(Progress.so_far(song.samples / info.sample_rate, info.seconds, started))
        _write(output, waiting, isolator.flush())
        written = output.commit()
    elapsed = time.perf_counter() - started
    return Isolated(voice, noise, written[0].samples, rate, output.gain, elapsed, tuple(song.warnings))


def _write(output: StemSet, mixture: Samples, voice: Samples) -> Samples:
    """Write the voice and the rest of the mixture that it was in; return the mixture that has no voice yet."""
    count = voice.shape[1]
    output.write({"voice": voice, "noise": mixture[:, :count] - voice})
    return mixture[:, count:]
