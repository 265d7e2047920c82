"""Masters: lossless, exact sums, floats above full scale."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.exact import snapped
from stemsplitter.audio.masters import Masters
from stemsplitter.errors import OutputError

Samples = npt.NDArray[np.float32]
NAMES = ("vocals", "drums", "other")
FULL_SCALE = 1 << 23


def noise(seed: int, samples: int, peak: float) -> Samples:
    return np.random.default_rng(seed).uniform(-peak, peak, (2, samples)).astype(np.float32)


def read(path: Path) -> Samples:
    with open_source(path) as source:
        return np.concatenate(list(source.blocks()), axis=1)


def steps(samples: Samples) -> npt.NDArray[np.int64]:
    scaled = samples.astype(np.float64) * FULL_SCALE
    np.testing.assert_array_equal(scaled, np.rint(scaled))
    return scaled.astype(np.int64)


def write(folder: Path, blocks: list[dict[str, Samples]]) -> tuple[list[Path], dict[str, float]]:
    with Masters(folder, NAMES, 44_100, 2) as masters:
        for block in blocks:
            masters.write(block)
        written = masters.commit()
    return [file.path for file in written], {file.name: file.peak for file in written}


def test_masters_are_flac_of_24_bits_and_exact(tmp_path: Path) -> None:
    blocks = [
        {
            name: snapped(noise(at + seed, 5000, 0.5)[None], noise(at + seed, 5000, 0.5))[0]
            for seed, name in enumerate(NAMES)
        }
        for at in (0, 10)
    ]
    paths, peaks = write(tmp_path / "masters", blocks)
    assert [path.name for path in paths] == [f"{name}.flac" for name in NAMES]
    for name, path in zip(NAMES, paths, strict=True):
        given = np.concatenate([block[name] for block in blocks], axis=1)
        np.testing.assert_array_equal(read(path), given)
        assert peaks[name] == np.abs(given).max()


def test_masters_above_full_scale_are_floats_from_the_start(tmp_path: Path) -> None:
    blocks = [{name: noise(at, 5000, 0.5) for name in NAMES} for at in range(3)]
    blocks[1]["drums"] = noise(9, 5000, 1.7)
    blocks = [{name: snapped(block[None], block)[0] for name, block in each.items()} for each in blocks]
    paths, peaks = write(tmp_path, blocks)
    assert [path.name for path in paths] == [f"{name}.wav" for name in NAMES]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.wav" for name in NAMES)
    for name, path in zip(NAMES, paths, strict=True):
        np.testing.assert_array_equal(read(path), np.concatenate([block[name] for block in blocks], axis=1))
    assert peaks["drums"] > 1.6


def test_discarded_masters_leave_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "masters"
    with Masters(folder, NAMES, 44_100, 2) as masters:
        masters.write({name: noise(1, 5000, 0.5) for name in NAMES})
    assert not folder.exists()
    with Masters(folder, NAMES, 44_100, 2), pytest.raises(OutputError, match="Another run"):
        Masters(folder, NAMES, 44_100, 2)
