"""The CPU runtime, on OpenVINO.

The graph is built operation by operation from the description of the network, so it needs neither torch nor ONNX.
"""

import copy
import ctypes
import gc
import hashlib
import mmap
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from stemsplitter.errors import ModelError, RequestError
from stemsplitter.separation import architectures
from stemsplitter.separation.ops import RMS_EPS, Array, Indices, Pair, Tensor
from stemsplitter.separation.runtimes import Describe, Network, usable_cores
from stemsplitter.separation.runtimes.openvino_core import (
    HINTS,
    UNPINNED,
    bf16_is_faster,
    computes_in_bf16,
    new_core,
)
from stemsplitter.separation.runtimes.openvino_lstm import lstm_loop, lstm_sequences
from stemsplitter.separation.runtimes.openvino_stages import (
    Value,
    is_in,
    name_layers,
    number,
    output_values,
    split,
)

_CompiledStage = tuple[ov.CompiledModel, tuple[Value, ...], tuple[Value, ...]]  # reads, computes

M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3  # of malloc.h
LARGE = 4 << 20  # bytes, from which on an array has pages of its own
MAX_STREAMS = 4  # each holds a network's activations, some 300 MB for HTDemucs


class OpenVinoRuntime:
    """Runs networks on the CPU, several segments at a time.

    One thread for each segment is faster than several threads on one segment: threads do not wait for each other at
    the end of each operation, and decoding and encoding slow down one segment only.
    """

    def __init__(
        self, precision: str = "auto", threads: int | None = None, fp32_layers: Sequence[str] = ()
    ) -> None:
        """Open the CPU.

        Args:
            precision: ``auto``, ``bf16`` or ``fp32``; ``auto`` is bf16 if the processor multiplies faster in it.
            threads: by default the cores that this process may use.
            fp32_layers: names of layers (:meth:`~stemsplitter.separation.ops.Ops.layer`) that are fp32 in any case.

        Raises:
            RequestError: the processor does not compute in this precision.
        """
        _limit_malloc()
        self._core = new_core()
        self._has_bf16 = computes_in_bf16(self._core)
        if precision == "auto":
            precision = "bf16" if self.faster else "fp32"
        if precision not in ("bf16", "fp32"):
            raise RequestError(f"The CPU does not compute in {precision}: choose bf16 or fp32.")
        if precision == "bf16" and not self._has_bf16:
            raise RequestError("This processor does not compute in bf16: choose fp32.")
        self._threads = threads or usable_cores()
        self.concurrency = min(self._threads, MAX_STREAMS)
        self._precision = HINTS[precision]
        self._fp32_layers = tuple(fp32_layers)
        name = str(self._core.get_property("CPU", "FULL_DEVICE_NAME")).strip()
        self.hardware = f"cpu ({name}, OpenVINO {ov.__version__.partition('-')[0]})"
        count = "1 thread" if self._threads == 1 else f"{self._threads} threads"
        self.device = f"cpu ({name}, OpenVINO {precision}, {count})"

    @property
    def faster(self) -> tuple[str, ...]:
        """Names of the precisions in which the processor is faster than in single precision."""
        return ("bf16",) if self._has_bf16 and bf16_is_faster() else ()

    def for_large_networks(self) -> "OpenVinoRuntime":
        runtime = copy.copy(self)
        runtime.concurrency = 1
        return runtime

    def compile(
        self, network: Callable[[], Describe], inputs: Mapping[str, tuple[int, ...]], cache: Path
    ) -> Network:
        loops = self._precision != HINTS["bf16"]
        file = cache.with_name(f"{cache.name}-{_code_version()}{'-loops' if loops else ''}.xml")
        if not file.exists():
            _convert(network(), GraphOps(loops), inputs, file)
            gc.collect()
        try:
            stages, outputs = self._stages(file)
        except RuntimeError as error:
            raise ModelError(
                f"The converted model {file} cannot be loaded: delete it, and it will be converted again."
            ) from error
        _release_mapping(file.with_suffix(".bin"))
        local = threading.local()

        def run(*arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
            if not hasattr(local, "requests"):
                local.requests = [compiled.create_infer_request() for compiled, _, _ in stages]
            # kept until the network is done: a shared tensor does not keep its array alive
            contiguous = [np.ascontiguousarray(array) for array in arrays]
            values: dict[Value, ov.Tensor] = {
                ("", index): ov.Tensor(array, shared_memory=True) for index, array in enumerate(contiguous)
            }
            for request, (_, read, computed) in zip(local.requests, stages, strict=True):
                for index, value in enumerate(read):
                    request.set_input_tensor(index, values[value])
                request.start_async()
                request.wait()
                values |= {value: request.get_output_tensor(index) for index, value in enumerate(computed)}
            return tuple(values[value].data for value in outputs)

        return run

    def _stages(self, file: Path) -> tuple[list[_CompiledStage], tuple[Value, ...]]:
        """Compile the stages of a converted network; return them and the values that are its outputs."""
        if self._fp32_layers and self._precision != "f32":
            model = self._core.read_model(file)
            outputs = output_values(model)
            return [
                (
                    self._compile(stage.model, "f32" if stage.exact else self._precision),
                    stage.inputs,
                    stage.outputs,
                )
                for stage in split(model, is_in(self._fp32_layers))
            ], outputs
        compiled = self._compile(file, self._precision)
        inputs = tuple(("", index) for index in range(len(compiled.inputs)))
        outputs = tuple(("output", index) for index in range(len(compiled.outputs)))
        return [(compiled, inputs, outputs)], outputs

    def _compile(self, model: ov.Model | Path, precision: str) -> ov.CompiledModel:
        return self._core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision,
                "NUM_STREAMS": self.concurrency,
                "INFERENCE_NUM_THREADS": self._threads,
                **UNPINNED,
            },
        )


