"""The operations that describe networks, independent of the runtime.

A network is a function of an :class:`Ops` and its inputs: the OpenVINO runtime passes an implementation that builds a
graph, the torch runtime one that records a program. Tensors are opaque to the network; shapes are (batch, channels,
rows, columns). The first axis of all inputs is the batch, whose examples are computed independently; the first axis of
an output has the same number of rows for each example.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

Tensor = Any
Array = np.ndarray[Any, np.dtype[np.float32]]
Indices = np.ndarray[Any, np.dtype[np.int64]]
Pair = tuple[int, int]

RMS_EPS = 1e-28  # below the square of every audible value; keeps silence finite


class Ops(Protocol):
    """Operations on tensors. Weights are float32 NumPy arrays in the layout of ``torch.nn.functional``.

    Attributes:
        batch: number of examples, for use in shapes only: it can be symbolic.
    """

    batch: Any

    def precise(self) -> AbstractContextManager[None]:
        """Run the enclosed ops in single precision where others run in fp16, whose range is 6e-8 to 65,504."""

    def layer(self, name: str) -> AbstractContextManager[None]:
        """Name the enclosed ops, which a runtime can compute in single precision where others run in half."""

    def constant(self, value: Array) -> Tensor:
        """Create a constant."""

    def conv2d(
        self,
        x: Tensor,
        weight: Array,
        bias: Array,
        *,
        stride: Pair = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilation: Pair = (1, 1),
    ) -> Tensor:
        """Cross-correlation of ``[batch, C, H, W]`` with ``[O, C, kh, kw]``; ``pads`` = top, left, bottom, right."""

    def gated_conv2d(
        self, x: Tensor, weight: Array, bias: Array, *, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        """:meth:`conv2d` and a gated linear unit: the first half of the channels times the sigmoid of the second."""

    def conv_transpose2d(
        self, x: Tensor, weight: Array, bias: Array, *, stride: Pair, crop: tuple[int, int, int, int]
    ) -> Tensor:
        """Transposed convolution with ``[C, O, kh, kw]``; ``crop`` = samples cut at top, left, bottom, right."""

    def depthwise_conv2d(
        self, x: Tensor, weight: Array, bias: Array, *, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        """:meth:`conv2d` of each channel alone, with ``[C, 1, kh, kw]``."""

    def linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        """``x @ weight.T + bias`` over the last axis; ``weight`` is ``[out, in]``."""

    def grouped_linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        """:meth:`linear` of each group: ``[batch, G, tokens, in]`` with ``[G, out, in]`` and ``[G, out]``."""

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """Matrix product over the last two axes; the axes before them are broadcast."""

    def lstm(self, x: Tensor, weight_in: Array, weight_state: Array, bias: Array) -> Tensor:
        """Bidirectional LSTM over ``[batch, tokens, C]``: ``[batch, tokens, 2 H]``, forward then backward.

        The weights are ``[2, 4 H, C]``, ``[2, 4 H, H]`` and ``[2, 4 H]``, forward then backward, with the gates in
        the order of torch: input, forget, cell, output.
        """

    def add(self, x: Tensor, y: Tensor) -> Tensor: ...

    def multiply(self, x: Tensor, y: Tensor) -> Tensor: ...

    def subtract(self, x: Tensor, y: Tensor) -> Tensor: ...

    def divide(self, x: Tensor, y: Tensor) -> Tensor: ...

    def rsqrt(self, x: Tensor, eps: float) -> Tensor:
        """``1 / sqrt(x + eps)``."""

    def gelu(self, x: Tensor) -> Tensor:
        """The exact GELU, with the error function."""

    def relu(self, x: Tensor) -> Tensor: ...

    def swish(self, x: Tensor) -> Tensor:
        """``x * sigmoid(x)``."""

    def leaky_relu(self, x: Tensor, slope: float) -> Tensor: ...

    def sigmoid(self, x: Tensor) -> Tensor: ...

    def tanh(self, x: Tensor) -> Tensor: ...

    def mean(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Mean over ``axes``, which stay as axes of length 1."""

    def normalize(self, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        """Zero mean and unit variance over ``axes``."""

    def normalize_rms(self, x: Tensor) -> Tensor:
        """``x / rms(x)`` over the last axis; silence stays silent."""

    def rotate(self, x: Tensor, cosine: Array, sine: Array) -> Tensor:
        """Rotary embedding of ``[batch, heads, tokens, dim]`` by angles ``[tokens, dim]``.

        Elements i and i + dim / 2 are turned as a pair.
        """

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Softmax attention on ``[batch, heads, tokens, dim]``; ``q`` is already scaled."""

    def long_attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """:meth:`attention` of many tokens, whose matrix of scores is never in memory as a whole."""

    def concat(self, tensors: list[Tensor], axis: int) -> Tensor: ...

    def slice(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        """Return the elements from ``start`` to ``stop`` of an axis after the first."""

    def expand(self, x: Tensor, shape: tuple[Any, ...]) -> Tensor:
        """Repeat the axes of length 1 up to ``shape``."""

    def gather(self, x: Tensor, indices: Indices, axis: int) -> Tensor:
        """Look up elements of an axis."""

    def image(self, x: Tensor) -> tuple[Any, Any]:
        """Return rows and columns of ``[batch, channels, rows, columns]``, for use in shapes."""

    def reshape(self, x: Tensor, shape: tuple[Any, ...]) -> Tensor: ...

    def transpose(self, x: Tensor, order: tuple[int, ...]) -> Tensor: ...

    def rearrange(self, x: Tensor, shape: tuple[int, ...], order: tuple[int, ...]) -> Tensor:
        """Reshape each example to ``shape``, transpose its axes, and join the examples along the first axis."""
