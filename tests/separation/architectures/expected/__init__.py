"""Recorded outputs of other programs' networks; see `benchmarks.peers.expected`."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.random_weights import random_state


@dataclass(frozen=True)
class Expected:
    """Parameters and input of a network, the shape of its output, and every ``step``-th value of that."""

    state: dict[str, NDArray[np.float32]]
    input: NDArray[np.float32]
    output_shape: list[int]
    step: int
    values: NDArray[np.float64]


def load_expected(name: str) -> Expected:
    """Load a recorded output."""
    record = json.loads(Path(__file__).with_name(f"{name}.json").read_text())
    x = np.random.default_rng(0).standard_normal(record["input"]).astype(np.float32)
    values = np.array(record["values"])
    return Expected(random_state(record["shapes"]), x, record["output"], record["step"], values)
