"""``python -m benchmarks.peers.expected FOLDER``: outputs of msst's networks that tests compare with, as JSON.

Each file has the shapes of a small network's parameters, whose values are those of `benchmarks.random_weights`, and
every n-th value of its output.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.msst import build, core
from benchmarks.random_weights import random_state

VALUES = 200
SHAPES = {"scnet_test": (1, 4, 129, 6), "bs_test": (1, 5, 260), "mel_test": (1, 3, 4100)}


def expected(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Run a network on noise of this shape."""
    import torch

    model = build(name)
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    model.load_state_dict({key: torch.from_numpy(value) for key, value in random_state(shapes).items()})
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with torch.inference_mode():
        output = core(model, torch.from_numpy(x)).numpy()
    step = output.size // VALUES
    values = [round(float(value), 8) for value in output.reshape(-1)[::step]]
    return {
        "input": list(shape),
        "output": list(output.shape),
        "step": step,
        "values": values,
        "shapes": shapes,
    }


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1])
    for name, shape in SHAPES.items():
        (folder / f"{name}.json").write_text(json.dumps(expected(name, shape)) + "\n")


if __name__ == "__main__":
    main()
