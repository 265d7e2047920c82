"""Runtimes: compile the description of a network for a device and run it."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from stemsplitter.errors import RequestError
from stemsplitter.separation.ops import Tensor

Describe = Callable[..., tuple[Tensor, ...]]
"""A network: a function of :class:`~stemsplitter.separation.ops.Ops` and its inputs."""

Network = Callable[..., tuple[NDArray[Any], ...]]
"""A compiled network: float32 arrays in and out.

The arrays returned are valid, and may be written to, until the same thread calls again.
"""

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


class Runtime(Protocol):
    """Compiles networks for one device.

    Attributes:
        concurrency: number of threads that may call a network at once.
        device: name of the device in use.
        hardware: name of the processor or GPU.
    """

    concurrency: int
    device: str
    hardware: str

    @property
    def faster(self) -> tuple[str, ...]:
        """Names of the precisions in which the hardware is faster than in single precision, the fastest first."""

    def for_large_networks(self) -> "Runtime":
        """Return a runtime for networks that need a gigabyte for a segment: a CPU processes one at a time."""

    def compile(
        self, network: Callable[[], Describe], inputs: Mapping[str, tuple[int, ...]], cache: Path
    ) -> Network:
        """Compile a network.

        Args:
            network: returns the description; not called if ``cache`` holds the compiled network.
            inputs: names and shapes of the inputs, in order.
            cache: path, without a suffix, of the files that the runtime keeps.
        """


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_runtime(
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    fp32_layers: Sequence[str] = (),
) -> Runtime:
    """Open the runtime for a device.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` is a GPU if torch is installed and finds
            one, else the CPU.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``; ``auto`` is bf16 on a CPU that multiplies faster in
            it, fp16 on CUDA, else fp32.
        threads: limit of CPU threads; by default the cores that this process may use.
        fp32_layers: names of layers that are computed in single precision in any case.

    Raises:
        RequestError: the device or the precision is not available on this machine.
    """
    if precision not in PRECISIONS:
        raise RequestError(f"There is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}.")
    if device == "cpu":
        return _openvino(precision, threads, fp32_layers)
    if device in ("auto", "mps") or device.split(":")[0] == "cuda":
        from stemsplitter.separation.runtimes.torch import TorchRuntime, find_gpu

        gpu = find_gpu(device)
        if gpu is None:
            return _openvino(precision, threads, fp32_layers)
        return TorchRuntime(gpu, precision, fp32_layers=fp32_layers)
    raise RequestError(f"There is no device {device!r}: choose auto, cpu, cuda, cuda:1, … or mps.")


def _openvino(precision: str, threads: int | None, fp32_layers: Sequence[str]) -> Runtime:
    from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

    return OpenVinoRuntime(precision, threads, fp32_layers)
