"""Write a checkpoint as the file that the package ships: ``python -m training.export best.pt builtin_6s.safetensors``.

Half precision, batch normalisation folded into the weights. Prints what the catalogue has to say of the file.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from training.network import BandNet


def weights(checkpoint: Path) -> dict[str, np.ndarray]:
    """The moving average of a checkpoint's weights, in half precision."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["average"]
    network = BandNet()
    network.load_state_dict(
        {name.removeprefix("module."): value for name, value in state.items() if name != "n_averaged"}
    )
    return {name: np.ascontiguousarray(array, np.float16) for name, array in network.folded().items()}


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    content = save(weights(options.checkpoint))
    part = options.file.with_name(f"{options.file.name}.part")
    part.write_bytes(content)
    part.replace(options.file)
    print(f'size = {len(content)}\nsha256 = "{hashlib.sha256(content).hexdigest()}"')


if __name__ == "__main__":
    main()
