import asyncio
import queue
import threading
import time
from collections.abc import Sequence

import pytest

from stemsplitter.api.middleware import batching
from stemsplitter.api.middleware.batching import Batcher

LIMIT_S = 60.0


def test_concurrent_queries_run_in_one_batch() -> None:
    seen: list[int] = []

    def run(queries: Sequence[int]) -> list[int]:
        seen.append(len(queries))
        return [each * 10 for each in queries]

    async def query_all() -> list[int]:
        batcher = Batcher(run, "test")
        return await asyncio.gather(*(batcher.query(number) for number in range(100)))

    assert asyncio.run(query_all()) == [number * 10 for number in range(100)]
    assert sum(seen) == 100
    assert max(seen) == batching.MAX_BATCH
    assert len(seen) == 2


def test_queries_wait_while_all_threads_are_busy() -> None:
    started: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
    proceed = threading.Event()

    def run(queries: Sequence[int]) -> Sequence[int]:
        started.put(queries)
        assert proceed.wait(LIMIT_S)
        return queries

    async def query_all() -> list[int]:
        batcher = Batcher(run, "test")
        answers = []
        for number in range(batching.THREADS):
            answers.append(asyncio.ensure_future(batcher.query(number)))
            assert await asyncio.to_thread(started.get, timeout=LIMIT_S) == [number]
        answers += [asyncio.ensure_future(batcher.query(number)) for number in range(batching.THREADS, 60)]
        await asyncio.sleep(5 * batching.MAX_WAIT_S)
        assert started.empty()
        proceed.set()
        return await asyncio.gather(*answers)

    assert asyncio.run(query_all()) == list(range(60))


def test_batch_starts_after_its_queries_were_made() -> None:
    started = [0.0]

    def run(queries: Sequence[float]) -> list[bool]:
        started[0] = time.monotonic()
        time.sleep(0.01)
        return [made <= started[0] for made in queries]

    async def query(batcher: "Batcher[float, bool]", number: int) -> bool:
        await asyncio.sleep(number / 500)
        return await batcher.query(time.monotonic())

    async def query_all() -> list[bool]:
        batcher = Batcher(run, "test")
        return await asyncio.gather(*(query(batcher, number) for number in range(30)))

    assert all(asyncio.run(query_all()))


def test_error_fails_its_batch_and_no_later_one() -> None:
    def run(queries: Sequence[int]) -> Sequence[int]:
        if 3 in queries:
            raise RuntimeError("three")
        return queries

    async def query_all() -> list[object]:
        batcher = Batcher(run, "test")
        first = await asyncio.gather(*(batcher.query(number) for number in range(5)), return_exceptions=True)
        return [*first, await batcher.query(7)]

    *first, later = asyncio.run(query_all())
    assert [str(each) for each in first] == ["three"] * 5
    assert later == 7


def test_canceled_query_does_not_fail_its_batch() -> None:
    started, proceed = threading.Event(), threading.Event()

    def run(queries: Sequence[int]) -> Sequence[int]:
        started.set()
        assert proceed.wait(LIMIT_S)
        return queries

    async def query_all() -> int:
        batcher = Batcher(run, "test")
        gone = asyncio.ensure_future(batcher.query(1))
        stays = asyncio.ensure_future(batcher.query(2))
        assert await asyncio.to_thread(started.wait, LIMIT_S)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        proceed.set()
        return await stays

    assert asyncio.run(query_all()) == 2


def test_hanging_batch_does_not_delay_later_queries() -> None:
    hangs = threading.Event()

    def run(queries: Sequence[int]) -> Sequence[int]:
        if 0 in queries:
            assert hangs.wait(2 * LIMIT_S)
        return queries

    async def query_all() -> list[int]:
        batcher = Batcher(run, "test")
        first = asyncio.ensure_future(batcher.query(0))
        await asyncio.sleep(0.001)
        soon = await asyncio.wait_for(batcher.query(1), LIMIT_S)
        await asyncio.sleep(2 * batching.MAX_WAIT_S)
        later = await asyncio.wait_for(batcher.query(2), LIMIT_S)
        hangs.set()
        return [soon, later, await first]

    assert asyncio.run(query_all()) == [1, 2, 0]
