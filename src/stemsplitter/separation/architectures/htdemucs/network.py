"""Hybrid Transformer Demucs on the operations of `separation.ops`.

Rouard, Massa, Défossez: "Hybrid Transformers for Music Source Separation", ICASSP 2023. A U-Net on the complex
spectrogram and one on the waveform, joined by a cross-attention transformer. Written from the paper and the released
weights, for a fixed segment; the result equals that of the original, computed in another order:

- both branches are images ``[batch, C, rows, frames]``, the waveform with one row, and share all code;
- the second group norm of each residual block is folded into its 1×1 convolution (see :meth:`_residual`);
- affine parts of norms, layer scales and the attention scale are folded into the weights next to them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stemsplitter.separation.ops import Array, Ops, Tensor

EPS = 1e-5
STRIDE = 4


@dataclass(frozen=True)
class HTDemucsShape:
    """The sizes that differ between released HTDemucs networks; ``segment`` in samples, ``sample_rate`` in hertz."""

    sources: tuple[str, ...]
    segment: int = 343_980  # 7.8 s
    sample_rate: int = 44_100
    n_fft: int = 4096
    channels: int = 48
    depth: int = 4
    layers: int = 5
    heads: int = 8
    bottom_channels: int = 0

    @property
    def frames(self) -> int:
        return math.ceil(self.segment / (self.n_fft // 4))


class HTDemucs:
    """The network of one checkpoint.

    ``state`` maps the official parameter names to float32 arrays; ``chosen`` are the indices of the sources to
    compute.
    """

    def __init__(self, shape: HTDemucsShape, state: Mapping[str, Array], chosen: tuple[int, ...]) -> None:
        self.shape = shape
        self._state = state
        self._chosen = list(chosen)

    def __call__(self, ops: Ops, spectrogram: Tensor, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Map a normalized mixture to its sources, on the same scale.

        ``spectrogram`` is ``[batch, 4, n_fft/2, frames]``: real and imaginary parts of left, then right;
        ``waveform`` is ``[batch, 2, 1, segment]``. Returns ``[batch·chosen·2, frames, n_fft/2 + 4, 2]``, real
        and imaginary parts side by side, and ``[batch·chosen·2, segment + 4]``: the first two and the last two bins
        and samples are the overhang of the transposed convolutions and must be dropped.
        """
        x, xt = spectrogram, waveform
        length = self.shape.segment
        skips, skips_t, lengths = [], [], []
        for level in range(self.shape.depth):
            lengths.append(length)
            xt = self._encode(ops, f"tencoder.{level}", xt, (0, 2, 0, 2 + -length % STRIDE))
            x = self._encode(ops, f"encoder.{level}", x, (2, 0, 2, 0))
            if level == 0:
                x = ops.add(x, ops.constant(self._frequency_embedding()))
            length = math.ceil(length / STRIDE)
            skips.append(x)
            skips_t.append(xt)
        x, xt = self._bottom(ops, x, xt, length)
        for level in range(self.shape.depth):
            x = self._decode(ops, f"decoder.{level}", ops.add(x, skips.pop()))
            xt = self._decode(ops, f"tdecoder.{level}", ops.add(xt, skips_t.pop()))
            if level < self.shape.depth - 1:
                x = self._upsample(ops, f"decoder.{level}", x, (2, 0, 2, 0))
                excess = -lengths.pop() % STRIDE
                xt = self._upsample(ops, f"tdecoder.{level}", xt, (0, 2, 0, 2 + excess))
        return self._spectrogram(ops, x), self._waveform(ops, xt)

    def _conv(self, name: str) -> tuple[Array, Array]:
        """Return weight ``[O, C, kh, kw]`` and bias; one-dimensional kernels lie along the frames."""
        weight = self._state[f"{name}.weight"]
        if weight.ndim == 3:
            weight = weight[:, :, None, :]
        return weight, self._state[f"{name}.bias"]

    def _frequency_embedding(self) -> Array:
        # 10 is the scale of the embedding, 0.2 its weight in the sum
        return (2.0 * self._state["freq_emb.embedding.weight"].T)[None, :, :, None].astype(np.float32)

    def _encode(self, ops: Ops, name: str, x: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
        stride = (1, STRIDE) if name.startswith("t") else (STRIDE, 1)
        x = ops.gelu(ops.conv2d(x, *self._conv(f"{name}.conv"), stride=stride, pads=pads))
        x = self._residuals(ops, f"{name}.dconv", x)
        return ops.gated_conv2d(x, *self._conv(f"{name}.rewrite"))

    def _decode(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        pads = (0, 1, 0, 1) if name.startswith("t") else (1, 1, 1, 1)
        x = ops.gated_conv2d(x, *self._conv(f"{name}.rewrite"), pads=pads)
        return self._residuals(ops, f"{name}.dconv", x)

    def _upsample(self, ops: Ops, name: str, x: Tensor, crop: tuple[int, int, int, int]) -> Tensor:
        stride = (1, STRIDE) if name.startswith("t") else (STRIDE, 1)
        weight, bias = self._conv(f"{name}.conv_tr")
        return ops.gelu(ops.conv_transpose2d(x, weight, bias, stride=stride, crop=crop))

    def _spectrogram(self, ops: Ops, x: Tensor) -> Tensor:
        """Apply the last transposed convolution over the rows: ``[batch·chosen·2, frames, n_fft/2 + 4, 2]``.

        A convolution with two taps computes all four phases at once; their channels are ordered such that the bins of
        a frame, which the inverse transform reads, are contiguous.
        """
        shape = self.shape
        pairs, rows = len(self._chosen) * 2, shape.n_fft // 2 // STRIDE + 1
        weight, bias = self._last(f"decoder.{shape.depth - 1}.conv_tr")
        taps = weight.reshape(-1, pairs, 2, 2, STRIDE)  # C, pair, re/im, tap, phase
        taps = taps.transpose(1, 4, 2, 0, 3)[..., ::-1].reshape(pairs * STRIDE * 2, -1, 2, 1)
        bias = np.repeat(bias.reshape(pairs, 1, 2), STRIDE, axis=1).reshape(-1)
        x = ops.transpose(ops.conv2d(x, taps, bias, pads=(1, 0, 1, 0)), (0, 2, 3, 1))
        x = ops.rearrange(x, (rows, shape.frames, pairs, STRIDE * 2), (2, 1, 0, 3))
        return ops.reshape(x, (-1, shape.frames, rows * STRIDE, 2))

    def _waveform(self, ops: Ops, x: Tensor) -> Tensor:
        """Apply the last transposed convolution over the samples: ``[batch·chosen·2, segment + 4]``."""
        shape = self.shape
        pairs, steps = len(self._chosen) * 2, shape.segment // STRIDE + 1
        weight, bias = self._last(f"tdecoder.{shape.depth - 1}.conv_tr")
        taps = weight.reshape(-1, pairs, 2, STRIDE)  # C, pair, tap, phase
        taps = taps.transpose(1, 3, 0, 2)[..., ::-1].reshape(pairs * STRIDE, -1, 1, 2)
        x = ops.conv2d(x, taps, np.repeat(bias, STRIDE), pads=(0, 1, 0, 1))
        x = ops.rearrange(ops.transpose(x, (0, 2, 3, 1)), (steps, pairs, STRIDE), (1, 0, 2))
        return ops.reshape(x, (-1, steps * STRIDE))

    def _last(self, name: str) -> tuple[Array, Array]:
        """Return weight ``[C, chosen, outputs of a source · kernel]`` and bias of a branch's last convolution."""
        weight, bias = self._state[f"{name}.weight"], self._state[f"{name}.bias"]
        count = len(self.shape.sources)
        weight = weight.reshape(len(weight), count, -1)[:, self._chosen]
        return weight, bias.reshape(count, -1)[self._chosen].reshape(-1)

    def _residuals(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        for index in range(2):
            x = ops.add(x, self._residual(ops, f"{name}.layers.{index}", x, dilation=2**index))
        return x

    def _residual(self, ops: Ops, name: str, x: Tensor, dilation: int) -> Tensor:
        """Apply a residual block: a dilated bottleneck, normalized per row over channels and frames.

        The second norm follows a 1×1 convolution ``y = W h + b`` from few channels to many. The mean and variance of
        ``y`` follow from the first and second moments of ``h``, and the norm is linear in ``y``, so both are one
        convolution with two more input channels, without a pass over ``y``.
        """
        weight, bias = self._conv(f"{name}.0")
        h = ops.conv2d(x, weight, bias, pads=(0, dilation, 0, dilation), dilation=(1, dilation))
        with ops.precise():  # squares
            centred = ops.subtract(h, ops.mean(h, (1, 3)))
            rstd = ops.rsqrt(ops.mean(ops.multiply(centred, centred), (1, 3)), EPS)
            h = ops.multiply(centred, rstd)
        h = ops.multiply(h, ops.constant(self._state[f"{name}.1.weight"].reshape(1, -1, 1, 1)))
        h = ops.gelu(ops.add(h, ops.constant(self._state[f"{name}.1.bias"].reshape(1, -1, 1, 1))))

        weight, bias = self._state[f"{name}.3.weight"][:, :, 0], self._state[f"{name}.3.bias"]
        with ops.precise():  # the variance is a small difference of large numbers
            mean, variance = self._moments(ops, h, weight, bias)
            rstd = ops.rsqrt(variance, EPS)
            shift = ops.multiply(ops.multiply(mean, rstd), ops.constant(np.float32(-1).reshape(1, 1, 1, 1)))
        image = (ops.batch, 1, *ops.image(h))
        h = ops.concat([ops.multiply(h, rstd), ops.expand(rstd, image), ops.expand(shift, image)], 1)
        gamma, beta = self._state[f"{name}.4.weight"], self._state[f"{name}.4.bias"]
        weight = np.concatenate([gamma[:, None] * weight, (gamma * bias)[:, None], gamma[:, None]], axis=1)
        scale = np.ones(len(gamma), np.float32)
        scale[: len(gamma) // 2] = self._state[f"{name}.6.scale"]  # the gate's half has none
        return ops.gated_conv2d(h, (scale[:, None] * weight)[:, :, None, None], scale * beta)

    def _moments(self, ops: Ops, h: Tensor, weight: Array, bias: Array) -> tuple[Tensor, Tensor]:
        """Compute mean and variance of ``weight @ h + bias`` over channels and frames: ``[batch, 1, rows, 1]``."""
        full = np.concatenate([weight, bias[:, None]], axis=1).astype(np.float64)
        average = full.mean(axis=0)
        deviation = full - average
        # |deviation @ h|² summed over the outputs equals |root @ h|² summed over the inputs
        values, vectors = np.linalg.eigh(deviation.T @ deviation / len(full))
        root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
        rows = np.concatenate([root, average[None]]).astype(np.float32)
        p = ops.conv2d(h, rows[:, :-1, None, None], rows[:, -1])
        mean = ops.mean(p, (3,))
        square = ops.mean(ops.multiply(p, p), (3,))
        count = len(rows)
        ones = np.ones((1, count, 1, 1), np.float32)
        pick = np.zeros((1, count, 1, 1), np.float32)
        pick[0, -1] = 1
        zero = np.zeros(1, np.float32)
        total = ops.conv2d(square, ones, zero)
        row_mean = ops.conv2d(mean, pick, zero)
        return row_mean, ops.subtract(total, ops.multiply(row_mean, row_mean))

    def _bottom(self, ops: Ops, x: Tensor, xt: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Apply the transformer between the two U-Nets, on tokens ``[batch, rows·frames, C]``."""
        shape = self.shape
        rows, frames = shape.n_fft // 2 // STRIDE**shape.depth, shape.frames
        inner = shape.channels * 2 ** (shape.depth - 1)
        dim = shape.bottom_channels or inner
        x = ops.transpose(ops.reshape(x, (ops.batch, inner, rows * frames)), (0, 2, 1))
        xt = ops.transpose(ops.reshape(xt, (ops.batch, inner, length)), (0, 2, 1))
        if shape.bottom_channels:
            x, xt = self._linear(ops, "channel_upsampler", x), self._linear(ops, "channel_upsampler_t", xt)
        name = "crosstransformer"
        x = self._norm(ops, f"{name}.norm_in", x, extra=_positions_2d(dim, rows, frames))
        xt = self._norm(ops, f"{name}.norm_in_t", xt, extra=_positions_1d(dim, length))
        for layer in range(shape.layers):
            first, second = f"{name}.layers.{layer}", f"{name}.layers_t.{layer}"
            if layer % 2 == 0:
                x, xt = self._layer(ops, first, x, None), self._layer(ops, second, xt, None)
            else:
                x, xt = self._layer(ops, first, x, xt), self._layer(ops, second, xt, x)
        if shape.bottom_channels:
            x = self._linear(ops, "channel_downsampler", x)
            xt = self._linear(ops, "channel_downsampler_t", xt)
        x = ops.reshape(ops.transpose(x, (0, 2, 1)), (ops.batch, inner, rows, frames))
        xt = ops.reshape(ops.transpose(xt, (0, 2, 1)), (ops.batch, inner, 1, length))
        return x, xt

    def _linear(self, ops: Ops, name: str, x: Tensor) -> Tensor:
        return ops.linear(x, self._state[f"{name}.weight"][:, :, 0], self._state[f"{name}.bias"])

    def _norm(self, ops: Ops, name: str, x: Tensor, extra: Array) -> Tensor:
        x = ops.multiply(ops.normalize(x, (2,), EPS), ops.constant(self._state[f"{name}.weight"]))
        return ops.add(x, ops.constant(extra + self._state[f"{name}.bias"]))

    def _layer(self, ops: Ops, name: str, x: Tensor, other: Tensor | None) -> Tensor:
        """Apply a pre-norm transformer layer: self-attention, or cross-attention to ``other``."""
        state = self._state
        attention = "self_attn" if other is None else "cross_attn"
        query = ops.normalize(x, (2,), EPS)
        source = query if other is None else ops.normalize(other, (2,), EPS)
        source_norm = "norm1" if other is None else "norm2"
        x = ops.add(x, self._attend(ops, name, attention, query, source, source_norm))
        before = "norm2" if other is None else "norm3"
        h = ops.gelu(self._folded(ops, f"{name}.linear1", f"{name}.{before}", ops.normalize(x, (2,), EPS)))
        gamma = state[f"{name}.gamma_2.scale"]
        x = ops.add(
            x,
            ops.linear(
                h, gamma[:, None] * state[f"{name}.linear2.weight"], gamma * state[f"{name}.linear2.bias"]
            ),
        )
        x = ops.normalize(x, (1, 2), EPS)
        x = ops.multiply(x, ops.constant(state[f"{name}.norm_out.weight"]))
        return ops.add(x, ops.constant(state[f"{name}.norm_out.bias"]))

    def _folded(self, ops: Ops, linear: str, norm: str, x: Tensor) -> Tensor:
        weight, bias = self._state[f"{linear}.weight"], self._state[f"{linear}.bias"]
        gamma, beta = self._state[f"{norm}.weight"], self._state[f"{norm}.bias"]
        return ops.linear(x, weight * gamma, bias + weight @ beta)

    def _attend(
        self, ops: Ops, name: str, attention: str, query: Tensor, source: Tensor, source_norm: str
    ) -> Tensor:
        state, heads = self._state, self.shape.heads
        weights = np.split(state[f"{name}.{attention}.in_proj_weight"], 3)
        biases = np.split(state[f"{name}.{attention}.in_proj_bias"], 3)
        dim = weights[0].shape[0]
        norms = [f"{name}.norm1", f"{name}.{source_norm}", f"{name}.{source_norm}"]
        scales = [(dim // heads) ** -0.5, 1.0, 1.0]
        projected = []
        for x, weight, bias, norm, scale in zip(
            (query, source, source), weights, biases, norms, scales, strict=True
        ):
            gamma, beta = state[f"{norm}.weight"], state[f"{norm}.bias"]
            y = ops.linear(
                x,
                np.float32(scale) * (weight * gamma),
                np.float32(scale) * (bias + weight @ beta),
            )
            y = ops.reshape(y, (ops.batch, -1, heads, dim // heads))
            projected.append(ops.transpose(y, (0, 2, 1, 3)))
        y = ops.transpose(ops.attention(*projected), (0, 2, 1, 3))
        y = ops.reshape(y, (ops.batch, -1, dim))
        gamma = state[f"{name}.gamma_1.scale"]
        weight = gamma[:, None] * state[f"{name}.{attention}.out_proj.weight"]
        return ops.linear(y, weight, gamma * state[f"{name}.{attention}.out_proj.bias"])


def _positions_1d(dim: int, length: int) -> Array:
    """Return sinusoidal positions ``[1, length, dim]``: cosines, then sines."""
    half = dim // 2
    phase = np.arange(length)[:, None] / 10000 ** (np.arange(half) / (half - 1))
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)[None].astype(np.float32)


def _positions_2d(dim: int, rows: int, frames: int) -> Array:
    """Return sinusoidal positions ``[1, rows·frames, dim]``: half of the channels for frames, half for rows."""
    half = dim // 2
    rate = np.exp(np.arange(0, half, 2) * -(math.log(10000) / half))
    table = np.zeros((rows, frames, dim))
    along = np.arange(frames)[:, None] * rate
    table[:, :, 0:half:2], table[:, :, 1:half:2] = np.sin(along), np.cos(along)
    across = np.arange(rows)[:, None, None] * rate
    table[:, :, half::2], table[:, :, half + 1 :: 2] = np.sin(across), np.cos(across)
    return table.reshape(1, rows * frames, dim).astype(np.float32)
