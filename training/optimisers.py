"""What moves the weights: Muon for the matrices of the hidden layers, AdamW for all else.

Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) makes each step of a matrix
orthogonal; scaled as by Liu et al. ("Muon is scalable for LLM training", 2025) it takes AdamW's learning rates.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn

WEIGHT_DECAY: Final = 1e-2
BETAS: Final = (0.9, 0.98)
OUTER: Final = ("enter", "leave", "offset", "scale")  # what sees features or masks is no hidden layer


class Optimisers:
    """Both, as one."""

    def __init__(self, network: nn.Module) -> None:
        """``network`` is on its device, its convolutions in the memory format ``channels_last``."""
        self._hidden, others = [], []
        for name, parameter in network.named_parameters():
            hidden = parameter.ndim in (2, 4) and not name.startswith(OUTER)
            (self._hidden if hidden else others).append(parameter)
        # the same memory, as matrices: a view, which in another memory format there is none
        self._matrices = [_outputs_first(each.detach()).view(len(each), -1) for each in self._hidden]
        self._muon = torch.optim.Muon(
            self._matrices, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
        )
        self._adam = torch.optim.AdamW(others, betas=BETAS, weight_decay=WEIGHT_DECAY)

    def step(self, rate: float) -> None:
        """Move all weights, by their gradients."""
        for matrix, parameter in zip(self._matrices, self._hidden, strict=True):
            assert parameter.grad is not None
            matrix.grad = _outputs_first(parameter.grad).reshape(matrix.shape)
        for optimiser in (self._muon, self._adam):
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])


def _outputs_first(weight: Tensor) -> Tensor:
    """With its axes in the order in which they lie in memory."""
    return weight.permute(0, 2, 3, 1) if weight.ndim == 4 else weight
