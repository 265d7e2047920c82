"""Batching of calls from several threads, on a controlled device."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from stemsplitter.errors import DeviceError
from stemsplitter.separation.runtimes.batching import Arrays, Batcher

TIMEOUT_S = 60


class Device:
    """Doubles numbers. The first batch waits for ``go``; ``fail`` can raise for the numbers of a batch."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.started, self.go = threading.Event(), threading.Event()
        self.fail: Callable[[list[float]], None] = lambda numbers: None

    def compute(self, examples: Sequence[Arrays]) -> Sequence[Arrays]:
        numbers = [float(array[0]) for (array,) in examples]
        self.batches.append(numbers)
        self.started.set()
        assert self.go.wait(TIMEOUT_S)
        self.fail(numbers)
        return [(2 * array,) for (array,) in examples]


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def gathered(device: Device) -> Iterator[Callable[[Batcher, int], list["Future[Arrays]"]]]:
    """Call it to compute 0 while 1, 2, … wait, and then to compute them."""

    def gather(batcher: Batcher, count: int) -> list["Future[Arrays]"]:
        calls = [threads.submit(batcher, np.array([0.0]))]
        assert device.started.wait(TIMEOUT_S)
        for number in range(1, count + 1):
            calls.append(threads.submit(batcher, np.array([float(number)])))
            deadline = time.monotonic() + TIMEOUT_S
            while len(batcher._waiting) < number:
                assert time.monotonic() < deadline
                time.sleep(0.001)
        device.go.set()
        return calls

    with ThreadPoolExecutor(16) as threads:
        yield gather


Gather = Callable[[Batcher, int], "list[Future[Arrays]]"]


def batcher(device: Device, max_batch: int) -> Batcher:
    return Batcher(device.compute, max_batch, threading.Lock())


def values(calls: Sequence["Future[Arrays]"]) -> list[float]:
    return [float(call.result(TIMEOUT_S)[0][0]) for call in calls]


def test_an_idle_device_computes_without_waiting(device: Device) -> None:
    device.go.set()
    run = batcher(device, 8)
    assert [float(run(np.array([x]))[0][0]) for x in (1.0, 2.0)] == [2.0, 4.0]
    assert device.batches == [[1.0], [2.0]]


def test_calls_that_wait_together_are_one_batch(device: Device, gathered: Gather) -> None:
    assert values(gathered(batcher(device, 8), 5)) == [0, 2, 4, 6, 8, 10]
    assert device.batches == [[0], [1, 2, 3, 4, 5]]


def test_batches_are_bounded_and_in_order(device: Device, gathered: Gather) -> None:
    assert values(gathered(batcher(device, 3), 7)) == [2 * x for x in range(8)]
    assert device.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_an_error_reaches_only_the_call_that_caused_it(device: Device, gathered: Gather) -> None:
    def refuse(numbers: list[float]) -> None:
        if 2 in numbers:
            raise ValueError(f"2 among {len(numbers)}")

    device.fail = refuse
    calls = gathered(batcher(device, 8), 3)
    with pytest.raises(ValueError, match="2 among 1"):
        calls[2].result(TIMEOUT_S)
    assert values([calls[0], calls[1], calls[3]]) == [0, 2, 6]


def test_a_batch_without_memory_is_halved_and_later_batches_stay_small(
    device: Device, gathered: Gather
) -> None:
    def bound(numbers: list[float]) -> None:
        if len(numbers) > 2:
            raise MemoryError

    device.fail = bound
    run = batcher(device, 4)
    assert values(gathered(run, 8)) == [2 * x for x in range(9)]
    assert device.batches == [[0], [1, 2, 3, 4], [1, 2], [3, 4], [5, 6], [7, 8]]


def test_an_example_without_memory_fails_alone(device: Device, gathered: Gather) -> None:
    def refuse(numbers: list[float]) -> None:
        if 3 in numbers:
            raise MemoryError

    device.fail = refuse
    calls = gathered(batcher(device, 4), 4)
    with pytest.raises(MemoryError):
        calls[3].result(TIMEOUT_S)
    assert values([*calls[:3], calls[4]]) == [0, 2, 4, 8]


def test_a_device_error_reaches_all_calls_without_a_retry(device: Device, gathered: Gather) -> None:
    def broken(numbers: list[float]) -> None:
        raise DeviceError("gone")

    device.fail = broken
    for call in gathered(batcher(device, 8), 3):
        with pytest.raises(DeviceError, match="gone"):
            call.result(TIMEOUT_S)
    assert device.batches == [[0], [1, 2, 3]]


def test_networks_of_one_device_compute_one_at_a_time(device: Device) -> None:
    lock, busy, most = threading.Lock(), [0], [0]

    def compute(examples: Sequence[Arrays]) -> Sequence[Arrays]:
        busy[0] += 1
        most[0] = max(most[0], busy[0])
        time.sleep(0.01)
        busy[0] -= 1
        return list(examples)

    networks = [Batcher(compute, 2, lock) for _ in range(2)]
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(networks[x % 2], np.array([float(x)])) for x in range(16)]
        assert values(calls) == list(range(16))
    assert most == [1]
