"""The operations that networks are described with, once for every runtime.

A network in this package is a function over :class:`Ops`: the OpenVINO runtime passes an implementation
that builds a graph of them, the torch runtime one that records a program. Tensors are opaque to the network;
shapes follow the usual order (batch, channels, rows, columns). The first axis of all inputs counts the examples
of a batch, which are computed independently, and that of an output holds as many rows for each.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

Tensor = Any
Array = np.ndarray[Any, np.dtype[np.float32]]
Pair = tuple[int, int]


class Ops(Protocol):
    """Arrays given as weights are constants, float32 NumPy arrays in the layout of ``torch.nn.functional``.

    Attributes:
        batch: how many examples there are, for use in shapes only: it need not be a number yet.
    """

    batch: Any

    def precise(self) -> AbstractContextManager[None]:
        """What is asked for within is computed in single precision where the rest is in 16 bits of fp16, which end at
        65,504 and below 6e-8."""

    def constant(self, value: Array) -> Tensor:
        """A constant of the graph."""

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
        """Cross-correlation of ``[1, C, H, W]`` with ``[O, C, kh, kw]``; ``pads`` = top, left, bottom, right."""

    def gated_conv2d(
        self, x: Tensor, weight: Array, bias: Array, *, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        """:meth:`conv2d`, then a gated linear unit: the first half of the channels times the sigmoid of the
        second."""

    def conv_transpose2d(
        self, x: Tensor, weight: Array, bias: Array, *, stride: Pair, crop: tuple[int, int, int, int]
    ) -> Tensor:
        """Transposed convolution with ``[C, O, kh, kw]``; ``crop`` = samples cut at top, left, bottom, right."""

    def linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        """``x @ weight.T + bias`` over the last axis; ``weight`` is ``[out, in]``."""

    def add(self, x: Tensor, y: Tensor) -> Tensor: ...

    def multiply(self, x: Tensor, y: Tensor) -> Tensor: ...

    def subtract(self, x: Tensor, y: Tensor) -> Tensor: ...

    def divide(self, x: Tensor, y: Tensor) -> Tensor: ...

    def rsqrt(self, x: Tensor, eps: float) -> Tensor:
        """``1 / sqrt(x + eps)``."""

    def gelu(self, x: Tensor) -> Tensor:
        """The exact GELU, with the error function."""

    def relu(self, x: Tensor) -> Tensor: ...

    def leaky_relu(self, x: Tensor, slope: float) -> Tensor: ...

    def sigmoid(self, x: Tensor) -> Tensor: ...

    def mean(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Mean over ``axes``, which stay as axes of length 1."""

    def normalize(self, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        """Zero mean and unit variance over ``axes``."""

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Softmax attention on ``[1, heads, tokens, dim]``; ``q`` is already scaled."""

    def concat(self, tensors: list[Tensor], axis: int) -> Tensor: ...

    def expand(self, x: Tensor, shape: tuple[Any, ...]) -> Tensor:
        """Repeat the axes of length 1 up to ``shape``."""

    def image(self, x: Tensor) -> tuple[Any, Any]:
        """Rows and columns of ``[batch, channels, rows, columns]``, for use in shapes."""

    def reshape(self, x: Tensor, shape: tuple[Any, ...]) -> Tensor: ...

    def transpose(self, x: Tensor, order: tuple[int, ...]) -> Tensor: ...

    def rearrange(self, x: Tensor, shape: tuple[int, ...], order: tuple[int, ...]) -> Tensor:
        """Each example seen as ``shape``, its axes transposed, and the examples joined along the first of them."""
