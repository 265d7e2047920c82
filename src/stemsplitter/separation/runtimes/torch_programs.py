"""Records networks as torch programs: a description is called once, and its operations are traced with `torch.fx`.

Weights are prepared while recording, so a run consists of the device's computations only. The batch size stays
symbolic: one program runs batches of any size.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.nn import functional

from stemsplitter.separation.ops import RMS_EPS, Array, Indices, Pair, Tensor
from stemsplitter.separation.runtimes import Describe

Program = Callable[..., tuple[Any, ...]]


def record(
    describe: Describe,
    inputs: Mapping[str, tuple[int, ...]],
    device: Any,
    dtype: Any,
    fp32_layers: Sequence[str] = (),
) -> Program:
    """Record a network with float32 tensors on ``device`` as input and output that computes in ``dtype``.

    The layers ``fp32_layers`` are computed in single precision.
    """
    ops = TorchOps(dtype, fp32_layers)
    outputs = describe(ops, *ops.begin(inputs))
    program: Program = ops.end(outputs).to(device)
    return program


class TorchOps:
    """:class:`~stemsplitter.separation.ops.Ops` that records a program.

    Each operation casts its operands to the precision that it computes in.
    """

    batch: Any

    def __init__(self, dtype: Any, fp32_layers: Sequence[str] = ()) -> None:
        self._dtype = self._general = dtype
        self._fp32_layers = fp32_layers
        self._graph, self._constants = fx.Graph(), torch.nn.Module()
        self._tracer = fx.proxy.GraphAppendingTracer(self._graph)
        self._count = 0

    def begin(self, inputs: Mapping[str, tuple[int, ...]]) -> list[Tensor]:
        """Create the inputs, in order."""
        tensors = [fx.Proxy(self._graph.placeholder(name), self._tracer) for name in inputs]
        self.batch = tensors[0].shape[0]
        return tensors

    def end(self, outputs: tuple[Tensor, ...]) -> Any:
        """Return the recorded program as a module."""
        self._graph.output(tuple(output.float().contiguous().node for output in outputs))
        return fx.GraphModule(self._constants, self._graph)

    @contextmanager
    def precise(self) -> Iterator[None]:
        outside, self._dtype = self._dtype, torch.float32
        try:
            yield
        finally:
            self._dtype = outside

    def layer(self, name: str) -> AbstractContextManager[None]:
        return self.precise() if name in self._fp32_layers else nullcontext()

    def constant(self, value: Array) -> Tensor:
        tensor = torch.from_numpy(np.array(value, dtype=np.float32, order="C"))
        return self._buffer(tensor.to(self._dtype))

    def _buffer(self, tensor: torch.Tensor) -> Tensor:
        name = self._new_name()
        self._constants.register_buffer(name, tensor)
        return fx.Proxy(self._graph.get_attr(name), self._tracer)

    def _new_name(self) -> str:
        self._count += 1
        return f"constant{self._count - 1}"

    def _cast(self, x: Tensor) -> Tensor:
        return x if self._general is torch.float32 else x.to(self._dtype)

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
        x = self._cast(x)
        top, left, bottom, right = pads
        if (top, left) == (bottom, right):
            padding = (top, left)
        else:
            x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
        return functional.conv2d(x, self.constant(weight), self.constant(bias), stride, padding, dilation)

    def gated_conv2d(
        self, x: Tensor, weight: Array, bias: Array, *, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        return functional.glu(self.conv2d(x, weight, bias, pads=pads), dim=1)

    def conv_transpose2d(
        self, x: Tensor, weight: Array, bias: Array, *, stride: Pair, crop: tuple[int, int, int, int]
    ) -> Tensor:
        y = functional.conv_transpose2d(self._cast(x), self.constant(weight), self.constant(bias), stride)
        top, left, bottom, right = crop
        return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]

    def depthwise_conv2d(
        self, x: Tensor, weight: Array, bias: Array, *, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        top, left, bottom, right = pads
        x = functional.pad(self._cast(x), (left, right, top, bottom))
        return functional.conv2d(x, self.constant(weight), self.constant(bias), groups=len(weight))

    def linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        return functional.linear(self._cast(x), self.constant(weight), self.constant(bias))

    def grouped_linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        return self._cast(x) @ self.constant(weight.swapaxes(1, 2)) + self.constant(bias[:, None])

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        return self._cast(x) @ self._cast(y)

    def lstm(self, x: Tensor, weight_in: Array, weight_state: Array, bias: Array) -> Tensor:
        layer = torch.nn.LSTM(weight_in.shape[2], weight_state.shape[2], batch_first=True, bidirectional=True)
        for direction, suffix in enumerate(("", "_reverse")):
            for name, value in (("weight_ih", weight_in), ("weight_hh", weight_state), ("bias_ih", bias)):
                getattr(layer, f"{name}_l0{suffix}").data = torch.from_numpy(value[direction].copy())
            getattr(layer, f"bias_hh_l0{suffix}").data.zero_()
        name = self._new_name()
        self._constants.add_module(name, layer.to(self._dtype).requires_grad_(False))
        outputs = self._graph.call_module(name, (self._cast(x).contiguous().node,))
        return fx.Proxy(outputs, self._tracer)[0]

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return self._cast(x) + self._cast(y)

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        return self._cast(x) * self._cast(y)

    def subtract(self, x: Tensor, y: Tensor) -> Tensor:
        return self._cast(x) - self._cast(y)

    def divide(self, x: Tensor, y: Tensor) -> Tensor:
        return self._cast(x) / self._cast(y)

    def rsqrt(self, x: Tensor, eps: float) -> Tensor:
        return (self._cast(x) + eps).rsqrt()

    def gelu(self, x: Tensor) -> Tensor:
        return functional.gelu(self._cast(x))

    def relu(self, x: Tensor) -> Tensor:
        return self._cast(x).relu()

    def swish(self, x: Tensor) -> Tensor:
        return functional.silu(self._cast(x))

    def leaky_relu(self, x: Tensor, slope: float) -> Tensor:
        return functional.leaky_relu(self._cast(x), slope)

    def sigmoid(self, x: Tensor) -> Tensor:
        return self._cast(x).sigmoid()

    def tanh(self, x: Tensor) -> Tensor:
        return self._cast(x).tanh()

    def mean(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        return self._cast(x).mean(axes, keepdim=True)

    def normalize(self, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        wide = x.float()  # squares overflow half precision
        centred = wide - wide.mean(axes, keepdim=True)
        return self._cast(centred * (centred.square().mean(axes, keepdim=True) + eps).rsqrt())

    def normalize_rms(self, x: Tensor) -> Tensor:
        wide = x.float()  # squares overflow half precision
        return self._cast(wide * (wide.square().mean(-1, keepdim=True) + RMS_EPS).rsqrt())

    def rotate(self, x: Tensor, cosine: Array, sine: Array) -> Tensor:
        x = self._cast(x)
        low, high = x.chunk(2, -1)
        return x * self.constant(cosine) + torch.cat((-high, low), -1) * self.constant(sine)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # every backend computes the softmax in single precision
        q, k, v = self._cast(q), self._cast(k), self._cast(v)
        return functional.scaled_dot_product_attention(q, k, v, scale=1.0)

    long_attention = attention

    def concat(self, tensors: list[Tensor], axis: int) -> Tensor:
        return torch.cat([self._cast(tensor) for tensor in tensors], axis)

    def slice(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        return x.narrow(axis, start, stop - start)

    def gather(self, x: Tensor, indices: Indices, axis: int) -> Tensor:
        return x.index_select(axis, self._buffer(torch.from_numpy(np.array(indices))))

    def image(self, x: Tensor) -> tuple[Any, Any]:
        return x.shape[2], x.shape[3]

    def expand(self, x: Tensor, shape: tuple[Any, ...]) -> Tensor:
        return x.expand(shape)

    def reshape(self, x: Tensor, shape: tuple[Any, ...]) -> Tensor:
        return x.reshape(shape)

    def transpose(self, x: Tensor, order: tuple[int, ...]) -> Tensor:
        return x.permute(order)

    def rearrange(self, x: Tensor, shape: tuple[int, ...], order: tuple[int, ...]) -> Tensor:
        x = x.reshape((self.batch, *shape)).permute((0, *(axis + 1 for axis in order)))
        return x.flatten(0, 1)
