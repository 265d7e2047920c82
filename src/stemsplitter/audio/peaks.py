"""Waveform peaks: the minimum and maximum sample of every stem, 50 times per second, and of the whole song at once."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Points = npt.NDArray[np.int8]

POINTS_PER_SECOND = 50
FILE_NAME, OVERVIEW_NAME = "peaks.json", "overview.json"
OVERVIEW_POINTS = 1200
MIME = "application/json"
_FULL_SCALE = 127  # waveforms are about a hundred pixels high: one byte per value is enough


class Peaks:
    """Measures stems while they are written. Six stems of one hour use 9 MB.

    A point covers ``samples_per_point`` samples of all channels; the last point may cover fewer.
    """

    def __init__(self, names: Sequence[str], sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.samples_per_point = round(sample_rate / POINTS_PER_SECOND)
        self.samples = 0
        self._points = {name: bytearray() for name in names}  # float32 pairs: lowest, highest
        self._open = {name: np.array([np.inf, -np.inf], np.float32) for name in names}

    def add(self, blocks: Mapping[str, Samples]) -> None:
        """Measure the next float32 ``[channels, n]`` of every stem, with one n for all."""
        count = next(iter(blocks.values())).shape[1]
        if not count:
            return
        filled = self.samples % self.samples_per_point
        starts = np.arange(-filled, count, self.samples_per_point).clip(0)
        is_complete = (filled + count) % self.samples_per_point == 0
        for name, block in blocks.items():
            lowest = np.minimum.reduceat(block.min(axis=0), starts)
            highest = np.maximum.reduceat(block.max(axis=0), starts)
            if filled:
                lowest[0] = min(lowest[0], self._open[name][0])
                highest[0] = max(highest[0], self._open[name][1])
            points = np.stack([lowest, highest], axis=1)
            if not is_complete:
                points, self._open[name] = points[:-1], points[-1]
            self._points[name] += points.tobytes()
        self.samples += count

    def encode(self, gain: float = 1.0) -> bytes:
        """Encode the peaks as JSON: ``{"sampleRate", "samples", "samplesPerPoint", "stems": {NAME: POINTS}}``.

        POINTS is base64 of signed bytes, minimum and maximum alternating, clipped at full scale (127). ``gain`` is the
        factor applied to the stems after they were measured.
        """
        stems = {name: self._scaled(name, gain) for name in self._points}
        return _encoded(self.sample_rate, self.samples, self.samples_per_point, stems)

    def _scaled(self, name: str, gain: float) -> Points:
        points = np.frombuffer(bytes(self._points[name]), np.float32)
        if self.samples % self.samples_per_point:
            points = np.concatenate([points, self._open[name]])
        scaled = np.rint(points * np.float32(gain * _FULL_SCALE)).clip(-_FULL_SCALE, _FULL_SCALE)
        pairs: Points = scaled.astype(np.int8).reshape(-1, 2)
        return pairs


def write_peaks(folder: Path, encoded: bytes) -> dict[str, str]:
    """Write encoded peaks, and their overview. Returns the paths of ``peaks`` and ``overview``."""
    files = {"peaks": folder / FILE_NAME, "overview": folder / OVERVIEW_NAME}
    files["peaks"].write_bytes(encoded)
    files["overview"].write_bytes(overview(encoded))
    return {name: str(path) for name, path in files.items()}


def overview(encoded: bytes, most: int = OVERVIEW_POINTS) -> bytes:
    """Join neighboring points of encoded peaks until each stem has at most ``most``: enough for the whole song."""
    peaks = json.loads(encoded)
    per_point = peaks["samplesPerPoint"]
    joined = max(-(-peaks["samples"] // (per_point * most)), 1)
    points = {name: np.frombuffer(base64.b64decode(text), np.int8) for name, text in peaks["stems"].items()}
    stems = {name: _joined(values.reshape(-1, 2), joined) for name, values in points.items()}
    return _encoded(peaks["sampleRate"], peaks["samples"], per_point * joined, stems)


def _joined(points: Points, count: int) -> Points:
    starts = np.arange(0, len(points), count)
    if not len(starts):
        return points
    lowest = np.minimum.reduceat(points[:, 0], starts)
    highest = np.maximum.reduceat(points[:, 1], starts)
    return np.stack([lowest, highest], axis=1)


def _encoded(sample_rate: int, samples: int, per_point: int, stems: Mapping[str, Points]) -> bytes:
    described = {
        "sampleRate": sample_rate,
        "samples": samples,
        "samplesPerPoint": per_point,
        "stems": {name: base64.b64encode(points.tobytes()).decode() for name, points in stems.items()},
    }
    return json.dumps(described, separators=(",", ":")).encode()
