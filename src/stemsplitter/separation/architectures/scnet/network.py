"""SCNet on the operations of `separation.ops`.

Tong et al., "SCNet: Sparse Compression Network for Music Source Separation", ICASSP 2024, arXiv:2401.13276. With the
parameter names of the released weights; the result equals that of the original, computed in another order:

- the fusion layers, which read each channel twice, add up the two halves of their kernels;
- between the encoder and the decoder, channels are the last axis, as the LSTMs need them;
- the affine parts of norms before an LSTM are folded into its weights;
- the Fourier transforms along time are matrix products.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stemsplitter.separation.ops import Array, Ops, Tensor

EPS = 1e-5
BANDS = 3
PLANES = 4  # real and imaginary part of left, then right


@dataclass(frozen=True)
class SCNetShape:
    """The sizes of a network.

    Attributes:
        bins: bins of the spectrogram.
        frames: frames of a segment, an even number.
        shares: the shares of the bins in the low and the middle band; the high band has the rest.
        strides: of the convolutions along frequency, for each band.
        levels: number of levels of the U-Net.
        depths: residual layers at each level, for each band.
        layers: number of dual-path layers, which is even.
    """

    bins: int
    frames: int
    shares: tuple[float, float]
    strides: tuple[int, int, int]
    levels: int
    depths: tuple[int, int, int]
    layers: int

    def edges(self, rows: int) -> list[int]:
        """Return the first row of each band, and the number of rows."""
        low, middle = self.shares
        return [0, math.ceil(rows * low), math.ceil(rows * (low + middle)), rows]


class SCNet:
    """Maps a spectrogram ``[batch, 4, bins, frames]`` to those of the stems, ``[batch, 4 S, bins, frames]``.

    The channels are real and imaginary part of left, then right; those of a stem follow those of the stem before it.
    ``state`` maps the official parameter names to float32 arrays.
    """

    def __init__(self, shape: SCNetShape, state: Mapping[str, Array]) -> None:
        self._shape, self._state = shape, state

    def __call__(self, ops: Ops, x: Tensor) -> tuple[Tensor]:
        skips, lengths, rows = [], [], [self._shape.bins]
        with ops.layer("encoder"):
            for level in range(self._shape.levels):
                bands = self._encode(ops, f"encoder.{level}", x, rows[-1])
                lengths.append([length for _, length in bands])
                rows.append(sum(lengths[-1]))
                skips.append(ops.concat([band for band, _ in bands], 2))
                weight, bias = self._conv(f"encoder.{level}.globalconv")
                pad = weight.shape[2] // 2
                x = ops.conv2d(skips[-1], weight, bias, pads=(pad, pad, pad, pad))
        with ops.layer("separation"):
            x = self._separate(ops, x, rows.pop())
        with ops.layer("decoder"):
            for level in range(self._shape.levels):
                x = self._fuse(ops, f"decoder.{level}.0.conv", ops.add(x, skips.pop()))
                x = self._decode(ops, f"decoder.{level}.1", x, lengths.pop(), rows.pop())
        return (x,)

    def _conv(self, name: str) -> tuple[Array, Array]:
        """Return weight ``[O, C, kh, kw]`` and bias; one-dimensional kernels lie along the frames."""
        weight = self._state[f"{name}.weight"]
        return weight[:, :, None] if weight.ndim == 3 else weight, self._state[f"{name}.bias"]

    def _encode(self, ops: Ops, name: str, x: Tensor, rows: int) -> list[tuple[Tensor, int]]:
        """Compress each band along frequency; return it and its number of rows."""
        bands = []
        edges = self._shape.edges(rows)
        for band, (start, stop) in enumerate(pairwise(edges)):
            stride = self._shape.strides[band]
            weight, bias = self._conv(f"{name}.SDlayer.convs.{band}")
            kernel = weight.shape[2]
            padding = kernel - 1 if stride == 1 else -(stop - start) % stride
            top = padding // 2
            part = ops.slice(x, 2, start, stop)
            part = ops.conv2d(part, weight, bias, stride=(stride, 1), pads=(top, 0, padding - top, 0))
            for layer in range(self._shape.depths[band]):
                part = self._residual(ops, f"{name}.conv_modules.{band}.layers.{layer}", part)
            bands.append((ops.gelu(part), (stop - start + padding - kernel) // stride + 1))
        return bands

    def _residual(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        """Apply a residual layer of convolutions along the frames, each row alone."""
        weight, bias = self._conv(f"{name}.1")
        pad = weight.shape[3] // 2
        h = ops.gated_conv2d(self._norm(ops, f"{name}.0", x), weight, bias, pads=(0, pad, 0, pad))
        weight, bias = self._conv(f"{name}.3")
        pad = weight.shape[3] // 2
        h = ops.depthwise_conv2d(h, weight, bias, pads=(0, pad, 0, pad))
        h = ops.swish(self._norm(ops, f"{name}.4", h))
        return ops.add(x, ops.conv2d(h, *self._conv(f"{name}.6")))

    def _norm(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        """Normalize each row over channels and frames."""
        gamma, beta = (
            ops.constant(self._state[f"{name}.{part}"].reshape(1, -1, 1, 1)) for part in ("weight", "bias")
        )
        return ops.add(ops.multiply(ops.normalize(x, (1, 3), EPS), gamma), beta)

    def _separate(self, ops: Ops, x: Tensor, rows: int) -> Tensor:
        """Apply the dual-path layers, every second one on the Fourier transform along time."""
        frames = self._shape.frames
        channels = self._state["separation_net.dp_modules.0.linear_layers.0.bias"].shape[0]
        x = ops.transpose(x, (0, 3, 2, 1))  # batch, frames, rows, channels
        for layer in range(self._shape.layers):
            transformed = layer % 2 == 1
            length = frames // 2 + 1 if transformed else frames
            width = 2 * channels if transformed else channels
            name = f"separation_net.dp_modules.{layer}"
            x = self._path(ops, name, 0, x, (length, rows, width))
            x = ops.transpose(x, (0, 2, 1, 3))
            x = self._path(ops, name, 1, x, (rows, length, width))
            if transformed:
                x = ops.reshape(x, (ops.batch, rows, length, 2, channels))
                x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4)), (ops.batch, rows, 2 * length, channels))
                x = ops.matmul(ops.constant(_inverse_fourier(frames)), x)
                x = ops.transpose(x, (0, 2, 1, 3))
            else:
                x = ops.matmul(ops.constant(_fourier(frames)), x)
                x = ops.reshape(x, (ops.batch, rows, 2, frames // 2 + 1, channels))
                x = ops.transpose(x, (0, 3, 1, 2, 4))
                x = ops.reshape(x, (ops.batch, frames // 2 + 1, rows, 2 * channels))
        return ops.transpose(x, (0, 3, 2, 1))

    def _path(self, ops: Ops, name: str, path: int, x: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Add an LSTM along the second of three axes ``shape``, of which the last are the channels."""
        state = self._state
        gamma, beta = state[f"{name}.norm_layers.{path}.weight"], state[f"{name}.norm_layers.{path}.bias"]
        lstm = f"{name}.lstm_layers.{path}"

        def pair(part: str) -> Array:
            return np.stack([state[f"{lstm}.{part}"], state[f"{lstm}.{part}_reverse"]])

        weight, bias = pair("weight_ih_l0"), pair("bias_ih_l0") + pair("bias_hh_l0")
        h = ops.reshape(ops.normalize(x, (1, 2, 3), EPS), (-1, *shape[1:]))
        h = ops.lstm(h, weight * gamma, pair("weight_hh_l0"), bias + weight @ beta)
        linear = f"{name}.linear_layers.{path}"
        h = ops.linear(h, state[f"{linear}.weight"], state[f"{linear}.bias"])
        return ops.add(x, ops.reshape(h, (ops.batch, *shape)))

    def _fuse(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        """Apply a fusion layer, whose input has each channel twice."""
        weight, bias = self._conv(name)
        half, pad = weight.shape[1] // 2, weight.shape[2] // 2
        return ops.gated_conv2d(x, weight[:, :half] + weight[:, half:], bias, pads=(pad, pad, pad, pad))

    def _decode(self, ops: Ops, name: str, x: Tensor, lengths: list[int], rows: int) -> Tensor:
        """Expand each band along frequency to its part of ``rows`` rows."""
        bands, begin = [], 0
        edges = self._shape.edges(rows)
        for band, length in enumerate(lengths):
            weight, bias = (
                self._state[f"{name}.convtrs.{band}.weight"],
                self._state[f"{name}.convtrs.{band}.bias"],
            )
            stride = self._shape.strides[band]
            part = ops.slice(x, 2, begin, begin + length)
            begin += length
            wanted = edges[band + 1] - edges[band]
            excess = (length - 1) * stride + weight.shape[2] - wanted
            crop = (excess // 2, 0, excess - excess // 2, 0)
            bands.append(ops.conv_transpose2d(part, weight, bias, stride=(stride, 1), crop=crop))
        return ops.concat(bands, 2)


def _fourier(frames: int) -> Array:
    """Return the orthonormal transform of real numbers, ``[2 K, frames]``: K real parts, then K imaginary parts."""
    columns = np.fft.rfft(np.eye(frames), axis=0, norm="ortho")
    return np.concatenate([columns.real, columns.imag]).astype(np.float32)


def _inverse_fourier(frames: int) -> Array:
    """Return the inverse of :func:`_fourier`, ``[frames, 2 K]``."""
    unit = np.eye(frames // 2 + 1)
    parts = [np.fft.irfft(value * unit, frames, axis=0, norm="ortho") for value in (1, 1j)]
    return np.concatenate(parts, axis=1).astype(np.float32)
