"""The GPU runtime, on torch, which is an extra: ``pip install 'stemsplitter[torch]'``."""

import functools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemsplitter.errors import DeviceError, RequestError
from stemsplitter.separation.runtimes import Describe, Network
from stemsplitter.separation.runtimes.batching import Arrays, Batcher

MAX_BATCH = 8  # segments
MAX_SEGMENTS_OF_A_SONG = 4  # processed at the same time: each needs some 200 MB of host memory

_log = logging.getLogger(__name__)


def find_gpu(device: str) -> str | None:
    """Find the torch device for ``auto``, ``cuda``, ``cuda:n`` or ``mps``; None if ``auto`` finds no working GPU.

    Raises:
        RequestError: for a named device, torch is not installed, does not find it, or cannot compute on it.
    """
    try:
        import torch
    except ImportError as error:
        if device == "auto":
            return None
        raise RequestError(
            f"The device {device} needs torch: pip install 'stemsplitter[torch]', or choose --device cpu."
        ) from error
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    kind, _, index = device.partition(":")
    if device == "auto":
        found = "cuda:0" if cuda else "mps" if mps else None
    elif kind == "cuda" and (not index or index.isdigit()) and int(index or 0) < cuda:
        found = f"cuda:{index or 0}"
    elif device == "mps" and mps:
        found = "mps"
    else:
        raise RequestError(
            f"There is no device {device} on this machine: run `stemsplitter doctor` to list its devices."
        )
    try:
        if found:
            _try(found)
    except (RuntimeError, MemoryError, DeviceError) as error:
        reason = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0]
        if device == "auto":
            _log.warning("the GPU %s does not work, using the CPU: %s", found, reason)
            return None
        raise RequestError(
            f"The device {found} does not work ({reason}): update its driver or torch, stop other programs that "
            "use it, or choose --device cpu."
        ) from error
    return found


def _try(device: str) -> None:
    """Compute a convolution in half precision, which fails on a bad driver or a torch without this GPU's kind."""
    import torch

    with _translated_errors(device):
        x = torch.ones((1, 8, 16, 16), dtype=torch.float16, device=device)
        (torch.nn.functional.conv2d(x, x[:, :, :3, :3], padding=1) @ x).sum().item()


class TorchRuntime:
    """Runs networks with torch on one device, in batches of the calls that wait at the same time."""

    def __init__(
        self,
        device: str,
        precision: str = "auto",
        batch: int | None = None,
        fp32_layers: Sequence[str] = (),
    ) -> None:
        """Open a torch device, such as ``cuda:0``.

        Args:
            device: from :func:`find_gpu`, or ``cpu``.
            precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``; ``auto`` is fp16 on CUDA, else fp32.
            batch: segments in a batch; by default 8 on CUDA, else 1.
            fp32_layers: names of layers (:meth:`~stemsplitter.separation.ops.Ops.layer`) that are fp32 in any case.
        """
        import torch

        self._device = torch.device(device)
        self._cuda = self._device.type == "cuda"
        if precision == "auto":
            precision = "fp16" if self._cuda else "fp32"
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self._fp32_layers = tuple(fp32_layers)
        self._batch = batch or (MAX_BATCH if self._cuda else 1)
        self.concurrency = min(self._batch, MAX_SEGMENTS_OF_A_SONG)
        name = torch.cuda.get_device_name(self._device) if self._cuda else self._device.type
        self.device = f"{device} ({name}, torch {torch.__version__} {precision})"
        self.hardware = f"{self._device.type} ({name}, torch {torch.__version__})"
        self.faster: tuple[str, ...] = ("fp16", "bf16") if self._cuda else ()

    def for_large_networks(self) -> "TorchRuntime":
        return self

    def compile(
        self, network: Callable[[], Describe], inputs: Mapping[str, tuple[int, ...]], cache: Path
    ) -> Network:
        import torch

        from stemsplitter.separation.runtimes.torch_programs import record

        with _translated_errors(self._device.type):
            program = record(network(), inputs, self._device, self._dtype, self._fp32_layers)

        @functools.cache
        def precise() -> Any:
            _log.info("a segment exceeds the range of half precision: computing it in single precision")
            return record(network(), inputs, self._device, torch.float32)

        def compute(examples: Sequence[Arrays]) -> Sequence[Arrays]:
            with _translated_errors(self._device.type), torch.inference_mode():
                tensors = [self._join(column) for column in zip(*examples, strict=True)]
                outputs = program(*tensors)
                if self._dtype is torch.float16 and not all(bool(x.isfinite().all()) for x in outputs):
                    outputs = precise()(*tensors)
                return self._split(outputs, len(examples))

        run = Batcher(compute, self._batch, _lock(str(self._device)))
        shapes = tuple(inputs.values())

        def checked(*arrays: NDArray[Any]) -> Arrays:
            if (found := tuple(array.shape for array in arrays)) != shapes:
                raise ValueError(f"the network's inputs are {shapes}, not {found}")
            return run(*arrays)

        return checked

    def _join(self, examples: Sequence[NDArray[Any]]) -> Any:
        """Join examples to one tensor on the device; pinned memory lets the GPU copy it asynchronously."""
        import torch

        joined = torch.empty((len(examples), *examples[0].shape[1:]), pin_memory=self._cuda)
        np.concatenate(examples, out=joined.numpy())
        return joined.to(self._device, non_blocking=self._cuda)

    def _split(self, outputs: Sequence[Any], count: int) -> Sequence[Arrays]:
        """Split the outputs of a batch into those of each of ``count`` examples."""
        import torch

        if self._cuda:
            pinned = [torch.empty(output.shape, pin_memory=True) for output in outputs]
            for host, output in zip(pinned, outputs, strict=True):
                host.copy_(output, non_blocking=True)
            torch.cuda.current_stream(self._device).synchronize()
            outputs = pinned
        arrays = [output.cpu().numpy() for output in outputs]
        parts = [array.reshape(count, -1, *array.shape[1:]) for array in arrays]
        return list(zip(*parts, strict=True))


@functools.cache
def _lock(device: str) -> threading.Lock:
    """Return the lock of a device, shared by all networks: it computes one batch at a time while calls queue."""
    return threading.Lock()


@contextmanager
def _translated_errors(device: str) -> Iterator[None]:
    """Translate torch's errors to MemoryError and DeviceError."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError("The GPU's memory is full.") from error
    except RuntimeError as error:
        message = str(error)
        if "out of memory" in message or "ALLOC_FAILED" in message:
            raise MemoryError("The GPU's memory is full.") from error
        if device.startswith("cuda") and ("CUDA" in message or "cuDNN" in message):
            raise DeviceError(
                f"The GPU or its driver failed ({message.splitlines()[0]}): see `nvidia-smi` and the system log."
            ) from error
        raise
