"""Optimizers: Muon for the matrices of the hidden layers, AdamW for all else.

Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) makes each step of a matrix
orthogonal; scaled as by Liu et al. ("Muon is scalable for LLM training", 2025) it takes AdamW's learning rates.
PyTorch's own computes in bfloat16, which most CPUs only emulate: there a step took longer than the network's.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn

WEIGHT_DECAY: Final = 1e-2
BETAS: Final = (0.9, 0.98)
OUTER: Final = (
    "enter",
    "leave",
    "offset",
    "scale",
    "presence",
)  # what sees features or results is no hidden layer
MOMENTUM: Final = 0.95
ROUNDS: Final = 5
QUINTIC: Final = (
    3.4445,
    -4.7750,
    2.0315,
)  # Jordan's coefficients: singular values end up between 0.7 and 1.2


class Optimisers:
    """Both, as one."""

    def __init__(self, network: nn.Module) -> None:
        """``network`` is on its device, its convolutions in the memory format that they will have."""
        self._hidden, others = [], []
        for name, parameter in network.named_parameters():
            hidden = parameter.ndim in (2, 4) and not name.startswith(OUTER)
            (self._hidden if hidden else others).append(parameter)
        self._momenta = [torch.zeros_like(parameter) for parameter in self._hidden]
        self._adam = torch.optim.AdamW(others, betas=BETAS, weight_decay=WEIGHT_DECAY)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move all weights, by their gradients."""
        for parameter, momentum in zip(self._hidden, self._momenta, strict=True):
            assert parameter.grad is not None
            momentum.lerp_(parameter.grad, 1 - MOMENTUM)
            update = parameter.grad.lerp(momentum, MOMENTUM)
            matrix = orthogonal(update.reshape(len(update), -1))
            parameter.mul_(1 - rate * WEIGHT_DECAY)
            parameter.add_(matrix.view_as(parameter), alpha=-0.2 * rate * max(matrix.shape) ** 0.5)
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self._momenta, "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for momentum, saved in zip(self._momenta, state["muon"], strict=True):
            momentum.copy_(saved)
        self._adam.load_state_dict(state["adam"])


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with all its singular values near 1, by Newton's and Schulz's iteration."""
    a, b, c = QUINTIC
    x = matrix if matrix.device.type == "cpu" else matrix.bfloat16()
    x = x / x.norm().clamp(min=1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.T).to(matrix.dtype)
