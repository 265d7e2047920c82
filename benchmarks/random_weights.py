"""Random weights by rule: the same names and shapes give the same values, with and without torch."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def random_state(shapes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """Return parameters by name: gains around 1, small biases, and matrices that keep the level of their input."""
    return {name: _random(name, tuple(shape)) for name, shape in shapes.items()}


def _random(name: str, shape: tuple[int, ...]) -> Array:
    if name.endswith("freqs"):
        return (1 / 10000 ** (np.arange(shape[0]) / shape[0])).astype(np.float32)
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        values /= np.sqrt(np.prod(shape[1:]))
    else:
        values = 1 + 0.2 * values if name.endswith(("weight", "gamma")) else 0.1 * values
    return values.astype(np.float32)


def write_safetensors(path: Path, state: Mapping[str, Array]) -> Path:
    """Write parameters as safetensors."""
    header, begin = {}, 0
    for name, value in state.items():
        end = begin + value.nbytes
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [begin, end]}
        begin = end
    raw = json.dumps(header).encode()
    data = b"".join(np.ascontiguousarray(value, "<f4").tobytes() for value in state.values())
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path
