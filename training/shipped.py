"""Begin with the weights of the file that ships."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from training.network import BandNet


@torch.no_grad()
def begin_with(network: BandNet, file: Path, features: Tensor) -> None:
    """Load the weights into a network, in which it computes from ``features`` what the file's does.

    Batch normalisation, folded into the file's weights, is taken out again: its mean and variance are those that
    the convolutions have on ``features``, ``[B, FEATURES, T, BANDS]``, one after the other.
    """
    state = {name: value.float() for name, value in load_file(file).items()}
    modules = dict(network.named_modules())
    own = network.state_dict()
    biases = {}
    for name, value in state.items():
        module, _, kind = name.rpartition(".")
        if f"{module}.norm.weight" in own and kind == "bias":
            biases[module] = value
        elif f"{module}.conv.{kind}" in own:
            own[f"{module}.conv.{kind}"].copy_(value)
        else:
            scale = (
                (network.layers[0].q.in_features / 4) ** 0.5 if kind != "" and module.endswith(".q") else 1.0
            )
            own[name].copy_(value * scale)
    network.load_state_dict(own)

    def restore(norm: nn.BatchNorm2d, bias: Tensor, x: Tensor) -> None:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(bias + mean)

    hooks = []
    for name, bias in biases.items():
        norm = modules[f"{name}.norm"]
        hooks.append(
            norm.register_forward_pre_hook(lambda norm, inputs, bias=bias: restore(norm, bias, inputs[0]))  # type: ignore[misc]
        )
    network.eval()
    network(features)
    for hook in hooks:
        hook.remove()
    network.train()
