"""Calls of several threads in batches, on a device that is told what to do."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from stemsplitter.errors import DeviceError
from stemsplitter.separation.runtimes.batching import Arrays, Batcher

PATIENCE = 60


class Device:
    """Doubles. The first batch takes until it is let go; ``fail`` may raise for the numbers in a batch."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.began, self.go = threading.Event(), threading.Event()
        self.fail: Callable[[list[float]], None] = lambda numbers: None

    def compute(self, examples: Sequence[Arrays]) -> Sequence[Arrays]:
        numbers = [float(array[0]) for (array,) in examples]
        self.batches.append(numbers)
        self.began.set()
        assert self.go.wait(PATIENCE)
        self.fail(numbers)
        return [(2 * array,) for (array,) in examples]


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def gathered(device: Device) -> Iterator[Callable[[Batcher, int], list["Future[Arrays]"]]]:
    """Call it to have 0 computed and 1, 2, … waiting meanwhile, and then computed."""

    def gather(batcher: Batcher, count: int) -> list["Future[Arrays]"]:
        calls = [threads.submit(batcher, np.array([0.0]))]
        assert device.began.wait(PATIENCE)
        for number in range(1, count + 1):
            calls.append(threads.submit(batcher, np.array([float(number)])))
            deadline = time.monotonic() + PATIENCE
            while len(batcher._waiting) < number:
                assert time.monotonic() < deadline
                time.sleep(0.001)
        device.go.set()
        return calls

    with ThreadPoolExecutor(16) as threads:
        yield gather


Gather = Callable[[Batcher, int], "list[Future[Arrays]]"]


def batcher(device: Device, most: int) -> Batcher:
    return Batcher(device.compute, most, threading.Lock())


def values(calls: Sequence["Future[Arrays]"]) -> list[float]:
    return [float(call.result(PATIENCE)[0][0]) for call in calls]


def test_an_idle_device_takes_what_there_is(device: Device) -> None:
    device.go.set()
    run = batcher(device, 8)
    assert [float(run(np.array([x]))[0][0]) for x in (1.0, 2.0)] == [2.0, 4.0]
    assert device.batches == [[1.0], [2.0]]


def test_what_waits_while_it_computes_is_the_next_batch(device: Device, gathered: Gather) -> None:
    assert values(gathered(batcher(device, 8), 5)) == [0, 2, 4, 6, 8, 10]
    assert device.batches == [[0], [1, 2, 3, 4, 5]]


def test_a_batch_has_a_bound_and_takes_those_that_came_first(device: Device, gathered: Gather) -> None:
    assert values(gathered(batcher(device, 3), 7)) == [2 * x for x in range(8)]
    assert device.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_an_error_reaches_the_one_whose_example_is_the_cause(device: Device, gathered: Gather) -> None:
    def refuse(numbers: list[float]) -> None:
        if 2 in numbers:
            raise ValueError(f"2 among {len(numbers)}")

    device.fail = refuse
    calls = gathered(batcher(device, 8), 3)
    with pytest.raises(ValueError, match="2 among 1"):
        calls[2].result(PATIENCE)
    assert values([calls[0], calls[1], calls[3]]) == [0, 2, 6]


def test_a_batch_without_memory_is_halved_and_later_ones_stay_small(device: Device, gathered: Gather) -> None:
    def bound(numbers: list[float]) -> None:
        if len(numbers) > 2:
            raise MemoryError

    device.fail = bound
    run = batcher(device, 4)
    assert values(gathered(run, 8)) == [2 * x for x in range(9)]
    assert device.batches == [[0], [1, 2, 3, 4], [1, 2], [3, 4], [5, 6], [7, 8]]


def test_one_example_without_memory_fails_alone(device: Device, gathered: Gather) -> None:
    def refuse(numbers: list[float]) -> None:
        if 3 in numbers:
            raise MemoryError

    device.fail = refuse
    calls = gathered(batcher(device, 4), 4)
    with pytest.raises(MemoryError):
        calls[3].result(PATIENCE)
    assert values([*calls[:3], calls[4]]) == [0, 2, 4, 8]


def test_a_broken_device_is_told_to_all_and_not_tried_again(device: Device, gathered: Gather) -> None:
    def broken(numbers: list[float]) -> None:
        raise DeviceError("gone")

    device.fail = broken
    for call in gathered(batcher(device, 8), 3):
        with pytest.raises(DeviceError, match="gone"):
            call.result(PATIENCE)
    assert device.batches == [[0], [1, 2, 3]]


def test_networks_of_one_device_take_turns(device: Device) -> None:
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
