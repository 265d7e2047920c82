"""Spleeter's U-Nets on the operations of `separation.ops`.

Hennequin, Khlif, Voituret, Moussallam: "Spleeter: a fast and efficient music source separation tool with
pre-trained models", JOSS 5(50), 2020; the network is that of Jansson et al., "Singing Voice Separation with
Deep U-Net Convolutional Networks", ISMIR 2017. One U-Net per stem estimates the stem's magnitude from the
mixture's; the mask is the stem's share of the sum of squares. For two stems, with the parameter names of the PyTorch
conversion.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from stemsplitter.separation.ops import Array, Ops, Tensor

CHANNELS = 2
BINS = 1024
LEVELS = 6
BATCH_NORM_EPS = 1e-3
SLOPE = 0.2
# TensorFlow's "same" padding of a kernel of 5 with a stride of 2; transposed convolutions are cropped by it
SAME = (1, 1, 2, 2)
# keeps the mask finite where both estimates vanish; far below any audible estimate
FLOOR = 1e-20


class Spleeter:
    """The two U-Nets as one network from the mixture to the mask of the vocals.

    ``states`` are the parameters of the vocals' and the accompaniment's U-Net, by official name.
    """

    def __init__(self, states: Sequence[Mapping[str, Array]]) -> None:
        self._vocals, self._accompaniment = states

    def __call__(self, ops: Ops, magnitude: Tensor) -> tuple[Tensor]:
        """Map magnitudes ``[batch, 2, frames, BINS]`` to the vocals' mask of the same shape, 0 to 1.

        Magnitudes are those of an STFT of 4,096 samples every 1,024 with a Hann window, not normalized, of audio
        whose full scale is 1. The accompaniment's mask is 1 minus that of the vocals.
        """
        vocals = _estimate(ops, self._vocals, magnitude)
        accompaniment = _estimate(ops, self._accompaniment, magnitude)
        with ops.precise():  # in half precision, squares of small shares are zero, as is the floor
            vocals = ops.add(ops.multiply(vocals, vocals), _scalar(ops, FLOOR / 2))
            accompaniment = ops.add(ops.multiply(accompaniment, accompaniment), _scalar(ops, FLOOR / 2))
            return (ops.divide(vocals, ops.add(vocals, accompaniment)),)


def _estimate(ops: Ops, state: Mapping[str, Array], x: Tensor) -> Tensor:
    """Estimate a stem's magnitude relative to the mixture's, which cancels in the ratio of the two stems."""
    skips = []
    for level in range(1, LEVELS + 1):
        weight, bias = state[f"down{level}_conv.1.weight"], state[f"down{level}_conv.1.bias"]
        skips.append(ops.conv2d(x, weight, bias, stride=(2, 2), pads=SAME))
        if level < LEVELS:
            x = ops.leaky_relu(_batch_norm(ops, state, f"down{level}_act.0", skips[-1]), SLOPE)
    x = skips.pop()
    for level in range(1, LEVELS + 1):
        weight, bias = state[f"up{level}.0.weight"], state[f"up{level}.0.bias"]
        x = ops.relu(ops.conv_transpose2d(x, weight, bias, stride=(2, 2), crop=SAME))
        x = _batch_norm(ops, state, f"up{level}.3", x)
        if skips:
            x = ops.concat([skips.pop(), x], 1)
    x = ops.conv2d(x, state["up7.0.weight"], state["up7.0.bias"], pads=(3, 3, 3, 3), dilation=(2, 2))
    with ops.precise():
        return ops.sigmoid(x)


def _batch_norm(ops: Ops, state: Mapping[str, Array], name: str, x: Tensor) -> Tensor:
    """Apply batch normalization, an affine map in inference.

    It cannot be folded into the convolutions: those before it also feed the skip connections or a ReLU, and those
    after it pad with zeros.
    """
    scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + BATCH_NORM_EPS)
    shift = state[f"{name}.bias"] - scale * state[f"{name}.running_mean"]
    shape = (1, -1, 1, 1)
    return ops.add(ops.multiply(x, ops.constant(scale.reshape(shape))), ops.constant(shift.reshape(shape)))


def _scalar(ops: Ops, value: float) -> Tensor:
    return ops.constant(np.full((1, 1, 1, 1), value, np.float32))