def _convert(describe: Describe, ops: "GraphOps", inputs: Mapping[str, tuple[int, ...]], file: Path) -> None:
    """Build the graph and save it as ``file``, with its weights beside it."""
    parameters = [op.parameter(list(shape), np.float32, name=name) for name, shape in inputs.items()]
    results = [op.result(output) for output in describe(ops, *parameters)]
    model = ov.Model(results, parameters, file.stem)
    name_layers(model, ops.layers)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.stem}-") as folder:
            saved = Path(folder) / file.name
            ov.save_model(model, saved, compress_to_fp16=False)
            saved.with_suffix(".bin").replace(file.with_suffix(".bin"))
            saved.replace(file)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"The converted model cannot be written to {file.parent}: check its free space and permissions."
        ) from error


def _limit_malloc() -> None:
    """Let later threads allocate in one arena, and large arrays outside it: glibc keeps much of what is freed there.

    One arena saves 50 MB with two streams. Without a fixed limit, glibc puts arrays of up to 32 MB into it once one of
    them was freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE)


def _release_mapping(file: Path) -> None:
    """Release the memory of a mapped file, which is read again if it is used again.

    The plugin computes with a copy of the weights in the layout of the processor, but keeps the file mapped: 75 MB
    for Spleeter.
    """
    if sys.platform != "linux":
        return
    libc, mapped = ctypes.CDLL(None), str(file.resolve())
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, access, *_, path = line.split(maxsplit=5)
        if path == mapped and access == "r--s":
            start, end = (int(address, 16) for address in addresses.split("-"))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


@once
def _code_version() -> str:
    """Return a digest of the code that describes graphs, so that graphs converted by other code are not used."""
    digest = hashlib.sha256(ov.__version__.encode())
    here = Path(__file__).parent.glob("openvino*.py")
    for source in (*sorted(here), *sorted(Path(architectures.__path__[0]).rglob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


class GraphOps:
    """:class:`~stemsplitter.separation.ops.Ops` that builds an OpenVINO graph for one example at a time."""

    batch = 1

    def __init__(self, loops: bool = True) -> None:
        """``loops``: build LSTMs that need less memory, but whose cells are not in single precision in bf16."""
        self._loops = loops
        self.layers: list[tuple[str, int, int]] = []  # see openvino_stages.name_layers

    def precise(self) -> AbstractContextManager[None]:
        return nullcontext()  # bf16 has the range of single precision

    @contextmanager
    def layer(self, name: str) -> Iterator[None]:
        start = number(op.constant(np.float32(0)))
        yield
        self.layers.append((name, start, number(op.constant(np.float32(0)))))

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

    def depthwise_conv2d(
        self, x: Tensor, weight: Array, bias: Array, *, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        y = op.group_convolution(x, self.constant(weight[:, None]), [1, 1], pads[:2], pads[2:], [1, 1])
        return op.add(y, self.constant(bias.reshape(1, -1, 1, 1)))

    def linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        return op.add(op.matmul(x, self.constant(weight), False, True), self.constant(bias))

    def grouped_linear(self, x: Tensor, weight: Array, bias: Array) -> Tensor:
        y = op.matmul(x, self.constant(weight[None]), False, True)
        return op.add(y, self.constant(bias[None, :, None]))

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        return op.matmul(x, y, False, False)

    def lstm(self, x: Tensor, weight_in: Array, weight_state: Array, bias: Array) -> Tensor:
        build = lstm_loop if self._loops else lstm_sequences
        return build(x, weight_in, weight_state, bias)

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

    def swish(self, x: Tensor) -> Tensor:
        return op.swish(x)

    def leaky_relu(self, x: Tensor, slope: float) -> Tensor:
        return op.prelu(x, np.float32(slope))

    def sigmoid(self, x: Tensor) -> Tensor:
        return op.sigmoid(x)

    def tanh(self, x: Tensor) -> Tensor:
        return op.tanh(x)

    def mean(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        return op.reduce_mean(x, np.array(axes), keep_dims=True)

    def normalize(self, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        return op.mvn(x, np.array(axes), True, eps, "inside_sqrt")

    def normalize_rms(self, x: Tensor) -> Tensor:
        # in this form, the plugin computes it as one node
        mean = op.reduce_mean(op.power(x, np.float32(2)), np.array([-1]), keep_dims=True)
        root = op.sqrt(op.add(mean, np.float32(RMS_EPS)))
        return op.multiply(x, op.divide(np.float32(1), root))

    def rotate(self, x: Tensor, cosine: Array, sine: Array) -> Tensor:
        # in this form, the plugin computes it as one node
        dim = cosine.shape[1]
        low, high = self.slice(x, 3, 0, dim // 2), self.slice(x, 3, dim // 2, dim)
        turned = op.concat([op.multiply(high, np.float32(-1)), low], 3)
        cosine, sine = self.constant(cosine[None, None]), self.constant(sine[None, None])
        return op.add(op.multiply(x, cosine), op.multiply(turned, sine))

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = op.softmax(op.matmul(q, k, False, True), -1)
        return op.matmul(scores, v, False, False)

    def long_attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return op.scaled_dot_product_attention(q, k, v, scale=op.constant(np.float32(1)), causal=False)

    def concat(self, tensors: list[Tensor], axis: int) -> Tensor:
        return op.concat(tensors, axis)

    def slice(self, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
        bounds = (np.array([value]) for value in (start, stop, 1, axis))
        return op.slice(x, *bounds)

    def gather(self, x: Tensor, indices: Indices, axis: int) -> Tensor:
        return op.gather(x, op.constant(indices), op.constant(np.int64(axis)))

    def image(self, x: Tensor) -> tuple[int, int]:
        shape = x.get_output_shape(0)
        return int(shape[2]), int(shape[3])

    def expand(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return op.broadcast(x, np.array(shape))

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return op.reshape(x, np.array(shape), False)

    def transpose(self, x: Tensor, order: tuple[int, ...]) -> Tensor:
        return op.transpose(x, np.array(order))

    def rearrange(self, x: Tensor, shape: tuple[int, ...], order: tuple[int, ...]) -> Tensor:
        return self.transpose(self.reshape(x, shape), order)
