"""Operations of a network, counted, and the rate at which this processor multiplies large matrices.

Their quotient is a lower bound of the processor time of any computation of the same network in single precision.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from stemsplitter.separation.ops import Array, Tensor
from stemsplitter.separation.runtimes import Describe, Network
from stemsplitter.separation.runtimes.openvino import GraphOps, OpenVinoRuntime

PRODUCT = (4096, 512, 2048)
"""Rows, inner size and columns of a matrix product that is large for the caches."""


class CountingOps(GraphOps):
    """`GraphOps` that count the multiplications and additions of products, convolutions and LSTMs."""

    def __init__(self, loops: bool = True) -> None:
        super().__init__(loops)
        self.operations = 0

    def conv2d(self, x: Tensor, weight: Array, bias: Array, **options: Any) -> Tensor:
        y = super().conv2d(x, weight, bias, **options)
        return self._count(y, y, weight[0].size)

    def conv_transpose2d(self, x: Tensor, weight: Array, bias: Array, **options: Any) -> Tensor:
        y = super().conv_transpose2d(x, weight, bias, **options)
        return self._count(y, x, weight[0].size)

    def depthwise_conv2d(self, x: Tensor, weight: Array, bias: Array, **options: Any) -> Tensor:
        y = super().depthwise_conv2d(x, weight, bias, **options)
        return self._count(y, y, weight[0].size)

    def linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        y = super().linear(x, weight, bias)
        return self._count(y, y, weight.shape[-1])

    def grouped_linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        y = super().grouped_linear(x, weight, bias)
        return self._count(y, y, weight.shape[-1])

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        product = super().matmul(x, y)
        return self._count(product, product, _shape(x)[-1])

    def lstm(self, x: Tensor, weight_in: Array, weight_state: Array, bias: Array) -> Tensor:
        self.operations += 2 * int(np.prod(_shape(x)[:2])) * (weight_in.size + weight_state.size)
        return super().lstm(x, weight_in, weight_state, bias)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self._count(super().attention(q, k, v), q, 2 * _shape(k)[2])

    def long_attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self._count(super().long_attention(q, k, v), q, 2 * _shape(k)[2])

    def _count(self, result: Tensor, outputs: Tensor, terms: int) -> Tensor:
        self.operations += 2 * int(np.prod(_shape(outputs))) * int(terms)
        return result


class CountingRuntime(OpenVinoRuntime):
    """Runtime that counts the operations of the networks that it compiles.

    Attributes:
        operations: multiplications and additions for one segment.
    """

    operations = 0

    def for_large_networks(self) -> "CountingRuntime":
        self.concurrency = 1  # no copy, whose count would be lost
        return self

    def compile(
        self, network: Callable[[], Describe], inputs: Mapping[str, tuple[int, ...]], cache: Path
    ) -> Network:
        ops = CountingOps()
        network()(ops, *(op.parameter(list(shape), np.float32) for shape in inputs.values()))
        self.operations += ops.operations
        return super().compile(network, inputs, cache)


def large_product(threads: int) -> tuple[Callable[[], object], int]:
    """Compile a product of two large matrices; return a function that computes it, and its operations."""
    rows, inner, columns = PRODUCT
    random = np.random.default_rng(0)
    x = op.parameter([rows, inner], np.float32)
    weight = op.constant(random.standard_normal((columns, inner), np.float32))
    model = ov.Model([op.result(op.matmul(x, weight, False, True))], [x], "product")
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    rows_of: NDArray[np.float32] = random.standard_normal((rows, inner), np.float32)
    return lambda: request.infer([rows_of]), 2 * rows * inner * columns


def _shape(x: Tensor) -> tuple[int, ...]:
    node = x if hasattr(x, "get_output_shape") else x.get_node()
    return tuple(int(size) for size in node.get_output_shape(0))
