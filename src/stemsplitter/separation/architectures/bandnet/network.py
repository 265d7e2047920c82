"""BandNet on the operations of `separation.ops`: masks of six stems in bands of frequency, and their presence.

A U-Net with fully connected layers along frequency (Choi et al., "Investigating U-Nets with various intermediate
blocks for spectrogram-based singing voice separation", ISMIR 2020) and a small transformer along time at its bottom.
`training/network.py` trains it; in the checkpoints batch normalization is folded into the weights.
"""

from collections.abc import Mapping

import numpy as np

from stemsplitter.separation.ops import Array, Ops, Tensor

BANDS = 160
STEMS = 6
CHANNELS = 2  # middle and side
GIVEN = 3  # vocals, drums and bass, which other models may have found
SIGNALS = 1 + GIVEN  # the rest, which is the mixture minus what is given, and the given stems
FEATURES = 16  # see `bands.features`
SHARED = 2  # signals whose shares are computed: the rest and the vocals; given drums and bass are kept
MASKS = SHARED * STEMS * CHANNELS
LEVELS = 4
LAYERS = 2
HEADS = 4
NORM_EPS = 1e-5


class BandNet:
    """Maps features ``[batch, FEATURES, T, BANDS]`` to logits of the masks and of the presence of the instruments.

    T, a multiple of 8, is ``frames``. The masks, ``[batch, MASKS, T, BANDS]``, are in the order (rest, vocals) × stems
    × (middle, side): the share of each stem in each signal. A checkpoint also has the masks of given drums and bass.
    The presence is ``[batch, T / 8, STEMS]``.
    """

    def __init__(self, state: Mapping[str, Array], frames: int) -> None:
        self._state, self._frames = state, frames

    def __call__(self, ops: Ops, x: Tensor) -> tuple[Tensor, Tensor]:
        state = self._state
        x = ops.multiply(ops.add(x, ops.constant(state["offset"][None])), ops.constant(state["scale"][None]))
        x = self._conv(ops, "enter", x)
        skips = []
        for level in range(LEVELS):
            x = self._block(ops, f"encoder.{level}", x)
            if level < LEVELS - 1:
                skips.append(x)
                x = self._conv(ops, f"down.{level}", x, stride=2)
        context, presence = self._context(ops, self._conv(ops, "narrow", x))
        x = self._conv(ops, "widen", ops.concat([x, context], 1))
        for level in reversed(range(LEVELS - 1)):
            weight, bias = state[f"up.{level}.weight"], state[f"up.{level}.bias"]
            up = ops.relu(ops.conv_transpose2d(x, weight, bias, stride=(2, 2), crop=(0, 0, 0, 0)))
            x = self._block(ops, f"decoder.{level}", ops.concat([up, skips[level]], 1))
        return ops.conv2d(x, state["leave.weight"][:MASKS], state["leave.bias"][:MASKS]), presence

    def _conv(self, ops: Ops, name: str, x: Tensor, *, stride: int = 1, active: bool = True) -> Tensor:
        weight = self._state[f"{name}.weight"]
        pad = weight.shape[2] // 2 if stride == 1 else 0
        y = ops.conv2d(x, weight, self._state[f"{name}.bias"], stride=(stride, stride), pads=(pad,) * 4)
        return ops.relu(y) if active else y

    def _linear(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        return ops.linear(x, self._state[f"{name}.weight"], self._state[f"{name}.bias"])

    def _along_bands(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        """Apply a fully connected layer along the bands of ``[batch, T, BANDS, C]``.

        OpenVINO has the channels last, so that their transposition costs nothing; layers along the last axis would
        copy all channels twice.
        """
        weight, bias = self._state[f"{name}.weight"], self._state[f"{name}.bias"]
        y = ops.matmul(ops.constant(weight[None, None]), x)
        return ops.relu(ops.add(y, ops.constant(bias[None, None, :, None])))

    def _block(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        y = self._conv(ops, f"{name}.first", x)
        by_band = ops.transpose(y, (0, 2, 3, 1))
        narrow = self._along_bands(ops, f"{name}.frequency.down", by_band)
        wide = self._along_bands(ops, f"{name}.frequency.up", narrow)
        y = ops.add(y, ops.transpose(wide, (0, 3, 1, 2)))
        y = self._conv(ops, f"{name}.second", y)
        return ops.add(y, self._conv(ops, f"{name}.shortcut", x, active=False))

    def _context(self, ops: Ops, x: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the transformer along time to ``[batch, C, T / 8, BANDS / 8]``; return its output and the presence."""
        frames, bands = self._frames >> (LEVELS - 1), BANDS >> (LEVELS - 1)
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (ops.batch, frames, -1))
        x = self._linear(ops, "project", x)
        for number in range(LAYERS):
            x = self._layer(ops, f"layers.{number}", x)
        presence = self._linear(ops, "presence", ops.normalize(x, (2,), NORM_EPS))
        x = ops.reshape(self._linear(ops, "unproject", x), (ops.batch, frames, -1, bands))
        return ops.transpose(x, (0, 2, 1, 3)), presence

    def _layer(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        x = ops.add(x, self._position(ops, f"{name}.position", x))
        y = self._norm(ops, f"{name}.norm1", x)
        q, k, v = (self._heads(ops, f"{name}.{part}", y) for part in "qkv")
        heads = ops.transpose(ops.attention(q, k, v), (0, 2, 1, 3))
        heads = ops.reshape(heads, (ops.batch, self._frames >> (LEVELS - 1), -1))
        x = ops.add(x, self._linear(ops, f"{name}.out", heads))
        inner = ops.relu(self._linear(ops, f"{name}.inner", self._norm(ops, f"{name}.norm2", x)))
        return ops.add(x, self._linear(ops, f"{name}.outer", inner))

    def _heads(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        shape = (ops.batch, self._frames >> (LEVELS - 1), HEADS, -1)
        return ops.transpose(ops.reshape(self._linear(ops, name, x), shape), (0, 2, 1, 3))

    def _norm(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        weight, bias = self._state[f"{name}.weight"], self._state[f"{name}.bias"]
        y = ops.multiply(ops.normalize(x, (2,), NORM_EPS), ops.constant(weight[None, None]))
        return ops.add(y, ops.constant(bias[None, None]))

    def _position(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        """Convolve each channel along time, by a dense kernel with zeros: there are few frames."""
        weight, bias = self._state[f"{name}.weight"], self._state[f"{name}.bias"]
        dense = np.zeros((len(bias), len(bias), 1, weight.shape[2]), np.float32)
        dense[np.arange(len(bias)), np.arange(len(bias)), 0] = weight[:, 0]
        row = ops.reshape(ops.transpose(x, (0, 2, 1)), (ops.batch, len(bias), 1, -1))
        row = ops.conv2d(row, dense, bias, pads=(0, weight.shape[2] // 2, 0, weight.shape[2] // 2))
        return ops.transpose(ops.reshape(row, (ops.batch, len(bias), -1)), (0, 2, 1))
