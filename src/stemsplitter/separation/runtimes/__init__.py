"""Runtimes: what a network's description is turned into something that computes by."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from stemsplitter.errors import RequestError
from stemsplitter.separation.ops import Tensor

Describe = Callable[..., tuple[Tensor, ...]]
"""A network: a function of :class:`~stemsplitter.separation.ops.Ops` and its inputs."""

Network = Callable[..., tuple[NDArray[Any], ...]]
"""Takes and gives float32 arrays. Those given are valid, and may be written to, until the same thread calls again."""

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


class Runtime(Protocol):
    """A device, and how networks are run on it.

    Attributes:
        concurrency: how many threads may call a network at once.
        device: what it really runs on, in words.
    """

    concurrency: int
    device: str

    def compile(
        self, network: Callable[[], Describe], inputs: Mapping[str, tuple[int, ...]], cache: Path
    ) -> Network:
        """Make a network ready to run.

        ``network`` gives its description; it is not called where ``cache``, a path without suffix, already
        holds what was made of it. ``inputs`` are their names and shapes, in order.
        """


def open_runtime(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Runtime:
    """The runtime for ``device``: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    ``auto`` takes a GPU where torch is installed and sees one, else the CPU. ``precision`` ``auto`` is bf16 on
    a CPU that multiplies it in hardware, fp16 on CUDA, else fp32. ``threads`` bounds the CPU threads.

    Raises:
        RequestError: the device or the precision is not to be had here.
    """
    if precision not in PRECISIONS:
        raise RequestError(f"There is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}.")
    if device == "cpu":
        return _openvino(precision, threads)
    if device == "auto" or device == "mps" or device.split(":")[0] == "cuda":
        from stemsplitter.separation.runtimes.torch import find_gpu

        found = find_gpu(device)
        if found is None:
            return _openvino(precision, threads)
        from stemsplitter.separation.runtimes.torch import TorchRuntime

        return TorchRuntime(found, precision)
    raise RequestError(f"There is no device {device!r}: choose auto, cpu, cuda, cuda:1, … or mps.")


def _openvino(precision: str, threads: int | None) -> Runtime:
    from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

    return OpenVinoRuntime(precision, threads)
