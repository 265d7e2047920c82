"""Small networks of fully connected layers, whose weights come with the package."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def perceptron(values: npt.NDArray[Any], weights: Path) -> Values:
    """Apply a network to the last axis of ``values``: layers with tanh between them.

    ``weights`` is an ``.npz`` file with ``weight0`` ``[in, out]``, ``bias0`` ``[out]``, ``weight1`` and so on.
    """
    for number, (weight, bias) in enumerate(_layers(weights)):
        values = (np.tanh(values) if number else values) @ weight + bias
    return values


@functools.cache
def _layers(weights: Path) -> tuple[tuple[Values, Values], ...]:
    with np.load(weights) as file:
        return tuple(
            (file[f"weight{n}"].astype(np.float64), file[f"bias{n}"].astype(np.float64))
            for n in range(len(file.files) // 2)
        )
