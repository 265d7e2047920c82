"""Files of the built-in song."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stemsplitter.audio.decode import AudioInfo
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.mixing import resampled
from stemsplitter.audio.peaks import Peaks, write_peaks
from stemsplitter.audio.stemset import StemSet
from stemsplitter.library.mastering import MasteredOutput
from stemsplitter.separation.layouts import SIX_STEMS, absent_stems, plan_stems, rest_stem
from stemsplitter.test_mode.song import RATE, SECONDS, TAGS, Samples, render
from stemsplitter.worker.pool import Separated

_CHANNELS = 2
_INFO = AudioInfo(RATE, _CHANNELS, _CHANNELS, "", "", SECONDS, TAGS)


def write_stems(
    names: Sequence[str], format: str, folder: Path, instruments: Sequence[str] | None = None
) -> Separated:
    """Write stems of the song with their masters and peaks, as the separation of it would.

    Args:
        names: those of a layout, and any sums of stems.
        instruments: those that the song has; what the others play goes to the rest.
    """
    started = time.perf_counter()
    parts = _with_instruments(render(), tuple(instruments or SIX_STEMS))
    stems = dict(zip(names, plan_stems(SIX_STEMS, tuple(names)).apply(parts), strict=True))
    measured = Peaks(names, RATE)
    fmt = OutputFormat.parse(format)
    with MasteredOutput(folder, folder / "masters", tuple(names), fmt, RATE, _INFO) as output:
        output.write(stems)
        measured.add(stems)
        files = output.commit()
    peaks = write_peaks(folder, measured.encode(output.gain))
    return Separated(
        stems={file.name: str(file.path) for file in files},
        masters={file.name: {"path": str(file.path), "peak": file.peak} for file in output.masters},
        peaks=peaks["peaks"],
        overview=peaks["overview"],
        device="cpu",
        seconds=round(time.perf_counter() - started, 3),
        audio_seconds=SECONDS,
    )


def write_voice(folder: Path, format: str) -> dict[str, str]:
    """Write the voice alone, as ``audio``. Returns its path."""
    return _write({"audio": render()[SIX_STEMS.index("vocals")]}, folder, format)


def write_voice_and_noise(folder: Path, format: str) -> dict[str, str]:
    """Write the voice and what else is in the song. Returns their paths."""
    stems = render()
    voice = stems[SIX_STEMS.index("vocals")]
    return _write({"voice": voice, "noise": stems.sum(axis=0) - voice}, folder, format)


def _write(parts: Mapping[str, Samples], folder: Path, format: str) -> dict[str, str]:
    fmt = OutputFormat.parse(format)
    rate = fmt.supported_rate(RATE)
    paths = {name: folder / f"{name}.{fmt.extension}" for name in parts}
    joined = np.concatenate(list(parts.values()))
    with StemSet(paths, fmt, rate, _CHANNELS, TAGS) as files:
        for block in resampled([joined], RATE, rate, len(joined)):
            files.write(dict(zip(parts, block.reshape(len(parts), _CHANNELS, -1), strict=True)))
        files.commit()
    return {name: str(path) for name, path in paths.items()}


def _with_instruments(stems: Samples, instruments: tuple[str, ...]) -> Samples:
    rest = rest_stem(SIX_STEMS, instruments)
    for absent in absent_stems(SIX_STEMS, instruments):
        stems[rest] += stems[absent]
        stems[absent] = 0
    return stems
