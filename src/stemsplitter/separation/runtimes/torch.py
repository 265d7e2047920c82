"""Networks on a GPU through torch, which is an extra: ``pip install 'stemsplitter[torch]'``.

The same descriptions that OpenVINO builds graphs from are computed here, op by op.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemsplitter.errors import RequestError
from stemsplitter.separation.networks.ops import Array, Pair, Tensor
from stemsplitter.separation.runtimes import Describe, Network


def find_gpu(wanted: str) -> str | None:
    """The torch device for ``auto``, ``cuda``, ``cuda:n`` or ``mps``; None where ``auto`` finds no GPU.

    Raises:
        RequestError: a device was named and torch is not installed or does not see it.
    """
    try:
        import torch
    except ImportError as error:
        if wanted == "auto":
            return None
        raise RequestError(
            f"The device {wanted} needs torch: pip install 'stemsplitter[torch]', or choose --device cpu."
        ) from error
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda:0" if cuda else "mps" if torch.backends.mps.is_available() else None
    kind, _, index = wanted.partition(":")
    if kind == "cuda" and (not index or index.isdigit()) and int(index or 0) < cuda:
        return f"cuda:{index or 0}"
    if wanted == "mps" and torch.backends.mps.is_available():
        return "mps"
    raise RequestError(f"There is no device {wanted} here: run `stemsplitter doctor` to see what there is.")


class TorchRuntime:
    """Runs networks with torch on one device, one segment at a time."""

    concurrency = 1

    def __init__(self, device: str, precision: str = "auto") -> None:
        """``precision`` ``auto`` is fp16 on CUDA, else fp32."""
        import torch

        kind = device.split(":")[0]
        if precision == "auto":
            precision = "fp16" if kind == "cuda" else "fp32"
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self._device = torch.device(device)
        name = torch.cuda.get_device_name(self._device) if kind == "cuda" else kind
        self.device = f"{device} ({name}, torch {torch.__version__} {precision})"

    def compile(
        self, network: Callable[[], Describe], inputs: Mapping[str, tuple[int, ...]], cache: Path
    ) -> Network:
        import torch

        describe = network()
        ops = EagerOps(self._device, self._dtype)
        lock = threading.Lock()

        def run(*arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
            with lock, torch.inference_mode():
                ops.rewind()
                tensors = [torch.from_numpy(array).to(self._device, self._dtype) for array in arrays]
                outputs = describe(ops, *tensors)
                return tuple(output.float().contiguous().cpu().numpy() for output in outputs)

        return run


class EagerOps:
    """:class:`~stemsplitter.separation.networks.ops.Ops` that computes at once.

    A network asks for its constants in the same order each time, so those of the first run are kept on the
    device and served again by their number.
    """

    def __init__(self, device: Any, dtype: Any) -> None:
        self._device, self._dtype = device, dtype
        self._constants: list[Tensor] = []
        self._next = 0

    def rewind(self) -> None:
        """A new run begins."""
        self._next = 0

    def constant(self, value: Array) -> Tensor:
        import torch

        if self._next == len(self._constants):
            array = np.ascontiguousarray(value, dtype=np.float32)
            self._constants.append(torch.from_numpy(array).to(self._device, self._dtype))
        self._next += 1
        return self._constants[self._next - 1]

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
        from torch.nn import functional

        top, left, bottom, right = pads
        if (top, left) == (bottom, right):
            padding = (top, left)
        else:
            x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
        return functional.conv2d(x, self.constant(weight), self.constant(bias), stride, padding, dilation)

    def gated_conv2d(
        self, x: Tensor, weight: Array, bias: Array, *, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        from torch.nn import functional

        return functional.glu(self.conv2d(x, weight, bias, pads=pads), dim=1)

    def conv_transpose2d(
        self, x: Tensor, weight: Array, bias: Array, *, stride: Pair, crop: tuple[int, int, int, int]
    ) -> Tensor:
        from torch.nn import functional

        y = functional.conv_transpose2d(x, self.constant(weight), self.constant(bias), stride)
        top, left, bottom, right = crop
        return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]

    def linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        from torch.nn import functional

        return functional.linear(x, self.constant(weight), self.constant(bias))

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y

    def subtract(self, x: Tensor, y: Tensor) -> Tensor:
        return x - y

    def divide(self, x: Tensor, y: Tensor) -> Tensor:
        return x / y

    def rsqrt(self, x: Tensor, eps: float) -> Tensor:
        return (x + eps).rsqrt()

    def gelu(self, x: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.gelu(x)

    def relu(self, x: Tensor) -> Tensor:
        return x.relu()

    def leaky_relu(self, x: Tensor, slope: float) -> Tensor:
        from torch.nn import functional

        return functional.leaky_relu(x, slope)

    def sigmoid(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def mean(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        return x.mean(axes, keepdim=True)

    def normalize(self, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        # sums over a whole image overflow half precision
        wide = x.float()
        centred = wide - wide.mean(axes, keepdim=True)
        return (centred * (centred.square().mean(axes, keepdim=True) + eps).rsqrt()).to(x.dtype)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.scaled_dot_product_attention(q, k, v, scale=1.0)

    def concat(self, tensors: list[Tensor], axis: int) -> Tensor:
        import torch

        return torch.cat(tensors, axis)

    def expand(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return x.expand(shape)

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return x.reshape(shape)

    def transpose(self, x: Tensor, order: tuple[int, ...]) -> Tensor:
        return x.permute(order)
