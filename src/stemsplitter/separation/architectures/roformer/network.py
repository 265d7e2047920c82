"""BS-RoFormer and Mel-Band RoFormer on the operations of `separation.ops`.

Lu et al., "Music source separation with band-split RoPE transformer", ICASSP 2024, arXiv:2309.02612; Wang et al.,
"Mel-RoFormer for vocal separation and vocal melody transcription", ISMIR 2024, arXiv:2310.01809. With the parameter
names of the networks that MSST trains; the result equals theirs, computed in another order:

- neighboring bands of equal width are computed together;
- the gains of norms and the scale of attention are folded into the weights after them;
- the rows of queries and keys are permuted such that the pairs that a rotary embedding turns are halves of a head;
- tokens stay in the order of their axis for attention, so only the stream between two axes is transposed;
- the masks of Mel bands that overlap are averaged by two lookups instead of a sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from stemsplitter.separation.architectures.roformer.bands import mel_bins, mel_places
from stemsplitter.separation.ops import Array, Ops, Tensor

VALUES = 4  # of a bin: real and imaginary part of left, then right


@dataclass(frozen=True)
class RoFormerShape:
    """The sizes of a network.

    Attributes:
        frames: frames of a segment.
        bins: bins of each band.
        mel: the bands are Mel bands, which overlap, and each transformer ends with a norm; otherwise the bands follow
            each other, and one norm follows the last transformer.
        layers: number of pairs of a transformer along time and one along the bands.
        depths: blocks of attention and feed-forward network in a transformer along time, and along the bands.
        heads: attention heads.
    """

    frames: int
    bins: tuple[int, ...]
    mel: bool
    layers: int
    depths: tuple[int, int]
    heads: int


class RoFormer:
    """Maps a spectrogram ``[batch, frames, 4 · bins]`` to masks ``[batch, chosen, frames, 4 · bins]``.

    The values of a bin are real and imaginary part of left, then right; so are those of the complex masks. ``state``
    maps the official parameter names to float32 arrays; ``chosen`` are the indices of the mask estimators to compute.
    """

    def __init__(self, shape: RoFormerShape, state: Mapping[str, Array], chosen: tuple[int, ...]) -> None:
        self._shape, self._state, self._chosen = shape, state, chosen
        groups = groupby(range(len(shape.bins)), lambda band: shape.bins[band])
        self._groups = [list(bands) for _, bands in groups]

    def __call__(self, ops: Ops, x: Tensor) -> tuple[Tensor]:
        shape = self._shape
        bands, frames = len(shape.bins), shape.frames
        size = self._state["band_split.to_features.0.1.bias"].shape[0]
        with ops.layer("bands"):
            if shape.mel:
                x = _gather(ops, x, frames, mel_bins())
            x = self._split(ops, x)  # batch, bands, frames, channels
            x = ops.reshape(x, (-1, frames, size))
        for layer in range(shape.layers):
            with ops.layer("early" if layer < shape.layers // 2 else "late"):
                x = self._transformer(ops, f"layers.{layer}.0", x, (bands, frames), shape.depths[0])
                x = ops.rearrange(x, (bands, frames, size), (1, 0, 2))
                x = self._transformer(ops, f"layers.{layer}.1", x, (frames, bands), shape.depths[1])
                x = ops.rearrange(x, (frames, bands, size), (1, 0, 2))
        with ops.layer("masks"):
            if not shape.mel:
                x = ops.multiply(ops.normalize_rms(x), ops.constant(self._state["final_norm.gamma"]))
            x = ops.reshape(x, (ops.batch, bands, frames, size))
            return (ops.concat([self._masks(ops, head, x) for head in self._chosen], 1),)

    def _split(self, ops: Ops, x: Tensor) -> Tensor:
        """Turn ``[batch, frames, values]`` into features of the bands, ``[batch, bands, frames, channels]``."""
        features, begin = [], 0
        for bands in self._groups:
            count, width = len(bands), VALUES * self._shape.bins[bands[0]]
            part = ops.slice(x, 2, begin, begin + count * width)
            begin += count * width
            part = ops.reshape(part, (ops.batch, self._shape.frames, count, width))
            part = ops.normalize_rms(ops.transpose(part, (0, 2, 1, 3)))
            weights, biases = [], []
            for band in bands:
                name = f"band_split.to_features.{band}"
                weights.append(self._state[f"{name}.1.weight"] * self._state[f"{name}.0.gamma"])
                biases.append(self._state[f"{name}.1.bias"])
            features.append(ops.grouped_linear(part, np.stack(weights), np.stack(biases)))
        return ops.concat(features, 1)

    def _masks(self, ops: Ops, head: int, x: Tensor) -> Tensor:
        """Estimate the masks of one stem from features: ``[batch, 1, frames, values]``."""
        names = f"mask_estimators.{head}.to_freqs"
        layers = [
            layer for layer in range(0, 2 * len(self._state), 2) if f"{names}.0.0.{layer}.bias" in self._state
        ]
        masks, begin = [], 0
        for bands in self._groups:
            count, width = len(bands), VALUES * self._shape.bins[bands[0]]
            h = ops.slice(x, 1, begin, begin + count)
            begin += count
            for layer in layers:
                weight, bias = (
                    np.stack([self._state[f"{names}.{band}.0.{layer}.{part}"] for band in bands])
                    for part in ("weight", "bias")
                )
                if layer < layers[-1]:
                    h = ops.tanh(ops.grouped_linear(h, weight, bias))
            value = ops.grouped_linear(h, weight[:, :width], bias[:, :width])
            gate = ops.sigmoid(ops.grouped_linear(h, weight[:, width:], bias[:, width:]))
            mask = ops.transpose(ops.multiply(value, gate), (0, 2, 1, 3))
            masks.append(ops.reshape(mask, (ops.batch, self._shape.frames, count * width)))
        mask = ops.concat(masks, 2)
        if self._shape.mel:
            first, last = (_gather(ops, mask, self._shape.frames, places) for places in mel_places())
            mask = ops.multiply(ops.add(first, last), ops.constant(np.full(1, 0.5, np.float32)))
        return ops.reshape(mask, (ops.batch, 1, self._shape.frames, -1))

    def _transformer(self, ops: Ops, name: str, x: Tensor, axes: tuple[int, int], depth: int) -> Tensor:
        """Apply a transformer along the second of two axes; ``x`` is ``[batch · first, second, channels]``."""
        state = self._state
        for block in range(depth):
            x = ops.add(x, self._attention(ops, f"{name}.layers.{block}.0", x, axes))
            net = f"{name}.layers.{block}.1.net"
            weight = state[f"{net}.1.weight"] * state[f"{net}.0.gamma"]
            h = ops.gelu(ops.linear(ops.normalize_rms(x), weight, state[f"{net}.1.bias"]))
            x = ops.add(x, ops.linear(h, state[f"{net}.4.weight"], state[f"{net}.4.bias"]))
        if self._shape.mel:
            x = ops.multiply(ops.normalize_rms(x), ops.constant(state[f"{name}.norm.gamma"]))
        return x

    def _attention(self, ops: Ops, name: str, x: Tensor, axes: tuple[int, int]) -> Tensor:
        state, heads, tokens = self._state, self._shape.heads, axes[1]
        gamma = state[f"{name}.norm.gamma"]
        query, key, value = np.split(state[f"{name}.to_qkv.weight"] * gamma, 3)
        size = len(query) // heads
        halves = np.concatenate([np.arange(0, size, 2), np.arange(1, size, 2)])
        rows = (np.arange(heads)[:, None] * size + halves).reshape(-1)
        cosine, sine = self._rotation(f"{name}.rotary_embed.freqs", tokens, size)
        x = ops.normalize_rms(x)

        def project(weight: Array) -> Tensor:
            y = ops.reshape(_linear(ops, x, weight), (-1, tokens, heads, size))
            return ops.transpose(y, (0, 2, 1, 3))

        q = ops.rotate(project(query[rows] * np.float32(size**-0.5)), cosine, sine)
        k = ops.rotate(project(key[rows]), cosine, sine)
        y = ops.transpose(ops.long_attention(q, k, project(value)), (0, 2, 1, 3))
        gate = ops.sigmoid(
            ops.linear(x, state[f"{name}.to_gates.weight"] * gamma, state[f"{name}.to_gates.bias"])
        )
        y = ops.multiply(y, ops.reshape(gate, (-1, tokens, heads, 1)))
        return _linear(ops, ops.reshape(y, (-1, tokens, heads * size)), state[f"{name}.to_out.0.weight"])

    def _rotation(self, name: str, tokens: int, size: int) -> tuple[Array, Array]:
        """Return cosine and sine of the angles, ``[tokens, size]``, for pairs that are halves of a head."""
        default = (1 / 10000 ** (np.arange(0, size, 2) / size)).astype(np.float32)
        rates = self._state.get(name, default)
        angles = np.arange(tokens, dtype=np.float32)[:, None] * rates  # in single precision, as in training
        both = np.concatenate([angles, angles], axis=1)
        return np.cos(both), np.sin(both)


def _linear(ops: Ops, x: Tensor, weight: Array) -> Tensor:
    """Apply a linear layer without a bias."""
    return ops.matmul(x, ops.constant(np.ascontiguousarray(weight.T)))


def _gather(
    ops: Ops, x: Tensor, frames: int, bins: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> Tensor:
    """Look up bins, of ``VALUES`` values each, in ``[batch, frames, values]``."""
    x = ops.gather(ops.reshape(x, (ops.batch, frames, -1, VALUES)), bins, 2)
    return ops.reshape(x, (ops.batch, frames, -1))
