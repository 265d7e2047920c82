"""Fit which instruments are heard: ``python -m training.presence run/last.pt --examples examples … --out fitted.pt``.

What the network says of presence is linear in what its transformer makes of a segment. In a run this is learned
along with all else, slowly, because it has another scale than the rest. Here the network stays as it is, and the
linear layer is the best one on the examples (by L-BFGS), of all of which the transformer's output is computed once.
Prints how often it is right about held-out examples.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training import loss
from training.examples import load
from training.given import Inputs, batch, draw, known
from training.judge import FOUND, network_of
from training.network import WIDTH, BandNet
from training.score import STEMS

ROUNDS: Final = 150
DECAY: Final = 1e-3  # of the standardized layer's weights


@torch.no_grad()
def heard(network: BandNet, inputs: Iterable[Inputs]) -> tuple[Tensor, Tensor]:
    """The transformer's normalized output ``[N, T / 8, WIDTH]``, and each stem's share of the energy ``[N, 6]``."""
    outputs, shares = [], []
    for each in inputs:
        features, pairs, _, energies, _ = batch([each])
        outputs.append(functional.layer_norm(network.encode(features)[1], (WIDTH,)))
        shares.append(energies / loss.mixture(pairs).clamp(min=1e-12))
    return torch.cat(outputs), torch.cat(shares)


def fit(outputs: Tensor, shares: Tensor) -> torch.nn.Linear:
    """The layer whose logits have the least cross-entropy; see `training.loss.presence_loss`."""
    mean, deviation = outputs.mean((0, 1)), outputs.std((0, 1)) + 1e-6
    standard = (outputs - mean) / deviation
    layer = torch.nn.Linear(outputs.shape[2], len(STEMS))
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def error() -> Tensor:
        optimiser.zero_grad()
        value = loss.cross_entropy(layer(standard), shares) + DECAY * layer.weight.square().sum()
        value.backward()
        return value

    optimiser.step(error)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.weight /= deviation
        layer.bias -= layer.weight @ mean
    return layer


@torch.no_grad()
def report(layer: torch.nn.Linear, outputs: Tensor, shares: Tensor) -> str:
    """For each stem the share of segments with it that are found, and of those without it that are not."""
    found = torch.sigmoid(loss.presence(layer(outputs))) > FOUND
    there, gone = shares > loss.HEARD, shares < loss.UNHEARD
    lines = []
    for number, stem in enumerate(STEMS):
        kept = found[there[:, number], number].float().mean()
        left_out = 1 - found[gone[:, number], number].float().mean()
        lines.append(
            f"{stem:7s} found {kept:.2f} of {int(there[:, number].sum())}, "
            f"left out {left_out:.2f} of {int(gone[:, number].sum())}"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the options, fit, and write a checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m training.presence", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a run, or the file that ships")
    parser.add_argument("--examples", type=Path, required=True, help="from training.examples")
    parser.add_argument("--held-out", type=Path, required=True, help="the same, of songs held out")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to be written")
    parser.add_argument("--count", type=int, default=800, help="how many examples")
    options = parser.parse_args()
    random = np.random.default_rng(1)
    files = sorted(options.examples.glob("*.npz"))[: options.count]
    network = network_of(options.checkpoint, [load(file) for file in files[:8]]).eval()
    layer = fit(*heard(network, (draw(load(file), random) for file in files)))
    held_out = (known(load(file), "spleeter") for file in sorted(options.held_out.glob("*.npz")))
    print(report(layer, *heard(network, held_out)))
    network.presence.load_state_dict(layer.state_dict())
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"average": state | {"n_averaged": torch.tensor(0)}}, options.out)


if __name__ == "__main__":
    main()
