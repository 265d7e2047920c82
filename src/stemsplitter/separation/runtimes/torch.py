"""Networks on a GPU through torch, which is an extra: ``pip install 'stemsplitter[torch]'``."""

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

MOST_AT_ONCE = 8  # segments in a batch
MOST_OF_A_SONG = 4  # segments of one song that are worked on: each holds some 200 MB of the host's memory

_log = logging.getLogger(__name__)


def find_gpu(wanted: str) -> str | None:
    """The torch device for ``auto``, ``cuda``, ``cuda:n`` or ``mps``; None where ``auto`` finds no GPU that works.

    Raises:
        RequestError: a device was named, and torch is not installed, does not see it, or cannot compute on it.
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
    mps = torch.backends.mps.is_available()
    kind, _, index = wanted.partition(":")
    if wanted == "auto":
        found = "cuda:0" if cuda else "mps" if mps else None
    elif kind == "cuda" and (not index or index.isdigit()) and int(index or 0) < cuda:
        found = f"cuda:{index or 0}"
    elif wanted == "mps" and mps:
        found = "mps"
    else:
        raise RequestError(
            f"There is no device {wanted} here: run `stemsplitter doctor` to see what there is."
        )
    try:
        if found:
            _try(found)
    except (RuntimeError, MemoryError, DeviceError) as error:
        said = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0]
        if wanted == "auto":
            _log.warning("the GPU %s does not compute, so the CPU is used: %s", found, said)
            return None
        raise RequestError(
            f"The device {found} is here but does not compute ({said}): update its driver or torch, end what else "
            "uses it, or choose --device cpu."
        ) from error
    return found


def _try(device: str) -> None:
    """A little of what networks do, in half precision: a driver, or a torch without this GPU's kind, fails at it."""
    import torch

    with _told(device):
        x = torch.ones((1, 8, 16, 16), dtype=torch.float16, device=device)
        (torch.nn.functional.conv2d(x, x[:, :, :3, :3], padding=1) @ x).sum().item()


class TorchRuntime:
    """Runs networks with torch on one device; what several threads ask for at the same time in batches."""

    def __init__(self, device: str, precision: str = "auto", batch: int | None = None) -> None:
        """``precision`` ``auto`` is fp16 on CUDA, else fp32; ``batch`` bounds a batch: 8 on CUDA, else 1."""
        import torch

        self._device = torch.device(device)
        self._cuda = self._device.type == "cuda"
        if precision == "auto":
            precision = "fp16" if self._cuda else "fp32"
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self._batch = batch or (MOST_AT_ONCE if self._cuda else 1)
        self.concurrency = min(self._batch, MOST_OF_A_SONG)
        name = torch.cuda.get_device_name(self._device) if self._cuda else self._device.type
        self.device = f"{device} ({name}, torch {torch.__version__} {precision})"

    def compile(
        self, network: Callable[[], Describe], inputs: Mapping[str, tuple[int, ...]], cache: Path
    ) -> Network:
        import torch

        from stemsplitter.separation.runtimes.torch_programs import record

        with _told(self._device.type):
            program = record(network(), inputs, self._device, self._dtype)

        @functools.cache
        def precise() -> Any:
            _log.info("a segment is beyond the range of half precision, and is computed in single")
            return record(network(), inputs, self._device, torch.float32)

        def compute(examples: Sequence[Arrays]) -> Sequence[Arrays]:
            with _told(self._device.type), torch.inference_mode():
                tensors = [self._join(column) for column in zip(*examples, strict=True)]
                outputs = program(*tensors)
                if self._dtype is torch.float16 and not all(bool(x.isfinite().all()) for x in outputs):
                    outputs = precise()(*tensors)
                return self._parted(outputs, len(examples))

        run = Batcher(compute, self._batch, _lock(str(self._device)))
        shapes = tuple(inputs.values())

        def checked(*arrays: NDArray[Any]) -> Arrays:
            if (found := tuple(array.shape for array in arrays)) != shapes:
                raise ValueError(f"the network takes {shapes}, not {found}")
            return run(*arrays)

        return checked

    def _join(self, examples: Sequence[NDArray[Any]]) -> Any:
        """One tensor on the device, by way of memory that the GPU reads by itself."""
        import torch

        joined = torch.empty((len(examples), *examples[0].shape[1:]), pin_memory=self._cuda)
        np.concatenate(examples, out=joined.numpy())
        return joined.to(self._device, non_blocking=self._cuda)

    def _parted(self, outputs: Sequence[Any], count: int) -> Sequence[Arrays]:
        """What belongs to each of ``count`` examples."""
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
    """One for all networks on a device: it computes one batch at a time, and calls had better gather meanwhile."""
    return threading.Lock()


@contextmanager
def _told(device: str) -> Iterator[None]:
    """Torch's errors as MemoryError and DeviceError, where they are such."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError("The GPU's memory is full.") from error
    except RuntimeError as error:
        said = str(error)
        if "out of memory" in said or "ALLOC_FAILED" in said:
            raise MemoryError("The GPU's memory is full.") from error
        if device.startswith("cuda") and ("CUDA" in said or "cuDNN" in said):
            raise DeviceError(
                f"The GPU or its driver failed ({said.splitlines()[0]}): see `nvidia-smi` and the system's log."
            ) from error
        raise
