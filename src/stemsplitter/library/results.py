"""What a separation tells while it runs and when it is done."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.decode import AudioInfo
from stemsplitter.audio.peaks import Peaks
from stemsplitter.audio.stemset import WrittenStem

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Progress:
    """How far a separation is, told after each segment.

    ``fraction`` is 0 to 1 and never falls; where a file's header does not tell its length it is an estimate
    that reaches 1 only at the end. ``seconds`` is audio finished, ``elapsed`` the time it took.
    """

    fraction: float
    seconds: float
    elapsed: float

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.seconds / self.elapsed if self.elapsed else 0.0


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Separation:
    """What became of one song.

    ``samples`` is its length, also that of every stem, at ``sample_rate``. ``residual_dbfs`` is the largest
    difference between the sum of the model's stems and the mixture, before encoding. ``elapsed`` is in seconds.
    ``complete`` says that the stems asked for make up the whole song.
    """

    model: str
    device: str
    sample_rate: int
    samples: int
    residual_dbfs: float
    complete: bool
    elapsed: float
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length of the song in seconds."""
        return self.samples / self.sample_rate

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.seconds / self.elapsed


@dataclass(frozen=True)
class Stems(Separation):
    """A song's stems in memory: float32 ``[C, samples]`` by name."""

    stems: dict[str, Waveform] = field(repr=False)


@dataclass(frozen=True)
class StemFiles(Separation):
    """A song's stems on disk. ``gain`` is what all of them were multiplied by so that none clips, mostly 1.

    ``peaks``, where they were asked for, are of the stems before that.
    """

    source: AudioInfo
    files: tuple[WrittenStem, ...]
    gain: float
    peaks: Peaks | None = field(default=None, repr=False)
