"""Calls of a network that wait at the same time become one batch."""

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
    """A network that many threads call, each with one example, and that computes those that wait together.

    Nothing waits for a batch to fill: an idle device takes what there is. While it computes, calls gather, so that
    batches grow with the load. The thread that finds the device free computes for all; there is none besides.
    """

    def __init__(self, compute: Compute, most: int, device: threading.Lock) -> None:
        """``compute`` gives, for each of up to ``most`` examples, what it makes of it; ``device`` is locked meanwhile.

        Where it raises MemoryError, the batch is halved, and batches stay that small from then on. DeviceError goes to
        all whose examples were in the batch. After any other error each example is tried alone, so that the error
        reaches only the thread whose example is the cause.
        """
        self._compute, self._most, self._device = compute, most, device
        self._waiting: deque[Call] = deque()

    def __call__(self, *arrays: NDArray[Any]) -> Arrays:
        answer: Future[Arrays] = Future()
        self._waiting.append((arrays, answer))
        while not answer.done():
            with self._device:
                if not answer.done():
                    count = min(len(self._waiting), self._most)
                    self._serve([self._waiting.popleft() for _ in range(count)])
        return answer.result()

    def _serve(self, calls: list[Call]) -> None:
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
                size = self._most = (len(calls) + 1) // 2
        gc.collect()  # the exception is gone, and with it what its frames held of the device's memory
        for start in range(0, len(calls), size):
            self._serve(calls[start : start + size])
