"""Progress and results of a separation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.decode import AudioInfo
from stemsplitter.audio.excerpt import Excerpt
from stemsplitter.audio.levels import Level
from stemsplitter.audio.peaks import Peaks
from stemsplitter.audio.stem_encoders import WrittenStem

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Progress:
    """Progress of a separation, reported after each segment.

    Attributes:
        fraction: 0 to 1, never decreasing; 1 only at the end. 0 until then if the file does not declare its length.
        seconds: length of the audio that is finished.
        elapsed: seconds since the start.
    """

    fraction: float
    seconds: float
    elapsed: float

    @classmethod
    def so_far(cls, seconds: float, expected: float | None, started: float) -> Self:
        """Return the progress before the end; ``expected`` is the length in seconds that the file declares, and
        ``started`` the time of `time.perf_counter`."""
        # the length declared by a header can be wrong: only the end of the stream is the end
        fraction = min(seconds / expected, 0.99) if expected else 0.0
        return cls(fraction, seconds, time.perf_counter() - started)

    @property
    def speed(self) -> float:
        """Seconds of audio separated per second."""
        return self.seconds / self.elapsed if self.elapsed else 0.0


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class ModelUsed:
    """Name and license of a model."""

    name: str
    licence: str


@dataclass(frozen=True)
class Separation:
    """The result of separating a song.

    Attributes:
        model: name of the model.
        models: the model, and those of its chain or the one that extracts the vocals for it.
        device: name of the device in use.
        sample_rate: of the stems, in hertz.
        samples: length of the song and of each stem, at ``sample_rate``.
        residual_dbfs: largest difference between the sum of the model's stems and the mixture, before encoding.
        complete: True if the requested stems sum to the song.
        elapsed: seconds.
        warnings: sentences about the song and the model.
    """

    model: str
    models: tuple[ModelUsed, ...]
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
        """Seconds of audio separated per second."""
        return self.seconds / self.elapsed


@dataclass(frozen=True)
class Stems(Separation):
    """A song's stems in memory: ``stems`` are float32 ``[C, samples]`` by name."""

    stems: dict[str, Waveform] = field(repr=False)


@dataclass(frozen=True)
class StemFiles(Separation):
    """A song's stems on disk.

    Attributes:
        source: the song's file.
        files: the files in the order of the stems.
        gain: factor applied to all stems so that none clips; 1 if none would.
        excerpt: the part of the source that was separated.
        peaks: peaks of the stems before the gain; None if not requested.
        masters: the lossless files of the stems, if requested.
        levels: loudness and true peak of each stem as it is written; None if not requested.
    """

    source: AudioInfo
    files: tuple[WrittenStem, ...]
    gain: float
    excerpt: Excerpt = field(default_factory=Excerpt)
    peaks: Peaks | None = field(default=None, repr=False)
    masters: tuple[WrittenStem, ...] = ()
    levels: dict[str, Level] | None = None


def result_fields(
    stems: StemFiles, paths: Sequence[Path], encoded_residual_dbfs: float | None = None
) -> dict[str, Any]:
    """Return the result of a song as a JSON object.

    ``paths`` are the files that were written, such as one ZIP file of all stems; ``encoded_residual_dbfs`` is the level
    of the difference between the song and the sum of the decoded stems, if measured.
    """
    return {
        "files": [str(path) for path in paths],
        "stems": {
            # a ZIP or .stem.mp4 file holds several stems
            file.name: {"path": str(file.path if file.path in paths else paths[0]), "peak": file.peak}
            | (asdict(stems.levels[file.name]) if stems.levels else {})
            for file in stems.files
        },
        "model": stems.model,
        "models": [asdict(model) for model in stems.models],
        "device": stems.device,
        "samples": stems.samples,
        "sample_rate": stems.sample_rate,
        "seconds": round(stems.seconds, 3),
        "elapsed": round(stems.elapsed, 3),
        "speed": round(stems.speed, 2),
        "gain": stems.gain,
        "residual_dbfs": round(stems.residual_dbfs, 1),
        "encoded_residual_dbfs": None if encoded_residual_dbfs is None else round(encoded_residual_dbfs, 1),
        "warnings": list(stems.warnings),
    }
