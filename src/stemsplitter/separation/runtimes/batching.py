"""Dynamic batching: calls of a network that wait at the same time are computed as one batch."""

import gc
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from numpy.typing import NDArray

from stemsplitter.errors import DeviceError

Arrays = tuple[NDArray[Any], ...]
Compute = Callable[[Sequence[Arrays]], Sequence[Arrays]]
Call = tuple[Arrays, "Future[Arrays]"]


class Batcher:
    """A network that many threads call, each with one example, and that computes waiting examples in batches.

    No call waits for a batch to fill: an idle device computes the examples that wait. Calls queue while it computes,
    so batches grow with the load. The thread that gets the device's lock computes for all; there is no other thread.
    """

    def __init__(self, compute: Compute, max_batch: int, device: threading.Lock) -> None:
        """Create a batcher.

        Args:
            compute: returns the outputs of a batch of examples, in order. If it raises MemoryError, the batch is
                halved, and later batches are no larger. A DeviceError is raised in all threads of the batch. After any
                other error each example is computed alone, so that only the thread that caused it gets the error.
            max_batch: examples in a batch.
            device: lock that is held while computing.
        """
        self._compute, self._max_batch, self._device = compute, max_batch, device
        self._waiting: deque[Call] = deque()

    def __call__(self, *arrays: NDArray[Any]) -> Arrays:
        answer: Future[Arrays] = Future()
        self._waiting.append((arrays, answer))
        while not answer.done():
            with self._device:
                if not answer.done():
                    count = min(len(self._waiting), self._max_batch)
                    self._run([self._waiting.popleft() for _ in range(count)])
        return answer.result()

    def _run(self, calls: list[Call]) -> None:
        size = 1
        try:
            outputs = self._compute([arrays for arrays, _ in calls])
            for (_, answer), output in zip(calls, outputs, strict=True):
                answer.set_result(output)
            return
        except BaseException as error:
            if len(calls) == 1 or isinstance(error, DeviceError) or not isinstance(error, Exception):
                for _, answer in calls:
                    answer.set_exception(error)
                return
            if isinstance(error, MemoryError):
                size = self._max_batch = (len(calls) + 1) // 2
        gc.collect()  # frees the device memory that the frames of the exception held
        for start in range(0, len(calls), size):
            self._run(calls[start : start + size])
