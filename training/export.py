"""Write a checkpoint as the file that the package ships: ``python -m training.export best.pt builtin_6s.safetensors``.

Half precision, batch normalisation folded into the weights. Prints what the catalogue has to say of the file. With
``--share`` the weights are a mean of the checkpoint's and those of a file that shipped, from which its run began
(Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022): of what a run on synthetic songs unlearns of
real ones, less is lost.

With ``--temperature`` the logits of the masks are divided by it (Guo et al., "On calibration of modern neural
networks", ICML 2017): a network that was trained on synthetic songs is too sure of itself on real ones.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from training.network import BandNet

Weights = dict[str, NDArray[np.float32]]


def weights(checkpoint: Path) -> Weights:
    """The moving average of a checkpoint's weights, or those of a file of this script."""
    if checkpoint.suffix == ".safetensors":
        return read(checkpoint)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["average"]
    network = BandNet()
    network.load_state_dict(
        {name.removeprefix("module."): value for name, value in state.items() if name != "n_averaged"}
    )
    return network.folded()


def read(file: Path) -> Weights:
    """The weights in a file of this script."""
    return {name: array.astype(np.float32) for name, array in load_file(file).items()}


def tempered(state: Weights, temperature: float) -> Weights:
    """The same network with the logits of its masks divided by ``temperature``: above 1 its masks are softer."""
    last = {name: state[name] / np.float32(temperature) for name in ("leave.weight", "leave.bias")}
    return state | last


def mean(shipped: Weights, trained: Weights, share: float) -> Weights:
    """The mean of two networks' weights, with ``share`` of those of the second one."""
    return {name: (1 - share) * shipped[name] + share * array for name, array in trained.items()}


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a run, or a file of this script")
    parser.add_argument("file", type=Path)
    parser.add_argument("--share", type=float, help="of the checkpoint in a mean with --shipped, 0 to 1")
    parser.add_argument("--shipped", type=Path, help="the file from which the checkpoint's run began")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the masks, by default 1")
    options = parser.parse_args()
    state = weights(options.checkpoint)
    if options.share is not None:
        state = mean(read(options.shipped), state, options.share)
    state = tempered(state, options.temperature)
    content = save({name: np.ascontiguousarray(array, np.float16) for name, array in state.items()})
    part = options.file.with_name(f"{options.file.name}.part")
    part.write_bytes(content)
    part.replace(options.file)
    print(f'size = {len(content)}\nsha256 = "{hashlib.sha256(content).hexdigest()}"')


if __name__ == "__main__":
    main()
