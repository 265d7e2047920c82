"""What is measured of songs, kept in a folder: a run that was stopped goes on."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Label = TypeVar("Label", int, float)
Measured = tuple[NDArray[np.float32], Label]


def kept(
    cache: Path, seed: int, numbers: Iterable[int], measure: Callable[[int, int], Measured[Label]]
) -> Iterator[Measured[Label]]:
    """Yield what ``measure`` returns for the seed and each number, from the cache where it is there."""
    cache.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        path = cache / f"{seed}_{number:05}.npz"
        if not path.exists():
            found, label = measure(seed, number)
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, found=found.astype(np.float16), label=label)
            partial.rename(path)
        with np.load(path) as file:
            yield file["found"].astype(np.float32), file["label"].item()
