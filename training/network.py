"""The network that is trained: a U-Net with fully connected layers along frequency and attention along time.

After Choi et al., "Investigating U-Nets with various intermediate blocks for spectrogram-based singing voice
separation" (ISMIR 2020), whose TFC-TDF block this is in its later, residual form (Kim et al., "Sound demixing
challenge 2023 music demixing track technical report: TFC-TDF-UNet v3"), with a small transformer at the
bottom instead of more levels. Every convolution and linear layer is followed by batch normalisation, which
`folded` folds into its weights: what is shipped has none.
"""

import itertools
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stemsplitter.separation.architectures.bandnet.network import BANDS, HEADS
from training.given import FEATURES
from training.loss import SIGNALS
from training.score import STEMS

MASKS: Final = SIGNALS * len(STEMS) * 2  # of each signal, of each stem, of middle and side
CHANNELS: Final = (32, 64, 96, 128)
WIDTH: Final = 256
LAYERS: Final = 2
BOTTLENECK: Final = 8  # of the fully connected layers along frequency
NARROW: Final = 24  # channels that go into the transformer
POSITION: Final = 9  # frames of the convolution that tells the transformer what comes before what


class Conv(nn.Module):
    """Convolution, batch normalisation, and ReLU where it is asked for."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, active: bool = True) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        return functional.relu(y) if self.active else y

    def folded(self, name: str) -> dict[str, Tensor]:
        scale, shift = affine(self.norm)
        return {f"{name}.weight": self.conv.weight * scale[:, None, None, None], f"{name}.bias": shift}


class Up(nn.Module):
    """Transposed convolution of 2 × 2, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)))

    def folded(self, name: str) -> dict[str, Tensor]:
        scale, shift = affine(self.norm)
        return {f"{name}.weight": self.conv.weight * scale[None, :, None, None], f"{name}.bias": shift}


class Frequency(nn.Module):
    """Two fully connected layers along frequency, the same for all channels and frames."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.down = nn.Linear(bands, max(bands // BOTTLENECK, 8))
        self.up = nn.Linear(max(bands // BOTTLENECK, 8), bands)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.up(functional.relu(self.down(x))))

    def folded(self, name: str) -> dict[str, Tensor]:
        return {
            f"{name}.{part}.{kind}": getattr(getattr(self, part), kind)
            for part in ("down", "up")
            for kind in ("weight", "bias")
        }


class Block(nn.Module):
    """Convolution, fully connected layers along frequency around it, convolution; a shortcut around all."""

    def __init__(self, inputs: int, outputs: int, bands: int) -> None:
        super().__init__()
        self.first = Conv(inputs, outputs, 3)
        self.frequency = Frequency(bands)
        self.second = Conv(outputs, outputs, 3)
        self.shortcut = Conv(inputs, outputs, 1, active=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = y + self.frequency(y)
        return self.second(y) + self.shortcut(x)

    def folded(self, name: str) -> dict[str, Tensor]:
        state: dict[str, Tensor] = {}
        for part, module in self.named_children():
            state |= module.folded(f"{name}.{part}")  # type: ignore[operator]
        return state


class Layer(nn.Module):
    """A transformer's layer with normalisation before each half."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Conv1d(WIDTH, WIDTH, POSITION, padding=POSITION // 2, groups=WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.inner, self.outer = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        batch, frames, _ = x.shape
        x = x + self.position(x.transpose(1, 2)).transpose(1, 2)
        y = self.norm1(x)
        q, k, v = (p(y).view(batch, frames, HEADS, -1).transpose(1, 2) for p in (self.q, self.k, self.v))
        heads = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(heads.transpose(1, 2).reshape(batch, frames, WIDTH))
        return x + self.outer(functional.relu(self.inner(self.norm2(x))))

    def folded(self, name: str) -> dict[str, Tensor]:
        state = {f"{name}.{key}": value for key, value in self.state_dict().items()}
        for key in ("q.weight", "q.bias"):  # attention's scale
            state[f"{name}.{key}"] = state[f"{name}.{key}"] / (WIDTH / HEADS) ** 0.5
        return state


