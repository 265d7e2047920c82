"""Peaks: independent of block sizes and equal to those of the whole stem."""

import base64
import itertools
import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.audio.peaks import Peaks, overview

RATE = 8_000
POINT = 160


def measured(
    stems: dict[str, npt.NDArray[np.float32]], cuts: list[int], gain: float = 1.0
) -> dict[str, object]:
    peaks = Peaks(list(stems), RATE)
    count = next(iter(stems.values())).shape[1]
    edges = [0, *sorted(min(cut, count) for cut in cuts), count]
    for start, end in itertools.pairwise(edges):
        peaks.add({name: stem[:, start:end] for name, stem in stems.items()})
    decoded: dict[str, object] = json.loads(peaks.encode(gain))
    return decoded


def points(described: dict[str, object], name: str) -> list[list[int]]:
    stems = described["stems"]
    assert isinstance(stems, dict)
    return np.frombuffer(base64.b64decode(stems[name]), np.int8).reshape(-1, 2).tolist()


def expected(stem: npt.NDArray[np.float32], gain: float) -> list[list[int]]:
    return [
        [round(127 * max(-1.0, min(1.0, gain * float(value)))) for value in (part.min(), part.max())]
        for part in (stem[:, start : start + POINT] for start in range(0, stem.shape[1], POINT))
    ]


@given(
    samples=st.integers(1, 900),
    channels=st.integers(1, 2),
    cuts=st.lists(st.integers(0, 900), max_size=8),
    gain=st.sampled_from([1.0, 0.5]),
)
def test_points_do_not_depend_on_the_blocks(
    samples: int, channels: int, cuts: list[int], gain: float
) -> None:
    # Multiples of 1/127 keep every value away from rounding boundaries.
    levels = np.random.default_rng(samples).integers(-140, 141, (2, channels, samples)) / 127
    stems = dict(zip(("vocals", "drums"), levels.astype(np.float32) * np.float32(1 / gain), strict=True))
    described = measured(stems, cuts, gain)
    assert (described["sampleRate"], described["samplesPerPoint"], described["samples"]) == (
        RATE,
        POINT,
        samples,
    )
    for name, stem in stems.items():
        assert points(described, name) == expected(stem, gain)


def test_points_clip_at_full_scale_after_the_gain() -> None:
    stem = np.array([[0.0, 2.0, -4.0, 0.0]], np.float32)
    assert points(measured({"bass": stem}, []), "bass") == [[-127, 127]]
    assert points(measured({"bass": stem}, [], gain=0.25), "bass") == [[-127, 64]]


def test_empty_stem_has_no_points() -> None:
    empty = np.zeros((2, 0), np.float32)
    assert points(measured({"bass": empty}, []), "bass") == []


def test_samples_per_point_are_rounded() -> None:
    assert json.loads(Peaks(["bass"], 11_025).encode())["samplesPerPoint"] == 220


@pytest.mark.parametrize("length", [0, 100, 48_000, 100_001])
def test_overview_has_at_most_the_wanted_points(length: int) -> None:
    signal = np.random.default_rng(1).uniform(-1, 1, (2, length)).astype(np.float32)
    peaks = Peaks(["bass"], RATE)
    peaks.add({"bass": signal})
    fine, coarse = json.loads(peaks.encode()), json.loads(overview(peaks.encode(), 40))
    points = {
        name: np.frombuffer(base64.b64decode(told["stems"]["bass"]), np.int8).reshape(-1, 2)
        for name, told in (("fine", fine), ("coarse", coarse))
    }
    assert len(points["coarse"]) <= 40
    assert len(points["coarse"]) == -(-length // coarse["samplesPerPoint"])
    joined = coarse["samplesPerPoint"] // fine["samplesPerPoint"]
    for number, (lowest, highest) in enumerate(points["coarse"]):
        part = points["fine"][number * joined : (number + 1) * joined]
        assert (lowest, highest) == (part[:, 0].min(), part[:, 1].max())
