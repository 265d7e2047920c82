"""Networks on the CPU through OpenVINO.

The graph is built op by op from the network's own description, so neither torch nor ONNX is needed and the
layout is the one that OpenVINO runs fastest.
"""

import numpy as np
import openvino as ov
from openvino import opset13 as op

from stemsplitter.separation.networks.ops import Array, Pair, Tensor


class GraphOps:
    """:class:`~stemsplitter.separation.networks.ops.Ops` that builds an OpenVINO graph."""

    def constant(self, value: Array) -> Tensor:
        return op.constant(np.ascontiguousarray(value, dtype=np.float32))

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
        y = op.convolution(
            x, self.constant(weight), list(stride), list(pads[:2]), list(pads[2:]), list(dilation)
        )
        return op.add(y, self.constant(bias.reshape(1, -1, 1, 1)))

    def gated_conv2d(
        self, x: Tensor, weight: Array, bias: Array, *, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        # two convolutions: splitting the channels of one would copy both halves
        half = len(bias) // 2
        value = self.conv2d(x, weight[:half], bias[:half], pads=pads)
        gate = self.conv2d(x, weight[half:], bias[half:], pads=pads)
        return op.multiply(value, op.sigmoid(gate))

    def conv_transpose2d(
        self, x: Tensor, weight: Array, bias: Array, *, stride: Pair, crop: tuple[int, int, int, int]
    ) -> Tensor:
        y = op.convolution_backprop_data(
            x,
            self.constant(weight),
            list(stride),
            pads_begin=list(crop[:2]),
            pads_end=list(crop[2:]),
        )
        return op.add(y, self.constant(bias.reshape(1, -1, 1, 1)))

    def linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        return op.add(op.matmul(x, self.constant(weight), False, True), self.constant(bias))

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return op.add(x, y)

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        return op.multiply(x, y)

    def subtract(self, x: Tensor, y: Tensor) -> Tensor:
        return op.subtract(x, y)

    def divide(self, x: Tensor, y: Tensor) -> Tensor:
        return op.divide(x, y)

    def rsqrt(self, x: Tensor, eps: float) -> Tensor:
        return op.power(op.add(x, np.float32(eps)), np.float32(-0.5))

    def gelu(self, x: Tensor) -> Tensor:
        return op.gelu(x, "erf")

    def relu(self, x: Tensor) -> Tensor:
        return op.relu(x)

    def leaky_relu(self, x: Tensor, slope: float) -> Tensor:
        return op.prelu(x, np.float32(slope))

    def sigmoid(self, x: Tensor) -> Tensor:
        return op.sigmoid(x)

    def mean(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        return op.reduce_mean(x, np.array(axes), keep_dims=True)

    def normalize(self, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        return op.mvn(x, np.array(axes), True, eps, "inside_sqrt")

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = op.softmax(op.matmul(q, k, False, True), -1)
        return op.matmul(scores, v, False, False)

    def concat(self, tensors: list[Tensor], axis: int) -> Tensor:
        return op.concat(tensors, axis)

    def expand(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return op.broadcast(x, np.array(shape))

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return op.reshape(x, np.array(shape), False)

    def transpose(self, x: Tensor, order: tuple[int, ...]) -> Tensor:
        return op.transpose(x, np.array(order))