class BandNet(nn.Module):
    """Shares of all stems in all signals, and which instruments there are.

    From features ``[B, FEATURES, T, BANDS]`` to masks' logits ``[B, MASKS, T, BANDS]``, in the order signals ×
    stems × (middle, side), and logits of each instrument's presence ``[B, T / 8, 6]``; T in eights.
    """

    def __init__(self) -> None:
        super().__init__()
        bands = [BANDS >> level for level in range(len(CHANNELS))]
        first, *_, last = CHANNELS
        steps = list(itertools.pairwise(CHANNELS))
        # every band has its own loudness: what it usually is, and how much it usually differs
        self.offset, self.scale = (
            nn.Parameter(torch.zeros(FEATURES, 1, BANDS)),
            nn.Parameter(torch.ones(FEATURES, 1, BANDS)),
        )
        self.enter = Conv(FEATURES, first, 1)
        self.encoder = nn.ModuleList(Block(c, c, b) for c, b in zip(CHANNELS, bands, strict=True))
        self.down = nn.ModuleList(Conv(a, b, 2, 2) for a, b in steps)
        self.narrow = Conv(last, NARROW, 1)
        self.project, self.unproject = (
            nn.Linear(NARROW * bands[-1], WIDTH),
            nn.Linear(WIDTH, NARROW * bands[-1]),
        )
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.widen = Conv(last + NARROW, last, 1)
        self.up = nn.ModuleList(Up(b, a) for a, b in steps)
        self.decoder = nn.ModuleList(
            Block(2 * c, c, b) for c, b in zip(CHANNELS[:-1], bands[:-1], strict=True)
        )
        self.leave = nn.Conv2d(first, MASKS, 1)
        self.presence = nn.Linear(WIDTH, len(STEMS))
        nn.init.zeros_(self.presence.weight)
        nn.init.zeros_(self.presence.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x, y, skips = self.encode(x)
        context = self.unproject(y).unflatten(2, (NARROW, -1)).transpose(1, 2)
        x = self.widen(torch.cat((x, context), 1))
        for up, block, skip in zip(reversed(self.up), reversed(self.decoder), reversed(skips), strict=True):
            x = block(torch.cat((up(x), skip), 1))
        return self.leave(x), self.heard(y)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the last level, what the transformer makes of it ``[B, T / 8, WIDTH]``, and the other levels."""
        x = self.enter((x + self.offset) * self.scale)
        skips: list[Tensor] = []
        for block, down in zip(self.encoder, [*self.down, None], strict=True):
            x = block(x)
            if down is not None:
                skips.append(x)
                x = down(x)
        y = self.project(self.narrow(x).transpose(1, 2).flatten(2))
        for layer in self.layers:
            y = layer(y)
        return x, y, skips

    def heard(self, y: Tensor) -> Tensor:
        """Return logits of presence ``[B, T / 8, 6]``. The transformer's output, in the hundreds, is normalized."""
        return self.presence(functional.layer_norm(y, (WIDTH,)))

    def folded(self) -> dict[str, NDArray[np.float32]]:
        """The weights for `stemsplitter.separation.architectures.bandnet.network`, batch normalisation folded in."""
        state: dict[str, Tensor] = {"offset": self.offset, "scale": self.scale}
        for name in ("enter", "narrow", "widen"):
            state |= getattr(self, name).folded(name)
        for name in ("encoder", "down", "layers", "up", "decoder"):
            for number, module in enumerate(getattr(self, name)):
                state |= module.folded(f"{name}.{number}")
        for name in ("project", "unproject", "leave", "presence"):
            state |= {f"{name}.{key}": value for key, value in getattr(self, name).state_dict().items()}
        return {name: value.detach().float().cpu().numpy() for name, value in state.items()}


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Batch normalisation as what it is in inference: scale and shift of each channel."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - scale * norm.running_mean
